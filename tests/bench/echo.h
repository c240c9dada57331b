/* What the baselines of issue 3 do with a connection: echo_bytes.c or echo_lines.c. */

#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

/* Sends back what comes, until the end, and closes fd. 0; 1 after an error. */
int echo(int fd);

#endif
