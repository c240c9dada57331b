/* SPDX-License-Identifier: MIT */
#include "ending.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct ending *ending;

/* What on_end has seen, in the host. */
static struct {
	atomic_int calls;
	int reason;
	struct sks_info info;
	char note[300];
} last;

void
ending_setup(void)
{
	acc_setup();
	ending = mmap(NULL, sizeof(*ending), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(ending, MAP_FAILED);
	memset(&last, 0, sizeof(last));
}

void
ending_teardown(void)
{
	munmap(ending, sizeof(*ending));
	acc_teardown();
}

void
ending_finish(struct sks_request *req)
{
	ending->reason = sks_end_reason(req);
	acc_require(sks_request_info(req, &ending->info) == 0);
	acc_require(ending->info.reason == ending->reason);
	snprintf(ending->handler, sizeof(ending->handler), "%s", ending->info.handler);
	snprintf(ending->listener, sizeof(ending->listener), "%s",
	    ending->info.listener != NULL ? ending->info.listener : "");
	snprintf(ending->note, sizeof(ending->note), "%s", ending->info.note != NULL ? ending->info.note : "");
	ending->has_note = ending->info.note != NULL;
	acc_finish(req);
	atomic_store(&ending->told, 1);
}

void
ending_expect_finish(int reason)
{
	ck_eventually(atomic_load(&ending->told));
	ck_assert_str_eq(sks_end_reason_name(ending->reason), sks_end_reason_name(reason));
	ck_assert_int_eq(seen->finishes, 1);
	ck_assert_int_eq(sks_end_reason_name(reason)[0] != '-', 1);
}

static void
on_end(struct sks_request *req, const struct sks_info *info)
{
	last.reason = sks_end_reason(req);
	last.info = *info;
	snprintf(last.note, sizeof(last.note), "%s", info->note != NULL ? info->note : "");
	atomic_fetch_add(&last.calls, 1);
}

void
ending_expect(int reason)
{
	ending_expect_finish(reason);
	ck_eventually(atomic_load(&last.calls) == 1);
	ck_assert_str_eq(sks_end_reason_name(last.reason), sks_end_reason_name(reason));
	ck_assert_int_eq(last.info.reason, last.reason);
	ck_assert_uint_eq(last.info.began_ns, ending->info.began_ns);
	ck_assert_uint_eq(last.info.first_ns, ending->info.first_ns);
	ck_assert_uint_eq(last.info.exchanges, ending->info.exchanges);
	ck_assert_uint_ge(last.info.duration_ns, ending->info.duration_ns);
	ck_assert_uint_ge(last.info.bytes_in, ending->info.bytes_in);
	ck_assert_uint_ge(last.info.bytes_out, ending->info.bytes_out);
	ck_assert_str_eq(last.note, ending->note);
}

struct sks_options
ending_options(const struct sks_options *options)
{
	struct sks_options o = options != NULL ? *options : (struct sks_options){ 0 };

	o.on_end = on_end;
	return o;
}
