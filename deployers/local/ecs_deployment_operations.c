#include "deployers/local/ecs_internal.h"

static const char invalid[] = "InvalidParameterException";

enum { DESCRIBE_AT_ONCE = 20 };

/* Both kinds are described alike: up to 20 ARNs, those that are not there in failures. */
static bool describe(struct cloud *cloud, const struct json *arns, const char *kind,
	struct json *(*answer)(struct cloud *cloud, const struct json *document), const char *name,
	struct json **out_output, struct refusal *refusal)
{
	if (!json_count(arns) || json_count(arns) > DESCRIBE_AT_ONCE)
		return refuse(refusal, 400, invalid, "%s must have 1 to %d ARNs.", name,
			DESCRIBE_AT_ONCE);
	struct json *found = json_array_new(), *failures = json_array_new();

	for (size_t i = 0; i < json_count(arns); i++) {
		const char *arn = json_text(json_at(arns, i), "");
		const struct json *document = store_get(cloud->store, kind, arn);

		if (document)
			json_append(found, answer(cloud, document));
		else
			json_append(failures, ecs_failure(arn, "MISSING"));
	}
	*out_output = json_object_of(name, found, "failures", failures, NULL);
	return true;
}

static struct json *answer_deployment(struct cloud *cloud, const struct json *document)
{
	return deployment_answer(cloud->ecs, document);
}

static struct json *answer_revision(struct cloud *cloud, const struct json *document)
{
	(void)cloud;
	return revision_answer(document);
}

bool ecs_describe_service_deployments(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	return describe(cloud, json_get(input, "serviceDeploymentArns"), "ecs.deployment",
		answer_deployment, "serviceDeployments", out_output, refusal);
}

bool ecs_describe_service_revisions(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	return describe(cloud, json_get(input, "serviceRevisionArns"), "ecs.revision",
		answer_revision, "serviceRevisions", out_output, refusal);
}

struct listing {
	const char *service;
	const struct json *statuses;
	double after, before; /* epoch seconds; before 0: no limit */
	struct json *found;
};

static bool list_deployment(void *context, const char *id, const struct json *deployment)
{
	struct listing *listing = context;
	const char *status = json_get_text(deployment, "status", "");
	double created = json_real(json_get(deployment, "createdAt"), 0);
	bool wanted = !json_count(listing->statuses);

	for (size_t i = 0; i < json_count(listing->statuses); i++)
		wanted |= text_equal(json_text(json_at(listing->statuses, i), NULL), status);
	if (!wanted || created < listing->after ||
		(listing->before > 0 && created > listing->before) ||
		!text_equal(json_get_text(deployment, "serviceArn", ""), listing->service))
		return true;
	static const char *const members[] = {"serviceArn", "clusterArn", "startedAt", "createdAt",
		"finishedAt", "status", "statusReason"};
	struct json *brief = json_object_of("serviceDeploymentArn", json_text_new(id),
		"targetServiceRevisionArn", json_copy(json_get(deployment, "_target")), NULL);

	for (size_t i = 0; i < countof(members); i++)
		if (json_get(deployment, members[i]))
			json_set(brief, members[i], json_copy(json_get(deployment, members[i])));
	json_append(listing->found, brief);
	return true;
}

bool ecs_list_service_deployments(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const struct json *service = service_of(cloud, input, false, refusal);
	const struct json *created = json_get(input, "createdAt");
	int64_t limit;
	size_t from;

	if (!service || !input_int(input, "maxResults", 1, 100, 20, invalid, &limit, refusal) ||
		!input_page(input, "nextToken", invalid, &from, refusal))
		return false;
	struct listing listing = {.service = json_get_text(service, "serviceArn", ""),
		.statuses = json_get(input, "status"),
		.after = json_real(json_get(created, "after"), 0),
		.before = json_real(json_get(created, "before"), 0),
		.found = json_array_new()};
	struct json *newest_first = json_array_new();

	store_each(cloud->store, "ecs.deployment", list_deployment, &listing);
	for (size_t i = json_count(listing.found); i-- > 0;)
		json_append(newest_first, json_keep(json_at(listing.found, i)));
	json_free(&listing.found);
	*out_output = json_object_new();
	output_page(*out_output, "serviceDeployments", newest_first, from, (size_t)limit,
		"nextToken");
	return true;
}

bool ecs_stop_service_deployment(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal)
{
	const char *arn = input_text(input, "serviceDeploymentArn", invalid, refusal);
	const char *type = json_get_text(input, "stopType", "ROLLBACK");
	const struct json *deployment = arn ? store_get(cloud->store, "ecs.deployment", arn) : NULL;
	struct rollout rollout;

	if (!arn)
		return false;
	if (!text_equal(type, "ROLLBACK"))
		return refuse(refusal, 400, invalid, "stopType %s is not supported.", type);
	if (!deployment)
		return refuse(refusal, 400, "ServiceDeploymentNotFoundException",
			"The service deployment cannot be found.");
	rollout_load(deployment, &rollout);
	if (!text_equal(json_get_text(deployment, "status", ""), "IN_PROGRESS") ||
		rollout.stage == STAGE_CLEAN_UP)
		return refuse(refusal, 400, "ConflictException",
			"The service deployment is %s%s and cannot be stopped.",
			json_get_text(deployment, "status", ""),
			rollout.stage == STAGE_CLEAN_UP ? " (CLEAN_UP)" : "");
	struct json *changed = json_copy(deployment);

	json_set_bool(changed, "_rollback_requested", true);
	json_set_text(changed, "status", "ROLLBACK_REQUESTED");
	json_set(changed, "updatedAt", ecs_now(cloud));
	if (!ecs_put(cloud, "ecs.deployment", arn, changed, refusal))
		return false;
	ecs_wake(cloud->ecs);
	*out_output = json_object_of("serviceDeploymentArn", json_text_new(arn), NULL);
	return true;
}
