/* SPDX-License-Identifier: MIT */
/*
 * hook.h - calls what options have for the loop: verify, on_reject, on_end, on_tick and on_stop.
 * One that does not return soon keeps all connections of the loop waiting, in every mode, so the
 * watchdog names it as it names handlers.
 */
#ifndef SKS_SERVER_HOOK_H
#define SKS_SERVER_HOOK_H

#include "server/call.h"

/* Calls verify. Returns 1: the request is served, as it is without that hook; 0: it is refused. */
int sks_hook_verify(struct sks_loop *loop, struct sks_call *call);

/* Returns the text that a connection that is rejected is sent; NULL: none. */
const char *sks_hook_reject(struct sks_loop *loop, struct sks_call *call, int why);

/*
 * Calls on_end, if there is such a hook, for a call that has no streams any more. loop is NULL
 * where the call is served without one.
 */
void sks_hook_end(struct sks_loop *loop, struct sks_call *call);

/* Calls on_tick or on_stop, if there is such a hook. */
void sks_hook_tick(struct sks_loop *loop, const struct sks_service *service);
void sks_hook_stop(struct sks_loop *loop, const struct sks_service *service);

#endif
