/*
 * task_internal.h - what task.c (the steps), task_container.c (one container's files) and
 *                   task_store.c (documents, adoption, forgetting) share.
 */
#ifndef DEPLOYERS_LOCAL_TASK_INTERNAL_H
#define DEPLOYERS_LOCAL_TASK_INTERNAL_H

#include "base/log.h"
#include "deployers/local/store.h"
#include "deployers/local/task.h"

struct tasks {
	struct cloud *cloud;
	void (*changed)(void *context, const char *service_arn);
	void *context;
	struct runtime *runtime; /* owned */
	struct layers *layers;   /* owned */
	char *folder;            /* owned: <state>/tasks */
	struct task *first, **last;
	struct watch *forget_timer;
	bool ending; /* local down: nothing is started any more */
};

enum task_phase task_phase_of(const char *name);
/* The container's entry in the task's document; borrowed. */
struct json *task_container_document(const struct task *task, const char *name);
void task_save(struct task *task);
/* Looks at the container's status file and goes on from there. */
void task_container_changed(struct task_container *container);
void tasks_forget_later(struct tasks *tasks);
/* After layers were unpacked, or tasks forgotten: removes those that are too many. */
void tasks_prune_layers(struct tasks *tasks);

/* task_container.c */
bool task_container_start(struct task_container *container, struct error *err) must_use;
/* Adds the names of the layers that its root file system is made of, if it has one already; false
 * when it runs and nobody knows. */
bool task_container_layers(const struct task_container *container, struct strings *out_names)
	must_use;
/* "host/repo:tag" and a digest: "host/repo@sha256:…"; without a digest the name itself. Owned. */
char *task_pinned_image(const char *name, const char *digest) must_use;

/* task_document.c */
struct json *task_document_new(struct tasks *tasks, const struct task_request *request,
	const char *id, const char *arn) must_use;
void task_write_address(struct task *task);

/* task_targets.c: the task in its target groups */
void task_register_targets(struct task *task);
void task_deregister_targets(struct task *task);
bool task_drained(const struct task *task);
void layers_cancel_task(struct task *task);

#endif
