/*
 * bundle.h - the OCI bundle of one container: config.json from the task definition and the image, and
 *            the files around it.
 *
 *     <folder>/config.json  rootfs/ (mount point)  upper/ work/ (overlay)  hosts hostname resolv.conf
 *
 * What a task definition asks for that the local cloud does not have (EFS volumes, secrets of a
 * secret store, privileged) is an error, not left out silently.
 *
 * Source  OCI Runtime Specification 1.0; ECS RegisterTaskDefinition.
 * Limits  tasks: `memory` and `cpu` of the task hold for each of its containers; 4096 processes each.
 */
#ifndef DEPLOYERS_LOCAL_BUNDLE_H
#define DEPLOYERS_LOCAL_BUNDLE_H

#include "deployers/local/task_image.h"

struct bundle {
	const struct json *task_definition; /* as registered */
	const struct json *container;       /* one of its containerDefinitions */
	const struct json *override;        /* of RunTask for this container; may be NULL */
	const struct task_image *image;
	const char *folder;         /* of this container */
	const char *volumes;        /* folder for the task's own volumes */
	const char *shared_volumes; /* for those that outlive tasks: scope "shared" */
	const char *layers;         /* layers_folder(), to look up users by name */
	const char *lower;          /* overlay's lowerdir */
	const char *cgroup;         /* "/dogshore-1f2e3d4c/<container>" */
	const char *ip, *hostname;  /* of the task */
	const struct strings *env;  /* what the cloud adds, "NAME=value" */
};

/* Writes all of it. The folder's parent exists. */
bool bundle_write(const struct bundle *bundle, struct error *err) must_use;
/* Appends config.json; touches no file but the image's /etc/passwd and /etc/group. */
bool bundle_config(const struct bundle *bundle, struct buf *out, struct error *err) must_use;

/* Seconds until SIGKILL, from stopTimeout: 30 by default, at most 120. */
int bundle_stop_timeout(const struct json *container);
/* "256", ".25 vCPU" -> 256; 0 when there is none. "512", "0.5 GB" -> 512 (MiB). */
bool bundle_cpu_units(const struct json *value, int64_t *out_units) must_use;
bool bundle_memory_mib(const struct json *value, int64_t *out_mib) must_use;

/* "", "1000", "1000:50", "name", "name:group": names are looked up in the image. */
bool bundle_user(const struct bundle *bundle, const char *user, uint32_t *out_uid,
	uint32_t *out_gid, struct error *err) must_use;

#endif
