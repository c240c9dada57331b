/* SPDX-License-Identifier: MIT */
/*
 * socketserver/resolve.h - names and addresses, by the system's resolver:
 * what nsswitch.conf, /etc/hosts and resolv.conf say counts. But localhost, and
 * each name below it, is the loopback (RFC 6761), and nobody is asked for it.
 *
 * Python: socket.getaddrinfo(), getnameinfo(), gethostbyname(), getfqdn().
 *
 * On a fiber the look-up runs on a helper thread and the fiber is parked; on
 * a plain thread it does when there is a limit to keep (timeout_ms, the
 * task's deadline, a server that may cancel it), else the thread asks itself.
 * Addresses that are numeric already need neither.
 *
 * timeout_ms: SKS_OFF waits as long as the resolver does (resolv.conf(5); 10 s
 * for a name server that does not answer, as a rule); with 0 only numeric
 * addresses are answered, and anything else is ETIMEDOUT. When the caller
 * goes on by ETIMEDOUT or ECANCELED the C library can not be told: the look-up
 * goes on without it, counts as one in flight until it ends, and what it finds
 * is thrown away. 64 may be in flight in the process; the helper threads are
 * not those of sks_offload(). No shutdown waits for abandoned ones: their
 * threads end by themselves, or with the process. (So the shared library is
 * not unloaded by dlclose(3).)
 *
 * All return 0, or -1 and errno:
 *   ENOENT      there is no such name, or service, or no such address of it
 *   EAGAIN      a temporary failure: the name server did not answer or could not say;
 *               or 64 look-ups are in flight; or no thread can be had
 *   EIO         the name server refuses to say
 *   ETIMEDOUT, ECANCELED   as every wait
 *   EINVAL      flags that do not exist, an address of the wrong length, or a time
 *               limit that is none
 *   EAFNOSUPPORT, ESOCKTNOSUPPORT   hints of a kind that the system does not have
 *   ENOMEM, EMFILE, ...    what the system said
 * sks_gai_error() tells more exactly.
 */
#ifndef SOCKETSERVER_RESOLVE_H
#define SOCKETSERVER_RESOLVE_H

#include <socketserver/export.h>
#include <stddef.h>
#include <sys/socket.h>

SKS_BEGIN_DECLS

struct addrinfo; /* <netdb.h> */

/*
 * getaddrinfo(3), with a limit. *list is freed with freeaddrinfo(3); NULL
 * after an error. Of hints, which may be NULL, ai_flags, ai_family,
 * ai_socktype and ai_protocol count.
 */
SKS_API int sks_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list, int timeout_ms) SKS_MUST_CHECK;

/*
 * getnameinfo(3), with a limit; host or service may be NULL. EOVERFLOW too:
 * a text does not fit its buffer.
 */
SKS_API int sks_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
    size_t host_size, char *service, size_t service_size, int flags, int timeout_ms)
    SKS_MUST_CHECK;

/*
 * The first IPv4 address of a name, as text: 16 bytes are enough. "" is
 * 0.0.0.0. EOVERFLOW too.
 */
SKS_API int sks_gethostbyname(const char *name, char *buf, size_t size, int timeout_ms)
    SKS_MUST_CHECK;

/*
 * The full name of a host: the first with a dot among those that its address
 * has, else the first of them, else the name as it was given. "", NULL,
 * "0.0.0.0" and "::" are this host. -1 not when there is no better name, but
 * when nobody could be asked: EAGAIN, ETIMEDOUT, ECANCELED, ENOMEM; EOVERFLOW
 * when it does not fit. 256 bytes are enough.
 */
SKS_API int sks_getfqdn(const char *name, char *buf, size_t size, int timeout_ms) SKS_MUST_CHECK;

/*
 * The EAI_ code behind the errno of this task's last call above, for
 * gai_strerror(3); 0 when that call succeeded or did not fail for what the
 * resolver said. As errno, each fiber has its own.
 */
SKS_API int sks_gai_error(void);

SKS_END_DECLS

#endif
