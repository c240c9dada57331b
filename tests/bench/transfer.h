/* What bare_sendfile and tls_sendfile share: the command line, the listener, and a connection. */

#ifndef BENCH_TRANSFER_H
#define BENCH_TRANSFER_H

/*
 * Of each program: sends the file to one client after the other; asks for /name and drops what
 * comes.
 */
int serve(const char *path);
int get(const char *port, const char *name);

/* Both leave with one line on any error. */
int open_any_listener(void);
int connect_to(const char *port);

#endif
