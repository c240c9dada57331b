/* SPDX-License-Identifier: MIT */
#include "number.h"

int
parse_number(const char *text, size_t n, int64_t *number)
{
	int negative = n > 1 && text[0] == '-';
	size_t i = (size_t)negative;
	uint64_t value = 0;

	if (n == 0 || n > NUMBER_MOST || (text[i] == '0' && (n > 1 || negative)))
		return -1;
	for (; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -1;
	}
	if (value > (uint64_t)INT64_MAX + (uint64_t)negative)
		return -1;
	*number = negative ? (int64_t)(0 - value) : (int64_t)value;
	return 0;
}
