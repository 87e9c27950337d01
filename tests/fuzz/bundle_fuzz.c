/* A task definition as a caller may register it becomes config.json, which must be JSON whatever was in it. */
#include "base/memory.h"
#include "deployers/local/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	scoped(json_free) struct json *task = NULL, *config = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf out = {0};
	char root[] = "0:0", folder[] = "/";
	struct task_image image = {.user = root, .folder = folder};

	if (!json_parse(text, "task", NULL, &task, &err))
		return 0;
	struct bundle bundle = {.task_definition = task,
		.container = json_at(json_get(task, "containerDefinitions"), 0),
		.image = &image,
		.folder = "/f",
		.volumes = "/v",
		.shared_volumes = "/s",
		.layers = "/nowhere",
		.lower = "l",
		.cgroup = "/g/c",
		.ip = "10.97.0.2",
		.hostname = "h"};

	if (bundle_config(&bundle, &out, &err) &&
		!json_parse(buf_str(&out), "config", NULL, &config, &err))
		__builtin_trap();
	return 0;
}
