/*
 * What the parts of the load generator share: its options, its connections, its four loads.
 */

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define NS_PER_S        INT64_C(1000000000)
#define SILENCE_NS      (10 * NS_PER_S)         /* a server silent for so long is stuck */
#define PER_SOURCE      20000                   /* connections from one of our addresses */
#define SOURCES         200                     /* 127.0.0.1 to 127.0.0.200 */
#define HELLO           "Hello World!\n"        /* what a server says for --hello */

struct load_options {
	const char *host, *port;
	pid_t pid;
	int children;                   /* count reaped children too */
	int spin;                       /* never sleep: the server then pays for no wake-ups */
	int reset;                      /* --connect: end by a reset */
	int hello;                      /* --connect: the server says HELLO and ends */
	int udp;
	size_t size;                    /* of a line, newline included */
	int connections, pipeline, concurrency;
	int idle;                       /* further connections, which only stay */
	int hold, speak, partial;
	int64_t rate;                   /* messages due in a second, answered or not */
	int64_t messages, warmup, connects;
	double seconds;
};

extern struct load_options opt;
extern size_t block_size;               /* bytes of the lines that are sent at once */
extern char scratch[65536];
extern int ep;                          /* the epoll set */
extern struct conn *conns;              /* of rounds, of --rate, and the slots of --connect */

struct conn {
	int fd;
	int number;
	int wants_out;                  /* EPOLLOUT is on */
	int ending;                     /* --connect: the reply is in, the end is not yet */
	unsigned round;
	unsigned due, answered;         /* --rate: lines that were to be sent by now, and replies */
	size_t sent, got;
	int64_t since;
	char *block;                    /* the lines of the round under way */
};

/* All of these leave the program with one line on any error. */

/* Looks up opt.host and opt.port. */
void resolve(void);

/* Waits until the server listens, as long as it lives. */
void wait_ready(void);

/* A connection from 127.0.0.1 + source, blocking: on loopback it waits for the kernel only. */
int connect_or_die(int source);

void raise_open_files(int64_t needed);
void *zeroed(size_t count, size_t size);
void interest(const struct conn *c, int operation, uint32_t events);

/* opt.pipeline printable lines, different for each connection and each line as far as it fits. */
void fill_block(char *block, int number);

/* The next round of a connection: sends its block. */
void start_round(struct conn *c, int64_t now);
void send_some(struct conn *c);

/* One recv, compared with what was sent. 0: the end of input, which only --connect expects. */
int receive_some(struct conn *c);

/* Receives and sends what it can, after these events of epoll(7). 1: the whole block is back. */
int ends_round(struct conn *c, uint32_t events);

/*
 * Sends the block of a connection and waits until it is back: the server has then taken all
 * connections before this one. Nothing is sent of a block that may not fit into the sockets.
 */
void speak_once(struct conn *c);

/* Opens opt.connections into conns, and opt.idle besides. */
void open_conns(void);

/*
 * Opens so many connections, of which each says a line (opt.speak), or half of one (opt.partial).
 */
void open_held(int *fds, int first, int count);

void load_rounds(void);
void load_rate(void);
void load_connects(void);
void load_hold(void);

#endif
