#include "tests/unit/deployers/ecs/deploy_scene.h"

#include <unistd.h>

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

TEST_MAIN()
