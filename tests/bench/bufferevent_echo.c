/* A peer of ours: an echo server on libevent's bufferevents. It looks for no lines. */

#define _GNU_SOURCE 1
#include "listener.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <errno.h>

static void
on_read(struct bufferevent *bev, void *arg)
{
	(void)arg;
	if (bufferevent_write_buffer(bev, bufferevent_get_input(bev)) == -1)
		bufferevent_free(bev);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct bufferevent *bev;
	int fd;

	(void)what;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		set_nodelay(fd);
		bev = bufferevent_socket_new(arg, fd, BEV_OPT_CLOSE_ON_FREE);
		if (bev == NULL)
			errx(1, "no memory for a bufferevent");
		bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
		if (bufferevent_enable(bev, EV_READ | EV_WRITE) == -1)
			errx(1, "no memory for an event");
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept");
}

int
main(int argc, char **argv)
{
	int listener = open_listener(argc, argv, SOCK_NONBLOCK);
	struct event_base *base = event_base_new();
	struct event *ev;

	if (base == NULL)
		errx(1, "no event base");
	ev = event_new(base, listener, EV_READ | EV_PERSIST, on_accept, base);
	if (ev == NULL || event_add(ev, NULL) == -1)
		errx(1, "no memory for an event");
	return event_base_dispatch(base) == -1 ? 1 : 0;
}
