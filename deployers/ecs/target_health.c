#include "deployers/ecs/target_health.h"

#include "base/memory.h"
#include "base/path.h"
#include "deployers/ecs/calls.h"

#include <stdio.h>

/* The load balancer itself asks every 5 seconds at most. */
enum { REMOTE_LEAST_MS = 5 * 1000 };

void target_health_init(struct target_health *health, struct deployment *deployment)
{
	*health = (struct target_health){
		.deployment = deployment,
		.served = json_object_new(),
		.struck = json_object_new(),
		.watcher = {.look = target_health_look,
			.context = health,
			.least_ms = deployment->place->loopback ? 0 : REMOTE_LEAST_MS},
	};
}

void target_health_free(struct target_health *health)
{
	json_free(&health->served);
	json_free(&health->struck);
}

/* Of the route: the group, and the one that takes turns with it. */
static struct json *groups_of(const struct deployment *deployment)
{
	const struct json *services[] = {deployment->service, deployment->running};
	struct json *groups = json_array_new();

	for (size_t i = 0; i < countof(services) && json_count(groups) == 0; i++) {
		const struct json *first = json_at(json_get(services[i], "loadBalancers"), 0);
		const char *arns[] = {json_get_text(first, "targetGroupArn", NULL),
			json_get_text(json_get(first, "advancedConfiguration"),
				"alternateTargetGroupArn", NULL)};

		for (size_t j = 0; j < countof(arns); j++)
			if (arns[j])
				json_append(groups, json_text_new(arns[j]));
	}
	return groups;
}

static bool is_checked_by(const struct json *group, const struct http_check *check,
	struct error *err)
{
	const char *name = json_get_text(group, "TargetGroupName", "");
	const char *path = json_get_text(group, "HealthCheckPath", "");
	const char *codes = json_get_text(json_get(group, "Matcher"), "HttpCode", "");
	char expected[16];

	snprintf(expected, sizeof(expected), "%d", check->expect ? check->expect : 200);
	if (!text_equal(json_get_text(group, "TargetType", "ip"), "ip"))
		return error_raise(err, ERROR_USAGE,
			"the targets of %s have no addresses of their own (target type %s)", name,
			json_get_text(group, "TargetType", ""));
	if (!json_get_bool(group, "HealthCheckEnabled", true) || !text_equal(path, check->http))
		return error_raise(err, ERROR_USAGE,
			"the health check of the target group %s asks for \"%s\", not \"%s\"", name,
			path, check->http);
	return text_equal(codes, expected) ||
	       error_raise(err, ERROR_USAGE,
		       "the health check of the target group %s takes the status %s, not just %s",
		       name, codes, expected);
}

static bool append_targets(const struct deploy_place *place, const struct json *groups,
	struct json *targets, struct error *err)
{
	for (size_t i = 0; i < json_count(groups); i++) {
		scoped(json_free) struct json *output = NULL;

		if (!call_taking(place, "elbv2", "DescribeTargetHealth",
			    json_object_of("TargetGroupArn", json_copy(json_at(groups, i)), NULL),
			    &output, err))
			return false;
		const struct json *rows = json_get(output, "TargetHealthDescriptions");

		for (size_t j = 0; j < json_count(rows); j++)
			json_append(targets, json_copy(json_at(rows, j)));
	}
	return true;
}

static bool check_groups(const struct deployment *deployment, const struct http_check *check,
	const struct json *groups, struct error *err)
{
	scoped(json_free) struct json *output = NULL, *targets = json_array_new();

	if (json_count(groups) == 0)
		return error_raise(err, ERROR_USAGE, "%s: \"loadBalancers\" names no target group",
			deployment->request->service_file);
	if (!call_taking(deployment->place, "elbv2", "DescribeTargetGroups",
		    json_object_of("TargetGroupArns", json_copy(groups), NULL), &output, err))
		return false;
	for (size_t i = 0; i < json_count(json_get(output, "TargetGroups")); i++)
		if (!is_checked_by(json_at(json_get(output, "TargetGroups"), i), check, err))
			return false;
	/* What may not be read must not come out behind the deployment. */
	return append_targets(deployment->place, groups, targets, err);
}

bool target_health_prepare(const struct deployment *deployment, const struct http_check *check,
	struct error *err)
{
	scoped(json_free) struct json *groups = groups_of(deployment);

	if (check_groups(deployment, check, groups, err))
		return true;
	error_while(err, "looking for the health check that stands for the check of \"%s\"",
		check->http);
	return error_next(err, "give \"http\" of the check as a whole URL (https://…), or make the "
			       "target group's health check like it");
}

static bool has_address(const struct json *task, const char *address)
{
	const struct json *containers = json_get(task, "containers");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *interfaces =
			json_get(json_at(containers, i), "networkInterfaces");

		for (size_t j = 0; j < json_count(interfaces); j++)
			if (text_equal(json_get_text(json_at(interfaces, j), "privateIpv4Address",
					       NULL),
				    address))
				return true;
	}
	return false;
}

