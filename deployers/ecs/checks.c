#include "base/memory.h"
#include "base/path.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/target_health.h"
#include "deployers/ecs/tasks.h"
#include "deployers/verify/http_watch.h"

static bool is_for_balancer(const struct deploy_request *request, const struct http_check *check)
{
	return !http_check_is_absolute(check->http) && request->route.given &&
	       http_check_is_covered(check->http, request->route.path, request->route.host);
}

/* Tasks on AWS are out of reach, but not of the load balancer, which asks them for just this. */
static bool is_for_health(const struct deploy_request *request, const struct http_check *check)
{
	const char *health = request->route.health ? request->route.health : "/";

	return !request->provision && request->route.given && text_equal(check->http, health) &&
	       !is_for_balancer(request, check);
}

static bool has_port(const struct json *definition)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++)
		if (json_count(json_get(json_at(containers, i), "portMappings")))
			return true;
	return false;
}

/* A path that the route does not cover is asked of the tasks themselves. */
static bool prepare_for_tasks(const struct deployment *deployment, const struct http_check *check,
	struct error *err)
{
	const struct deploy_request *request = deployment->request;

	if (!request->provision) {
		error_raise(err, ERROR_USAGE,
			"the check of \"%s\" cannot be made: it is neither under the route of %s "
			"nor its health path, and tasks on AWS cannot be reached from here",
			check->http, deployment->place->service);
		return error_next(err,
			"give it as a whole URL (https://…), a path that the route covers, or its "
			"health path");
	}
	return has_port(deployment->definition) ||
	       error_raise(err, ERROR_USAGE,
		       "%s: no container has portMappings, so \"%s\" can be asked of none",
		       request->task_file, check->http);
}

bool deployment_prepare_checks(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;

	for (size_t i = 0; i < request->check_count; i++) {
		const struct http_check *check = &request->checks[i];

		if (!http_check_is_valid(check->http, err))
			return false;
		if (http_check_is_absolute(check->http))
			continue;
		if (is_for_health(request, check)) {
			if (!target_health_prepare(deployment, check, err))
				return false;
		} else if (!is_for_balancer(request, check)) {
			if (!prepare_for_tasks(deployment, check, err))
				return false;
		} else if (!deployment->balancer &&
			   !deployment_find_balancer(deployment, &deployment->balancer, err)) {
			return false;
		}
	}
	return true;
}

static const char *address_of(const struct json *task, const char *container)
{
	const struct json *containers = json_get(task, "containers");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *row = json_at(containers, i);
		const struct json *first = json_at(json_get(row, "networkInterfaces"), 0);

		if (text_equal(json_get_text(row, "name", NULL), container))
			return json_get_text(first, "privateIpv4Address", NULL);
	}
	return NULL;
}

/* "http://address:port" of the first container that listens; NULL: it has no address of its own. */
static char *task_url(const struct json *definition, const struct json *task)
{
	const struct json *containers = json_get(definition, "containerDefinitions");

	for (size_t i = 0; i < json_count(containers); i++) {
		const struct json *row = json_at(containers, i);
		int64_t port =
			json_get_int(json_at(json_get(row, "portMappings"), 0), "containerPort", 0);
		const char *address = address_of(task, json_get_text(row, "name", ""));

		if (port && address)
			return memory_format("http://%s:%lld", address, (long long)port);
	}
	return NULL;
}

static bool add_tasks(const struct deployment *deployment, const struct http_check *check,
	const struct json *tasks, struct http_watch *watch, struct error *err)
{
	for (size_t i = 0; i < json_count(tasks); i++) {
		scoped(text_free) char *base = task_url(deployment->definition, json_at(tasks, i));

		if (!base)
			return error_raise(err, ERROR_USAGE,
				"the task %s has no address of its own to ask \"%s\" of",
				path_base(json_get_text(json_at(tasks, i), "taskArn", "")),
				check->http);
		http_watch_add(watch, check, memory_format("%s%s", base, check->http), NULL)
			->direct = true;
	}
	return true;
}

static bool add_check(const struct deployment *deployment, const struct http_check *check,
	const struct json *tasks, struct target_health *health, struct http_watch *watch,
	struct error *err)
{
	const struct deploy_request *request = deployment->request;

