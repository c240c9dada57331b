/* SPDX-License-Identifier: MIT */
/*
 * socketserver/export.h - what marks a public name, and the library's version.
 */
#ifndef SOCKETSERVER_EXPORT_H
#define SOCKETSERVER_EXPORT_H

/* Public: everything else in the library is hidden. */
#define SKS_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define SKS_BEGIN_DECLS extern "C" {
#define SKS_END_DECLS }
#else
#define SKS_BEGIN_DECLS
#define SKS_END_DECLS
#endif

#define SKS_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define SKS_MUST_CHECK __attribute__((warn_unused_result))

/* The version of these headers, and of the library that runs. */
#define SKS_VERSION_MAJOR 0
#define SKS_VERSION_MINOR 2
#define SKS_VERSION_PATCH 0

/*
 * Times and time limits are milliseconds, by one rule:
 *
 * In a call, SKS_OFF is no limit, 0 does not wait, and a positive number waits
 * no longer than that. SKS_DEFAULT is the default, in the calls that have one.
 * Any other negative number is EINVAL.
 *
 * In struct sks_options, where members that are not mentioned are 0, 0 is the
 * default, and SKS_OFF is no limit. Any other negative number is EINVAL.
 */
#define SKS_OFF (-1)
#define SKS_DEFAULT (-2)

SKS_BEGIN_DECLS

/* The running library's version, "0.2.0": a constant. */
SKS_API const char *sks_version(void);

SKS_END_DECLS

#endif
