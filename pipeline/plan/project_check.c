#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "deployers/verify/http_check.h"
#include "pipeline/plan/project.h"

#include <string.h>
#include <sys/stat.h>

enum { JSON_BYTES_MAX = 1024 * 1024 };

static bool folder_kind(void *self, const char *path, enum project_entry *out_kind,
	struct error *err)
{
	scoped(text_free) char *whole = path_join(self, path);
	struct stat status;

	(void)err;
	if (stat(whole, &status) != 0)
		*out_kind = PROJECT_MISSING;
	else
		*out_kind = S_ISDIR(status.st_mode) ? PROJECT_FOLDER_ENTRY : PROJECT_FILE_ENTRY;
	return true;
}

static bool folder_read(void *self, const char *path, struct buf *out, struct error *err)
{
	scoped(text_free) char *whole = path_join(self, path);

	return file_read(whole, JSON_BYTES_MAX, out, err);
}

struct project_tree project_tree_of_folder(const char *folder)
{
	union {
		const char *given;
		void *self;
	} kept = {folder};

	return (struct project_tree){folder_kind, folder_read, kept.self};
}

struct checking {
	const struct project *project;
	const struct project_tree *tree;
	struct findings *findings;
	struct error *err;
};

/* Adds a finding at node unless path exists as wanted (PROJECT_MISSING: as anything). */
static bool check_path(struct checking *checking, const struct yaml *node, const char *path,
	enum project_entry wanted, bool *out_there)
{
	enum project_entry kind = PROJECT_MISSING;

	*out_there = false;
	if (!checking->tree->kind(checking->tree->self, path, &kind, checking->err))
		return false;
	if (kind == PROJECT_MISSING)
		findings_add(checking->findings, checking->project->file, node->line, node->column,
			"there is no \"%s\" in the repository", path);
	else if (wanted != PROJECT_MISSING && kind != wanted)
		findings_add(checking->findings, checking->project->file, node->line, node->column,
			"\"%s\" is a %s, but must be a %s", path,
			kind == PROJECT_FILE_ENTRY ? "file" : "folder",
			wanted == PROJECT_FILE_ENTRY ? "file" : "folder");
	else
		*out_there = true;
	return true;
}

/* name is a file of the service; *out_path (owned) is set when it is there. */
static bool check_file(struct checking *checking, const struct project_service *service,
	const struct yaml *node, const char *name, char **out_path)
{
	scoped(text_free) char *path = project_service_file(service, name);
	bool there = false;

	if (!check_path(checking, node, path, PROJECT_FILE_ENTRY, &there))
		return false;
	if (there && out_path) {
		*out_path = path;
		path = NULL;
	}
	return true;
}

/* The file must be there and hold a JSON object. Placeholders stand inside texts, so the JSON is
 * whole before they are filled in. */
static bool check_json(struct checking *checking, const struct project_service *service,
	const struct yaml *node, const char *name)
{
	scoped(text_free) char *path = NULL;
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *value = NULL;
	scoped(error_free) struct error wrong = {0};

	if (!check_file(checking, service, node, name, &path))
		return false;
	if (!path)
		return true;
	if (!checking->tree->read(checking->tree->self, path, &text, checking->err))
		return false;
	if (!json_parse(buf_str(&text), path, NULL, &value, &wrong))
		findings_add_error(checking->findings, path, &wrong);
	else if (!json_is_object(value))
		findings_add(checking->findings, path, 1, 1, "must be a JSON object");
	return true;
}

/* An image takes a whole folder or a file. */
static bool check_image_files(struct checking *checking, const struct project_service *service,
	const struct yaml *files)
{
	for (size_t i = 0; i < service->image.files.count; i++) {
		const char *name = service->image.files.items[i].name;
		scoped(text_free) char *path = project_service_file(service, name);
		const struct yaml_pair *pair = yaml_get_pair(files, name);
		struct yaml at = {.line = pair->line, .column = pair->column};
		bool there = false;

		if (!path_is_inside(name))
			findings_add(checking->findings, checking->project->file, at.line,
				at.column, "\"%s\" must be a path inside the service", name);
		else if (!check_path(checking, &at, path, PROJECT_MISSING, &there))
			return false;
		if (service->image.files.items[i].value[0] != '/')
			findings_add(checking->findings, checking->project->file, pair->value->line,
				pair->value->column, "\"%s\" must be an absolute path in the image",
				service->image.files.items[i].value);
	}
	return true;
}

/* What a Dockerfile says by itself, or what is only known of a program. */
static void check_dockerfile(struct checking *checking, const struct yaml *image)
{
	static const char *const of_binary[] = {"base", "files", "packages", "debug", "sbom",
		"linker_map", "with", "hwcaps", "allow"};

	for (size_t i = 0; i < countof(of_binary); i++) {
		const struct yaml *at = yaml_get(image, of_binary[i]);

		if (at)
			findings_add(checking->findings, checking->project->file, at->line,
				at->column, "\"%s\" goes with \"binary\", not with \"dockerfile\"",
				of_binary[i]);
	}
}

