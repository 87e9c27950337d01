/*
 * deploy_scene.h - a deployment to a service of a pretended ECS, with a journal and, where wanted,
 *                  checks that are answered as the test says.
 */
#ifndef TESTS_UNIT_DEPLOYERS_ECS_DEPLOY_SCENE_H
#define TESTS_UNIT_DEPLOYERS_ECS_DEPLOY_SCENE_H

#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/ecs_deploy.h"
#include "tests/unit/deployers/ecs/fake_ecs.h"

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

__attribute__((unused)) static void health_answer(void *context, struct fake_request *request,
	struct buf *out)
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

__attribute__((unused)) static void scene_free(struct scene *scene)
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

__attribute__((unused)) static bool scene_start(struct scene *scene)
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
__attribute__((unused)) static void meet(struct scene *scene)
{
	(void)fake_server_requests(scene->ecs.server);
}

__attribute__((unused)) static bool deploy(struct scene *scene, struct error *err)
{
	deploy_result_free(&scene->result);
	meet(scene);
	bool done = ecs_deploy(&scene->request, &scene->result, err);

	meet(scene);
	return done;
}

__attribute__((unused)) static bool roll_back(struct scene *scene, struct error *err)
{
	deploy_result_free(&scene->result);
	meet(scene);
	bool done = ecs_rollback(&scene->request.place, 0, &scene->journal.journal, &scene->result,
		err);

	meet(scene);
	return done;
}

__attribute__((unused)) static bool is_verdict(struct scene *scene, enum verdict verdict)
{
	CHECK_TEXT(verdict_name(scene->result.verdict), verdict_name(verdict));
	return scene->result.verdict == verdict;
}

#endif