	if (http_check_is_absolute(check->http))
		http_watch_add(watch, check, memory_copy_text(check->http), NULL);
	else if (is_for_balancer(request, check))
		http_watch_add(watch, check,
			memory_format("%s%s", deployment->balancer, check->http),
			request->route.host);
	else if (is_for_health(request, check))
		http_watch_add(watch, check,
			memory_format("%s by the load balancer's health check", check->http), NULL)
			->watcher = &health->watcher;
	else
		return add_tasks(deployment, check, tasks, watch, err);
	return true;
}

bool deployment_serving_tasks(const struct deployment *deployment, struct json **out_tasks,
	struct error *err)
{
	scoped(json_free) struct json *tasks = NULL;

	if (!call_tasks(deployment->place, "RUNNING", &tasks, err))
		return false;
	*out_tasks = json_array_new();
	for (size_t i = 0; i < json_count(tasks); i++)
		if (task_is_of(json_at(tasks, i), deployment->task_definition, NULL) &&
			text_equal(json_get_text(json_at(tasks, i), "lastStatus", ""), "RUNNING"))
			json_append(*out_tasks, json_copy(json_at(tasks, i)));
	return true;
}

/* How one check went on all of its addresses, as a row of the result; the cause is borrowed. */
static const char *report(const struct deployment *deployment, const struct http_check *check,
	const struct http_watch *watch)
{
	const char *status = watch->count ? "passed" : "skipped", *cause = NULL;
	int64_t answers = 0;

	for (size_t i = 0; i < watch->count; i++) {
		const struct http_probe *probe = &watch->probes[i];

		if (probe->check != check)
			continue;
		answers += probe->state.answers;
		if (probe->cause && !cause)
			cause = probe->cause;
		if (probe->step == HTTP_CHECK_GO_ON)
			status = "unfinished"; /* another one failed first */
	}
	if (cause)
		status = "failed";
	json_append(deployment->result->checks,
		json_object_of("http", json_text_new(check->http), "status", json_text_new(status),
			"answers", json_int_new(answers), "cause",
			cause ? json_text_new(cause) : json_null_new(), NULL));
	return cause;
}

static void tell(const struct http_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++) {
		const struct http_check *check = watch->probes[i].check;
		scoped(text_free) char *message =
			memory_format("checking %s", watch->probes[i].url);
		char hold[TIME_TEXT_SIZE];

		duration_to_text(check->for_ms, hold);
		scoped(text_free) char *reason =
			memory_format("it must answer %d%s%s", check->expect ? check->expect : 200,
				check->for_ms ? " for " : "", check->for_ms ? hold : "");

		deployment_note(message, reason);
	}
	if (watch->count == 0)
		deployment_note("no checks are made", "no task of the service runs");
}

static bool run(struct deployment *deployment, struct http_watch *watch, struct error *err)
{
	const struct deploy_place *place = deployment->place;

	if (watch->count == 0 || http_watch_run(watch, err))
		return true;
	error_while(err, "checking %s", place->service);
	return error_next(err,
		"it is deployed, but not proven: `dogshore status %s --env %s` shows it, "
		"`dogshore rollback %s --env %s` undoes it",
		place->service, place->environment, place->service, place->environment);
}

bool deployment_check(struct deployment *deployment, struct error *err)
{
	const struct deploy_request *request = deployment->request;
	scoped(http_watch_free) struct http_watch watch = {.clock = deployment->place->clock,
		.cancel_fd = deployment->place->cancel_fd};
	scoped(json_free) struct json *tasks = NULL;
	scoped(target_health_free) struct target_health health;
	const char *cause = NULL;

	target_health_init(&health, deployment);
	if (request->check_count == 0)
		return true;
	if (!deployment_serving_tasks(deployment, &tasks, err))
		return false;
	for (size_t i = 0; i < request->check_count && json_count(tasks); i++)
		if (!add_check(deployment, &request->checks[i], tasks, &health, &watch, err))
			return false;
	tell(&watch);
	if (!run(deployment, &watch, err))
		return false;
	for (size_t i = 0; i < request->check_count; i++) {
		const char *one = report(deployment, &request->checks[i], &watch);

		cause = cause ? cause : one;
	}
	if (!cause)
		return true;
	scoped(text_free) char *sentence =
		memory_format("%s: %s", deployment->place->service, cause);

	return deployment_undo(deployment, sentence, err);
}
