#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/ecs_deploy.h"
#include "tests/unit/deployers/ecs/fake_ecs.h"

#include <unistd.h>

#define DIGEST_1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define DIGEST_2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define IMAGE_1 "host/booking/rooms@" DIGEST_1
#define IMAGE_2 "host/booking/rooms@" DIGEST_2

static const char task_file[] =
	"{\"family\":\"rooms\",\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"${image}\","
	"\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{\"awslogs-group\":\"g\","
	"\"awslogs-stream-prefix\":\"p\"}}}]}";

/* A journal that remembers only the newest act, as the tests need it. */
struct list_journal {
	struct journal journal;
	int64_t acts;
	char *kind, *outcome;
	struct json *detail, *result;
	bool lose_settle; /* the process dies between the call and the record of its outcome */
	bool lose_undo;   /* it dies between the record of the way back and the call */
};

static bool intend(void *self, const char *kind, const char *subject, const struct json *detail,
	int64_t *out_act, struct error *err)
{
	struct list_journal *journal = self;

	CHECK_TEXT(subject, "c/rooms");
	if (text_equal(kind, "ecs.deploy")) {
		text_free(&journal->kind);
		text_free(&journal->outcome);
		json_free(&journal->detail);
		json_free(&journal->result);
		journal->kind = memory_copy_text(kind);
		journal->detail = json_copy(detail);
	}
	*out_act = ++journal->acts;
	return !journal->lose_undo || !json_get(detail, "undoes") ||
	       error_raise(err, ERROR_SYSTEM, "the ledger is gone");
}

static bool settle(void *self, int64_t act, const char *outcome, const struct json *result,
	struct error *err)
{
	struct list_journal *journal = self;

	if (journal->lose_settle)
		return error_raise(err, ERROR_SYSTEM, "the ledger is gone");
	if (act == journal->acts && journal->kind) {
		text_free(&journal->outcome);
		json_free(&journal->result);
		journal->outcome = memory_copy_text(outcome);
		journal->result = json_copy(result);
	}
	return true;
}

static bool find(void *self, const char *kind, const char *subject, int64_t *out_act,
	char **out_outcome, struct json **out_detail, struct json **out_result, struct error *err)
{
	struct list_journal *journal = self;

	(void)subject, (void)err;
	*out_act = text_equal(kind, journal->kind) ? journal->acts : 0;
	*out_outcome = memory_copy_text(journal->outcome);
	*out_detail = json_copy(journal->detail);
	*out_result = json_copy(journal->result);
	return true;
}

/* What the checks ask: so many requests are answered with 200, all others with 503. */
struct health {
	struct fake_server *server;
	char *url; /* owned */
	int good;
	struct fake_ecs *newer; /* a newer deployment begins there with the first 503; NULL: none */
};

static void health_answer(void *context, struct fake_request *request, struct buf *out)
{
	struct health *health = context;

	(void)request;
	if (health->good == 0 && health->newer) {
		(void)fake_server_requests(health->newer->server);
		fake_ecs_deploy_newer(health->newer);
		(void)fake_server_requests(health->newer->server);
		health->newer = NULL;
	}
	fake_reply(out, health->good > 0 ? 200 : 503, "", str_literal("text"));
	health->good -= health->good > 0;
}

struct scene {
	struct fake_ecs ecs;
	struct health health; /* only with start_health() */
	struct http_check check;
	struct test_clock clock;
	struct aws *aws;
	struct deploy_request request;
	struct list_journal journal;
	struct deploy_result result;
};

static void scene_free(struct scene *scene)
{
	aws_free(&scene->aws);
	fake_ecs_stop(&scene->ecs);
	fake_server_stop(&scene->health.server);
	text_free(&scene->health.url);
	deploy_result_free(&scene->result);
	text_free(&scene->journal.kind);
	text_free(&scene->journal.outcome);
	json_free(&scene->journal.detail);
	json_free(&scene->journal.result);
}

