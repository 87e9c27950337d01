/*
 * task.h - ECS tasks: from a task definition to running containers, and to their end.
 *
 *     PROVISIONING ─network─> PENDING ─images, containers─> RUNNING ─┐
 *          └────────────────────┴──────────────────────────────────┤ stop wanted, or a container ended
 *     STOPPED <─network back─ DEPROVISIONING <─ended─ STOPPING <─drained─ DEACTIVATING
 *
 * A task is a document of the store in the shape of DescribeTasks, with members of our own ("_"); what
 * lies in memory beside it can be made again from the store and the containers that still run. Each
 * step looks at what there is and does what is missing, so a step may be repeated after kill -9.
 *
 * A stopping task is first taken out of its target groups and gets its stop signal only when the
 * balancer has no request left on it.
 */
#ifndef DEPLOYERS_LOCAL_TASK_H
#define DEPLOYERS_LOCAL_TASK_H

#include "deployers/local/health.h"
#include "deployers/local/layers.h"
#include "deployers/local/network.h"
#include "deployers/local/runtime.h"
#include "deployers/local/task_image.h"

struct tasks;

enum task_phase {
	TASK_PROVISIONING,
	TASK_PENDING,
	TASK_RUNNING,
	TASK_DEACTIVATING,
	TASK_STOPPING,
	TASK_STOPPED,
};

struct task_container {
	struct task *task;
	char *id;                      /* owned: "<task id>-<n>" */
	char *folder;                  /* owned: its bundle */
	const char *name;              /* borrowed from the task definition */
	const struct json *definition; /* borrowed from task->definition */
	struct task_image image;
	bool image_ready;
	bool started;   /* a monitor was started, in this life or an earlier one */
	int claimed_fd; /* runtime_claim(): it will not be started; 0: not claimed */
	struct container_status status;
	struct health *health;
};

struct task {
	struct tasks *tasks;
	char *arn, *id;          /* owned */
	struct json *document;   /* owned; written to the store by task_save() */
	struct json *definition; /* owned reference */
	enum task_phase phase;
	bool stop_wanted;
	bool stop_told;           /* the containers have been told */
	bool was_healthy;         /* once: from then on only a clear verdict against it counts */
	int64_t running_since_ms; /* wall clock; 0 before */
	struct network_place place;
	struct task_container *containers; /* owned */
	size_t container_count;
	struct task *following;
};

/* Where requests for a service's tasks come from. */
struct task_target {
	const char *group_arn;
	const char *container_name;
	int port;
};

struct task_request {
	const char *cluster_arn;
	const char *group;             /* "service:web", "family:web" */
	const char *started_by;        /* "ecs-svc/123"; may be NULL */
	const char *launch_type;       /* "FARGATE" */
	const char *service_arn;       /* NULL: RunTask */
	const char *revision_arn;      /* likewise */
	const struct json *definition; /* the task definition's document */
	const struct json
		*digests; /* container name -> digest to run instead of the tag; may be NULL */
	const struct json *overrides; /* of RunTask; may be NULL */
	const struct json *tags;      /* may be NULL */
	const struct json *network;   /* networkConfiguration; may be NULL */
	const struct task_target *targets;
	size_t target_count;
};

/* changed is called on the loop after a task of that service (NULL: of none) has changed. Finds the
 * tasks of an earlier life and watches them; they go on when tasks_resume() is called. */
bool tasks_open(struct cloud *cloud, void (*changed)(void *context, const char *service_arn),
	void *context, struct tasks **out_tasks, struct error *err) must_use;
void tasks_resume(struct tasks *tasks);
void tasks_close(struct tasks **tasks);        /* leaves containers running */
struct task *tasks_first(struct tasks *tasks); /* in order of their start; see following */
struct task *tasks_find(struct tasks *tasks, const char *arn_or_id);
/* Ends all tasks at once (SIGTERM, soon SIGKILL) and waits for it: local down. */
bool tasks_end_all(struct tasks *tasks, struct error *err) must_use;

/* Writes the new task to the store and starts on it. What goes wrong later is the task's stopped
 * reason. The task belongs to tasks. */
bool task_start(struct tasks *tasks, const struct task_request *request, struct task **out_task,
	struct error *err) must_use;
/* stop_code: "UserInitiated", "ServiceSchedulerInitiated", … The first call's reason stays. */
void task_stop(struct task *task, const char *stop_code, const char *reason);
/* For good: it counts as failed, as tasks do that fail their health checks. */
void task_condemn(struct task *task, const char *reason);
/* The scheduler has found it healthy: noted, so that an adopted task keeps it. */
void task_note_healthy(struct task *task);
/* Its failure is in the count of its rollout. */
void task_note_counted(struct task *task);
/* A target of the task changed, or time has passed: look at it again. */
void task_advance(struct task *task);

bool task_is_alive(const struct task *task); /* is to run: nobody told it to stop */
/* Ended for a reason of its own: could not start, or exited. */
bool task_failed(const struct task *task);
/* UNKNOWN without health checks in essential containers, else the worst of them. */
enum health_state task_health(const struct task *task);

#endif
