/* SPDX-License-Identifier: MIT */
/*
 * faults.h - the table of faults: what system calls of the library fail, and when.
 *
 * The library of the tests is built with -DSKS_FAULTS, so that each call of base/sys.h asks this
 * table first.
 */
#ifndef SKS_TEST_FAULTS_H
#define SKS_TEST_FAULTS_H

/*
 * Adds rules, separated by commas:
 *
 *     call:ERROR[:when]     the call fails: "accept4:EMFILE:3"
 *     call:short=n[:when]   it moves at most n bytes: "recv:short=1"
 *
 *     when is  k    only the k-th call from now (an error without when: the first)
 *              k+   the k-th and all after it (short without when: 1+)
 *              %n   each n-th
 *
 * The call is a name of base/sys.h without sks_sys_ (malloc and its kin are "malloc", counted
 * together; free and munmap do not fail), or a fault point. ERROR is an errno name, and for
 * getaddrinfo and getnameinfo also EAI_NAME. short is for recv send read write recvmsg sendmsg
 * sendfile, n is 1 to 65535, and it spares what the kernel never cuts: datagrams and eventfds. Of
 * several rules that strike at once the oldest wins, an error before a short.
 *
 * 0, or -1 and no rule added: EINVAL (grammar, unknown call or error), ENOSPC
 * (64 rules are there already).
 *
 * The environment variable SKS_FAULT is such a text, read before main(); a
 * wrong one ends the program. Rules and counters may be used by any thread
 * and by signal handlers; a forked child goes on with a copy.
 */
int sks_fault(const char *rules);

/* Forgets all rules (those of SKS_FAULT too) and counts from 0 again. */
void sks_fault_clear(void);

/* Since the last clear: uses of a call, failed ones included, and strikes of all rules. */
unsigned long sks_fault_calls(const char *call);
unsigned long sks_fault_hits(void);

/*
 * A close(2) of a descriptor that is not open ends the program: it was closed before, and by then
 * the number may be another thread's.
 */

/* How many blocks and mappings were had by the calls of base/sys.h and not given back. */
long sks_sys_held(void);

#endif
