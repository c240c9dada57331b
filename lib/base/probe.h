/* SPDX-License-Identifier: MIT */
/*
 * probe.h - places in the running code that bpftrace(8), perf(1) and SystemTap can watch: USDT
 * probes of the provider "socketserver". Each is a nop until somebody watches; a library that
 * was built without them (the option `probes` of meson) has none.
 *
 *     accept(fd)              a connection was accepted
 *     exchange__begin(fd)     handle is about to be called; -1: for a datagram
 *     exchange__end(fd, rc)   handle has returned rc
 *     wait__begin(fd, events) a task is about to wait, for SKS_READ and SKS_WRITE; fd is -1 when
 *                             it waits for a time or for another task
 *     wait__end(fd, rc)       its wait is over: the events that came, 0, or -1
 *     drain(ms)               a server begins to drain; ms is the time for that
 */
#ifndef SKS_BASE_PROBE_H
#define SKS_BASE_PROBE_H

#ifdef SKS_PROBES
#include <sys/sdt.h>
#define SKS_PROBE1(name, a) DTRACE_PROBE1(socketserver, name, a)
#define SKS_PROBE2(name, a, b) DTRACE_PROBE2(socketserver, name, a, b)
#else
#define SKS_PROBE1(name, a) ((void)0)
#define SKS_PROBE2(name, a, b) ((void)0)
#endif

#endif
