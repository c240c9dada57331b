/* SPDX-License-Identifier: MIT */
/*
 * socketserver/group.h - groups of connections: the guests of a chat, the subscribers
 * of a channel, all who are here.
 *
 *     static int setup(struct sks_request *req)
 *     {
 *     	return sks_group_join(req->data, req);
 *     }
 *
 *     static int handle(struct sks_request *req)
 *     {
 *     	char *line;
 *     	ssize_t n = sks_readline(req->rfile, &line);
 *
 *     	if (n <= 0)
 *     		return sks_end(req->rfile);
 *     	return sks_group_post(req->data, line, (size_t)n, req) == -1 ? -1 : SKS_KEEP;
 *     }
 *
 * A request is in any number of groups, and leaves all of them by itself when it ends,
 * right before finish is called. Its members may be on several loops, on threads and of
 * several servers of the process. Not in processes: there each request is in a process
 * of its own.
 *
 * No call waits. A group has a lock of its own, which is held while a post is handed to
 * the members, and for the visits of sks_group_each().
 */
#ifndef SOCKETSERVER_GROUP_H
#define SOCKETSERVER_GROUP_H

#include <socketserver/export.h>
#include <socketserver/request.h>
#include <stddef.h>
#include <stdint.h>

SKS_BEGIN_DECLS

struct sks_group;

/* Makes a group without members. Any thread may call it. Returns it, or NULL: ENOMEM. */
SKS_API struct sks_group *sks_group_new(void);

/*
 * Frees a group, which no task uses any more. Members may still be in it: they leave,
 * and go on. NULL is fine. Any thread may call it, but no visit of sks_group_each().
 */
SKS_API void sks_group_free(struct sks_group *group);

/*
 * Lets a request join; it does not become a second member if it is one. On the
 * request's task, in setup or handle.
 * Returns 0, or -1:
 *   ENOTSUP   this is a datagram, or a request of a server with SKS_PROCESSES
 *   ENOTCONN  the request ends: finish runs
 *   EDEADLK   it is called from a visit of sks_group_each()
 *   ENOMEM
 */
SKS_API int sks_group_join(struct sks_group *group, struct sks_request *req) SKS_MUST_CHECK;

/*
 * Lets a request leave before it ends. On the request's task.
 * Returns 0, or -1: ENOENT when it is no member; EDEADLK as sks_group_join().
 */
SKS_API int sks_group_leave(struct sks_group *group, struct sks_request *req);

/*
 * Returns how many members there are; 0 from a visit of sks_group_each(). Any thread
 * may call it.
 */
SKS_API size_t sks_group_count(struct sks_group *group);

/*
 * Sends n bytes to each member but one, as sks_post() does; except may be NULL: to all.
 * The bytes are copied once, however many members there are. All members get the posts
 * of a group in the same order. A member that reads so slowly that more than max_output
 * bytes would wait misses the post, and one without a server does. Any thread may call
 * it.
 * Returns how many members get it, or -1:
 *   ENOTSUP  this is a child process of SKS_PROCESSES
 *   EDEADLK  it is called from a visit of sks_group_each(), which may call sks_post()
 *   ENOMEM
 */
SKS_API int sks_group_post(struct sks_group *group, const void *buf, size_t n,
    const struct sks_request *except);

/*
 * Calls visit for each member, in the order in which they have joined, until one returns
 * another value than 0. A member that is visited does not end meanwhile: visit may look
 * at its state and call sks_post(). It must not wait, and be short, since who joins,
 * leaves or posts waits for it. Where handlers run on several threads, what a handler
 * changes in its state needs a lock. position may be NULL: begin with the first. Else a
 * walk that a visit has stopped goes on from there: *position is 0 at its beginning, and
 * then the place of the last member that was visited. Any thread may call it.
 * Returns what the last visit has returned, 0 when all were visited, or -1:
 *   ENOTSUP  as sks_group_post()
 *   EDEADLK  as sks_group_post()
 */
SKS_API int sks_group_each(struct sks_group *group, uint64_t *position,
    int (*visit)(struct sks_request *member, void *arg), void *arg);

SKS_END_DECLS

#endif
