/* The third load: connections that are only held, and the memory that the server has for them. */

#define _GNU_SOURCE 1
#include "load.h"

#include "measure.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- --hold ---- */

static void
send_part(int fd, int number, const char *p, size_t n)
{
	ssize_t sent;

	if ((sent = send(fd, p, n, MSG_NOSIGNAL)) != (ssize_t)n)
		err(1, "connection %d: send", number);
}

static void
expect(int fd, int number, const char *p)
{
	ssize_t n;

	n = recv(fd, scratch, block_size, MSG_WAITALL);
	if (n == -1)
		err(1, "connection %d: no reply", number);
	if (n != (ssize_t)block_size)
		errx(1, "connection %d: the server ended it", number);
	if (memcmp(scratch, p, block_size) != 0)
		errx(1, "connection %d: the reply differs from what was sent", number);
}

/* In turns of --concurrency: so many lines are with the server at once, however many are held. */
static void
speak(const int *fds, int first, int count, size_t from)
{
	int begin, end, i;

	for (begin = first; begin < first + count; begin = end) {
		end = begin + opt.concurrency;
		if (end > first + count)
			end = first + count;
		for (i = begin; i < end; i++) {
			fill_block(scratch, i);
			send_part(fds[i], i, scratch + from, block_size - from);
		}
		for (i = begin; i < end; i++) {
			char *line = scratch + sizeof(scratch) / 2;

			fill_block(line, i);
			expect(fds[i], i, line);
		}
	}
}

void
open_held(int *fds, int first, int count)
{
	int i, n;

	for (; count > 0; first += n, count -= n) {
		n = count < opt.concurrency ? count : opt.concurrency;
		for (i = first; i < first + n; i++)
			fds[i] = connect_or_die(i / PER_SOURCE);
		if (opt.speak)
			speak(fds, first, n, 0);
		for (i = first; opt.partial && i < first + n; i++) {
			fill_block(scratch, i);
			send_part(fds[i], i, scratch, block_size / 2);
		}
	}
}

/* The backlog may still hold some: measured is what the server has really taken. */
static void
wait_accepted(int needed)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	const int64_t end = now_ns() + 3 * SILENCE_NS;
	int have;

	while ((have = open_files_of(opt.pid)) < needed) {
		if (now_ns() > end)
			errx(1, "the server took %d connections too few of %d", needed - have,
			    opt.hold);
		nanosleep(&pause, NULL);
	}
}

static void
report_held(const struct memory *before, const struct memory *after)
{
	const double n = opt.hold;

	printf("connections=%d\nmemory_before=%" PRId64 "\nmemory_after=%" PRId64 "\n", opt.hold,
	    before->private_dirty, after->private_dirty);
	printf("bytes_per_connection=%.1f\n",
	    (double)(after->private_dirty - before->private_dirty) / n);
	printf("pss_anon_per_connection=%.1f\n",
	    (double)(after->anonymous - before->anonymous) / n);
	printf("rss_per_connection=%.1f\n", (double)(after->resident - before->resident) / n);
	printf("page_table_before=%" PRId64 "\npage_table_after=%" PRId64 "\n", before->page_tables,
	    after->page_tables);
	printf("page_table_bytes_per_connection=%.1f\n",
	    (double)(after->page_tables - before->page_tables) / n);
}

/* One connection more comes before the count, so that what a server sets up once is not in it. */
void
load_hold(void)
{
	struct memory before, after;
	int *fds, base;

	raise_open_files(opt.hold + 1);
	fds = zeroed((size_t)opt.hold + 1, sizeof(*fds));
	settle(opt.pid);
	base = open_files_of(opt.pid);
	open_held(fds, 0, 1);
	wait_accepted(base + 1);
	settle(opt.pid);
	memory_of(opt.pid, &before);

	open_held(fds, 1, opt.hold);
	wait_accepted(base + 1 + opt.hold);
	settle(opt.pid);
	memory_of(opt.pid, &after);
	report_held(&before, &after);

	if (opt.speak || opt.partial) {                 /* and each of them is still served */
		speak(fds, 0, opt.hold + 1, opt.partial ? block_size / 2 : 0);
		settle(opt.pid);
		memory_of(opt.pid, &after);
		printf("memory_after_speaking_again=%" PRId64 "\n", after.private_dirty);
	}
	printf("errors=0\n");
	free(fds);
}
