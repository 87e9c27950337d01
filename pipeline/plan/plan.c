#include "pipeline/plan/plan.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

const char *plan_action_name(enum plan_action action)
{
	static const char *const names[] = {[PLAN_BUILD] = "build",
		[PLAN_RESTORE] = "restore",
		[PLAN_REUSE] = "reuse",
		[PLAN_SKIP] = "skip"};

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

/* What the environment has, or would have under this key. */
static bool settle_same(struct planning *planning, const struct plan_current *current,
	struct plan_service *row, struct error *err)
{
	if (!check_deployment(planning, row->service, current, &row->reason, err))
		return false;
	row->action = row->reason ? PLAN_REUSE : PLAN_SKIP;
	if (row->reason)
		row->image = memory_copy_text(current->image);
	else
		row->reason = row->unread.count
				      ? narrow_text(&row->unread)
				      : memory_format("nothing it reads changed since %.12s",
						current->commit);
	return true;
}

/* Does a build under another key serve, because it did not read what differs? *out_built: it does,
 * and row knows which. key NULL: any of the newest whose image is there. */
static bool find_narrow(struct planning *planning, struct plan_service *row, const char *key,
	bool *out_built, struct error *err)
{
	const struct plan_known *known = planning->known;
	scoped(narrow_records_free) struct narrow_records records = {0};
	char rest[DIGEST_HEX_SIZE];

	*out_built = false;
	if (!known->records || !row->service->uses.count)
		return true;
	key_rest(&row->key, rest);
	if (!known->records(known->self, row->service->name, key, rest, &records, err))
		return false;
	for (size_t i = 0; i < records.count; i++) {
		const struct narrow_record *record = &records.items[i];
		scoped(text_free) char *image = NULL;
		scoped(strings_free) struct strings unread = {0};

		if (!narrow_same(planning->repository, row->service, record, &row->key, &unread))
			continue;
		if (!key && !known->built(known->self, row->service->name, record->key.text, &image,
				    err))
			return false;
		if (!key && !image)
			continue;
		row->built_key = memory_copy_text(record->key.text);
		row->unread = unread;
		unread = (struct strings){0};
		row->image = image;
		image = NULL;
		*out_built = true;
		return true;
	}
	return true;
}

/* What a build made is worth restoring even when its image is there: a run has its artifacts, reports
 * and log then, as if it had built. */
static bool choose_source(struct planning *planning, struct plan_service *row, const char *why,
	struct error *err)
{
	const struct plan_known *known = planning->known;
	scoped(text_free) char *narrow = NULL;
	bool narrowed = false;

	if (known->built &&
		!known->built(known->self, row->service->name, row->key.text, &row->image, err))
		return false;
	if (known->built && !row->image && !find_narrow(planning, row, NULL, &narrowed, err))
		return false;
	if (known->kept && !narrowed &&
		!known->kept(known->self, row->service, planning->snapshot, planning->toolchain,
			&row->from, err))
		return false;
	const char *from = row->from;
	bool packed = row->image && *row->image;

	narrow = narrowed ? narrow_text(&row->unread) : NULL;
	row->action = from ? PLAN_RESTORE : row->image ? PLAN_REUSE : PLAN_BUILD;
	row->reason = from         ? memory_format("%s; restored from %s%s", why, from,
                                     packed ? ", with its image" : "")
		      : narrow     ? memory_format("%s; %s", why, narrow)
		      : row->image ? memory_format("%s; built before with the same inputs", why)
				   : memory_copy_text(why);
	return true;
}

static bool plan_one(struct planning *planning, const struct project_service *service,
	struct plan_service *row, struct error *err)
{
	const struct plan_current *current = current_of(planning->known, service->name);
	bool same = false;

	row->service = service;
	if (!key_of_service(service, planning->snapshot, planning->toolchain, &row->key, err))
		return false;
	if (current) {
		row->previous_key = memory_copy_text(current->same ? row->key.text : current->key);
		row->previous_commit = memory_copy_text(current->commit);
		same = strcmp(row->previous_key, row->key.text) == 0;
	}
	if (current && !same && *current->key &&
		!find_narrow(planning, row, current->key, &same, err))
		return false;
	if (same)
		return settle_same(planning, current, row, err);
	scoped(text_free) char *why =
		current ? reason_of_change(planning, row, current)
			: memory_copy_text(planning->known->from_commit
						   ? "it is new"
						   : "it was never built here");

	return choose_source(planning, row, why, err);
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
		free(row->from);
		free(row->built_key);
		strings_free(&row->changed);
		strings_free(&row->unread);
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
		if (row->built_key)
			json_put_text(w, "built_key", row->built_key);
		json_put_strings(w, "changed", &row->changed);
		if (row->unread.count)
			json_put_strings(w, "unread", &row->unread);
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
			fprintf(out, "  %-7s  %-*s  %s\n", plan_action_name(row->action),
				(int)width, row->service->name, row->reason);
	}
	if (skipped > SKIPS_SHOWN)
		fprintf(out, "  and %zu services to skip: nothing they read changed\n", skipped);
}