static bool check_service(struct checking *checking, const struct project_service *service,
	const struct yaml *node)
{
	const struct yaml *uses = yaml_get(node, "uses"), *buildspec = yaml_get(node, "buildspec");
	const struct yaml *image = yaml_get(node, "image"), *deploy = yaml_get(node, "deploy");
	bool there = false;

	if (!check_path(checking, yaml_get(node, "path"), service->path, PROJECT_FOLDER_ENTRY,
		    &there))
		return false;
	for (size_t i = 0; i < service->uses.count; i++) {
		const struct yaml *at = uses->kind == YAML_SEQUENCE ? uses->items[i] : uses;
		bool exists = false;

		if (!check_path(checking, at, service->uses.items[i], PROJECT_MISSING, &exists))
			return false;
	}
	/* Without the folder there is one finding, not five. */
	if (!there)
		return true;
	if (!check_file(checking, service, buildspec ? buildspec : node, service->buildspec, NULL))
		return false;
	if (service->image.dockerfile &&
		!check_file(checking, service, yaml_get(image, "dockerfile"),
			service->image.dockerfile, NULL))
		return false;
	if (service->image.dockerfile)
		check_dockerfile(checking, image);
	if (!check_image_files(checking, service, yaml_get(image, "files")))
		return false;
	if (!service->deploy.given)
		return true;
	return check_json(checking, service, yaml_get(deploy, "task"), service->deploy.task) &&
	       check_json(checking, service, yaml_get(deploy, "service"), service->deploy.service);
}

/* Asked of the load balancer, or by it. */
static bool is_checkable(const struct project_route *route, const char *http)
{
	return route->given && (http_check_is_covered(http, route->path, route->host) ||
				       text_equal(http, route->health ? route->health : "/"));
}

/* The first deployed service that the path cannot be checked of on AWS; NULL: there is none. */
static const struct project_service *find_uncovered(const struct project *project, const char *http)
{
	for (size_t i = 0; i < project->services.count; i++) {
		const struct project_service *service = &project->services.items[i];

		if (service->deploy.given && !is_checkable(&service->deploy.route, http))
			return service;
	}
	return NULL;
}

/* On AWS only a load balancer or a URL can be asked: tasks are out of reach. */
static void check_http(struct checking *checking, const struct project_environment *environment,
	const struct project_http_check *check, const struct yaml *node)
{
	const struct project_service *uncovered = NULL;
	scoped(error_free) struct error wrong = {0};

	if (!http_check_is_valid(check->http, &wrong)) {
		findings_add(checking->findings, checking->project->file, node->line, node->column,
			"%s", wrong.message);
		return;
	}
	if (text_equal(environment->target, "aws") && !http_check_is_absolute(check->http))
		uncovered = find_uncovered(checking->project, check->http);
	if (uncovered)
		findings_add(checking->findings, checking->project->file, node->line, node->column,
			"the route of \"%s\" does not lead to \"%s\" nor is that its health path, "
			"and tasks on AWS cannot be reached from here: give a whole URL "
			"(https://…), a path that the routes of all services cover, or their "
			"health path",
			uncovered->name, check->http);
}

/* A policy of this machine (an absolute path) is looked for when something is deployed. */
static bool check_environment(struct checking *checking,
	const struct project_environment *environment, const struct yaml *node)
{
	const struct yaml *checks = yaml_get(node, "checks");
	bool there;

	for (size_t i = 0; i < environment->checks.count; i++)
		check_http(checking, environment, &environment->checks.items[i],
			yaml_get(checks->items[i], "http"));
	if (!environment->verify || *environment->verify == '/')
		return true;
	scoped(text_free) char *path = path_normalise(environment->verify);
	return check_path(checking, yaml_get(node, "verify"), path, PROJECT_FILE_ENTRY, &there);
}

bool project_check(const struct project *project, const struct project_tree *tree,
	struct findings *findings, struct error *err)
{
	struct checking checking = {project, tree, findings, err};
	const struct yaml *services = yaml_get(project->root, "services");

	for (size_t i = 0; i < project->services.count; i++) {
		const struct project_service *service = &project->services.items[i];

		if (!check_service(&checking, service, yaml_get(services, service->name)))
			return error_while(err, "checking the service \"%s\"", service->name);
	}
	const struct yaml *environments = yaml_get(project->root, "environments");

	for (size_t i = 0; i < project->environments.count; i++) {
		const struct project_environment *one = &project->environments.items[i];

		if (!check_environment(&checking, one, yaml_get(environments, one->name)))
			return error_while(err, "checking the environment \"%s\"", one->name);
	}
	findings_sort(findings);
	return true;
}
