/* SPDX-License-Identifier: MIT */
/*
 * socketserver/resolve.h - names and addresses, by the resolver of the C library:
 * nsswitch.conf, /etc/hosts and resolv.conf count. But localhost, and each name
 * below it, is the loopback (RFC 6761): nobody is asked for it.
 *
 * Python: socket.getaddrinfo(), getnameinfo(), gethostbyname(), getfqdn().
 *
 * Waiting. Each call may wait. On a fiber the look-up runs on a helper thread,
 * and the fiber is parked. On a thread it does so when there is a limit to keep
 * (timeout_ms, a limit of the task, or a server that may cancel it); else the
 * thread asks itself. What nobody is asked for is answered at once.
 *
 * Time. SKS_OFF waits as long as the resolver does (resolv.conf(5); as a rule
 * 10 s for a name server that does not answer). With 0 only numeric addresses and
 * localhost are answered, and anything else is ETIMEDOUT. The C library cannot be
 * told to stop: when the caller goes on by ETIMEDOUT or ECANCELED, the look-up goes
 * on without it, and what it finds is thrown away. Until then it counts as one of
 * the 64 look-ups that may run at once in the process. No shutdown waits for it.
 * (So the shared library stays in memory: dlclose(3) does not unload it.)
 *
 * Errors. Each call returns 0, or -1:
 *   ENOENT     there is no such name or service, or no such address of it
 *   EAGAIN     a temporary failure: the name server did not answer or could not
 *              say, 64 look-ups are running, or no thread can be made
 *   EIO        the name server refuses to say
 *   EINVAL     flags that do not exist, an address of the wrong length, or a
 *              timeout_ms that is another negative number
 *   EAFNOSUPPORT, ESOCKTNOSUPPORT   hints of a kind that the system does not have
 *   ETIMEDOUT, ECANCELED, ENOMEM    as all calls that may wait
 *   EMFILE, ...   what the system said
 * sks_gai_error() tells more exactly what the resolver said.
 */
#ifndef SOCKETSERVER_RESOLVE_H
#define SOCKETSERVER_RESOLVE_H

#include <socketserver/export.h>
#include <stddef.h>
#include <sys/socket.h>

SKS_BEGIN_DECLS

struct addrinfo; /* of <netdb.h> */

/*
 * Looks up a host and a service, as getaddrinfo(3) does. Of hints, which may be
 * NULL, ai_flags, ai_family, ai_socktype and ai_protocol count. *list gets the
 * addresses, which the caller frees with freeaddrinfo(3), or NULL with an error.
 * RFC 3493, POSIX: getaddrinfo().
 */
SKS_API int sks_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **list, int timeout_ms) SKS_MUST_CHECK;

/*
 * Looks up the names of an address and of its port, as getnameinfo(3) does. host or
 * service may be NULL. -1 also: EOVERFLOW when a text does not fit its buffer.
 * RFC 3493, POSIX: getnameinfo().
 */
SKS_API int sks_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
    size_t host_size, char *service, size_t service_size, int flags, int timeout_ms)
    SKS_MUST_CHECK;

/*
 * Puts the first IPv4 address of a name into buf, as text; 16 bytes are enough. ""
 * is 0.0.0.0. -1 also: EOVERFLOW when the text does not fit.
 * Python: gethostbyname().
 */
SKS_API int sks_gethostbyname(const char *name, char *buf, size_t size, int timeout_ms)
    SKS_MUST_CHECK;

/*
 * Puts the full name of a host into buf: the first name with a dot of those that
 * its address has, else the first of them, else the name as it was given. "",
 * NULL, "0.0.0.0" and "::" are this host. 256 bytes are enough. It succeeds also
 * when there is no better name. -1 when nobody could be asked: EAGAIN, ETIMEDOUT,
 * ECANCELED, ENOMEM; and EOVERFLOW when the text does not fit.
 * Python: getfqdn().
 */
SKS_API int sks_getfqdn(const char *name, char *buf, size_t size, int timeout_ms) SKS_MUST_CHECK;

/*
 * Returns what the resolver said to this task's last call above: an EAI_ code, for
 * gai_strerror(3), or 0 when that call has succeeded or failed for another reason.
 * Each fiber has its own, as it has its own errno.
 */
SKS_API int sks_gai_error(void);

SKS_END_DECLS

#endif
