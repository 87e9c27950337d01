#include "deployers/ecs/provision.h"

#include "base/event.h"
#include "base/memory.h"
#include "deployers/ecs/calls.h"

void provision_note(const char *what, const char *name)
{
	event_emit("deploy.note",
		json_object_of("message", json_text_format("created %s \"%s\"", what, name),
			"reason", json_text_new("it was missing"), NULL));
}

/* Creating what is there already is fine. */
static bool create(const struct deploy_place *place, const char *service, const char *operation,
	const char *key, const char *name, const char *what, struct error *err)
{
	struct error why = {0};

	if (call_taking(place, service, operation, json_object_of(key, json_text_new(name), NULL),
		    NULL, &why)) {
		provision_note(what, name);
		return true;
	}
	if (why.kind == ERROR_CONFLICT) {
		error_ignore(&why, "it is there");
		return true;
	}
	error_move(err, &why);
	return false;
}

static bool need_cluster(const struct deploy_place *place, struct error *err)
{
	scoped(json_free) struct json *output = NULL;
	struct error why = {0};

	if (!call_taking(place, "ecs", "DescribeClusters",
		    json_object_of("clusters", list_of_text(place->cluster), NULL), &output,
		    &why)) {
		if (why.kind != ERROR_NOT_FOUND) {
			error_move(err, &why);
			return false;
		}
		error_ignore(&why, "it is created");
	}
	if (text_equal(json_get_text(json_at(json_get(output, "clusters"), 0), "status", ""),
		    "ACTIVE"))
		return true;
	return create(place, "ecs", "CreateCluster", "clusterName", place->cluster, "cluster", err);
}

/* "127.0.0.1:4566/booking/rooms@sha256:…" is in the repository booking/rooms. */
static bool need_repository(const struct deploy_place *place, const char *image, struct error *err)
{
	struct str rest = str_of(image), name;

	(void)str_cut(&rest, '/');
	name = str_cut(&rest, '@');
	scoped(text_free) char *repository = str_copy(name);
	struct json *names = list_of_text(repository);
	struct error why = {0};

	if (call_taking(place, "ecr", "DescribeRepositories",
		    json_object_of("repositoryNames", names, NULL), NULL, &why))
		return true;
	if (why.kind != ERROR_NOT_FOUND) {
		error_move(err, &why);
		return false;
	}
	error_ignore(&why, "it is created");
	return create(place, "ecr", "CreateRepository", "repositoryName", repository, "repository",
		err);
}

static bool has_log_group(const struct deploy_place *place, const char *group, bool *out_has,
	struct error *err)
{
	scoped(json_free) struct json *output = NULL;

	if (!call_taking(place, "logs", "DescribeLogGroups",
		    json_object_of("logGroupNamePrefix", json_text_new(group), NULL), &output, err))
		return false;
	const struct json *groups = json_get(output, "logGroups");

	*out_has = false;
	for (size_t i = 0; i < json_count(groups); i++)
		*out_has = *out_has ||
			   text_equal(json_get_text(json_at(groups, i), "logGroupName", ""), group);
	return true;
}

static bool need_log_groups(const struct deploy_place *place, const struct json *definition,
	struct error *err)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *options =
			json_get(json_get(json_at(containers, i), "logConfiguration"), "options");
		const char *group = json_get_text(options, "awslogs-group", NULL);
		bool has = false;

		if (!group)
			continue;
		if (!has_log_group(place, group, &has, err))
			return false;
		if (!has && !create(place, "logs", "CreateLogGroup", "logGroupName", group,
				    "log group", err))
			return false;
	}
	return true;
}

bool provision_service(const struct deploy_request *request, const struct json *definition,
	struct error *err)
{
	const struct deploy_place *place = &request->place;

	if (!need_cluster(place, err) ||
		(request->image && !need_repository(place, request->image, err)) ||
		!need_log_groups(place, definition, err))
		return error_while(err, "creating what %s needs in the local cloud",
			place->service);
	return true;
}
