/* SPDX-License-Identifier: MIT */
/*
 * check_buf.c - byte buffers and their pool.
 */
#include "faults.h"
#include "suite.h"
#include "base/buf.h"
#include "base/sys.h"
#include "base/util.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where a tool watches memory nothing is. */
#define POOLED sks_buf_is_pooled

static struct sks_buf_pool pool;
static struct sks_buf buf;

static void
set_up(void)
{
	memset(&pool, 0, sizeof(pool));
	memset(&buf, 0, sizeof(buf));
	sks_fault_clear();
}

static void
tear_down(void)
{
	sks_buf_release(&buf, &pool);
	sks_buf_pool_drain(&pool);
	sks_fault_clear();
}

FIXTURE(set_up, tear_down);

/* n bytes that go on from the value of the first. */
static void
put(struct sks_buf *to, unsigned int first, size_t n)
{
	size_t i;

	ck_assert_int_eq(sks_buf_reserve(to, &pool, n), 0);
	ck_assert_uint_ge(to->cap - to->end, n);
	for (i = 0; i < n; i++)
		to->base[to->end++] = (unsigned char)(first + i);
}

static void
expect(const struct sks_buf *b, unsigned int first, size_t n)
{
	size_t i;

	ck_assert_uint_eq(sks_buf_length(b), n);
	/* Not an assertion for each byte: Check tells each of them to its parent. */
	for (i = 0; i < n && b->base[b->start + i] == (unsigned char)(first + i); i++)
		;
	ck_assert_uint_eq(i, n);
}

TEST(memory_comes_in_three_classes_and_their_doubles)
{
	static const struct {
		size_t room, cap;
	} table[] = {
		{ 1, 256 }, { 256, 256 }, { 257, 2048 }, { 2048, 2048 }, { 2049, SKS_BUF_LARGE },
		{ SKS_BUF_LARGE, SKS_BUF_LARGE }, { SKS_BUF_LARGE + 1, 2 * SKS_BUF_LARGE },
		{ 2 * SKS_BUF_LARGE, 2 * SKS_BUF_LARGE }, { 1000000, 64 * SKS_BUF_LARGE },
		{ 64 * SKS_BUF_LARGE + 1, 128 * SKS_BUF_LARGE },
	};
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		ck_assert_int_eq(sks_buf_reserve(&buf, &pool, table[i].room), 0);
		ck_assert_uint_eq(buf.cap, table[i].cap);
		sks_buf_release(&buf, &pool);
	}
}

TEST(a_nul_fits_after_a_full_buffer)
{
	static const size_t room[] = { 256, 2048, SKS_BUF_LARGE, 2 * SKS_BUF_LARGE };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(room); i++) {
		put(&buf, 0, room[i]);
		ck_assert_uint_eq(buf.end, buf.cap);
		buf.base[buf.end] = '\0';
		sks_buf_release(&buf, &pool);
	}
}

TEST(room_for_nothing_gives_memory)
{
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 0), 0);
	ck_assert_ptr_nonnull(buf.base);
}

TEST(reserve_slides_unread_bytes_to_the_front_when_that_is_enough)
{
	unsigned char *base;

	put(&buf, 0, 256);
	base = buf.base;
	sks_buf_consume(&buf, 200);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 200), 0);
	ck_assert_ptr_eq(buf.base, base);
	ck_assert_uint_eq(buf.start, 0);
	expect(&buf, 200, 56);
}

TEST(reserve_moves_nothing_when_there_is_room)
{
	put(&buf, 0, 100);
	sks_buf_consume(&buf, 50);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 156), 0);
	ck_assert_uint_eq(buf.start, 50);
	expect(&buf, 50, 50);
}

TEST(reserve_keeps_unread_bytes_in_a_larger_class)
{
	put(&buf, 0, 256);
	sks_buf_consume(&buf, 6);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 7), 0);
	ck_assert_uint_eq(buf.cap, 2048);
	expect(&buf, 6, 250);
	put(&buf, 0, 100000);
	ck_assert_uint_eq(sks_buf_length(&buf), 100250);
	ck_assert_uint_eq(buf.base[buf.start], 6);
}

TEST(consuming_all_starts_at_the_front_again)
{
	put(&buf, 0, 100);
	sks_buf_consume(&buf, 60);
	ck_assert_uint_eq(buf.start, 60);
	sks_buf_consume(&buf, 40);
	ck_assert_uint_eq(buf.start, 0);
	ck_assert_uint_eq(buf.end, 0);
	ck_assert_ptr_nonnull(buf.base);
}