static bool scene_start(struct scene *scene)
{
	struct error err = {0};

	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("AWS_REGION", "us-east-1", 1);
	fake_ecs_start(&scene->ecs);
	scoped(text_free) char *url =
		memory_format("http://127.0.0.1:%d", fake_server_port(scene->ecs.server));

	test_clock_init(&scene->clock, 1795161600000);
	CHECK_OK(aws_new(&(struct aws_options){.endpoint = url, .clock = &scene->clock.clock},
		&scene->aws, &err));
	scene->journal.journal = (struct journal){intend, settle, find, &scene->journal};
	scene->request = (struct deploy_request){
		.place = {.aws = scene->aws,
			.clock = &scene->clock.clock,
			.app = "booking",
			.environment = "test",
			.cluster = "c",
			.service = "rooms",
			.loopback = true},
		.task_text = str_of(task_file),
		.service_text = str_literal("{\"desiredCount\":1}"),
		.task_file = "task.json",
		.service_file = "service.json",
		.image = IMAGE_1,
		.journal = &scene->journal.journal,
	};
	error_free(&err);
	return scene->aws != NULL;
}

#define SCENE                                                                                      \
	scoped(scene_free) struct scene scene = {0};                                               \
	struct error err = {0};                                                                    \
	REQUIRE(scene_start(&scene))

/* Takes and gives back the server's lock: what a test changed in the fake is seen by its threads,
 * and what they changed by the test. */
static void meet(struct scene *scene)
{
	(void)fake_server_requests(scene->ecs.server);
}

static bool deploy(struct scene *scene, struct error *err)
{
	deploy_result_free(&scene->result);
	meet(scene);
	bool done = ecs_deploy(&scene->request, &scene->result, err);

	meet(scene);
	return done;
}

static bool roll_back(struct scene *scene, struct error *err)
{
	deploy_result_free(&scene->result);
	meet(scene);
	bool done = ecs_rollback(&scene->request.place, 0, &scene->journal.journal, &scene->result,
		err);

	meet(scene);
	return done;
}

static bool is_verdict(struct scene *scene, enum verdict verdict)
{
	CHECK_TEXT(verdict_name(scene->result.verdict), verdict_name(verdict));
	return scene->result.verdict == verdict;
}

TEST(the_first_deployment_creates_the_service)
{
	SCENE;

	scene.request.client_token = "run-1";
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.created, 1);
	CHECK_INT(scene.ecs.registered, 1);
	CHECK_TEXT(json_get_text(scene.ecs.last_input, "clientToken", ""), "run-1");
	CHECK_TEXT(scene.result.task_definition, "arn:aws:ecs:us-east-1:0:task-definition/rooms:1");
	CHECK_TEXT(scene.result.deployment_id,
		"arn:aws:ecs:us-east-1:0:service-deployment/c/rooms/d1");
	CHECK_TEXT(scene.result.strategy, "ROLLING");
	CHECK(!scene.result.cause);
	CHECK_TEXT(scene.journal.outcome, "done");
}

TEST(the_same_again_registers_and_updates_nothing)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK(scene.result.nothing_to_do);
	CHECK_INT(scene.ecs.registered, 1);
	CHECK_INT(scene.ecs.updated, 0);
	/* Without an image: the one that runs. */
	scene.request.image = NULL;
	REQUIRE_OK(deploy(&scene, &err));
	CHECK(scene.result.nothing_to_do);
}

TEST(another_image_updates_only_the_task_definition)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	scene.request.image = IMAGE_2;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.registered, 2);
	CHECK_INT(scene.ecs.updated, 1);
	CHECK_INT(json_count(scene.ecs.last_input), 3); /* cluster, service, taskDefinition */
}

TEST(settings_that_need_no_tasks_are_changed_without_a_deployment)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	scene.request.service_text = str_literal("{\"healthCheckGracePeriodSeconds\":5}");
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.updated, 1);
	CHECK_INT(scene.ecs.number, 1);
}

TEST(a_crashing_program_is_rolled_back_with_its_cause)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	REQUIRE_OK(deploy(&scene, &err));
	scene.ecs.statuses = statuses;
	scene.ecs.crashed = 2;
	scene.ecs.after_stop = "ROLLBACK_SUCCESSFUL";
	scene.request.image = IMAGE_2;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_INT(scene.ecs.stopped, 1);
	CHECK_TEXT(scene.result.cause, "rooms: container app exited with 139 (SIGSEGV) 2 times: "
				       "last words of p/app/s2");
	/* The running one and the two that stopped, these with their logs. */
	CHECK_INT(json_count(scene.result.tasks), 3);
	CHECK_INT(json_count(json_get(json_at(scene.result.tasks, 1), "log")), 1);
}

