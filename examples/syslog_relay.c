/* SPDX-License-Identifier: MIT */
/*
 * syslog_relay: takes messages of syslog by UDP (RFC 3164, RFC 5424), and passes them on
 * over one TCP connection, each with its length in front (RFC 6587).
 *
 * The handler puts each message into a queue, and never waits. A task of main sends them; it
 * waits for the server behind it, and connects again. While that server is away the queue
 * fills, and then messages are dropped.
 */
#include "options.h"
#include "serve.h"

#include <err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 10000    /* messages that wait */
#define AGAIN_MS 200  /* between two attempts to connect */
#define CONNECT_MS 5000
#define END_MS 5000    /* for all that is left at the end */

struct relay {
	struct sks_channel *queue; /* of char *, which whoever takes one frees */
	const char *target;
	struct sks_client *client; /* the sender's; NULL: it is not connected */
	atomic_int is_over;        /* the sender makes one attempt for each that is left */
};

static int
take(struct sks_request *req)
{
	const struct relay *relay = req->data;
	char *bytes, *message;
	ssize_t n = sks_peek(req->rfile, 0, &bytes);

	if (n <= 0 || !sks_is_datagram(req))
		return (int)n;
	message = malloc((size_t)n + 1);
	if (message != NULL) {
		memcpy(message, bytes, (size_t)n);
		message[n] = '\0';
	}
	sks_deadline(req, 0); /* where the queue is full, do not wait */
	if (message != NULL && sks_channel_send(relay->queue, &message) == 0)
		return SKS_DONE;
	free(message);
	return -1; /* it is counted and logged, as ETIMEDOUT */
}

/* -- the sender -- */

static int
send_message(struct relay *relay, const char *message)
{
	if (relay->client == NULL)
		relay->client = sks_connect(relay->target, CONNECT_MS);
	if (relay->client == NULL)
		return -1;
	if (sks_printf(relay->client->wfile, "%zu %s", strlen(message), message) == 0 &&
	    sks_flush(relay->client->wfile) == 0)
		return 0;
	sks_client_close(relay->client);
	relay->client = NULL;
	return -1;
}

static int
send_all(void *arg)
{
	struct relay *relay = arg;
	char *message;

	while (sks_channel_recv(relay->queue, &message) == 1) {
		while (send_message(relay, message) == -1 && !atomic_load(&relay->is_over))
			if (sks_sleep(AGAIN_MS) == -1)
				break;
		free(message);
	}
	sks_client_close(relay->client);
	return 0;
}

/* Waits for the sender, which a server that gives no answer could keep for hours. */
static void
join(struct sks_child *sender)
{
	struct sks_timeout limit;
	int rc;

	sks_timeout_begin(&limit, END_MS);
	rc = sks_child_join(sender, NULL);
	sks_timeout_end(&limit);
	if (rc == 0)
		return;
	sks_child_cancel(sender);
	sks_child_join(sender, NULL);
}

/* Lets the sender make one attempt for each message that is left. Others are dropped in the end. */
static void
end(struct relay *relay, struct sks_child *sender)
{
	char *message;

	atomic_store(&relay->is_over, 1);
	sks_channel_close(relay->queue);
	if (sender != NULL)
		join(sender);
	while (sks_channel_recv(relay->queue, &message) == 1)
		free(message);
	sks_channel_free(relay->queue);
}

int
main(int argc, char **argv)
{
	static const struct sks_handler handler = {
		.name = "syslog_relay",
		.handle = take,
		.refuses = SKS_REFUSES(SKS_PROCESSES), /* each would have a queue of its own */
	};
	struct relay relay = { .queue = sks_channel_new(sizeof(char *), QUEUE) };
	struct options options = {
		.about = "Passes messages of syslog from UDP on to SERVER, by TCP.",
		.address = "udp:localhost:5514",
		.others = "SERVER",
		.most = 1,
		.server = { .stop_signals = 1, .data = &relay },
	};
	struct sks_server *server;
	struct sks_child *sender;
	int code = 1;

	parse_options(argc, argv, &options);
	if (relay.queue == NULL)
		err(EXIT_FAILURE, "queue");
	relay.target = options.other[0];
	server = sks_udp_server_new(options.address, &handler, &options.server);
	if (server == NULL) /* the library has said why */
		code = listen_code(options.address);
	sender = server != NULL ? sks_go(send_all, &relay) : NULL;
	if (sender != NULL) {
		code = serve(server);
	} else if (server != NULL) {
		warn("sender");
		sks_server_free(server);
	}
	end(&relay, sender);
	return code;
}
