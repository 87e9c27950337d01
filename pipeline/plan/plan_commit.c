#include "base/memory.h"
#include "pipeline/plan/plan.h"

#include <stdlib.h>
#include <string.h>

static int compare_currents(const void *a, const void *b)
{
	return strcmp(((const struct plan_current *)a)->service,
		((const struct plan_current *)b)->service);
}

/* The services of the other commit: those of the later one when the file is the same. */
static bool project_at(struct snapshot *then, struct snapshot *later, const struct project *project,
	struct project **out_own, const struct project **out_project, struct error *err)
{
	enum entry_kind kind = ENTRY_NONE;
	char before[GIT_ID_SIZE] = "", after[GIT_ID_SIZE] = "";
	scoped(error_free) struct error wrong = {0};

	*out_project = NULL;
	if (!snapshot_find(then, PROJECT_FILE, &kind, before, err) ||
		!snapshot_find(later, PROJECT_FILE, &kind, after, err))
		return false;
	if (strcmp(before, after) == 0)
		*out_project = project;
	else if (before[0] && plan_read_project(then, out_own, &wrong))
		*out_project = *out_own;
	else
		error_ignore(&wrong, "a commit without a valid file has no services: all are new");
	return true;
}

/* key NULL: the one it has now */
static void add_current(struct plan_commit *commit, const struct project_service *service,
	const char *id, const struct key *key)
{
	size_t at = commit->texts.count;

	strings_add(&commit->texts, service->name);
	strings_add(&commit->texts, id);
	strings_add(&commit->texts, key ? key->text : "");
	commit->items[commit->count++] = (struct plan_current){
		.service = commit->texts.items[at],
		.commit = commit->texts.items[at + 1],
		.key = commit->texts.items[at + 2],
		.same = !key,
	};
}

static bool is_same_at(struct snapshot *then, struct snapshot *later, const char *path)
{
	enum entry_kind before = ENTRY_NONE, after = ENTRY_NONE;
	char then_id[GIT_ID_SIZE], later_id[GIT_ID_SIZE];
	scoped(error_free) struct error err = {0};

	if (!snapshot_find(then, path, &before, then_id, &err) ||
		!snapshot_find(later, path, &after, later_id, &err)) {
		error_ignore(&err, "the comparison of keys will say it again");
		return false;
	}
	return before != ENTRY_NONE && before == after && strcmp(then_id, later_id) == 0;
}

/* With the same settings and the same files there is no need to compute a key. */
static bool reads_the_same(struct snapshot *then, struct snapshot *later,
	const struct project_service *service)
{
	if (!is_same_at(then, later, service->path))
		return false;
	for (size_t i = 0; i < service->uses.count; i++)
		if (!is_same_at(then, later, service->uses.items[i]))
			return false;
	return true;
}

bool plan_commit_read(struct repository *repository, const char *commit, struct snapshot *later,
	const struct project *project, const char *toolchain, struct plan_commit *out_commit,
	struct error *err)
{
	scoped(snapshot_free) struct snapshot *then = NULL;
	scoped(project_free) struct project *own = NULL;
	const struct project *services = NULL;

	if (!snapshot_open(repository, commit, &then, err) ||
		!project_at(then, later, project, &own, &services, err))
		return false;
	struct plan_commit result = {0};

	if (services)
		result.items = memory_new_array(services->services.count, sizeof(*result.items));
	for (size_t i = 0; services && i < services->services.count; i++) {
		const struct project_service *service = &services->services.items[i];
		scoped(key_free) struct key key = {0};
		scoped(error_free) struct error wrong = {0};

		if (services == project && reads_the_same(then, later, service))
			add_current(&result, service, commit, NULL);
		else if (key_of_service(service, then, toolchain, &key, &wrong))
			add_current(&result, service, commit, &key);
		else
			error_ignore(&wrong, "what it could not build there is new here");
	}
	if (result.count)
		qsort(result.items, result.count, sizeof(*result.items), compare_currents);
	*out_commit = result;
	return true;
}

void plan_commit_free(struct plan_commit *commit)
{
	free(commit->items);
	strings_free(&commit->texts);
	*commit = (struct plan_commit){0};
}