TEST(one_crash_may_be_an_accident)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", "IN_PROGRESS", "SUCCESSFUL", NULL};

	scene.ecs.statuses = statuses;
	scene.ecs.crashed = 1;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.stopped, 0);
}

TEST(a_missing_image_ends_it_at_the_first_task)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	scene.ecs.statuses = statuses;
	scene.ecs.crashed = 1;
	scene.ecs.stop_reason = "CannotPullContainerError: " IMAGE_1 ": not found";
	scene.ecs.after_stop = "ROLLBACK_FAILED"; /* there is nothing to go back to */
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_FAILED);
	CHECK_CONTAINS(scene.result.cause, "rooms: CannotPullContainerError: ");
}

TEST(the_cloud_s_own_rollback_is_told_as_one)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", "ROLLBACK_IN_PROGRESS",
		"ROLLBACK_SUCCESSFUL", NULL};

	REQUIRE_OK(deploy(&scene, &err));
	scene.ecs.statuses = statuses;
	scene.request.image = IMAGE_2;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_INT(scene.ecs.stopped, 0);
	CHECK_CONTAINS(scene.result.cause, "rooms: ");
}

/* After a rollback the service is steady too, with the old image: that is no success. */
TEST(successful_with_another_image_is_not_deployed)
{
	SCENE;

	scene.ecs.runs_digest = DIGEST_2;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_UNKNOWN);
	CHECK_CONTAINS(scene.result.cause, DIGEST_1);
}

TEST(the_time_runs_out)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	scene.ecs.statuses = statuses;
	scene.ecs.after_stop = "ROLLBACK_SUCCESSFUL";
	scene.request.timeout_ms = 60 * 1000;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_TIMED_OUT);
	CHECK_INT(scene.ecs.stopped, 1);
	CHECK(scene.result.duration_ms >= 60 * 1000);
	CHECK_TEXT(scene.result.cause, "rooms: the deployment had not ended after 1 min");
}

TEST(a_newer_deployment_supersedes_ours)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	scene.ecs.statuses = statuses;
	scene.request.no_wait = true;
	REQUIRE_OK(deploy(&scene, &err));
	CHECK_INT(scene.result.verdict, VERDICT_NONE);
	fake_ecs_deploy_newer(&scene.ecs);
	json_set_text(json_at(scene.ecs.deployments, 1), "status", "STOPPED");
	/* The first try goes on looking at its own deployment, found by its client token. */
	scene.request.no_wait = false;
	scene.request.client_token = "t";
	json_set_text(scene.journal.detail, "client_token", "t");
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_SUPERSEDED);
	CHECK_INT(scene.ecs.created + scene.ecs.updated, 1);
}

/* The endpoint dies while we look, and comes back: nine calls are three looks with three tries. */
TEST(silence_is_waited_out)
{
	SCENE;

	scene.ecs.silent_after = 6;
	scene.ecs.silent = 9;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.silent, 0);
}

TEST(endless_silence_is_an_unknown_outcome)
{
	SCENE;

	scene.ecs.silent_after = 6;
	scene.ecs.silent = 1000000;
	scene.request.timeout_ms = 60 * 1000;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_UNKNOWN);
	CHECK_CONTAINS(scene.result.cause, "rooms: POST http://127.0.0.1:");
}

/* Registering again would make another revision: it is looked for instead. The other two calls may
 * be repeated. */
TEST(a_lost_answer_does_nothing_twice)
{
	SCENE;

	scene.request.client_token = "t1";
	scene.ecs.drop_at = 1;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.registered, 1);
	CHECK_INT(scene.ecs.created, 1);
	scene.request.image = IMAGE_2;
	scene.request.client_token = "t2";
	scene.ecs.drop_at = scene.ecs.changes + 2; /* UpdateService */
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.number, 2);
}

TEST(dying_after_registering_does_not_register_twice)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	scene.request.image = IMAGE_2;
	scene.request.client_token = "t";
	scene.request.place.clock = &scene.clock.clock;
	scene.journal.lose_settle = true;
	CHECK(!deploy(&scene, &err)); /* registered, then the process dies */
	error_free(&err);
	CHECK_INT(scene.ecs.registered, 2);
	scene.journal.lose_settle = false;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.registered, 2);
	CHECK_INT(scene.ecs.updated, 1);
}

