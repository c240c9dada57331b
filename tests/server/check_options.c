/* SPDX-License-Identifier: MIT */
/*
 * check_options.c - options out of their range, structs of other versions, and
 * what the statistics count.
 */
#include "acceptance.h"

#include "base/sys.h"
#include "base/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

FIXTURE(acc_setup, acc_teardown);

static void
assert_refused(const struct sks_options *options, const char *member)
{
	int before = log_count(member);

	errno = 0;
	ck_assert_msg(sks_server_new(&acc_script, options) == NULL, "%s was accepted", member);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_msg(log_count(member) == before + 1, "no line tells of %s", member);
}

#define REFUSED(member, value) \
	assert_refused(&(struct sks_options){ .member = (value) }, "options." #member ":")

TEST(refuses_options_out_of_range)
{
	REFUSED(mode, -1);
	REFUSED(mode, SKS_PROCESSES + 1);
	REFUSED(workers, -2);
	REFUSED(backlog, -1);
	REFUSED(max_connections, -1);
	REFUSED(max_running, -1);
	REFUSED(idle_ms, -2);
	REFUSED(timeout_ms, -2);
	REFUSED(linger_ms, -2);
	REFUSED(drain_ms, -2);
	REFUSED(tick_ms, -2);
	REFUSED(unix_mode, -1);
	REFUSED(unix_mode, 01000);
	REFUSED(max_line, 1);
	REFUSED(max_line, SIZE_MAX);
	REFUSED(max_output, SIZE_MAX);
	REFUSED(max_datagram, 65537);
	REFUSED(stack_size, 1);
	REFUSED(stack_size, SIZE_MAX);
	REFUSED(lame_duck_ms, SKS_OFF);
	ck_assert_int_eq(log_count("options.idle_ms: must be -1 to 2147483647 milliseconds; -1 is SKS_OFF"),
	    1);
	ck_assert_int_eq(log_count("options.lame_duck_ms: must be 0 to 2147483647 milliseconds"), 1);
	ck_assert_int_eq(log_count("options.lame_duck_ms: must be 0 to 2147483647 milliseconds;"), 0);
}

TEST(refuses_modes_that_the_handler_refuses, EACH_MODE)
{
	struct sks_handler handler = acc_script;
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	struct sks_server *server;

	handler.name = "choosy";
	handler.refuses = SKS_REFUSES(options.mode);
	errno = 0;
	ck_assert_ptr_null(sks_server_new(&handler, &options));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_lines(), 1);
	ck_assert_int_eq(log_count("choosy: not in the mode "), 1);
	handler.refuses = ~handler.refuses;
	server = sks_server_new(&handler, &options);
	ck_assert_ptr_nonnull(server);
	sks_server_free(server);
}

TEST(refuses_handlers_that_cannot_be_run)
{
	struct sks_handler handler = { .name = "nothing" };

	errno = 0;
	ck_assert_ptr_null(sks_server_new(&handler, NULL));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("handle is missing"), 1);
	handler = acc_script;
	handler.state_size = SIZE_MAX;
	errno = 0;
	ck_assert_ptr_null(sks_server_new(&handler, NULL));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(log_count("state_size"), 1);
}

/* As a program sees it that was built with later headers, or earlier ones. */
static struct {
	struct sks_options known;
	int later[4];
} longer_options;

static struct {
	struct sks_handler known;
	int later[4];
} longer_handler;

static struct sks_server *
new_from_longer(void)
{
	longer_handler.known = acc_script;
	return sks_server_new_abi(&longer_handler.known, sizeof(longer_handler),
	    &longer_options.known, sizeof(longer_options));
}

TEST(structs_of_other_versions)
{
	struct sks_server *server = new_from_longer();

	ck_assert_ptr_nonnull(server);
	sks_server_free(server);
	longer_options.later[3] = 1;
	errno = 0;
	ck_assert_ptr_null(new_from_longer());
	ck_assert_int_eq(errno, E2BIG);
	longer_options.later[3] = 0;
	longer_handler.later[0] = 1;
	errno = 0;
	ck_assert_ptr_null(new_from_longer());
	ck_assert_int_eq(errno, E2BIG);
	longer_handler.later[0] = 0;
	ck_assert_int_eq(log_lines(), 2);
	/* An older caller's, of which the last members are not known. */
	server = sks_server_new_abi(&acc_script, offsetof(struct sks_handler, state_size),
	    &(struct sks_options){ .mode = SKS_SERIAL }, sizeof(int));
	ck_assert_ptr_nonnull(server);
	sks_server_free(server);
	ck_assert_ptr_null(sks_server_new_abi(&acc_script, 0, NULL, 0));
	ck_assert_int_eq(errno, EINVAL);
}