TEST(impossible_room_is_enomem_and_keeps_the_bytes)
{
	static const size_t room[] = { SIZE_MAX, SIZE_MAX - 10, SIZE_MAX / 2, SIZE_MAX / 2 + 2 };
	size_t i;

	put(&buf, 7, 100);
	for (i = 0; i < SKS_ARRAY_LEN(room); i++) {
		errno = 0;
		ck_assert_int_eq(sks_buf_reserve(&buf, &pool, room[i]), -1);
		ck_assert_int_eq(errno, ENOMEM);
		expect(&buf, 7, 100);
	}
}

TEST(released_memory_is_the_next_handed_out)
{
	struct sks_buf other = { 0 };
	unsigned char *first, *second;

	if (!POOLED)
		return;
	put(&buf, 0, 10000);
	put(&other, 0, 10000);
	first = buf.base;
	second = other.base;
	sks_buf_release(&buf, &pool);
	sks_buf_release(&other, &pool);
	ck_assert_uint_eq(pool.idle_count[2], 2);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, SKS_BUF_LARGE), 0);
	ck_assert_ptr_eq(buf.base, second);
	ck_assert_int_eq(sks_buf_reserve(&other, &pool, 2049), 0);
	ck_assert_ptr_eq(other.base, first);
	ck_assert_uint_eq(pool.idle_count[2], 0);
	sks_buf_release(&other, &pool);
}

/* Gets many pieces of a size at once and gives all of them back. */
static void
get_many(size_t room)
{
	struct sks_buf many[SKS_BUF_IDLE_MAX + 10];
	size_t i;

	memset(many, 0, sizeof(many));
	for (i = 0; i < SKS_ARRAY_LEN(many); i++)
		put(&many[i], 0, room);
	for (i = 0; i < SKS_ARRAY_LEN(many); i++)
		sks_buf_release(&many[i], &pool);
}

TEST(pool_keeps_32_pieces_of_a_class_but_of_the_large_ones_half_a_mib)
{
	static const size_t most[SKS_BUF_CLASSES] = { 32, 32, 32, 16, 8, 4, 2, 1, 1 };
	size_t class, bytes = 0;

	for (class = 0; class < SKS_BUF_CLASSES; class++) {
		get_many(sks_buf_class_size(class));
		ck_assert_uint_eq(pool.idle_count[class], POOLED ? most[class] : 0);
		bytes += pool.idle_count[class] * sks_buf_class_size(class);
		ck_assert_uint_eq(sks_buf_pool_idle(&pool), bytes);
	}
	get_many(sks_buf_class_size(SKS_BUF_CLASSES));
	sks_buf_pool_drain(&pool);
	for (class = 0; class < SKS_BUF_CLASSES; class++)
		ck_assert_uint_eq(pool.idle_count[class], 0);
	ck_assert_uint_eq(sks_buf_pool_idle(&pool), 0);
	put(&buf, 0, 16);
	expect(&buf, 0, 16);
}

TEST(without_a_pool_all_works_alike)
{
	struct sks_buf b = { 0 };

	ck_assert_int_eq(sks_buf_reserve(&b, NULL, 300), 0);
	ck_assert_uint_eq(b.cap, 2048);
	memcpy(b.base, "abc", 3);
	b.end = 3;
	sks_buf_shrink(&b, NULL);
	ck_assert_uint_eq(b.cap, 256);
	ck_assert_mem_eq(b.base + b.start, "abc", 3);
	/* Memory from malloc may go to a pool, and the other way round. */
	sks_buf_release(&b, &pool);
	ck_assert_int_eq(sks_buf_reserve(&b, &pool, 300), 0);
	sks_buf_release(&b, NULL);
}

TEST(release_of_nothing_is_fine)
{
	sks_buf_release(&buf, &pool);
	sks_buf_release(&buf, NULL);
	sks_buf_shrink(&buf, &pool);
	ck_assert_ptr_null(buf.base);
}

TEST(shrink_gives_the_memory_of_an_empty_buffer_back)
{
	put(&buf, 0, SKS_BUF_LARGE);
	sks_buf_consume(&buf, SKS_BUF_LARGE);
	sks_buf_shrink(&buf, &pool);
	ck_assert_ptr_null(buf.base);
	ck_assert_uint_eq(buf.cap, 0);
}

