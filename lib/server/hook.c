/* SPDX-License-Identifier: MIT */
#include "server/hook.h"

static void
begin(struct sks_loop *loop, const char *hook, const struct sks_task *task)
{
	if (loop != NULL && loop->watched.limit_ms != 0)
		sks_watched_begin_hook(&loop->watched, hook, task);
}

static void
end(struct sks_loop *loop)
{
	if (loop != NULL && loop->watched.limit_ms != 0)
		sks_watched_end_hook(&loop->watched);
}

/* A hook about one peer: lines of the log that it writes name that peer. */
struct about {
	struct sks_task task;
	struct sks_log_origin before; /* whom lines of the calling task name otherwise */
};

static void
begin_about(struct about *about, struct sks_loop *loop, const char *hook,
    const struct sks_call *call)
{
	struct sks_task *current = sks_task_current();

	*about = (struct about){ .task.origin = sks_call_origin(call), .before = current->origin };
	current->origin = about->task.origin;
	begin(loop, hook, &about->task);
}

static void
end_about(const struct about *about, struct sks_loop *loop)
{
	end(loop);
	sks_task_current()->origin = about->before;
}

int
sks_hook_verify(struct sks_loop *loop, struct sks_call *call)
{
	struct about about;
	int taken;

	if (call->service->options.verify == NULL)
		return 1;
	begin_about(&about, loop, "verify", call);
	taken = call->service->options.verify(&call->req);
	end_about(&about, loop);
	return taken;
}

const char *
sks_hook_reject(struct sks_loop *loop, struct sks_call *call, int why)
{
	const struct sks_options *o = &call->service->options;
	struct about about;
	const char *text;

	if (o->on_reject == NULL)
		return o->reject_text;
	begin_about(&about, loop, "on_reject", call);
	text = o->on_reject(&call->req, why);
	end_about(&about, loop);
	return text;
}

void
sks_hook_end(struct sks_loop *loop, struct sks_call *call)
{
	struct about about;
	struct sks_info info;

	if (call->service->options.on_end == NULL)
		return;
	sks_call_info(call, &info);
	begin_about(&about, loop, "on_end", call);
	call->service->options.on_end(&call->req, &info);
	end_about(&about, loop);
}

static void
run(struct sks_loop *loop, const struct sks_service *service, const char *name,
    void (*hook)(struct sks_server *server, void *data))
{
	const struct sks_task task = { .origin.handler = service->handler.name };

	if (hook == NULL)
		return;
	begin(loop, name, &task);
	hook(service->server, service->options.data);
	end(loop);
}

void
sks_hook_tick(struct sks_loop *loop, const struct sks_service *service)
{
	run(loop, service, "on_tick", service->options.on_tick);
}

void
sks_hook_stop(struct sks_loop *loop, const struct sks_service *service)
{
	run(loop, service, "on_stop", service->options.on_stop);
}
