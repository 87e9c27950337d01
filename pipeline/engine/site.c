#include "pipeline/engine/site.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void site_free(struct site *site)
{
	free(site->identity);
	free(site->registry);
	strings_free(&site->env);
	*site = (struct site){0};
}

/* "127.0.0.1:4566" of "http://127.0.0.1:4566/". */
static char *host_of(const char *url)
{
	const char *from = strstr(url, "://");

	from = from ? from + 3 : url;
	return memory_copy(from, strcspn(from, "/"));
}

static bool local_site(const char *state, struct site *site, struct error *err)
{
	scoped(text_free) char *path = memory_format("%s/local/credentials.json", state);
	scoped(json_free) struct json *file = NULL;

	if (access(path, F_OK) != 0) {
		error_raise(err, ERROR_UNAVAILABLE,
			"the local cloud was not started: there is no \"%s\"", path);
		return error_next(err, "start it: dogshore local up --detach");
	}
	if (!json_read_file(path, 64 * 1024, &file, err))
		return error_while(err, "reading where the local cloud is");
	const char *endpoint = json_get_text(file, "endpoint", NULL);
	const char *region = json_get_text(file, "region", NULL);
	const char *id = json_get_text(file, "access_key_id", NULL);
	const char *secret = json_get_text(file, "secret_access_key", NULL);

	if (!endpoint || !region || !id || !secret) {
		error_raise(err, ERROR_INVALID,
			"\"%s\" must have endpoint, region, access_key_id and secret_access_key",
			path);
		return error_next(err, "\"dogshore local up\" writes it anew");
	}
	/* The key is made once for each cloud, so it tells a cloud that was reset from the one before. */
	site->identity = memory_format("local %s", id);
	site->registry = host_of(endpoint);
	strings_printf(&site->env, "AWS_ENDPOINT_URL=%s", endpoint);
	strings_printf(&site->env, "AWS_REGION=%s", region);
	strings_printf(&site->env, "AWS_ACCESS_KEY_ID=%s", id);
	strings_printf(&site->env, "AWS_SECRET_ACCESS_KEY=%s", secret);
	return true;
}

static void aws_site(const struct project_environment *environment, struct site *site)
{
	const char *endpoint = getenv("AWS_ENDPOINT_URL"), *profile = getenv("AWS_PROFILE");
	const char *registry = getenv("DOGSHORE_REGISTRY");

	site->identity =
		memory_format("aws %s %s %s", environment->region ? environment->region : "",
			profile ? profile : "", endpoint ? endpoint : "");
	if (registry && *registry)
		site->registry = memory_copy_text(registry);
	else if (endpoint && *endpoint)
		site->registry = host_of(endpoint);
	if (environment->region)
		strings_printf(&site->env, "AWS_REGION=%s", environment->region);
}

bool site_of(const struct project_environment *environment, const char *state,
	struct site *out_site, struct error *err)
{
	scoped(site_free) struct site site = {0};

	if (!environment)
		site.identity = memory_copy_text("");
	else if (strcmp(environment->target, "local") != 0)
		aws_site(environment, &site);
	else if (!local_site(state, &site, err))
		return error_while(err, "finding the environment \"%s\"", environment->name);
	*out_site = site;
	site = (struct site){0};
	return true;
}

enum { REGISTRY_TIMEOUT_MS = 60000 };

bool site_find_registry(struct site *site, const char *program, struct error *err)
{
	scoped(strings_free) struct strings env = {0}, none = {0};
	scoped(process_result_free) struct process_result result = {0};
	scoped(json_free) struct json *answer = NULL;
	const char *argv[] = {program ? program : "/proc/self/exe", "registry", "--json", NULL};

	if (site->registry)
		return true;
	site_environment(site, &none, &env);
	const struct process_options options = {.argv = argv,
		.env = (const char *const *)env.items,
		.stderr_fd = -1,
		.die_with_parent = true};

	if (!process_run(&options, (struct str){0}, REGISTRY_TIMEOUT_MS, 0, &result, err))
		return false;
	if (result.timed_out)
		return error_raise(err, ERROR_TIMED_OUT,
			"AWS did not say whose registry it is in %d s", REGISTRY_TIMEOUT_MS / 1000);
	if (!json_parse(buf_str(&result.output), "answer about the registry", NULL, &answer, err))
		return false;
	const char *registry = json_get_text(answer, "registry", NULL);

	if (registry) {
		site->registry = memory_copy_text(registry);
		return true;
	}
	error_raise(err, ERROR_UNAVAILABLE, "the registry of this AWS account is not known: %s",
		json_get_text(json_get(answer, "error"), "message", "no reason is given"));
	return error_next(err,
		"name it with DOGSHORE_REGISTRY=HOST, or mend the credentials: aws sts "
		"get-caller-identity");
}

static bool has_name_of(const struct strings *list, const char *variable)
{
	size_t size = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < list->count; i++)
		if (strncmp(list->items[i], variable, size) == 0)
			return true;
	return false;
}

void site_environment(const struct site *site, const struct strings *extra, struct strings *out_env)
{
	/* The crash hook is for the engine; a stage that opened the ledger would count on its own. */
	for (char **at = environ; *at; at++)
		if (!has_name_of(&site->env, *at) && !has_name_of(extra, *at) &&
			!text_starts_with(*at, "DOGSHORE_CRASH_AFTER_WRITE="))
			strings_add(out_env, *at);
	for (size_t i = 0; i < site->env.count; i++)
		if (!has_name_of(extra, site->env.items[i]))
			strings_add(out_env, site->env.items[i]);
	for (size_t i = 0; i < extra->count; i++)
		strings_add(out_env, extra->items[i]);
}
