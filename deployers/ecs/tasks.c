#include "deployers/ecs/tasks.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

void log_place_free(struct log_place *place)
{
	free(place->group);
	free(place->stream);
	*place = (struct log_place){0};
}

bool log_place_of(const struct json *definition, const char *container, const char *task_arn,
	struct log_place *out_place)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *row = json_at(containers, i);
		const struct json *log = json_get(row, "logConfiguration");
		const struct json *options = json_get(log, "options");
		const char *group = json_get_text(options, "awslogs-group", NULL);
		const char *prefix = json_get_text(options, "awslogs-stream-prefix", NULL);

		if (!text_equal(json_get_text(row, "name", ""), container) || !group || !prefix)
			continue;
		out_place->group = memory_copy_text(group);
		out_place->stream =
			memory_format("%s/%s/%s", prefix, container, path_base(task_arn));
		return true;
	}
	return false;
}

bool task_is_of(const struct json *task, const char *task_definition, const char *number)
{
	const char *started_by = json_get_text(task, "startedBy", "");

	if (!text_equal(json_get_text(task, "taskDefinitionArn", NULL), task_definition))
		return false;
	return !number || !text_starts_with(started_by, "ecs-svc/") ||
	       text_equal(path_base(started_by), number);
}

/* A container's image is pinned by our digest, or ECS says that it runs it. (An image for several
 * machines has another digest than the one of it that runs.) */
bool task_has_image(const struct json *task, const char *digest)
{
	const struct json *containers = json_get(task, "containers");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *container = json_at(containers, i);

		if (!digest || text_equal(json_get_text(container, "imageDigest", NULL), digest) ||
			text_ends_with(json_get_text(container, "image", ""), digest))
			return true;
	}
	return false;
}
