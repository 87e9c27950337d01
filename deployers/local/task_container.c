#include "deployers/local/task_internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/bundle.h"
#include "deployers/local/logs.h"

#include <stdlib.h>

/* In its folder: the layers it stands on, for an endpoint that comes after this one. */
static const char layers_name[] = "layers";

enum {
	UNNAMED_LOG_LIMIT = 16 << 20, /* of a container whose definition sends its log nowhere */
	LOWER_BYTES_MAX = 64 * 1024,
};

char *task_pinned_image(const char *name, const char *digest)
{
	const char *end = strchr(name, '@');
	const char *slash = strrchr(name, '/');
	const char *colon = strrchr(name, ':');

	if (!digest || !*digest)
		return memory_copy_text(name);
	if (!end && colon && (!slash || colon > slash))
		end = colon;
	return memory_format("%.*s@%s", end ? (int)(end - name) : (int)strlen(name), name, digest);
}

static bool log_path(const struct task_container *container, char **out_path, int64_t *out_limit,
	struct error *err)
{
	struct task *task = container->task;
	const struct json *log = json_get(container->definition, "logConfiguration");
	const struct json *options = json_get(log, "options");
	const char *group = json_get_text(options, "awslogs-group", NULL);
	const char *prefix = json_get_text(options, "awslogs-stream-prefix", "");
	bool make = text_equal(json_get_text(options, "awslogs-create-group", ""), "true");

	*out_limit = 0;
	if (!text_equal(json_get_text(log, "logDriver", ""), "awslogs") || !group) {
		*out_limit = UNNAMED_LOG_LIMIT;
		*out_path = path_join(container->folder, "output.log");
		return true;
	}
	/* As the awslogs driver names streams: prefix/container/task. */
	scoped(text_free) char *stream =
		memory_format("%s%s%s/%s", prefix, *prefix ? "/" : "", container->name, task->id);

	if (logs_stream_file(task->tasks->cloud->logs, group, stream, make, out_path, err))
		return true;
	return error_while(err, "opening log stream %s of group %s", stream, group);
}

static void cloud_environment(const struct cloud *cloud, struct strings *out)
{
	strings_printf(out, "AWS_REGION=%s", cloud->region);
	strings_printf(out, "AWS_DEFAULT_REGION=%s", cloud->region);
	strings_add(out, "AWS_EXECUTION_ENV=AWS_ECS_FARGATE");
}

static const struct json *override_of(const struct task *task, const char *name)
{
	const struct json *overrides =
		json_get(json_get(task->document, "overrides"), "containerOverrides");

	for (size_t i = 0; i < json_count(overrides); i++)
		if (text_equal(json_get_text(json_at(overrides, i), "name", NULL), name))
			return json_at(overrides, i);
	return NULL;
}

/* "10.97.14.7" -> "ip-10-97-14-7" */
static char *host_name(const char *ip)
{
	char *name = memory_format("ip-%s", ip);

	for (char *at = name; *at; at++)
		*at = *at == '.' ? '-' : *at;
	return name;
}

static bool write_bundle(struct task_container *container, const char *lower, struct error *err)
{
	struct task *task = container->task;
	struct tasks *tasks = task->tasks;
	scoped(strings_free) struct strings env = {0};
	scoped(text_free) char *hostname = host_name(task->place.ip);
	scoped(text_free) char *task_folder = path_join(tasks->folder, task->id);
	scoped(text_free) char *volumes = path_join(task_folder, "volumes");
	scoped(text_free) char *shared = path_join(tasks->cloud->state, "volumes");
	scoped(text_free) char *cgroup =
		memory_format("%s/%s", runtime_cgroup(tasks->runtime), container->id);

	cloud_environment(tasks->cloud, &env);
	struct bundle bundle = {
		.task_definition = task->definition,
		.container = container->definition,
		.override = override_of(task, container->name),
		.image = &container->image,
		.folder = container->folder,
		.volumes = volumes,
		.shared_volumes = shared,
		.layers = layers_folder(tasks->layers),
		.lower = lower,
		.cgroup = cgroup,
		.ip = task->place.ip,
		.hostname = hostname,
		.env = &env,
	};

	scoped(text_free) char *used = path_join(container->folder, layers_name);

	return folder_make(container->folder, 0700, err) &&
	       file_write(used, str_of(lower), 0600, false, err) && bundle_write(&bundle, err);
}

bool task_container_layers(const struct task_container *container, struct strings *out_names)
{
	scoped(text_free) char *path = path_join(container->folder, layers_name);
	scoped(buf_free) struct buf lower = {0};

	bool known =
		container->image.layer_count > 0 || file_read(path, LOWER_BYTES_MAX, &lower, NULL);

	layers_lower(&container->image, &lower);
	struct str rest = buf_str(&lower);

	while (rest.size) {
		scoped(text_free) char *name = str_copy(str_cut(&rest, ':'));

		strings_add(out_names, name);
	}
	return known || !container->started;
}

bool task_container_start(struct task_container *container, struct error *err)
{
	struct task *task = container->task;
	struct tasks *tasks = task->tasks;
	scoped(buf_free) struct buf lower = {0};
	scoped(text_free) char *log = NULL;
	int64_t limit;

	layers_lower(&container->image, &lower);
	if (!write_bundle(container, buf_text(&lower), err) ||
		!log_path(container, &log, &limit, err))
		return false;
	struct runtime_container started = {
		.id = container->id,
		.folder = container->folder,
		.layers = layers_folder(tasks->layers),
		.lower = buf_text(&lower),
		.log_path = log,
		.log_limit_bytes = limit,
		.ip = task->place.ip,
		.namespace_fd = task->place.namespace_fd,
		.stop_timeout_s = bundle_stop_timeout(container->definition),
		.stop_signal = container->image.stop_signal,
	};

	return runtime_start(tasks->runtime, &started, err);
}