TEST(dying_after_the_update_does_not_deploy_twice)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	scene.request.image = IMAGE_2;
	scene.request.client_token = "t";
	scene.request.no_wait = true;
	REQUIRE_OK(deploy(&scene, &err));
	text_free(&scene.journal.outcome); /* as if the outcome had never been written */
	json_free(&scene.journal.result);
	scene.request.no_wait = false;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.updated, 1);
	CHECK_TEXT(scene.journal.outcome, "done");
	/* And once more, long after: the same deployment, the same verdict. */
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(scene.ecs.updated, 1);
}

TEST(without_permission_for_service_deployments_the_service_tells)
{
	SCENE;

	scene.ecs.denies_deployments = true;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_TEXT(scene.result.deployment_id, "ecs-svc/1");
}

TEST(rollback_deploys_the_last_good_version)
{
	SCENE;

	REQUIRE_OK(deploy(&scene, &err));
	scene.request.image = IMAGE_2;
	REQUIRE_OK(deploy(&scene, &err));
	deploy_result_free(&scene.result);
	scene.ecs.runs_digest = DIGEST_1;
	REQUIRE_OK(
		ecs_rollback(&scene.request.place, 0, &scene.journal.journal, &scene.result, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_TEXT(json_get_text(scene.ecs.last_input, "taskDefinition", ""),
		"arn:aws:ecs:us-east-1:0:task-definition/rooms:1");
	CHECK_TEXT(scene.result.image, IMAGE_1);
	CHECK_INT(scene.ecs.registered, 2);
}

TEST(rollback_of_a_deployment_under_way_stops_it)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	REQUIRE_OK(deploy(&scene, &err));
	scene.ecs.statuses = statuses;
	scene.ecs.after_stop = "ROLLBACK_SUCCESSFUL";
	scene.request.image = IMAGE_2;
	scene.request.no_wait = true;
	REQUIRE_OK(deploy(&scene, &err));
	deploy_result_free(&scene.result);
	REQUIRE_OK(
		ecs_rollback(&scene.request.place, 0, &scene.journal.journal, &scene.result, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_INT(scene.ecs.stopped, 1);
}

TEST(with_nothing_before_there_is_nothing_to_go_back_to)
{
	SCENE;

	CHECK_FAILS(roll_back(&scene, &err), ERROR_NOT_FOUND);
	REQUIRE_OK(deploy(&scene, &err));
	CHECK_FAILS(roll_back(&scene, &err), ERROR_NOT_FOUND);
}

/* The first version is deployed; the next one is the second, checked for two seconds. */
static bool start_health(struct scene *scene, int good, struct error *err)
{
	if (!deploy(scene, err))
		return false;
	scene->health.good = good;
	scene->health.server = fake_server_start(NULL, health_answer, &scene->health);
	scene->health.url =
		memory_format("http://127.0.0.1:%d/health", fake_server_port(scene->health.server));
	scene->check = (struct http_check){.http = scene->health.url, .for_ms = 2000};
	scene->request.checks = &scene->check;
	scene->request.check_count = 1;
	scene->request.image = IMAGE_2;
	scene->request.client_token = "t";
	return true;
}

static const char *check_text(const struct scene *scene, const char *key)
{
	return json_get_text(json_at(scene->result.checks, 0), key, "null");
}

TEST(it_is_deployed_when_the_checks_held)
{
	SCENE;

	REQUIRE_OK(start_health(&scene, 1000, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_INT(json_count(scene.result.checks), 1);
	CHECK_TEXT(check_text(&scene, "http"), scene.health.url);
	CHECK_TEXT(check_text(&scene, "status"), "passed");
	CHECK_TEXT(check_text(&scene, "cause"), "null");
	CHECK(json_get_int(json_at(scene.result.checks, 0), "answers", 0) > 2);
	/* With nothing to deploy nothing is checked. */
	int requests = fake_server_requests(scene.health.server);

	scene.request.client_token = NULL;
	REQUIRE_OK(deploy(&scene, &err));
	CHECK(scene.result.nothing_to_do);
	CHECK_INT(json_count(scene.result.checks), 0);
	CHECK_INT(fake_server_requests(scene.health.server), requests);
}

static void is_rolled_back_by_the_check(struct scene *scene)
{
	scoped(text_free) char *cause =
		memory_format("rooms: GET %s answered 503, expected 200 (2 times)",
			scene->health.url);

	is_verdict(scene, VERDICT_ROLLED_BACK);
	CHECK_TEXT(scene->result.cause, cause);
	/* It is about the version that failed; the one before serves. */
	CHECK_TEXT(scene->result.task_definition,
		"arn:aws:ecs:us-east-1:0:task-definition/rooms:2");
	CHECK_TEXT(scene->result.deployment_id,
		"arn:aws:ecs:us-east-1:0:service-deployment/c/rooms/d2");
	CHECK_TEXT(scene->result.image, IMAGE_2);
	CHECK_TEXT(json_get_text(scene->ecs.service, "taskDefinition", ""),
		"arn:aws:ecs:us-east-1:0:task-definition/rooms:1");
	CHECK_INT(scene->ecs.updated, 2); /* forth and back */
}

TEST(a_failed_check_goes_back_to_the_version_before)
{
	SCENE;

	REQUIRE_OK(start_health(&scene, 3, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_rolled_back_by_the_check(&scene);
	CHECK_TEXT(check_text(&scene, "status"), "failed");
	CHECK_CONTAINS(check_text(&scene, "cause"), "answered 503");
	CHECK_INT(json_get_int(json_at(scene.result.checks, 0), "answers", 0), 5);
	CHECK_INT(json_count(scene.result.tasks), 1);
	CHECK_TEXT(scene.journal.outcome, "done");
	/* The same try again: the same end, and nothing is done twice. */
	REQUIRE_OK(deploy(&scene, &err));
	is_rolled_back_by_the_check(&scene);
	text_free(&scene.journal.outcome); /* as if the outcome had never been written */
	json_free(&scene.journal.result);
	REQUIRE_OK(deploy(&scene, &err));
	is_rolled_back_by_the_check(&scene);
}

TEST(dying_before_the_way_back_it_is_gone_by_the_next_try)
{
	SCENE;

	REQUIRE_OK(start_health(&scene, 3, &err));
	scene.journal.lose_undo = true;
	CHECK_FAILS(deploy(&scene, &err), ERROR_UNKNOWN);
	CHECK_INT(scene.ecs.updated, 1);
	scene.journal.lose_undo = false;
	REQUIRE_OK(deploy(&scene, &err));
	is_rolled_back_by_the_check(&scene);
}

TEST(without_a_version_before_a_failed_check_is_a_failure)
{
	SCENE;

	scene.request.image = IMAGE_2;
	REQUIRE_OK(start_health(&scene, 3, &err));
	scene.request.task_text =
		str_literal("{\"family\":\"rooms\",\"containerDefinitions\":[{\"name\":\"app\"}]}");
	json_set_text(json_at(scene.ecs.deployments, 0), "status", "STOPPED");
	json_set_text(json_at(json_get(scene.ecs.service, "deployments"), 0), "rolloutState",
		"FAILED");
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_FAILED);
	CHECK_CONTAINS(scene.result.cause, "answered 503, expected 200 (2 times)");
	CHECK_INT(scene.ecs.updated, 1);
}

TEST(a_way_back_that_fails_is_told_too)
{
	SCENE;
	static const char *const statuses[] = {"SUCCESSFUL", NULL};

	REQUIRE_OK(start_health(&scene, 3, &err));
	scene.ecs.statuses = statuses;
	scene.ecs.statuses_of_third = (const char *const[]){"ROLLBACK_SUCCESSFUL", NULL};
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_FAILED);
	CHECK_CONTAINS(scene.result.cause,
		"answered 503, expected 200 (2 times); going back did not "
		"succeed: rooms: ");
}

TEST(what_a_newer_deployment_brought_is_not_taken_back)
{
	SCENE;

	REQUIRE_OK(start_health(&scene, 3, &err));
	scene.health.newer = &scene.ecs;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_SUPERSEDED);
	CHECK_INT(scene.ecs.updated, 1);
}

TEST(told_to_stop_while_checking_it_stops)
{
	SCENE;
	int ends[2];

	REQUIRE_OK(start_health(&scene, 1000, &err));
	REQUIRE(pipe(ends) == 0);
	scene.ecs.statuses = (const char *const[]){"SUCCESSFUL", NULL}; /* at the first look */
	CHECK(write(ends[1], "x", 1) == 1);
	scene.request.place.cancel_fd = ends[0];
	CHECK_FAILS(deploy(&scene, &err), ERROR_CANCELLED);
	CHECK_INT(scene.ecs.updated, 1);
	close(ends[0]);
	close(ends[1]);
}

TEST(a_check_that_cannot_be_made_changes_nothing)
{
	SCENE;

	REQUIRE_OK(start_health(&scene, 1000, &err));
	scene.check.http = "/health";
	CHECK(!deploy(&scene, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_CONTAINS(err.message, "\"/health\"");
	CHECK_CONTAINS(err.next, "whole URL");
	error_free(&err);
	/* A route that does not lead there; then one that does, but no target group. */
	scene.request.route = (struct deploy_route){.given = true, .path = "/rooms*"};
	CHECK_FAILS(deploy(&scene, &err), ERROR_USAGE);
	scene.check.http = "/rooms/health";
	CHECK_FAILS(deploy(&scene, &err), ERROR_USAGE);
	CHECK_INT(scene.ecs.registered, 1);
	CHECK_INT(scene.ecs.updated, 0);
}

/* As on AWS: the route leads elsewhere, but the load balancer asks every task for /health. */
static bool start_target_health(struct scene *scene, const char *const *states, struct error *err)
{
	scene->request.service_text = str_literal(
		"{\"desiredCount\":1,\"loadBalancers\":[{\"targetGroupArn\":\"arn:g\"}]}");
	if (!start_health(scene, 0, err))
		return false;
	scene->check.http = "/health";
	scene->request.route =
		(struct deploy_route){.given = true, .path = "/rooms*", .health = "/health"};
	scene->ecs.target_states = states;
	return true;
}

TEST(the_health_path_is_checked_by_the_load_balancer)
{
	SCENE;
	static const char *const states[] = {"healthy", "initial", "initial", "healthy", NULL};

	REQUIRE_OK(start_target_health(&scene, states, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_DEPLOYED);
	CHECK_TEXT(check_text(&scene, "http"), "/health");
	CHECK_TEXT(check_text(&scene, "status"), "passed");
	CHECK(json_get_int(json_at(scene.result.checks, 0), "answers", 0) > 2);
	CHECK_INT(fake_server_requests(scene.health.server), 0);
}

TEST(what_the_load_balancer_finds_unhealthy_is_rolled_back)
{
	SCENE;
	static const char *const states[] = {"healthy", "healthy", "healthy", "unhealthy",
		"draining", NULL};

	REQUIRE_OK(start_target_health(&scene, states, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_TEXT(scene.result.cause, "rooms: target 10.0.1.7:8080 is unhealthy: Target.Code");
	CHECK_TEXT(check_text(&scene, "status"), "failed");
	CHECK_INT(scene.ecs.updated, 2);
}

TEST(a_task_that_ends_meanwhile_is_wrong_before_its_target_is)
{
	SCENE;
	static const char *const states[] = {"healthy", "healthy", "healthy", "healthy", NULL};

	REQUIRE_OK(start_target_health(&scene, states, &err));
	scene.ecs.exits_at = 3;
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_TEXT(scene.result.cause,
		"rooms: task r1 stopped: Essential container in task exited");
}

TEST(one_that_stays_initial_is_not_waited_for_without_end)
{
	SCENE;
	static const char *const states[] = {"initial", NULL};

	REQUIRE_OK(start_target_health(&scene, states, &err));
	REQUIRE_OK(deploy(&scene, &err));
	is_verdict(&scene, VERDICT_ROLLED_BACK);
	CHECK_TEXT(scene.result.cause, "rooms: target 10.0.1.7:8080 is initial: Target.Code");
}

TEST(a_load_balancer_that_asks_for_something_else_is_no_check)
{
	SCENE;

	REQUIRE_OK(start_target_health(&scene, NULL, &err));
	scene.ecs.balancer_path = "/ping";
	CHECK(!deploy(&scene, &err));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_CONTAINS(err.message, "rooms asks for \"/ping\", not \"/health\"");
	error_free(&err);
	scene.ecs.balancer_path = NULL;
	scene.ecs.balancer_codes = "200-499";
	CHECK(!deploy(&scene, &err));
	CHECK_CONTAINS(err.message, "takes the status 200-499, not just 200");
	error_free(&err);
	CHECK_INT(scene.ecs.registered, 1);
	CHECK_INT(scene.ecs.updated, 0);
}

TEST(wrong_files_change_nothing)
{
	SCENE;
	static const struct {
		const char *task, *service, *image, *strategy;
	} rows[] = {
		{"{\"family\":\"${env:NO_SUCH_VARIABLE}\"}", "{}", IMAGE_1, NULL},
		{"{", "{}", IMAGE_1, NULL},
		{"{}", "{}", IMAGE_1, NULL},
		{task_file, "[]", IMAGE_1, NULL},
		{task_file, "{}", "host/rooms:latest", NULL},
		{task_file, "{}", NULL, NULL},
		{task_file, "{}", IMAGE_1, "codedeploy"},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		scene.request.task_text = str_of(rows[i].task);
		scene.request.service_text = str_of(rows[i].service);
		scene.request.image = rows[i].image;
		scene.request.strategy.type = rows[i].strategy;
		CHECK(!deploy(&scene, &err));
		CHECK(error_exit_status(err.kind) == 2);
		error_free(&err);
	}
	CHECK_INT(scene.ecs.registered + scene.ecs.created, 0);
}

TEST(values_come_from_stacks_and_parameters)
{
	SCENE;

	scene.request.task_text = str_literal(
		"{\"family\":\"${ssm:/family}\",\"taskRoleArn\":\"${cfn:infra.Role}\","
		"\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"<IMAGE1_NAME>\"}]}");
	REQUIRE_OK(deploy(&scene, &err));
	const struct json *registered = json_at(scene.ecs.definitions, 0);

	CHECK_TEXT(json_get_text(registered, "family", ""), "/family");
	CHECK_TEXT(json_get_text(registered, "taskRoleArn", ""), "arn:role");
	scene.request.task_text = str_literal("{\"family\":\"${cfn:infra.Nothing}\"}");
	CHECK_FAILS(deploy(&scene, &err), ERROR_USAGE);
	/* Everybody may read a task definition: secrets do not belong there. */
	scene.request.task_text = str_literal("{\"family\":\"${ssm:/secret}\"}");
	CHECK_FAILS(deploy(&scene, &err), ERROR_USAGE);
}

TEST(status_and_logs_show_what_is_there)
{
	SCENE;
	scoped(json_free) struct json *status = NULL;

	CHECK_FAILS(ecs_status(&scene.request.place, &status, &err), ERROR_NOT_FOUND);
	REQUIRE_OK(deploy(&scene, &err));
	REQUIRE_OK(ecs_status(&scene.request.place, &status, &err));
	CHECK_TEXT(json_get_text(status, "status", ""), "ACTIVE");
	CHECK_TEXT(json_text(json_at(json_get(status, "images"), 0), ""), IMAGE_1);
	CHECK_TEXT(json_get_text(json_get(status, "deployment"), "status", ""), "SUCCESSFUL");
	CHECK_INT(json_count(json_get(status, "tasks")), 1);
}

static void add_line(void *context, const struct deploy_log_line *line)
{
	buf_printf(context, "%s/%s: %s\n", line->task, line->container, line->text);
}

TEST(logs_come_from_the_tasks_streams)
{
	SCENE;
	scoped(buf_free) struct buf out = {0};

	REQUIRE_OK(deploy(&scene, &err));
	scene.ecs.crashed = 1;
	meet(&scene);
	REQUIRE_OK(ecs_logs(&scene.request.place, NULL, 10, add_line, &out, &err));
	CHECK_TEXT(buf_text(&out),
		"r1/app: last words of p/app/r1\ns1/app: last words of p/app/s1\n");
	buf_clear(&out);
	REQUIRE_OK(ecs_logs(&scene.request.place, "s", 10, add_line, &out, &err));
	CHECK_TEXT(buf_text(&out), "s1/app: last words of p/app/s1\n");
	CHECK_FAILS(ecs_logs(&scene.request.place, "x", 10, add_line, &out, &err), ERROR_NOT_FOUND);
}

TEST_MAIN()