TEST(statistics_of_other_versions)
{
	struct {
		struct sks_stats known;
		uint64_t later;
	} longer;
	struct acc acc;

	memset(&longer, 0xff, sizeof(longer));
	acc_tcp(&acc, 0, &acc_script, NULL);
	ck_assert_int_eq(sks_server_stats_abi(acc.server, &longer.known, sizeof(longer)), 0);
	ck_assert_uint_eq(longer.known.bytes_out, 0);
	ck_assert_uint_eq(longer.later, 0); /* not counted here */
	memset(&longer, 0xff, sizeof(longer));
	ck_assert_int_eq(sks_server_stats_abi(acc.server, &longer.known, sizeof(uint64_t)), 0);
	ck_assert_uint_eq(longer.known.accepted, 0);
	ck_assert_uint_eq(longer.known.active, UINT64_MAX);
	acc_free(&acc);
}

TEST(options_and_handler_are_copied, EACH_MODE)
{
	struct sks_options options = { .data = seen };
	struct sks_handler handler = acc_script;
	char name[] = "mine";
	struct acc acc;
	int fd;

	handler.name = name;
	acc_tcp(&acc, _i, &handler, &options);
	memset(&handler, 0xff, sizeof(handler));
	memset(&options, 0xff, sizeof(options));
	memset(name, 'x', sizeof(name) - 1);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	peer_expect_eof(fd);
	acc_stop(&acc);
	ck_assert_int_eq(log_count("mine: "), 1);
	acc_free(&acc);
}

TEST(counts_what_connections_do, EACH_STREAM)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct sks_stats stats;
	struct acc acc;
	int kept, fd;

	acc_streams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\nd\n", "echo\n");
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	peer_expect_eof(fd);
	kept = acc_client(&acc);
	peer_puts(kept, "echo\nk\n");
	peer_expect(kept, "echo\n");
	ck_eventually(acc_has_parked(&acc, 1));
	fd = acc_client(&acc);
	peer_puts(fd, "echo\n");
	peer_expect(fd, "echo\n");
	/* Counted just after it was sent. */
	ck_eventually(acc_stats(&acc).bytes_out == 3 * strlen("echo\n"));
	ck_eventually(acc_stats(&acc).lingering == 0);
	ck_eventually(acc_stats(&acc).finished == 2);
	stats = acc_stats(&acc);
	ck_assert_uint_eq(stats.accepted, 4);
	/* A process keeps its connection, also when that rests. */
	ck_assert_uint_eq(stats.active, acc.mode->one_memory ? 1 : 2);
	ck_assert_uint_eq(stats.parked, acc.mode->one_memory ? 1 : 0);
	ck_assert_uint_eq(stats.finished, 2);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_uint_eq(stats.refused, 0);
	ck_assert_uint_eq(stats.datagrams, 0);
	ck_assert_uint_eq(stats.bytes_in, strlen("echo\nd\nf\necho\nk\necho\n"));
	ck_assert_uint_eq(stats.bytes_out, 3 * strlen("echo\n"));
	close(fd);
	close(kept);
	ck_eventually(acc_stats(&acc).finished == 4);
	acc_stop(&acc);
	stats = acc_stats(&acc);
	ck_assert_uint_eq(stats.active + stats.parked + stats.lingering, 0);
	ck_assert_uint_eq(stats.accepted, stats.finished + stats.refused);
	acc_free(&acc);
}

