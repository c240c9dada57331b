/* SPDX-License-Identifier: MIT */
/*
 * socketserver/export.h - the rules that all calls share, the library's version,
 * and what marks a public name.
 *
 * Results. A function that returns a pointer returns NULL when it fails, and a
 * function that returns a number returns -1; errno then says why. The errors of
 * a function stand at its declaration. A function without errors cannot fail.
 *
 * Memory. What NAME_new() has made is freed by NAME_free(), which does nothing
 * with NULL. A function that puts text into a buffer of `size` bytes cuts the
 * text to size - 1 bytes and ends it with a NUL, unless it says otherwise. Sizes
 * are bytes.
 *
 * Tasks. A task is what runs sequential code: a fiber of an event loop, or a
 * thread. options.mode decides which of the two runs a handler.
 *
 * Waiting. "May wait" means: on a fiber the call parks the fiber, and its loop
 * serves others meanwhile; on a thread the call blocks the thread. Before it
 * waits it sends what the task has written (the flush rule of stream.h). Such a
 * call can fail with these errors, beside those that stand at its declaration:
 *   ETIMEDOUT  a time limit passed: the call's own, that of sks_deadline(), or
 *              that of sks_timeout_begin()
 *   ECANCELED  the server stops and drain_ms are over (from then on, until handle
 *              returns), or sks_child_cancel() was called for this task
 *   ENOMEM     there is no memory to wait with
 * Of a task that is cancelled only waits fail. What needs none succeeds as before: a read
 * of bytes that are there, a write that finds room, a lock or a channel that is free. What
 * was written is sent. sks_sleep(), sks_offload() and looking up names always count as
 * waits. finish may wait again, for linger_ms.
 *
 * A call without these words never waits, and may be used where waiting is not
 * allowed, as in verify.
 *
 * Time. Times and time limits are milliseconds, by one rule:
 *
 * In a call, SKS_OFF is no limit, 0 does not wait, and a positive number waits
 * no longer than that. SKS_DEFAULT is the default, in the calls that have one.
 * Any other negative number is EINVAL.
 *
 * In struct sks_options, where a member that is not mentioned is 0, 0 is the
 * default, and SKS_OFF is no limit. Any other negative number is EINVAL.
 */
#ifndef SOCKETSERVER_EXPORT_H
#define SOCKETSERVER_EXPORT_H

/* Marks what the shared library exports. Everything else in it is hidden. */
#define SKS_API __attribute__((visibility("default")))

/* Stand around declarations, which have the linkage of C also in C++. */
#ifdef __cplusplus
#define SKS_BEGIN_DECLS extern "C" {
#define SKS_END_DECLS }
#else
#define SKS_BEGIN_DECLS
#define SKS_END_DECLS
#endif

/* The compiler checks the arguments against the format, as those of printf(3). */
#define SKS_PRINTF(format_, first_) __attribute__((format(printf, format_, first_)))

/* The compiler warns where the result is not used. */
#define SKS_MUST_CHECK __attribute__((warn_unused_result))

/* The version of these headers. sks_version() has that of the library. */
#define SKS_VERSION_MAJOR 0
#define SKS_VERSION_MINOR 2
#define SKS_VERSION_PATCH 1

/* Time limits, by the rule above. */
#define SKS_OFF (-1)     /* no limit */
#define SKS_DEFAULT (-2) /* the default of this call */

SKS_BEGIN_DECLS

/*
 * Returns the version of the library that the program runs with, such as
 * "0.2.0". The string is constant. Any thread may call it.
 */
SKS_API const char *sks_version(void);

SKS_END_DECLS

#endif
