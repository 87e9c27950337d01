#include "pipeline/engine/served.h"

#include "base/memory.h"
#include "pipeline/plan/plan.h"
#include "pipeline/source/follow.h"

#include <stdlib.h>
#include <string.h>

struct served {
	struct served_options options;
	struct follow *follow;
	struct branches seen; /* where branches stood when we looked last */
	struct watch *again;  /* looks once more at what could not be looked at */
	int64_t pause_ms;     /* before it does */
};

enum { PAUSE_MS = 500, PAUSE_MS_MAX = 30000 };

static bool stands_as_before(const struct served *served, const struct branch *branch)
{
	for (size_t i = 0; i < served->seen.count; i++)
		if (strcmp(served->seen.items[i].name, branch->name) == 0)
			return strcmp(served->seen.items[i].id, branch->id) == 0;
	return false;
}

/* Did a run for this commit end, or is one under way? */
static bool has_run(struct served *served, const struct branch *branch, const char *environment,
	bool *out_has, struct error *err)
{
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	const struct ledger_run_filter filter = {
		.repository = repository_git_folder(served->options.repository),
		.branch = branch->name,
		.environment = environment,
		.limit = 1,
	};

	if (!ledger_runs_find(served->options.ledger, &filter, &runs, err))
		return false;
	*out_has = runs.count && strcmp(runs.items[0].commit, branch->id) == 0;
	return true;
}

static bool submit(struct served *served, const struct branch *branch, const struct commit *commit,
	const char *environment, struct error *err)
{
	const struct engine_request request = {.commit = commit,
		.branch = branch->name,
		.environment = environment};
	bool has = false;
	int64_t run = 0;

	if (served->options.environment && !text_equal(served->options.environment, environment))
		return true;
	if (!has_run(served, branch, environment, &has, err))
		return false;
	return has || engine_submit(served->options.engine, &request, &run, err);
}

static bool is_followed(const struct project *project, const char *branch, const char *head)
{
	const struct project_texts *patterns = &project->source.branches;

	for (size_t i = 0; i < patterns->count; i++)
		if (text_matches(branch, patterns->items[i]))
			return true;
	return patterns->count == 0 && text_equal(branch, head);
}

static bool takes_branch(const struct project_environment *environment, const char *branch,
	const char *head)
{
	if (environment->from)
		return text_matches(branch, environment->from);
	return text_equal(environment->target, "local") && text_equal(branch, head);
}

static bool submit_all(struct served *served, const struct project *project,
	const struct branch *branch, const struct commit *commit, const char *head,
	struct error *err)
{
	if (!is_followed(project, branch->name, head))
		return true;
	if (!project->environments.count)
		return submit(served, branch, commit, "", err);
	for (size_t i = 0; i < project->environments.count; i++) {
		const struct project_environment *environment = &project->environments.items[i];

		if (takes_branch(environment, branch->name, head) &&
			!submit(served, branch, commit, environment->name, err))
			return false;
	}
	return true;
}

/* The environments a branch went to before; its file cannot tell now, and a run says what is wrong. */
static bool submit_broken(struct served *served, const struct branch *branch,
	const struct commit *commit, struct error *err)
{
	scoped(ledger_runs_free) struct ledger_runs runs = {0};
	const struct ledger_run_filter filter = {
		.repository = repository_git_folder(served->options.repository),
		.branch = branch->name,
		.limit = 1,
	};

	if (!ledger_runs_find(served->options.ledger, &filter, &runs, err))
		return false;
	return !runs.count || submit(served, branch, commit, runs.items[0].environment, err);
}

static bool look_at(struct served *served, const struct branch *branch, const char *head,
	struct error *err)
{
	scoped(commit_free) struct commit commit = {0};
	scoped(snapshot_free) struct snapshot *snapshot = NULL;
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error wrong = {0};

	if (!repository_resolve(served->options.repository, branch->id, &commit, err) ||
		!snapshot_open(served->options.repository, branch->id, &snapshot, err))
		return false;
	if (plan_read_project(snapshot, &project, &wrong))
		return submit_all(served, project, branch, &commit, head, err);
	/* A branch without the file is none of ours. */
	return wrong.kind == ERROR_NOT_FOUND || submit_broken(served, branch, &commit, err);
}

/* One that cannot be looked at is no reason to leave the others waiting. */
static bool look_at_moved(struct served *served, struct branches *now, const char *head,
	struct error *err)
{
	bool all = true;

	for (size_t i = 0; i < now->count; i++) {
		struct branch *branch = &now->items[i];
		scoped(error_free) struct error failure = {0};

		if (stands_as_before(served, branch) || look_at(served, branch, head, &failure))
			continue;
		error_while(&failure, "looking at the branch \"%s\"", branch->name);
		if (all)
			error_move(err, &failure);
		all = false;
		/* As if it had never been seen: it is looked at next time. */
		*branch->id = '\0';
	}
	return all;
}

static bool look(struct served *served, struct error *err)
{
	scoped(branches_free) struct branches now = {0};
	scoped(text_free) char *head = NULL;

	if (!repository_branches(served->options.repository, &now, err) ||
		!repository_head_branch(served->options.repository, &head, err))
		return false;
	bool all = look_at_moved(served, &now, head, err);

	branches_free(&served->seen);
	served->seen = now;
	now = (struct branches){0};
	return all;
}

static void moved(void *context);

static void look_again_later(struct served *served)
{
	if (!served->again)
		served->again =
			loop_add_timer(served->options.loop, served->pause_ms, moved, served);
	else
		watch_set_delay(served->again, served->pause_ms);
	served->pause_ms =
		served->pause_ms < PAUSE_MS_MAX / 2 ? 2 * served->pause_ms : PAUSE_MS_MAX;
}

static void moved(void *context)
{
	struct served *served = context;
	scoped(error_free) struct error err = {0};

	if (look(served, &err)) {
		served->pause_ms = PAUSE_MS;
		return;
	}
	served->options.failed(served->options.context, &err);
	look_again_later(served);
}

bool served_start(const struct served_options *options, struct served **out_served,
	struct error *err)
{
	scoped(served_free) struct served *served = memory_new(sizeof(*served));

	served->options = *options;
	served->pause_ms = PAUSE_MS;
	/* Followed first, then looked at: what moves in between is seen twice rather than never. */
	if (!follow_start(options->loop, options->repository, moved, served, &served->follow,
		    err) ||
		!look(served, err))
		return false;
	*out_served = served;
	served = NULL;
	return true;
}

void served_free(struct served **served)
{
	if (!*served)
		return;
	follow_free(&(*served)->follow);
	loop_remove((*served)->options.loop, &(*served)->again);
	branches_free(&(*served)->seen);
	free(*served);
	*served = NULL;
}
