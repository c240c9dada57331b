/* SPDX-License-Identifier: MIT */
/*
 * gate.h - what the suites of sks_offload() share: a function that blocks until the test lets it go
 * on.
 */
#ifndef SKS_TEST_GATE_H
#define SKS_TEST_GATE_H

#include "acceptance.h"
#include "rig.h"

extern struct gate {
	sem_t begun, go;
	atomic_int ran;
	atomic_int cancelled_meanwhile;
} gate;

void await(sem_t *sem);
void block_at_gate(void *gate);

/* That of acceptance.h, and a closed gate. */
void gate_setup(void);

#endif
