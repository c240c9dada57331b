/* SPDX-License-Identifier: MIT */
/*
 * query.h - a question to the C library's resolver, which may block for long: it is asked on a
 * helper thread, and only the task that waits has a deadline.
 */
#ifndef SKS_SOCKET_QUERY_H
#define SKS_SOCKET_QUERY_H

#include "loop/helpers.h"

#include <netdb.h>
#include <stdatomic.h>
#include <sys/socket.h>

struct sks_completion;

struct sks_query {
	struct sks_work work;
	struct sks_completion *completion; /* of the task that waits, unless it is ABANDONED */
	atomic_int state;
	void (*ask)(struct sks_query *);
	/* the question */
	char *host, *service; /* behind this struct, or NULL */
	struct addrinfo hints;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int flags;
	/* the answer */
	int code;  /* 0, or EAI_ */
	int error; /* errno, for EAI_SYSTEM */
	struct addrinfo *list;
	char name[NI_MAXHOST];
	char port[NI_MAXSERV];
};

/* Makes a query; ask() puts the answer into it, and host and service may be NULL. NULL: ENOMEM. */
struct sks_query *sks_query_new(void (*ask)(struct sks_query *query), const char *host,
    const char *service);

/*
 * Has ask() called on a helper thread, or on this thread if it may wait without end, and waits.
 * Returns 0 when the query has its answer. At -1 the wait has failed, and the query is no longer
 * the caller's.
 */
int sks_query_ask(struct sks_query *query, int64_t deadline);

/* Frees a query that has its answer, or was never asked. */
void sks_query_free(struct sks_query *query);

#endif
