/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <string.h>

struct gate gate;

static void
open_gate(void)
{
	memset(&gate, 0, sizeof(gate));
	sem_init(&gate.begun, 0, 0);
	sem_init(&gate.go, 0, 0);
}

void
await(sem_t *sem)
{
	while (sem_wait(sem) == -1)
		;
}

void
block_at_gate(void *arg)
{
	struct gate *g = arg;

	sem_post(&g->begun);
	await(&g->go);
	atomic_fetch_add(&g->ran, 1);
}

void
gate_setup(void)
{
	acc_setup();
	open_gate();
}
