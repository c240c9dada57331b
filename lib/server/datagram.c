/* SPDX-License-Identifier: MIT */
/*
 * Datagrams. The loop receives them into memory of its own and then copies the bytes that
 * have come, so that a request has no more memory than it needs.
 *
 * The reply leaves from the address that was asked (IP_PKTINFO): a host with
 * several addresses, or a test on 127.0.0.2, would otherwise answer from
 * another one, which a connected client does not take. That is a wish: when the
 * system does not take the address, since it is one of a group or was removed
 * meanwhile, the reply leaves from the address that the system chooses.
 */
#include "server/datagram.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/sys.h"
#include "server/hook.h"
#include "stream/stream.h"
#include "loop/wait.h"

#include <errno.h>
#include <socketserver/fiber.h>
#include <string.h>

#define CONTROL_SIZE 256

/* The address that the datagram was sent to, as the reply's control message. */
union source {
	struct in_pktinfo in;
	struct in6_pktinfo in6;
};

struct datagram {
	struct sks_call call;
	struct sks_worker *worker;
	struct sks_flow flow;
	int fd;
	int family;            /* of source; 0: none */
	union source source;
	struct sks_addr peer;
	struct sks_buf reply;
	size_t n;
	unsigned char *bytes;  /* in the same memory, behind the handler's state */
};

void
sks_datagram_prepare(int fd, int family)
{
	static const int on = 1;

	/* None of these options is needed: without them the server still serves. */
	if (family == AF_INET || family == AF_INET6) /* IPv6: for IPv4 on the same socket */
		sks_sys_setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (family == AF_INET6)
		sks_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	sks_sys_setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
}

static void
release(struct datagram *d)
{
	struct sks_worker *worker = d->worker;

	sks_buf_release(&d->reply, NULL);
	sks_call_count_end(&d->call);
	sks_call_free_parts(&d->call);
	sks_sys_free(d);
	sks_worker_release(worker);
}

