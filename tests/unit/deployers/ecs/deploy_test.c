#include "tests/unit/deployers/ecs/deploy_scene.h"

#include <unistd.h>

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

TEST(credentials_in_the_log_of_a_task_are_not_kept)
{
	SCENE;
	static const char *const statuses[] = {"IN_PROGRESS", NULL};

	REQUIRE_OK(deploy(&scene, &err));
	scene.ecs.statuses = statuses;
	scene.ecs.crashed = 2;
	scene.ecs.after_stop = "ROLLBACK_SUCCESSFUL";
	scene.request.image = IMAGE_2;
	scene.ecs.said = json_array_new();
	json_append(scene.ecs.said, json_text_new("  with ghp"
						  "_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"));
	json_append(scene.ecs.said, json_text_new("-----BEGIN "
						  "PRIVATE KEY-----"));
	json_append(scene.ecs.said, json_text_new("MC4CAQAwBQYDK2VwBCIEIHc1aOb8b0Gk"
						  "z7Tq2yVnP5Xw3uLrE9dSf6Jm4Q0Z"));
	json_append(scene.ecs.said, json_text_new("-----END "
						  "PRIVATE KEY-----"));
	json_append(scene.ecs.said, json_text_new("bye"));
	REQUIRE_OK(deploy(&scene, &err));
	const struct json *log = json_get(json_at(scene.result.tasks, 1), "log");
	CHECK_INT(json_count(log), 3);
	CHECK_TEXT(json_text(json_at(log, 0), NULL), "  with ***");
	CHECK_TEXT(json_text(json_at(log, 1), NULL), "***");
	CHECK_TEXT(json_text(json_at(log, 2), NULL), "bye");
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