/* True: healthy. False with what keeps it from that, in the trouble; an unhealthy one is struck. */
static bool is_healthy(const struct json *row, struct json *struck, char **out_trouble)
{
	const struct json *target = json_get(row, "Target"),
			  *health = json_get(row, "TargetHealth");
	const char *state = json_get_text(health, "State", "");
	const char *why =
		json_get_text(health, "Description", json_get_text(health, "Reason", NULL));
	scoped(text_free) char *name = memory_format("%s:%lld", json_get_text(target, "Id", ""),
		(long long)json_get_int(target, "Port", 0));

	if (text_equal(state, "healthy")) {
		json_remove(struck, name);
		return true;
	}
	text_free(out_trouble);
	*out_trouble =
		memory_format("target %s is %s%s%s", name, state, why ? ": " : "", why ? why : "");
	if (text_equal(state, "unhealthy"))
		json_set_text(struck, name, *out_trouble);
	return false;
}

/* True: the task's targets are all healthy, and there is one. */
static bool is_task_healthy(const struct json *task, const struct json *targets,
	struct json *struck, char **out_trouble)
{
	bool all = true;
	int count = 0;

	for (size_t i = 0; i < json_count(targets); i++) {
		const struct json *row = json_at(targets, i);

		if (!has_address(task, json_get_text(json_get(row, "Target"), "Id", "")))
			continue;
		count++;
		all = is_healthy(row, struck, out_trouble) && all;
	}
	if (count == 0) {
		text_free(out_trouble);
		*out_trouble = memory_format("task %s is no target of the load balancer",
			path_base(json_get_text(task, "taskArn", "")));
	}
	return count && all;
}

struct http_seen target_health_judge(const struct json *tasks, const struct json *targets,
	struct json *struck)
{
	struct http_seen seen = {.known = true, .right = true};

	for (size_t i = 0; i < json_count(tasks); i++)
		if (!is_task_healthy(json_at(tasks, i), targets, struck, &seen.trouble))
			seen.known = seen.right = false;
	if (json_count(tasks) == 0)
		seen = (struct http_seen){.known = true,
			.trouble = memory_copy_text("none of its tasks runs any more")};
	if (json_count(struck)) {
		text_free(&seen.trouble);
		seen = (struct http_seen){.known = true,
			.trouble = memory_copy_text(json_text(json_first(struck).value, ""))};
	}
	return seen;
}

/* Scaling in and a newer deployment stop good tasks; these are stopped for what they did. */
static bool stopped_for_the_worse(const struct json *task)
{
	return text_equal(json_get_text(task, "stopCode", ""), "EssentialContainerExited") ||
	       strstr(json_get_text(task, "stoppedReason", ""), "health checks");
}

/* The cloud may stop an unhealthy task before we see what its target was like. */
static bool strike_stopped(struct target_health *health, const struct json *gone, struct error *err)
{
	const struct deploy_place *place = health->deployment->place;
	scoped(json_free) struct json *output = NULL;

	if (json_count(gone) == 0)
		return true;
	if (!call_taking(place, "ecs", "DescribeTasks",
		    json_object_of("cluster", json_text_new(place->cluster), "tasks",
			    json_copy(gone), NULL),
		    &output, err))
		return false;
	for (size_t i = 0; i < json_count(json_get(output, "tasks")); i++) {
		const struct json *task = json_at(json_get(output, "tasks"), i);
		const char *id = path_base(json_get_text(task, "taskArn", ""));

		if (stopped_for_the_worse(task))
			json_set(health->struck, id,
				json_text_format("task %s stopped: %s", id,
					json_get_text(task, "stoppedReason", "")));
	}
	for (size_t i = 0; i < json_count(gone); i++)
		json_remove(health->served, json_text(json_at(gone, i), ""));
	return true;
}

/* Those that served at an earlier look and do not now; at most as many as DescribeTasks takes. */
static struct json *find_gone(const struct target_health *health, const struct json *tasks)
{
	enum { MOST = 100 };
	scoped(json_free) struct json *now = json_object_new();
	struct json *gone = json_array_new();

	for (size_t i = 0; i < json_count(tasks); i++)
		json_set_bool(now, json_get_text(json_at(tasks, i), "taskArn", ""), true);
	for (json_each(member, health->served))
		if (!json_get(now, member.key) && json_count(gone) < MOST)
			json_append(gone, json_text_new(member.key));
	return gone;
}

bool target_health_look(void *context, struct http_seen *out_seen, struct error *err)
{
	struct target_health *health = context;
	scoped(json_free) struct json *tasks = NULL, *targets = json_array_new(), *gone = NULL;
	scoped(json_free) struct json *groups = groups_of(health->deployment);

	if (!deployment_serving_tasks(health->deployment, &tasks, err))
		return false;
	gone = find_gone(health, tasks);
	if (!strike_stopped(health, gone, err) ||
		!append_targets(health->deployment->place, groups, targets, err))
		return false;
	for (size_t i = 0; i < json_count(tasks); i++)
		json_set_bool(health->served, json_get_text(json_at(tasks, i), "taskArn", ""),
			true);
	*out_seen = target_health_judge(tasks, targets, health->struck);
	return true;
}
