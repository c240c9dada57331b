/* SPDX-License-Identifier: MIT */
#include "server/outcome.h"

#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define CHUNK 64 /* outcomes */

/* OpenSSL's names. A number stands for each in an outcome, as a child's pointer is not trusted. */
static const char *const versions[] = { NULL, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

struct sks_outcome_chunk {
	struct sks_outcome_chunk *next;
	struct sks_outcome *outcomes;
	uint64_t taken; /* a bit for each */
};

static struct sks_outcome_chunk *
new_chunk(struct sks_outcomes *outcomes)
{
	struct sks_outcome_chunk *chunk = sks_sys_calloc(1, sizeof(*chunk));
	void *memory;

	if (chunk == NULL)
		return NULL;
	memory = sks_sys_mmap(NULL, CHUNK * sizeof(struct sks_outcome), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		sks_sys_free(chunk);
		errno = ENOMEM;
		return NULL;
	}
	chunk->outcomes = memory;
	chunk->next = outcomes->chunks;
	outcomes->chunks = chunk;
	return chunk;
}

struct sks_outcome *
sks_outcome_take(struct sks_outcomes *outcomes)
{
	struct sks_outcome_chunk *chunk = outcomes->chunks;
	struct sks_outcome *outcome;
	int i;

	while (chunk != NULL && ~chunk->taken == 0)
		chunk = chunk->next;
	if (chunk == NULL && (chunk = new_chunk(outcomes)) == NULL)
		return NULL;
	i = ffsll((long long)~chunk->taken) - 1;
	chunk->taken |= UINT64_C(1) << i;
	outcome = &chunk->outcomes[i];
	atomic_store(&outcome->has_left, 0);
	outcome->is_told = 0;
	atomic_store(&outcome->peer_wait.since, 0);
	atomic_store(&outcome->peer_wait.is_evicted, 0);
	return outcome;
}

void
sks_outcome_give_back(struct sks_outcomes *outcomes, struct sks_outcome *outcome)
{
	struct sks_outcome_chunk *chunk = outcomes->chunks;

	while (outcome < chunk->outcomes || outcome >= chunk->outcomes + CHUNK)
		chunk = chunk->next;
	chunk->taken &= ~(UINT64_C(1) << (outcome - chunk->outcomes));
}

static unsigned int
number_of(const char *version)
{
	unsigned int i;

	for (i = 1; version != NULL && i < SKS_ARRAY_LEN(versions); i++)
		if (strcmp(version, versions[i]) == 0)
			return i;
	return 0;
}

void
sks_outcome_tell(struct sks_outcome *outcome, const struct sks_call *call)
{
	outcome->ended = call->ended;
	outcome->stop = call->stop;
	outcome->exchanges = call->exchanges;
	outcome->in = atomic_load(&call->flow->in);
	outcome->out = atomic_load(&call->flow->out);
	outcome->first_ns = atomic_load(&call->flow->first_ns);
	outcome->tls = number_of(call->tls);
	outcome->has_note = call->note != NULL;
	if (call->note != NULL)
		strcpy(outcome->note, call->note);
	outcome->is_told = 1;
}

/* Where the child is not to be believed its request has failed. */
static void
hear_end(const struct sks_outcome *told, struct sks_call *call)
{
	int is_reason = told->ended > SKS_ENDED_NOT && told->ended < SKS_ENDED_REASONS;

	sks_call_end(call, is_reason ? told->ended : SKS_ENDED_ERROR);
	if ((unsigned int)told->stop < SKS_STOPS)
		sks_call_stop(call, told->stop);
}

/* The parent knows of datagrams what has come, and of connections nothing. */
void
sks_outcome_hear(const struct sks_outcome *outcome, struct sks_call *call, int is_well)
{
	/* A copy: other children have the memory of it as well. */
	const struct sks_outcome told = *outcome;

	if (!told.is_told) {
		sks_call_end(call, call->stop == SKS_STOP_KILLED ? SKS_ENDED_CANCELLED :
			is_well ? SKS_ENDED_DONE : SKS_ENDED_ERROR);
		return;
	}
	hear_end(&told, call);
	call->exchanges = told.exchanges;
	atomic_store(&call->flow->in, told.in);
	atomic_store(&call->flow->out, told.out);
	atomic_store(&call->flow->first_ns, told.first_ns);
	call->tls = told.tls < SKS_ARRAY_LEN(versions) ? versions[told.tls] : NULL;
	if (told.has_note)
		(void)sks_set_note(&call->req, told.note); /* takes SKS_NOTE_MOST bytes at most */
}

void
sks_outcomes_free(struct sks_outcomes *outcomes)
{
	struct sks_outcome_chunk *chunk;

	while ((chunk = outcomes->chunks) != NULL) {
		outcomes->chunks = chunk->next;
		(void)sks_sys_munmap(chunk->outcomes, CHUNK * sizeof(struct sks_outcome));
		sks_sys_free(chunk);
	}
}