static int
send_once(struct datagram *d)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec iov = { d->reply.base + d->reply.start, sks_buf_length(&d->reply) };
	struct msghdr msg = {
		.msg_name = &d->peer.u,
		.msg_namelen = d->peer.len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	if (d->family != 0) {
		int v4 = d->family == AF_INET;
		size_t size = v4 ? sizeof(d->source.in) : sizeof(d->source.in6);

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(size);
		control.header.cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		control.header.cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
		control.header.cmsg_len = (socklen_t)CMSG_LEN(size);
		memcpy(CMSG_DATA(&control.header), &d->source, size);
	}
	do {
		n = sks_sys_sendmsg(d->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	sks_transport_count_out(&d->worker->service->shared->traffic, &d->flow, n);
	return 0;
}

/* poll(2) says that a Unix socket can be written even while the queue of its peer is full. */
static int
await_room(struct datagram *d, int *pause_ms, int64_t deadline)
{
	return d->peer.u.any.sa_family == AF_UNIX ? sks_wait_backoff(pause_ms, deadline) :
						  sks_wait_events(d->fd, SKS_WRITE, deadline);
}

static void
send_reply(struct datagram *d)
{
	int64_t deadline = sks_clock_after(d->worker->service->times.write_ms);
	int pause_ms = 0;

	while (send_once(d) == -1) {
		if (errno != EAGAIN && d->family != 0) {
			d->family = 0;
			continue;
		}
		if (errno != EAGAIN || await_room(d, &pause_ms, deadline) == -1) {
			sks_call_log_lost(&d->call, errno);
			return;
		}
	}
}

static void
run(struct sks_call *call)
{
	struct datagram *d = sks_container_of(call, struct datagram, call);
	struct sks_service *service = call->service;
	struct sks_rfile r;
	struct sks_wfile w;

	sks_rfile_init(&r, NULL, &service->times, &service->times, service->options.max_line);
	sks_wfile_init(&w, NULL, &service->times, &service->times, SKS_DATAGRAM_REPLY_MOST);
	r.buf = (struct sks_buf){ .base = d->bytes, .end = d->n, .cap = d->n };
	call->req.rfile = &r;
	call->req.wfile = &w;
	sks_call_exchange(call);
	sks_call_finish(call);
	call->req.rfile = NULL;
	call->req.wfile = NULL;
	d->reply = w.buf;
	w.buf = (struct sks_buf){ 0 };
	if (sks_buf_length(&d->reply) > 0 && d->peer.len > 0)
		send_reply(d);
}

/* Ends one that is not served, on this loop. */
static void
drop(struct datagram *d, struct sks_loop *loop, int reason)
{
	sks_call_end(&d->call, reason);
	sks_hook_end(loop, &d->call);
	sks_count(d->worker->service, dropped, 1);
	release(d);
}

static void
ended(struct sks_call *call)
{
	struct datagram *d = sks_container_of(call, struct datagram, call);

	if (call->start_error != 0) {
		sks_call_log_not_run(call);
		drop(d, d->worker->loop, SKS_ENDED_REFUSED);
		return;
	}
	sks_hook_end(d->worker->loop, call);
	sks_count_shared(call->service, finished, 1);
	release(d);
}

static void
cancel(struct sks_call *call)
{
	struct datagram *d = sks_container_of(call, struct datagram, call);

	drop(d, d->worker->loop, SKS_ENDED_CANCELLED);
}

static const struct sks_call_ops datagram_ops = {
	.run = run,
	.run_resident = run,
	.ended = ended,
	.end = cancel,
	.close = cancel,
};

static struct datagram *
new_datagram(struct sks_worker *worker, const struct sks_datagram_socket *from,
    const struct msghdr *msg, size_t n)
{
	struct sks_service *service = from->service;
	size_t align = _Alignof(max_align_t);
	size_t state_at = (sizeof(struct datagram) + align - 1) / align * align;
	size_t bytes_at = state_at + service->handler.state_size;
	struct datagram *d = sks_sys_malloc(bytes_at + n + 1);

	if (d == NULL)
		return NULL;
	memset(d, 0, bytes_at);
	d->worker = worker;
	d->fd = from->fd;
	d->bytes = (unsigned char *)d + bytes_at;
	d->n = n;
	memcpy(d->bytes, msg->msg_iov->iov_base, n);
	memcpy(&d->peer.u, msg->msg_name, sizeof(d->peer.u));
	/* The kernel tells one more for a path that has no NUL behind it. */
	d->peer.len = (socklen_t)sks_min(msg->msg_namelen, sizeof(d->peer.u.un));
	d->call.service = service;
	d->call.ops = &datagram_ops;
	d->call.flow = &d->flow;
	d->call.listener = from->address;
	d->call.began_ns = sks_clock_ns();
	atomic_init(&d->flow.in, n);
	atomic_init(&d->flow.first_ns, d->call.began_ns);
	d->call.datagram = 1;
	d->call.req = (struct sks_request){
		.state = (char *)d + state_at,
		.data = service->options.data,
		.server = service->server,
		.peer = &d->peer.u.any,
		.peer_len = d->peer.len,
		.fd = -1,
	};
	return d;
}

/* For a datagram to many, the message has the address of the interface that it came in by. */
static void
read_in_source(struct datagram *d, const struct cmsghdr *c)
{
	memcpy(&d->source.in, CMSG_DATA(c), sizeof(d->source.in));
	d->source.in.ipi_ifindex = 0;
	d->family = AF_INET;
}

/* IPv6 has no such address. A datagram that came by IPv4 has a control message of IPv4, too. */
static void
read_in6_source(struct datagram *d, const struct cmsghdr *c)
{
	struct in6_pktinfo source;

	memcpy(&source, CMSG_DATA(c), sizeof(source));
	if (IN6_IS_ADDR_MULTICAST(&source.ipi6_addr) || IN6_IS_ADDR_V4MAPPED(&source.ipi6_addr))
		return;
	if (!IN6_IS_ADDR_LINKLOCAL(&source.ipi6_addr))
		source.ipi6_ifindex = 0;
	d->source.in6 = source;
	d->family = AF_INET6;
}

/* Reads the control messages: the address asked, and the kernel's counter of losses. */
static void
read_control(struct datagram *d, struct msghdr *msg, unsigned int *lost)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			read_in_source(d, c);
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			read_in6_source(d, c);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			unsigned int total;

			memcpy(&total, CMSG_DATA(c), sizeof(total));
			sks_count(d->worker->service, dropped, (int)(total - *lost));
			*lost = total;
		}
	}
}

