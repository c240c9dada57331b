/* SPDX-License-Identifier: MIT */
/*
 * check_unsent.c - the bytes of an outbox: what is added comes out, in order, whether it was
 * copied or is shared.
 */
#include "harness.h"

#include "stream/unsent.h"

#include <stdlib.h>
#include <string.h>

FIXTURE(no_leaks_setup, no_leaks_teardown);

#define MODEL 200000

/* What one queue should hold. */
struct model {
	struct sks_unsent queue;
	unsigned char bytes[MODEL];
	size_t begin, end;
};

static unsigned char text[4096];

static void
expect_same(const struct model *m)
{
	struct iovec parts[SKS_UNSENT_IOV];
	int i, n = sks_unsent_parts(&m->queue, parts);
	size_t at = m->begin;

	ck_assert_uint_eq(sks_unsent_length(&m->queue), m->end - m->begin);
	ck_assert_int_eq(n == 0, m->begin == m->end);
	for (i = 0; i < n; i++) {
		ck_assert_uint_gt(parts[i].iov_len, 0);
		ck_assert_uint_le(parts[i].iov_len, m->end - at);
		ck_assert_mem_eq(parts[i].iov_base, m->bytes + at, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	if (n < SKS_UNSENT_IOV)
		ck_assert_uint_eq(at, m->end);
}

static void
note(struct model *m, const void *bytes, size_t n)
{
	ck_assert_uint_le(m->end + n, MODEL);
	memcpy(m->bytes + m->end, bytes, n);
	m->end += n;
}

static void
add(struct model *m, const void *bytes, size_t n)
{
	ck_assert_int_eq(sks_unsent_add(&m->queue, NULL, bytes, n), 0);
	note(m, bytes, n);
}

static void
add_block(struct model *m, struct sks_block *block)
{
	ck_assert_int_eq(sks_unsent_add_block(&m->queue, NULL, block), 0);
	note(m, block->bytes, block->n);
}

static void
consume(struct model *m, size_t n)
{
	sks_unsent_consume(&m->queue, n);
	m->begin += n;
}

static size_t
some_size(void)
{
	return (size_t)rand() % (rand() % 2 == 0 ? 20 : 3000);
}

static void
do_something(struct model *m, int n)
{
	struct sks_block *block;
	const unsigned char *from = text + rand() % 1000;
	size_t left = m[0].end - m[0].begin;
	int i;

	switch (rand() % 4) {
	case 0:
		add(&m[rand() % n], from, some_size());
		break;
	case 1:
		block = sks_block_new(from, some_size(), 0);
		ck_assert_ptr_nonnull(block);
		for (i = 0; i < n; i++)
			add_block(&m[i], block);
		sks_block_release(block);
		break;
	default:
		if (left > 0)
			consume(&m[0], 1 + (size_t)rand() % left);
	}
}

TEST(all_comes_out_as_it_was_added)
{
	static struct model m[2];
	size_t i;
	int k;

	srand(1);
	for (i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)rand();
	memset(m, 0, sizeof(m));
	for (k = 0; k < 3000 && m[0].end + 3000 < MODEL && m[1].end + 3000 < MODEL; k++) {
		do_something(m, 2);
		expect_same(&m[0]);
		expect_same(&m[1]);
	}
	ck_assert_uint_gt(m[1].end, 100000);
	consume(&m[0], m[0].end - m[0].begin);
	expect_same(&m[0]);
	sks_unsent_release(&m[0].queue, NULL);
	sks_unsent_release(&m[1].queue, NULL);
	ck_assert_uint_eq(sks_unsent_length(&m[1].queue), 0);
}

TEST(the_bytes_of_a_block_are_there_once)
{
	struct sks_unsent queues[100] = { 0 };
	struct sks_block *block = sks_block_new(text, 1000, 0);
	struct iovec parts[SKS_UNSENT_IOV];
	int i;

	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(sks_unsent_add_block(&queues[i], NULL, block), 0);
		ck_assert_int_eq(sks_unsent_parts(&queues[i], parts), 1);
		ck_assert_ptr_eq(parts[0].iov_base, block->bytes);
	}
	ck_assert_int_eq(block->users, 101);
	for (i = 0; i < 50; i++)
		sks_unsent_consume(&queues[i], 1000);
	for (; i < 100; i++)
		sks_unsent_release(&queues[i], NULL);
	ck_assert_int_eq(block->users, 1);
	sks_block_release(block);
}

/* Else a slow reader of posts of one byte would hold a piece of memory for each of them. */
TEST(small_ones_that_wait_cost_what_they_are)
{
	struct sks_block *block = sks_block_new("x", 1, 0), *large = sks_block_new(text, 1000, 0);
	struct sks_unsent queue = { 0 };
	const struct sks_piece *piece;
	int i, pieces = 0;

	ck_assert_int_eq(sks_unsent_add_block(&queue, NULL, large), 0);
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(sks_unsent_add_block(&queue, NULL, block), 0);
		ck_assert_int_eq(sks_unsent_add(&queue, NULL, "y", 1), 0);
	}
	for (piece = queue.first; piece != NULL; piece = piece->next)
		pieces++;
	ck_assert_int_le(pieces, 12);
	ck_assert_uint_eq(sks_unsent_length(&queue), 21000);
	sks_unsent_release(&queue, NULL);
	sks_block_release(block);
	sks_block_release(large);
}

TEST(a_rest_goes_before_all)
{
	static struct model m;
	struct sks_block *block = sks_block_new("block", 5, 0);
	struct sks_unsent *u = &m.queue;
	struct sks_buf rest = { 0 };

	memset(&m, 0, sizeof(m));
	ck_assert_int_eq(sks_buf_reserve(&rest, NULL, 4), 0);
	memcpy(rest.base, "rest", rest.end = 4);
	ck_assert_int_eq(sks_unsent_add(u, NULL, "buf", 3), 0);
	ck_assert_int_eq(sks_unsent_add_block(u, NULL, block), 0);
	ck_assert_int_eq(sks_unsent_add_before(u, NULL, &rest), 0);
	note(&m, "restbufblock", 12);
	expect_same(&m);
	sks_buf_release(&rest, NULL);
	sks_unsent_release(u, NULL);
	sks_block_release(block);
}

/* Whichever allocation fails, the queue is as it was. */
TEST(without_memory_it_is_as_it_was)
{
	static struct model m;
	struct sks_block *block = sks_block_new(text, 1000, 0);
	struct sks_unsent *u = &m.queue;

	memset(&m, 0, sizeof(m));
	fault("malloc:ENOMEM:1");
	ck_assert_ptr_null(sks_block_new("x", 1, 0));
	fault("malloc:ENOMEM:1");
	ck_fails(sks_unsent_add(u, NULL, "x", 1), ENOMEM);
	add_block(&m, block); /* the first piece needs none */
	fault("malloc:ENOMEM:1");
	ck_fails(sks_unsent_add_block(u, NULL, block), ENOMEM);
	ck_assert_int_eq(block->users, 2);
	fault("malloc:ENOMEM:1");
	ck_fails(sks_unsent_add(u, NULL, "x", 1), ENOMEM);
	fault("malloc:ENOMEM:2");
	ck_fails(sks_unsent_add(u, NULL, "x", 1), ENOMEM);
	expect_same(&m);
	add(&m, "y", 1);
	expect_same(&m);
	sks_unsent_release(u, NULL);
	ck_assert_int_eq(block->users, 1);
	sks_block_release(block);
}
