/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's errors in words that tell a user what to do. Its own words ("wrong version
 * number") stand where there are no better ones.
 */
#include "stream/tls_openssl.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdio.h>
#include <string.h>

#define FROM_PEER SSL_AD_REASON_OFFSET /* reasons from here on are alerts of the peer */

struct sentence {
	int reason;
	const char *text;
};

static const struct sentence sentences[] = {
	{ SSL_R_HTTP_REQUEST, "the peer speaks HTTP without TLS" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "the peer speaks HTTP without TLS" },
	{ SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the peer speaks only versions of TLS that are too old" },
	{ SSL_R_VERSION_TOO_LOW, "the peer speaks only versions of TLS that are too old" },
	{ SSL_R_NO_SHARED_CIPHER, "the peer knows no cipher that is allowed here" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "the peer speaks no application protocol of ours (ALPN)" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer has shown no certificate" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, "the peer's certificates are too long" },
	{ SSL_R_EE_KEY_TOO_SMALL, "the key is too short" },
	{ SSL_R_CA_MD_TOO_WEAK, "the signature is by a weak hash" },
};

static const char *
sentence_of(int reason)
{
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(sentences); i++)
		if (sentences[i].reason == reason)
			return sentences[i].text;
	return NULL;
}

/* OpenSSL also fails without an error, where there is no memory for the error. */
int
sks_tls_is_out_of_memory(void)
{
	return ERR_peek_error() == 0 || ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ||
	    ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

int
sks_tls_no_memory(void)
{
	ERR_clear_error();
	return sks_fail(NULL, ENOMEM, "tls: %s", strerror(ENOMEM));
}

char *
sks_tls_error(char *buf, size_t size)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	const char *text = ERR_GET_LIB(error) == ERR_LIB_SSL ? sentence_of(reason) : NULL;

	if (sks_tls_is_out_of_memory())
		snprintf(buf, size, "%s", strerror(ENOMEM));
	else if (text != NULL)
		snprintf(buf, size, "%s", text);
	else if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > FROM_PEER)
		snprintf(buf, size, "the peer refuses: %s",
		    SSL_alert_desc_string_long(reason - FROM_PEER));
	else if ((text = ERR_reason_error_string(error)) != NULL)
		snprintf(buf, size, "%s", text);
	else
		snprintf(buf, size, "error %lx of OpenSSL", error);
	ERR_clear_error();
	return buf;
}
