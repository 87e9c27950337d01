#include "pipeline/cli/deploy_target.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/site.h"

#include <stdlib.h>

enum { FILE_LIMIT = 1024 * 1024 };

void deploy_target_free(struct deploy_target *target)
{
	aws_free(&target->aws);
	project_free(&target->project);
	opened_free(&target->opened);
}

static bool open_project(struct deploy_target *target, const struct deploy_flags *flags,
	struct error *err)
{
	target->folder = flags->project ? flags->project : ".";
	if (flags->commit) {
		if (!opened_read(&target->opened, target->folder, flags->commit, err))
			return false;
		target->current = target->opened.project;
		return true;
	}
	if (!project_read(target->folder, NULL, &target->project, err))
		return false;
	target->current = target->project;
	return true;
}

static bool choose_environment(struct deploy_target *target, const char *name, struct error *err)
{
	const struct project_environments *all = &target->current->environments;

	if (name) {
		target->environment = project_need_environment(target->current, name, err);
		return target->environment != NULL;
	}
	if (all->count == 1) {
		target->environment = &all->items[0];
		return true;
	}
	error_raise(err, ERROR_USAGE, "%s has %zu environments: which one?", PROJECT_FILE,
		all->count);
	return error_next(err, "add --env %s", all->count ? all->items[0].name : "NAME");
}

/* The place's variables become ours: children and AWS calls then find it the same way. */
static bool enter_site(struct deploy_target *target, const char *state, struct error *err)
{
	scoped(site_free) struct site site = {0};

	if (!site_of(target->environment, state, &site, err))
		return false;
	for (size_t i = 0; i < site.env.count; i++) {
		struct str value = str_of(site.env.items[i]), name = str_cut(&value, '=');
		scoped(text_free) char *name_text = str_copy(name), *value_text = str_copy(value);

		setenv(name_text, value_text, 1);
	}
	return true;
}

bool deploy_target_open(struct deploy_target *target, const struct deploy_flags *flags,
	const struct command_context *context, struct error *err)
{
	struct aws_options options = {.attempts = flags->attempts};

	if (!open_project(target, flags, err) ||
		!choose_environment(target, flags->environment, err) ||
		!enter_site(target, context->state, err))
		return false;
	options.region = target->environment->region;
	return aws_new(&options, &target->aws, err);
}

bool deploy_target_read(struct deploy_target *target, const struct project_service *service,
	const char *name, struct buf *out, struct error *err)
{
	scoped(text_free) char *path = project_service_file(service, name);

	if (target->opened.snapshot)
		return snapshot_read(target->opened.snapshot, path, FILE_LIMIT, out, err);
	scoped(text_free) char *whole = path_join(target->folder, path);

	return file_read(whole, FILE_LIMIT, out, err);
}

/* ECS's name for it stands in the service file, when it is written out there. */
static bool read_service_name(struct deploy_target *target, const struct project_service *service,
	char **out_name, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *file = NULL;
	struct error why = {0};

	if (!deploy_target_read(target, service, service->deploy.service, &text, err))
		return false;
	if (!json_parse(buf_str(&text), service->deploy.service, NULL, &file, &why))
		error_ignore(&why, "placeholders outside of texts: deploying parses it filled in");
	const char *name = json_get_text(file, "serviceName", NULL);

	*out_name = memory_copy_text(name && !strstr(name, "${") ? name : service->name);
	return true;
}

static bool endpoint_is_loopback(void)
{
	const char *url = getenv("AWS_ENDPOINT_URL_ECS");
	struct http_url parts;

	if (!url || !*url)
		url = getenv("AWS_ENDPOINT_URL");
	return url && *url && http_url_parse(url, &parts, NULL) &&
	       http_host_is_loopback(parts.host);
}

bool deploy_target_place(struct deploy_target *target, const struct project_service *service,
	struct deploy_place *out_place, char **out_name, struct error *err)
{
	const struct project_environment *environment = target->environment;

	if (!read_service_name(target, service, out_name, err))
		return false;
	*out_place = (struct deploy_place){
		.aws = target->aws,
		.clock = &system_clock,
		.app = target->current->app,
		.environment = environment->name,
		.cluster = environment->cluster ? environment->cluster : target->current->app,
		.service = service->name,
		.service_name = *out_name,
		.loopback = endpoint_is_loopback(),
	};
	return true;
}

const struct project_service *deploy_target_service(struct deploy_target *target, const char *name,
	struct error *err)
{
	const struct project_service *service = project_need_service(target->current, name, err);

	if (service && !service->deploy.given) {
		error_raise(err, ERROR_USAGE, "the service \"%s\" has no \"deploy\" in %s", name,
			PROJECT_FILE);
		return NULL;
	}
	return service;
}
