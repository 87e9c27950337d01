#include "base/memory.h"
#include "deployers/ecs/calls.h"
#include "deployers/ecs/deployment.h"
#include "deployers/ecs/task_definition.h"

/* Is the revision called name what we want? Then its ARN, which is the caller's. */
static bool matches(struct deployment *deployment, const char *name, char **out_arn,
	struct error *err)
{
	scoped(json_free) struct json *answer = NULL, *there = NULL;

	*out_arn = NULL;
	if (!call_describe_definition(deployment->place, name, &answer, err))
		return false;
	if (!answer ||
		!text_equal(json_get_text(json_get(answer, "taskDefinition"), "status", "ACTIVE"),
			"ACTIVE"))
		return true;
	there = definition_of_answer(answer);
	if (definition_equal(there, deployment->definition))
		*out_arn = memory_copy_text(json_get_text(json_get(answer, "taskDefinition"),
			"taskDefinitionArn", NULL));
	return true;
}

static bool register_new(struct deployment *deployment, struct error *err)
{
	scoped(json_free) struct json *output = NULL;
	scoped(json_free) struct json *detail =
		json_object_of("image", json_text_new(deployment->result->image), "family",
			json_copy(json_get(deployment->definition, "family")), NULL);
	scoped(text_free) char *subject = memory_format("%s/%s", deployment->place->cluster,
		place_service(deployment->place));
	int64_t act = 0;

	if (!journal_intend(deployment->journal, "ecs.register", subject, detail, &act, err))
		return false;
	if (!aws_call(deployment->place->aws, "ecs", "RegisterTaskDefinition",
		    deployment->definition, &output, NULL, err)) {
		struct error second = {0};
		bool refused = err->kind != ERROR_UNAVAILABLE && err->kind != ERROR_TIMED_OUT;

		/* Without an answer a revision may be there: choosing once more finds it. */
		if (!journal_settle(deployment->journal, act, refused ? "failed" : "abandoned",
			    NULL, &second))
			error_ignore(&second, "the first error is the one to tell");
		return error_while(err, "registering the task definition \"%s\"",
			json_get_text(deployment->definition, "family", "?"));
	}
	deployment->task_definition = memory_copy_text(
		json_get_text(json_get(output, "taskDefinition"), "taskDefinitionArn", NULL));
	if (!deployment->task_definition)
		return error_raise(err, ERROR_PROTOCOL, "RegisterTaskDefinition gave no ARN");
	scoped(json_free) struct json *result =
		json_object_of("task_definition", json_text_new(deployment->task_definition), NULL);

	return journal_settle(deployment->journal, act, "done", result, err);
}

/*
 * The revision that runs comes first: when it is what we want, nothing has to move. Then the newest
 * of the family: a try before this one may have registered it and come no further.
 */
bool deployment_choose_revision(struct deployment *deployment, struct error *err)
{
	const char *running = json_get_text(deployment->running, "taskDefinition", NULL);
	const char *family = json_get_text(deployment->definition, "family", "");

	if (running && !matches(deployment, running, &deployment->task_definition, err))
		return false;
	if (!deployment->task_definition &&
		!matches(deployment, family, &deployment->task_definition, err))
		return false;
	if (deployment->task_definition) {
		if (!text_equal(deployment->task_definition, running))
			deployment_note("using a task definition that is registered already",
				deployment->task_definition);
		return true;
	}
	return register_new(deployment, err);
}
