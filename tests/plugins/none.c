/* SPDX-License-Identifier: MIT */
/*
 * A shared object like others: no plugin.
 */
extern __attribute__((visibility("default"))) int none_at_all;
int none_at_all = 1;
