#include "pipeline/plan/plan.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

enum { PROJECT_BYTES_MAX = 1024 * 1024 };

const char *plan_action_name(enum plan_action action)
{
	static const char *const names[] =
		{[PLAN_BUILD] = "build", [PLAN_REUSE] = "reuse", [PLAN_SKIP] = "skip"};

	return names[action];
}

bool plan_service_reads(const struct project_service *service, const char *path)
{
	if (strcmp(service->path, ".") == 0 || path_is_below(path, service->path))
		return true;
	for (size_t i = 0; i < service->uses.count; i++)
		if (strcmp(service->uses.items[i], ".") == 0 ||
			path_is_below(path, service->uses.items[i]))
			return true;
	return false;
}

bool plan_read_project(struct snapshot *snapshot, struct project **out_project, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	if (!snapshot_read(snapshot, PROJECT_FILE, PROJECT_BYTES_MAX, &text, err))
		return error_next(err,
			"\"dogshore init\" writes a first " PROJECT_FILE "; commit it");
	if (!project_parse(buf_str(&text), PROJECT_FILE, NULL, out_project, err))
		return error_while(err, "reading " PROJECT_FILE " of commit %.12s",
			snapshot_commit(snapshot));
	return true;
}

/* Small files are parsed faster than a cache is looked up. Sixteen places are enough for the
 * versions that branches have at one time, and can never fill a disk. */
enum { CACHED_BYTES_LEAST = 16 * 1024, CACHE_PLACES = 16, CACHE_BYTES_MAX = 8 * 1024 * 1024 };

static char *cache_path(const char *state, const char *id)
{
	unsigned place = 0;

	for (const char *at = id; *at; at++)
		place = place * 31 + (unsigned char)*at;
	return memory_format("%s/projects/%u", state, place % CACHE_PLACES);
}

/* The cache holds the file's id and then the project. */
static bool load_cached(const char *path, const char *id, struct project **out_project)
{
	scoped(buf_free) struct buf bytes = {0};
	struct str rest;

	if (!file_read(path, CACHE_BYTES_MAX, &bytes, NULL) || bytes.size < GIT_ID_SIZE ||
		memcmp(bytes.data, id, GIT_ID_SIZE) != 0)
		return false;
	rest = (struct str){bytes.data + GIT_ID_SIZE, bytes.size - GIT_ID_SIZE};
	return project_load(rest, out_project);
}

static void save_cached(const char *path, const char *id, const struct project *project)
{
	scoped(text_free) char *folder = path_parent(path);
	scoped(buf_free) struct buf bytes = {0};
	scoped(error_free) struct error err = {0};

	buf_append(&bytes, id, GIT_ID_SIZE);
	project_save(project, &bytes);
	if (!folder_make(folder, 0700, &err) ||
		!file_write(path, buf_str(&bytes), 0600, false, &err))
		error_ignore(&err, "the next command parses again");
}

bool plan_read_project_cached(struct snapshot *snapshot, const char *state,
	struct project **out_project, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	enum entry_kind kind = ENTRY_NONE;
	char id[GIT_ID_SIZE] = "";

	if (!snapshot_find(snapshot, PROJECT_FILE, &kind, id, err))
		return false;
	scoped(text_free) char *path = cache_path(state, id);

	if (kind != ENTRY_NONE && load_cached(path, id, out_project))
		return true;
	if (!plan_read_project(snapshot, out_project, err))
		return false;
	if (snapshot_read(snapshot, PROJECT_FILE, PROJECT_BYTES_MAX, &text, NULL) &&
		text.size >= CACHED_BYTES_LEAST)
		save_cached(path, id, *out_project);
	return true;
}

/* Comparisons with earlier commits. Most services share one, so each is made once. */
enum { COMPARISONS_MAX = 16 };

struct comparison {
	const char *commit; /* borrowed */
	struct strings paths;
};

struct planning {
	struct repository *repository;
	struct snapshot *snapshot;
	const struct project *project;
	const struct plan_known *known;
	const char *toolchain;
	struct comparison comparisons[COMPARISONS_MAX];
	size_t comparison_count;
};