TEST(shrink_moves_a_few_bytes_to_the_smallest_class)
{
	static const struct {
		size_t length, cap;
	} table[] = { { 1, 256 }, { 256, 256 }, { 257, 2048 }, { 2049, SKS_BUF_LARGE },
		{ SKS_BUF_LARGE + 1, 2 * SKS_BUF_LARGE } };
	size_t i;

	for (i = 0; i < SKS_ARRAY_LEN(table); i++) {
		put(&buf, 0, 100000);
		sks_buf_consume(&buf, 100000 - table[i].length);
		sks_buf_shrink(&buf, &pool);
		ck_assert_uint_eq(buf.cap, table[i].cap);
		expect(&buf, (unsigned int)(100000 - table[i].length), table[i].length);
		sks_buf_release(&buf, &pool);
	}
}

TEST(shrink_leaves_a_small_buffer_where_it_is)
{
	unsigned char *base;

	put(&buf, 0, 200);
	base = buf.base;
	sks_buf_consume(&buf, 100);
	sks_buf_shrink(&buf, &pool);
	ck_assert_ptr_eq(buf.base, base);
	ck_assert_uint_eq(buf.start, 100);
}

/* The bytes of a long random walk are those of a plain counter. */
TEST(any_mix_of_calls_keeps_the_bytes_in_order)
{
	unsigned int seed = 42, written = 0, consumed = 0;
	int step;
	size_t n;

	for (step = 0; step < 20000; step++) {
		seed = seed * 1103515245u + 12345u;
		n = (seed >> 8) % (step % 50 == 0 ? 40000 : 700);
		switch ((seed >> 4) % 5) {
		case 0:
		case 1:
			if (sks_buf_length(&buf) > 60000)
				break;
			put(&buf, written, n);
			written += (unsigned int)n;
			break;
		case 2:
		case 3:
			n = sks_min(n, sks_buf_length(&buf));
			sks_buf_consume(&buf, n);
			consumed += (unsigned int)n;
			break;
		default:
			sks_buf_shrink(&buf, &pool);
			break;
		}
		ck_assert_uint_eq(sks_buf_length(&buf), written - consumed);
		if (sks_buf_length(&buf) > 0) {
			ck_assert_uint_eq(buf.base[buf.start], (unsigned char)consumed);
			ck_assert_uint_eq(buf.base[buf.end - 1], (unsigned char)(written - 1));
		}
		if (step % 100 == 0)
			expect(&buf, consumed, written - consumed);
	}
}

TEST(reserve_without_memory_is_enomem_and_keeps_the_bytes)
{
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	errno = 0;
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 10), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(buf.base);
	sks_fault_clear();
	put(&buf, 3, 256);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	ck_assert_int_eq(sks_buf_reserve(&buf, &pool, 1), -1);
	expect(&buf, 3, 256);
}

TEST(shrink_without_memory_leaves_all_as_it_is)
{
	put(&buf, 0, SKS_BUF_LARGE);
	sks_buf_consume(&buf, SKS_BUF_LARGE - 10);
	ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	errno = 0;
	sks_buf_shrink(&buf, &pool);
	ck_assert_int_eq(errno, 0);
	ck_assert_uint_eq(buf.cap, SKS_BUF_LARGE);
	expect(&buf, (unsigned char)(SKS_BUF_LARGE - 10), 10);
}

TEST(a_warm_pool_needs_no_malloc)
{
	int i;

	if (!POOLED)
		return;
	put(&buf, 0, SKS_BUF_LARGE);
	sks_buf_release(&buf, &pool);
	sks_fault_clear();
	for (i = 0; i < 1000; i++) {
		put(&buf, 0, SKS_BUF_LARGE);
		sks_buf_release(&buf, &pool);
	}
	ck_assert_uint_eq(sks_fault_calls("malloc"), 0);
}

TEST(a_stocked_pool_needs_no_malloc)
{
	sks_buf_pool_stock(&pool, SKS_BUF_LARGE);
	if (POOLED)
		ck_assert_int_eq(sks_fault("malloc:ENOMEM:1+"), 0);
	put(&buf, 0, 2049);
	ck_assert_uint_eq(buf.cap, SKS_BUF_LARGE);
}
