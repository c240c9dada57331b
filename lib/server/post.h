/* SPDX-License-Identifier: MIT */
/*
 * post.h - posts of a block that several connections send (socketserver/request.h has sks_post()).
 */
#ifndef SKS_SERVER_POST_H
#define SKS_SERVER_POST_H

#include "stream/unsent.h"

#include <socketserver/request.h>

/*
 * Does what sks_post() does, but a block that many connections wait to send is not copied for
 * each.
 */
int sks_post_block(struct sks_request *req, struct sks_block *block);

#endif
