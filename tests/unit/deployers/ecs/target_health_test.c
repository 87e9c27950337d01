#include "tests/test.h"

#include "base/memory.h"
#include "deployers/ecs/target_health.h"

static struct json *parsed(const char *text)
{
	struct json *value = NULL;
	struct error err = {0};

	CHECK_OK(json_parse(str_of(text), "test", NULL, &value, &err));
	return value;
}

/* Two tasks at .1 and .2; a target is "address state". */
static struct json *two_tasks(void)
{
	return parsed("[{\"taskArn\":\"arn:task/c/a\",\"containers\":[{\"networkInterfaces\":"
		      "[{\"privateIpv4Address\":\"10.0.0.1\"}]}]},"
		      "{\"taskArn\":\"arn:task/c/b\",\"containers\":[{},{\"networkInterfaces\":"
		      "[{\"privateIpv4Address\":\"10.0.0.2\"}]}]}]");
}

static void add(struct json *targets, const char *address, const char *state, const char *text)
{
	json_append(targets, json_object_of("Target",
				     json_object_of("Id", json_text_new(address), "Port",
					     json_int_new(80), NULL),
				     "TargetHealth",
				     json_object_of("State", json_text_new(state), "Reason",
					     json_text_new("Target.Reason"), "Description",
					     text ? json_text_new(text) : NULL, NULL),
				     NULL));
}

static void check(const struct json *tasks, const char *one, const char *two, struct json *struck,
	bool known, bool right, const char *trouble)
{
	scoped(json_free) struct json *targets = json_array_new();

	add(targets, "10.0.0.9", "unhealthy", NULL); /* of an older version: not ours */
	if (one)
		add(targets, "10.0.0.1", one, NULL);
	if (two)
		add(targets, "10.0.0.2", two, "Health checks failed with these codes: [503]");
	struct http_seen seen = target_health_judge(tasks, targets, struck);

	CHECK(seen.known == known);
	CHECK(seen.right == right);
	CHECK_TEXT(seen.trouble ? seen.trouble : "none", trouble);
	text_free(&seen.trouble);
}

TEST(all_targets_of_serving_tasks_must_be_healthy)
{
	scoped(json_free) struct json *tasks = two_tasks(), *struck = json_object_new();

	check(tasks, "healthy", "healthy", struck, true, true, "none");
	check(tasks, "initial", "healthy", struck, false, false,
		"target 10.0.0.1:80 is initial: Target.Reason");
	check(tasks, "healthy", NULL, struck, false, false,
		"task b is no target of the load balancer");
	check(tasks, "initial", "unhealthy", struck, true, false,
		"target 10.0.0.2:80 is unhealthy: Health checks failed with these codes: [503]");
}

TEST(what_was_unhealthy_counts_until_it_is_healthy_again)
{
	scoped(json_free) struct json *tasks = two_tasks(), *struck = json_object_new();
	static const char trouble[] = "target 10.0.0.1:80 is unhealthy: Target.Reason";

	check(tasks, "unhealthy", "healthy", struck, true, false, trouble);
	check(tasks, "draining", "healthy", struck, true, false, trouble);
	check(tasks, NULL, "healthy", struck, true, false, trouble);
	check(tasks, "healthy", "healthy", struck, true, true, "none");
}

TEST(without_tasks_nothing_is_right)
{
	scoped(json_free) struct json *tasks = json_array_new(), *struck = json_object_new();

	check(tasks, NULL, NULL, struck, true, false, "none of its tasks runs any more");
	json_set_text(struck, "a", "task a stopped: Essential container in task exited");
	check(tasks, NULL, NULL, struck, true, false,
		"task a stopped: Essential container in task exited");
}

TEST_MAIN()
