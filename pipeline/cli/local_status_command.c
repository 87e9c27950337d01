#include "pipeline/cli/local_command.h"

#include "base/aws.h"
#include "base/json_writer.h"
#include "base/memory.h"

#include <stdlib.h>

static const char *given_state;

static const struct option_row rows[] = {
	{"state", OPTION_TEXT, &given_state, "DIR",
		"the local cloud's folder (default: \"local\" in the state folder)", NULL},
};

static const struct option_set options = {
	.usage = "local status [--state DIR]",
	.about = "is the local cloud up, and what runs in it",
	.rows = rows,
	.count = countof(rows),
};

/* The keys of this cloud, whatever the caller's environment says about another. */
static bool connect(const struct json *credentials, struct aws **out_aws, struct error *err)
{
	struct aws_options connection = {
		.region = json_get_text(credentials, "region", "us-east-1"),
		.endpoint = json_get_text(credentials, "endpoint", NULL),
	};

	setenv("AWS_ACCESS_KEY_ID", json_get_text(credentials, "access_key_id", ""), 1);
	setenv("AWS_SECRET_ACCESS_KEY", json_get_text(credentials, "secret_access_key", ""), 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
	return aws_new(&connection, out_aws, err);
}

static bool list_services(struct aws *aws, const char *cluster, struct json *out_services,
	struct error *err)
{
	scoped(json_free) struct json *input = json_object_of("cluster", json_text_new(cluster),
		"maxResults", json_int_new(100), NULL);
	scoped(json_free) struct json *listed = NULL;

	if (!aws_call(aws, "ecs", "ListServices", input, &listed, NULL, err))
		return false;
	const struct json *arns = json_get(listed, "serviceArns");

	for (size_t i = 0; i < json_count(arns); i++) {
		scoped(json_free) struct json *names = json_array_new();
		scoped(json_free) struct json *described = NULL;

		json_append(names, json_copy(json_at(arns, i)));
		scoped(json_free) struct json *question = json_object_of("cluster",
			json_text_new(cluster), "services", json_keep(names), NULL);

		if (!aws_call(aws, "ecs", "DescribeServices", question, &described, NULL, err))
			return false;
		json_append(out_services, json_copy(json_at(json_get(described, "services"), 0)));
	}
	return true;
}

static bool list_all(struct aws *aws, struct json *out_services, struct error *err)
{
	scoped(json_free) struct json *clusters = NULL;

	if (!aws_call(aws, "ecs", "ListClusters", NULL, &clusters, NULL, err))
		return false;
	const struct json *arns = json_get(clusters, "clusterArns");

	for (size_t i = 0; i < json_count(arns); i++)
		if (!list_services(aws, json_text(json_at(arns, i), ""), out_services, err))
			return false;
	return true;
}

static const char *last_part(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash ? slash + 1 : arn;
}

static void print_services(const struct json *services)
{
	if (json_count(services))
		printf("%-16s %-20s %-9s %-8s %s\n", "CLUSTER", "SERVICE", "RUNNING", "DESIRED",
			"DEPLOYMENT");
	for (size_t i = 0; i < json_count(services); i++) {
		const struct json *service = json_at(services, i);
		const struct json *newest = json_at(json_get(service, "deployments"), 0);

		printf("%-16s %-20s %-9lld %-8lld %s\n",
			last_part(json_get_text(service, "clusterArn", "")),
			json_get_text(service, "serviceName", ""),
			(long long)json_get_int(service, "runningCount", 0),
			(long long)json_get_int(service, "desiredCount", 0),
			json_get_text(newest, "rolloutState", "-"));
	}
}

static void write_result(struct command_context *context, const struct cloud_found *found,
	const struct json *services)
{
	struct json_writer w = json_writer_start(&context->result);

	json_object_begin(&w);
	json_put_text(&w, "status", found->running ? "up" : "down");
	if (found->running) {
		json_put_int(&w, "pid", found->pid);
		json_put_text(&w, "endpoint", json_get_text(found->credentials, "endpoint", NULL));
		json_put_value(&w, "services", services);
	}
	json_object_end(&w);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(text_free) char *state = local_state(context, given_state);
	scoped(cloud_found_free) struct cloud_found found = {0};
	scoped(json_free) struct json *services = json_array_new();
	scoped(aws_free) struct aws *aws = NULL;

	if (!local_find(state, &found, err))
		return false;
	if (found.running &&
		(!connect(found.credentials, &aws, err) || !list_all(aws, services, err)))
		return error_while(err, "asking the local cloud");
	context->exit_status = found.running ? 0 : 1;
	if (context->json) {
		write_result(context, &found, services);
	} else if (found.running) {
		printf("the local cloud is up at %s (pid %d)\n",
			json_get_text(found.credentials, "endpoint", "?"), (int)found.pid);
		print_services(services);
	} else {
		puts("the local cloud is down");
	}
	return true;
}

const struct command local_status_command = {.name = "local status",
	.options = &options,
	.run = run};