static int compare_currents(const void *a, const void *b)
{
	return strcmp(((const struct plan_current *)a)->service,
		((const struct plan_current *)b)->service);
}

static const struct plan_current *current_of(const struct plan_known *known, const char *service)
{
	struct plan_current wanted = {.service = service};

	return known->count ? bsearch(&wanted, known->currents, known->count, sizeof(wanted),
				      compare_currents)
			    : NULL;
}

/* The paths that differ from commit; NULL when they cannot be learned any more. */
static const struct strings *paths_since(struct planning *planning, const char *commit)
{
	scoped(snapshot_free) struct snapshot *then = NULL;
	scoped(error_free) struct error err = {0};
	struct strings paths = {0};

	for (size_t i = 0; i < planning->comparison_count; i++)
		if (strcmp(planning->comparisons[i].commit, commit) == 0)
			return &planning->comparisons[i].paths;
	if (planning->comparison_count == COMPARISONS_MAX)
		return NULL;
	if (!snapshot_open(planning->repository, commit, &then, &err) ||
		!snapshot_changes(then, planning->snapshot, &paths, &err)) {
		error_ignore(&err, "a commit that is gone (force-push) only costs the explanation");
		return NULL;
	}
	struct comparison *comparison = &planning->comparisons[planning->comparison_count++];

	*comparison = (struct comparison){commit, paths};
	return &comparison->paths;
}

/* path: a path that moved, one of several; or the part of the key that moved. */
static char *reason_of_change(struct planning *planning, struct plan_service *row,
	const struct plan_current *current)
{
	const struct strings *paths = paths_since(planning, current->commit);

	for (size_t i = 0; paths && i < paths->count; i++)
		if (plan_service_reads(row->service, paths->items[i]))
			strings_add(&row->changed, paths->items[i]);
	if (row->changed.count == 1)
		return memory_format("%s changed since %.12s", row->changed.items[0],
			current->commit);
	if (row->changed.count > 1)
		return memory_format("%s and %zu more changed since %.12s", row->changed.items[0],
			row->changed.count - 1, current->commit);
	if (!paths)
		return memory_format("its inputs are not those of %.12s", current->commit);
	return memory_format("its settings or the toolchain changed since %.12s; no file did",
		current->commit);
}

/* Is what is there deployed as the commit says it should be? If not, *out_reason is set. */
static bool check_deployment(struct planning *planning, const struct project_service *service,
	const struct plan_current *current, char **out_reason, struct error *err)
{
	const struct plan_known *known = planning->known;
	scoped(key_free) struct key key = {0};

	if (!known->environment || !known->place || !service->deploy.given || !current->image ||
		!*current->image)
		return true;
	if (!current->deploy_key || !*current->deploy_key) {
		*out_reason =
			memory_format("it was never deployed to %s", known->environment->name);
		return true;
	}
	if (!key_of_deployment(service, known->environment, planning->snapshot, current->image,
		    known->place, &key, err))
		return false;
	if (strcmp(key.text, current->deploy_key) != 0)
		*out_reason = memory_format("nothing it reads changed since %.12s, but its "
					    "deployment settings, or the "
					    "cloud, did",
			current->commit);
	return true;
}

static bool plan_one(struct planning *planning, const struct project_service *service,
	struct plan_service *row, struct error *err)
{
	const struct plan_current *current = current_of(planning->known, service->name);

	row->service = service;
	if (!key_of_service(service, planning->snapshot, planning->toolchain, &row->key, err))
		return false;
	if (current) {
		row->previous_key = memory_copy_text(current->same ? row->key.text : current->key);
		row->previous_commit = memory_copy_text(current->commit);
	}
	if (current && strcmp(row->previous_key, row->key.text) == 0) {
		if (!check_deployment(planning, service, current, &row->reason, err))
			return false;
		if (row->reason) {
			row->action = PLAN_REUSE;
			row->image = memory_copy_text(current->image);
			return true;
		}
		row->action = PLAN_SKIP;
		row->reason =
			memory_format("nothing it reads changed since %.12s", current->commit);
		return true;
	}
	scoped(text_free) char *why =
		current ? reason_of_change(planning, row, current)
			: memory_copy_text(planning->known->from_commit
						   ? "it is new"
						   : "it was never built here");