/* A peer that has not closed yet. A process lingers itself: for the host it is active. */
TEST(counts_lingering_connections, EACH_STREAM_IN_ONE_MEMORY)
{
	struct acc acc;
	int fd;

	acc_streams(&acc, _i, &acc_script, NULL);
	acc_start(&acc);
	fd = acc_client(&acc);
	peer_puts(fd, "d\n");
	ck_eventually(acc_stats(&acc).lingering == 1);
	ck_assert_uint_eq(acc_stats(&acc).active, 0);
	ck_assert_uint_eq(acc_stats(&acc).finished, 0);
	peer_expect_eof(fd);
	ck_eventually(acc_stats(&acc).finished == 1);
	ck_assert_uint_eq(acc_stats(&acc).lingering, 0);
	acc_free(&acc);
}

TEST(counts_what_datagrams_do, EACH_DATAGRAM)
{
	struct sks_options options = { .on_error = acc_on_error };
	struct sks_stats stats;
	struct acc acc;
	int fd;

	acc_datagrams(&acc, _i, &acc_script, &options);
	acc_start(&acc);
	acc_ask(&acc, "echo\n", "echo\n");
	fd = acc_client(&acc);
	peer_puts(fd, "f\n");
	ck_eventually(acc_stats(&acc).finished == 2);
	close(fd);
	acc_stop(&acc);
	stats = acc_stats(&acc);
	ck_assert_uint_eq(stats.datagrams, 2);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_uint_eq(stats.accepted + stats.active + stats.dropped + stats.truncated, 0);
	ck_assert_uint_eq(stats.bytes_in, 7);
	ck_assert_uint_eq(stats.bytes_out, 5);
	acc_free(&acc);
}

/*
 * Each failure of a call on the way to a server: NULL and why, and nothing is left. setsockopt is
 * also used for what is not needed.
 */
TEST(new_fails_cleanly_without_memory_or_descriptors, EACH_MODE)
{
	static const struct {
		const char *rule;
		int error;
	} faults[] = { { "malloc:ENOMEM", ENOMEM }, { "eventfd:EMFILE", EMFILE },
		{ "socket:EMFILE", EMFILE }, { "bind:EACCES", EACCES }, { "listen:ENOBUFS", ENOBUFS },
		{ "setsockopt:ENOPROTOOPT", ENOPROTOOPT } };
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	struct sks_server *server;
	int failed, k;
	size_t f;

	for (f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
		for (k = 1, failed = 0; k < 100; k++) {
			fault("%s:%d", faults[f].rule, k);
			errno = 0;
			server = sks_tcp_server_new("127.0.0.1:0", &acc_script, &options);
			if (sks_fault_hits() == 0)
				break;
			if (server == NULL)
				ck_assert_int_eq(errno, faults[f].error);
			failed += server == NULL;
			sks_fault_clear();
			sks_server_free(server); /* where it was not needed */
		}
		ck_assert_int_lt(k, 100);
		ck_assert_msg(failed > 0, "%s fails nothing", faults[f].rule);
		sks_server_free(server);
		sks_fault_clear();
	}
}

#define FILES 256

/* With so many descriptors left. They are not injected: libevent exits where a base gets none. */
static struct sks_server *
new_with_descriptors(int left, const struct sks_options *options)
{
	struct rlimit files, few;
	struct sks_server *server;
	int held[FILES], n, error;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	few = (struct rlimit){ .rlim_cur = FILES, .rlim_max = files.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (n = 0; (held[n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) != -1; n++)
		ck_assert_int_lt(n, FILES - 1);
	while (left-- > 0)
		close(held[--n]);
	server = sks_tcp_server_new("127.0.0.1:0", &acc_script, options);
	error = errno;
	while (n > 0)
		close(held[--n]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	errno = error;
	return server;
}

TEST(new_fails_with_any_number_of_descriptors_that_is_too_small, EACH_MODE,
    .left_out = RUNNING_ON_VALGRIND ? "valgrind keeps descriptors for itself" : NULL)
{
	struct sks_options options = acc_options(&acc_modes[_i], NULL);
	int before = open_descriptors(), left = 0;
	struct sks_server *server;

	while ((server = new_with_descriptors(left, &options)) == NULL) {
		ck_assert_int_eq(errno, EMFILE);
		ck_assert_int_eq(open_descriptors(), before);
		ck_assert_int_lt(++left, 60);
	}
	ck_assert_int_ge(left, 4); /* a base takes up to four */
	sks_server_free(server);
}
