/* SPDX-License-Identifier: MIT */
/*
 * What a server listens on: its sockets are on its first loop or, with reuse_port,
 * one for each address on every loop.
 */
#include "base/addr.h"
#include "base/log.h"
#include "base/sys.h"
#include "server/accept.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>

/* Runs on the loop of the worker that the listener is for. */
static void
listener_arrives(struct sks_message *message)
{
	struct sks_listener *l = sks_container_of(message, struct sks_listener, arrival);

	sks_list_append(&l->worker->listeners, &l->link);
}

/* One more for each of the other workers. They wait for it in a list until all are there. */
static int
open_twins(struct sks_server *server, const struct sks_list *opened, struct sks_list *twins)
{
	struct sks_listener *twin;
	int i;

	sks_list_each (link, opened) {
		const struct sks_listener *l = sks_listener_of(link);

		for (i = 1; l->shares_port && i < server->service.options.workers; i++) {
			twin = sks_listener_twin(l, &server->service.options);
			if (twin == NULL)
				return -1;
			twin->worker = &server->workers[i];
			sks_list_append(twins, &twin->link);
		}
	}
	return 0;
}

/* Gives each to its worker, which may be running. */
static void
hand_out(struct sks_server *server, struct sks_list *twins)
{
	struct sks_list *link;

	while ((link = sks_list_pop(twins)) != NULL) {
		struct sks_listener *twin = sks_listener_of(link);

		sks_accept_attach(twin, twin->worker, &server->admission);
		twin->arrival.run = listener_arrives;
		if (twin->worker->has_thread)
			sks_loop_post(twin->worker->loop, &twin->arrival);
		else
			listener_arrives(&twin->arrival);
	}
	if (sks_server_is_serving(server))
		sks_server_wake_others(server, sks_server_first(server));
}

/* The text of an address that is listened on. */
struct address {
	struct sks_list link;
	char text[];
};

static const char *
find_address(const struct sks_server *server, const char *text)
{
	sks_list_each (link, &server->addresses)
		if (strcmp(sks_list_entry(link, struct address, link)->text, text) == 0)
			return sks_list_entry(link, struct address, link)->text;
	return NULL;
}

/*
 * Returns the address of a listener as its requests tell it, also when it is closed: so the text
 * stays as long as the server, which has each text once. NULL: errno says why.
 */
static const char *
keep_address(struct sks_server *server, const struct sks_listener *l)
{
	char text[SKS_ADDR_TEXT];
	const char *known;
	struct address *kept;

	if (sks_listener_format(l, text, sizeof(text)) == NULL)
		return NULL;
	known = find_address(server, text);
	if (known != NULL)
		return known;
	kept = sks_sys_malloc(sizeof(*kept) + strlen(text) + 1);
	if (kept == NULL)
		return NULL;
	strcpy(kept->text, text);
	sks_list_append(&server->addresses, &kept->link);
	return kept->text;
}

void
sks_server_free_addresses(struct sks_server *server)
{
	struct sks_list *link;

	while ((link = sks_list_pop(&server->addresses)) != NULL)
		sks_sys_free(sks_list_entry(link, struct address, link));
}

/* Gives each of the listeners its service. Returns 0, or -1 and errno after one line in the log. */
static int
set_service(struct sks_server *server, struct sks_list *listeners, struct sks_service *service,
    const char *address)
{
	sks_list_each (link, listeners) {
		struct sks_listener *l = sks_listener_of(link);

		l->service = service;
		l->address = sks_sys_malloc(strlen(address) + 1);
		if (l->address == NULL || (l->entry.address = keep_address(server, l)) == NULL)
			return sks_fail(NULL, errno, "listen on %s: %m", address);
		strcpy(l->address, address);
	}
	return 0;
}

static int
listen_for(struct sks_server *server, struct sks_service *service, const char *address)
{
	struct sks_worker *first;
	struct sks_list opened, twins;
	int error;

	sks_list_init(&opened);
	sks_list_init(&twins);
	if (sks_server_adopt(server) == -1)
		return -1;
	first = sks_server_first(server);
	if (sks_listener_open(address, &server->service.options, &opened) == -1)
		return -1;
	if (open_twins(server, &opened, &twins) == -1 ||
	    set_service(server, &opened, service, address) == -1 ||
	    set_service(server, &twins, service, address) == -1) {
		error = errno;
		sks_listeners_close(&twins);
		sks_listeners_close(&opened);
		errno = error;
		return -1;
	}
	sks_list_each (link, &opened) {
		sks_accept_attach(sks_listener_of(link), first, &server->admission);
		if (sks_listener_of(link)->type == SOCK_DGRAM)
			sks_replies_add_listener(&server->service.shared->replies,
			    sks_listener_of(link)->fd);
	}
	sks_list_move_all(&first->listeners, &opened);
	hand_out(server, &twins);
	if (sks_server_is_serving(server))
		sks_accept_restart(first);
	return 0;
}

int
sks_server_listen(struct sks_server *server, const char *address)
{
	return listen_for(server, &server->service, address);
}

int
sks_server_listen_with_abi(struct sks_server *server, const char *address,
    const struct sks_handler *handler, size_t handler_size, void *data)
{
	struct sks_service *service = sks_service_beside(&server->service, handler, handler_size,
	    data);
	int error;

	if (service == NULL)
		return -1;
	sks_list_append(&server->services, &service->link); /* where a copy gives it new counts */
	if (listen_for(server, service, address) == 0)
		return 0;
	error = errno;
	sks_list_remove(&service->link);
	sks_sys_free(service);
	errno = error;
	return -1;
}

/* -- an end -- */

/* On its way to a worker that has listeners of its own. */
struct closing {
	struct sks_message message;
	struct sks_worker *worker;
	char address[];
};

static int
close_here(struct sks_worker *worker, const char *address)
{
	const struct sks_server *server = worker->owner;

	return sks_accept_close(worker, address,
	    server->state == SKS_IDLE && !sks_server_has_requests(server));
}

static void
closing_arrives(struct sks_message *message)
{
	struct closing *closing = sks_container_of(message, struct closing, message);

	(void)close_here(closing->worker, closing->address);
	sks_sys_free(closing);
}

/* Asks a worker to close its listeners of this address. Returns 0, or -1 and ENOMEM. */
static int
close_there(struct sks_worker *worker, const char *address)
{
	struct closing *closing = sks_sys_malloc(sizeof(*closing) + strlen(address) + 1);

	if (closing == NULL)
		return -1;
	closing->message.run = closing_arrives;
	closing->worker = worker;
	strcpy(closing->address, address);
	if (worker->has_thread)
		sks_loop_post(worker->loop, &closing->message);
	else
		closing_arrives(&closing->message);
	return 0;
}

int
sks_server_close_address(struct sks_server *server, const char *address)
{
	int i;

	if (sks_server_adopt(server) == -1)
		return -1;
	if (close_here(sks_server_first(server), address) == 0) {
		errno = ENOENT;
		return -1;
	}
	server->admission.error = 0; /* if it was the last one, that is no failure */
	for (i = 1; server->service.options.reuse_port && i < server->service.options.workers; i++)
		if (close_there(&server->workers[i], address) == -1)
			return -1;
	return 0;
}