/* Returns 1 for errors of one datagram (an ICMP message, a full table), not of the socket. */
static int
is_passing(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EMSGSIZE:
	case EPERM:
	case EINTR:
		return 1;
	default:
		return 0;
	}
}

/* There is no memory for one that has come. */
static void
lose(const struct sks_service *service)
{
	sks_count(service, dropped, 1);
	sks_count(service, rejected_memory, 1);
	sks_log_limited(&service->shared->refusals[SKS_REFUSED_MEMORY], 1,
	    SKS_LOG_HANDLER(service->handler.name), SKS_LOG_ERROR, ENOMEM,
	    "no memory for a datagram");
}

/* Starts a datagram that another worker has received. On the loop of its own. */
static void
arrive(struct sks_message *message)
{
	struct datagram *d = sks_container_of(message, struct datagram, call.message);

	sks_executor_submit(d->worker->executor, &d->call);
}

/* Makes a request of what was received. Returns what sks_datagram_receive() returns. */
static int
serve(const struct sks_datagram_socket *from, struct sks_worker *worker, struct msghdr *msg,
    size_t n)
{
	struct sks_service *service = from->service;
	struct datagram *d;

	sks_count(service, datagrams, 1);
	if (msg->msg_flags & MSG_TRUNC) {
		sks_count(service, truncated, 1);
		if (!service->options.keep_truncated) {
			sks_count(service, dropped, 1);
			return 2;
		}
	}
	d = new_datagram(worker, from, msg, n);
	if (d == NULL) {
		lose(service);
		return 2;
	}
	sks_worker_take(worker);
	d->call.truncated = (msg->msg_flags & MSG_TRUNC) != 0;
	read_control(d, msg, from->lost);
	sks_transport_count_in(&service->shared->traffic, NULL, (ssize_t)n);
	if (!sks_hook_verify(from->loop, &d->call)) {
		sks_count(service, rejected_verify, 1);
		sks_count(service, refused, 1);
		drop(d, from->loop, SKS_ENDED_REFUSED);
	} else if (sks_loop_is_here(worker->loop)) {
		sks_executor_submit(worker->executor, &d->call);
	} else {
		d->call.message.run = arrive;
		sks_loop_post(worker->loop, &d->call.message);
	}
	return 1;
}

int
sks_datagram_receive(const struct sks_datagram_socket *from, struct sks_worker *worker)
{
	union {
		struct cmsghdr align;
		char room[CONTROL_SIZE];
	} control;
	struct sks_addr peer = { 0 };
	struct iovec iov = { sks_loop_scratch(from->loop), worker->service->options.max_datagram };
	struct msghdr msg = {
		.msg_name = &peer.u,
		.msg_namelen = sizeof(peer.u),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	if (iov.iov_base == NULL)
		return -1; /* it waits in the kernel */
	iov.iov_len = sks_min(iov.iov_len, SKS_LOOP_SCRATCH);
	n = sks_sys_recvmsg(from->fd, &msg, MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n == -1 && is_passing(errno))
		return 2;
	if (n == -1)
		return -1;
	return serve(from, worker, &msg, (size_t)n);
}