	if (planning->known->built && !planning->known->built(planning->known->self, service->name,
					      row->key.text, &row->image, err))
		return false;
	row->action = row->image ? PLAN_REUSE : PLAN_BUILD;
	row->reason = row->image ? memory_format("%s; built before with the same inputs", why)
				 : memory_copy_text(why);
	return true;
}

/* The base that is shown: the previous commit that most services share comes first in practice. */
static void choose_base(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->services[i].previous_commit &&
			strlen(plan->services[i].previous_commit) < sizeof(plan->base)) {
			memcpy(plan->base, plan->services[i].previous_commit,
				strlen(plan->services[i].previous_commit) + 1);
			if (plan->services[i].action != PLAN_SKIP)
				return;
		}
}

bool plan_make(struct repository *repository, struct snapshot *snapshot,
	const struct project *project, const struct plan_known *known, const char *toolchain,
	struct plan *out_plan, struct error *err)
{
	scoped(plan_free) struct plan plan = {0};
	struct planning planning = {repository, snapshot, project, known, toolchain, {{0}}, 0};
	bool done = true;

	plan.services = memory_new_array(project->services.count, sizeof(*plan.services));
	memcpy(plan.commit, snapshot_commit(snapshot), sizeof(plan.commit));
	for (size_t i = 0; done && i < project->services.count; i++) {
		plan.count++;
		done = plan_one(&planning, &project->services.items[i], &plan.services[i], err);
	}
	for (size_t i = 0; i < planning.comparison_count; i++)
		strings_free(&planning.comparisons[i].paths);
	if (!done)
		return error_while(err, "planning commit %.12s", plan.commit);
	choose_base(&plan);
	*out_plan = plan;
	plan = (struct plan){0};
	return true;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_service *row = &plan->services[i];

		free(row->reason);
		key_free(&row->key);
		free(row->previous_key);
		free(row->previous_commit);
		free(row->image);
		strings_free(&row->changed);
	}
	free(plan->services);
	*plan = (struct plan){0};
}

void plan_write(const struct plan *plan, struct json_writer *w)
{
	json_object_begin(w);
	json_put_text(w, "commit", plan->commit);
	json_put_text(w, "base", plan->base[0] ? plan->base : NULL);
	json_key(w, "services");
	json_array_begin(w);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_service *row = &plan->services[i];

		json_object_begin(w);
		json_put_text(w, "name", row->service->name);
		json_put_text(w, "action", plan_action_name(row->action));
		json_put_text(w, "reason", row->reason);
		json_put_text(w, "key", row->key.text);
		json_key(w, "changed");
		json_array_begin(w);
		for (size_t j = 0; j < row->changed.count; j++)
			json_write_text(w, row->changed.items[j]);
		json_array_end(w);
		json_object_end(w);
	}
	json_array_end(w);
	json_object_end(w);
}

enum { SKIPS_SHOWN = 20 };

void plan_print(FILE *out, const struct plan *plan)
{
	size_t skipped = 0, width = 0;

	for (size_t i = 0; i < plan->count; i++) {
		size_t size = strlen(plan->services[i].service->name);

		width = size > width ? size : width;
		skipped += plan->services[i].action == PLAN_SKIP;
	}
	fprintf(out, "commit %.12s", plan->commit);
	if (plan->base[0])
		fprintf(out, ", compared with %.12s", plan->base);
	fputc('\n', out);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_service *row = &plan->services[i];

		if (row->action != PLAN_SKIP || skipped <= SKIPS_SHOWN)
			fprintf(out, "  %-5s  %-*s  %s\n", plan_action_name(row->action),
				(int)width, row->service->name, row->reason);
	}
	if (skipped > SKIPS_SHOWN)
		fprintf(out, "  and %zu services to skip: nothing they read changed\n", skipped);
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
