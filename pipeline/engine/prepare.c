#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/layout.h"
#include "pipeline/engine/run.h"

#include <stdlib.h>
#include <string.h>

enum { LOCK_PATIENCE_MS = 10000, LOCK_PAUSE_MS = 5, BLOCKED_STATUS = 5 };

static bool read_commit(struct run *run, struct error *err)
{
	if (!snapshot_open(run->options->repository, run->row.commit, &run->snapshot, err) ||
		!plan_read_project_cached(run->snapshot, run->options->state, &run->project, err))
		return false;
	free(run->row.app);
	run->row.app = memory_copy_text(run->project->app);
	if (*run->row.environment) {
		run->environment =
			project_need_environment(run->project, run->row.environment, err);
		if (!run->environment)
			return false;
	}
	return true;
}

/* Only what makes images needs to know where they go, and keeps those there are from being pruned. */
static bool find_site(struct run *run, struct error *err)
{
	bool needed = false;

	for (size_t i = 0; i < run->project->services.count; i++)
		needed |= run->project->services.items[i].image.given;
	if (needed && !prune_hold_off(run, err))
		return false;
	return site_of(needed ? run->environment : NULL, run->options->state, &run->site, err);
}

/* Known only to AWS, and only worth asking for when something may be pushed. */
static bool find_registry(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].kind == STEP_PUSH && !outcome_is_final(run->steps[i].row.status))
			return site_find_registry(&run->site, run->options->program, err);
	return true;
}

static bool force_matches(const struct run *run, const char *service, enum step_kind *out_kind)
{
	const char *slash = strchr(run->row.force, '/');
	size_t size = slash ? (size_t)(slash - run->row.force) : 0;

	return step_kind_of_name(slash ? slash + 1 : run->row.force, out_kind) &&
	       (!slash || (strlen(service) == size && strncmp(service, run->row.force, size) == 0));
}

/* The folder may have been removed, and so may the image in it. */
static bool image_is_there(const struct ledger_build *build)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL, *tag = NULL;
	scoped(layout_free) struct layout layout = {0};
	struct layout_entry entry = {0};
	char digest[DIGEST_TEXT_SIZE];

	if (!layout_reference_parse(build->layout, &folder, &tag, &err) ||
		!layout_open(folder, &layout, &err) ||
		!layout_find_tag(&layout, tag, &entry, &err)) {
		error_ignore(&err, "then it is built again");
		return false;
	}
	digest_to_text(&entry.digest, digest);
	return strcmp(digest, build->image) == 0 &&
	       layout_has_blob(&layout, &entry.digest, entry.size_bytes);
}

/* Finds the image of what need not be built; when it is nowhere any more, it must be built. */
static bool find_image(struct run *run, struct run_service *service, const struct plan_service *row,
	bool *out_build, struct error *err)
{
	scoped(ledger_build_free) struct ledger_build build = {0};
	bool found = false;

	*out_build = false;
	if (!row->service->image.given)
		return true;
	if (!ledger_build_get(run->options->ledger, run->row.app, row->service->name,
		    row->built_key ? row->built_key : row->key.text, &build, &found, err))
		return false;
	if (!found || !*build.image || !image_is_there(&build)) {
		*out_build = true;
		return true;
	}
	service->work.image = build.image;
	service->layout = build.layout;
	build.image = build.layout = NULL;
	return true;
}

/* task: its identifier, else NULL. */
static void add_step(struct run *run, size_t service, enum step_kind kind, const char *task)
{
	char token[17];
	size_t count = run->step_count + 1;

	random_hex(token, 16);
	run->steps = memory_resize(run->steps, count * sizeof(*run->steps));
	struct run_step *step = &run->steps[run->step_count++];

	*step = (struct run_step){.kind = kind, .service = service, .changed = true};
	step->row.service = memory_copy_text(run->services[service].work.service);
	step->row.name = memory_format("%s%s", step_kind_name(kind), task ? task : "");
	step->row.reason = memory_copy_text("");
	step->row.result = memory_copy_text("");
	step->row.token = memory_format("ds-%s", token);
}

static void add_steps(struct run *run, size_t at)
{
	const struct project_service *service = run->services[at].service;
	const struct batch_plan *batch = &run->services[at].batch.plan;

	for (size_t i = 0; i < batch->count; i++)
		add_step(run, at, STEP_TASK, batch->tasks[i].identifier);
	add_step(run, at, STEP_BUILD, NULL);
	if (service->image.given)
		add_step(run, at, STEP_IMAGE, NULL);
	if (service->image.given && run->environment)
		add_step(run, at, STEP_PUSH, NULL);
	if (service->deploy.given && run->environment)
		add_step(run, at, STEP_DEPLOY, NULL);
}

/* The tasks of what is built here and now. */
static bool read_batch(struct run *run, struct run_service *service, struct error *err)
{
	bool built = strcmp(service->work.action, plan_action_name(PLAN_REUSE)) != 0;

	return !built || !service->service->build.batch ||
	       batch_file_read(service->service, run->snapshot, &service->batch, err);
}

static bool add_service(struct run *run, const struct plan_service *row, struct error *err)
{
	enum step_kind forced = STEP_BUILD;
	bool force = *run->row.force && force_matches(run, row->service->name, &forced);
	bool pack = row->action == PLAN_BUILD || (force && forced <= STEP_IMAGE);
	struct run_service service = {.service = row->service};

	if (row->action == PLAN_SKIP && !force)
		return true;
	if (!pack && !find_image(run, &service, row, &pack, err))
		return false;
	bool build = pack || row->action == PLAN_RESTORE;

	service.work.service = memory_copy_text(row->service->name);
	service.work.action =
		memory_copy_text(plan_action_name(row->action == PLAN_RESTORE ? PLAN_RESTORE
						  : build                     ? PLAN_BUILD
									      : PLAN_REUSE));
	service.work.reason =
		force ? memory_format("%s; asked for with --step %s", row->reason, run->row.force)
		      : memory_copy_text(row->reason);
	/* What was built under another key keeps it: later commits are compared with what it read. */
	service.work.key =
		memory_copy_text(!build && row->built_key ? row->built_key : row->key.text);
	service.work.previous_key = memory_copy_text(row->previous_key);
	service.work.previous_commit = memory_copy_text(row->previous_commit);
	if (!service.work.image)
		service.work.image = memory_copy_text("");
	service.work.deploy_key = memory_copy_text("");
	run->services =
		memory_resize(run->services, (run->service_count + 1) * sizeof(*run->services));
	run->services[run->service_count++] = service;
	if (!read_batch(run, &run->services[run->service_count - 1], err))
		return false;
	add_steps(run, run->service_count - 1);
	return true;
}

static bool need_file(struct run *run, const struct project_service *service, const char *name,
	struct error *err)
{
	scoped(text_free) char *path = project_service_file(service, name);
	enum entry_kind kind = ENTRY_NONE;

	if (!snapshot_find(run->snapshot, path, &kind, NULL, err))
		return false;
	if (kind == ENTRY_FILE || kind == ENTRY_PROGRAM || kind == ENTRY_LINK)
		return true;
	error_raise(err, ERROR_INVALID, "the service \"%s\" names \"%s\", which %s commit %.12s",
		service->name, path, kind == ENTRY_NONE ? "is not in" : "is no file in",
		run->row.commit);
	return error_next(err, "\"dogshore check\" finds all such paths");
}

/* What later steps will read, before the first of them has done anything. */
static bool need_files(struct run *run, const struct run_service *service, struct error *err)
{
	const struct project_service *of = service->service;
	bool built = strcmp(service->work.action, plan_action_name(PLAN_REUSE)) != 0 &&
		     !of->image.dockerfile;
	bool deployed = of->deploy.given && run->environment;

	return (!built || need_file(run, of, of->buildspec, err)) &&
	       (!deployed || (need_file(run, of, of->deploy.task, err) &&
				     need_file(run, of, of->deploy.service, err)));
}

static size_t place_of(const struct run *run, const char *service)
{
	size_t at = 0;

	while (at < run->service_count && strcmp(run->services[at].work.service, service) != 0)
		at++;
	return at;
}

/* The tasks are the first steps of their service, in the order of the plan. */
static void schedule_batches(struct run *run)
{
	for (size_t i = 0; i < run->service_count; i++) {
		const struct batch_plan *plan = &run->services[i].batch.plan;
		struct schedule_service *service = &run->schedule_services[i];
		struct schedule_step *steps = run->schedule_steps + service->first_step;

		service->fast_fail = plan->fast_fail;
		for (size_t j = 0; j < plan->count && j < service->step_count; j++) {
			steps[j].after = plan->tasks[j].after;
			steps[j].after_count = plan->tasks[j].after_count;
			steps[j].ignore_failure = plan->tasks[j].ignore_failure;
		}
	}
}

/* The lists that schedule_decide() looks at; steps are complete by now and do not move any more. */
static void make_schedule(struct run *run)
{
	run->schedule_steps = memory_new_array(run->step_count, sizeof(*run->schedule_steps));
	run->schedule_services =
		memory_new_array(run->service_count, sizeof(*run->schedule_services));
	for (size_t i = 0; i < run->step_count; i++) {
		struct run_step *step = &run->steps[i];

		step->run = run;
		run->schedule_steps[i] = (struct schedule_step){
			.service = step->service,
			.kind = step->kind,
			.status = step->row.status,
			.blocked = step->row.status == OUTCOME_SKIPPED &&
				   step->row.exit_status == BLOCKED_STATUS,
		};
	}
	for (size_t i = 0; i < run->service_count; i++) {
		struct run_service *service = &run->services[i];
		const struct project_texts *after = &service->service->deploy.after;
		size_t count = 0;

		service->folder = path_join(run->row.folder, service->work.service);
		service->after = memory_new_array(after->count, sizeof(*service->after));
		for (size_t j = 0; j < after->count; j++) {
			size_t at = place_of(run, after->items[j]);

			if (at < run->service_count)
				service->after[count++] = at;
		}
		run->schedule_services[i].after = service->after;
		run->schedule_services[i].after_count = count;
	}
	/* They were added service by service, and are numbered so in the ledger. */
	for (size_t i = run->step_count; i-- > 0;) {
		struct schedule_service *service = &run->schedule_services[run->steps[i].service];

		service->first_step = i;
		service->step_count++;
	}
	schedule_batches(run);
	run->schedule.steps = run->schedule_steps;
	run->schedule.step_count = run->step_count;
	run->schedule.services = run->schedule_services;
	run->schedule.service_count = run->service_count;
	run->schedule.jobs = run->options->jobs;
}

/* What is built already: its first steps are over before they begin. */
static bool skip_built(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->step_count; i++) {
		const struct ledger_work *work = &run->services[run->steps[i].service].work;
		enum step_kind kind = run->steps[i].kind;

		if (kind <= STEP_IMAGE && text_equal(work->action, plan_action_name(PLAN_REUSE)))
			run_set(run, i, OUTCOME_SKIPPED,
				"it was built before with the same inputs");
		else if (kind == STEP_IMAGE && *work->image)
			run_set(run, i, OUTCOME_SKIPPED, "it was made before, of the same build");
	}
	for (size_t i = 0; i < run->service_count; i++)
		if (*run->services[i].work.image && !settle_image(run, i, err))
			return false;
	return true;
}

bool run_prepare(struct run *run, struct error *err)
{
	scoped(known_free) struct known known = {0};
	scoped(text_free) char *toolchain = key_toolchain();
	scoped(buf_free) struct buf written = {0};

	if (!read_commit(run, err) || !find_site(run, err) ||
		!known_read(&known, run->options->ledger,
			run->row.fresh ? NULL : run->options->state, run->project, run->environment,
			run->site.identity, err) ||
		!plan_make(run->options->repository, run->snapshot, run->project, &known.plan,
			toolchain, &run->plan, err))
		return false;
	run->currents = known.currents;
	known.currents = (struct ledger_currents){0};
	for (size_t i = 0; i < run->plan.count; i++)
		if (!add_service(run, &run->plan.services[i], err))
			return false;
	for (size_t i = 0; i < run->service_count; i++)
		if (!need_files(run, &run->services[i], err))
			return false;
	struct json_writer w = json_writer_start(&written);

	plan_write(&run->plan, &w);
	free(run->row.plan);
	run->row.plan = buf_take(&written);
	make_schedule(run);
	if (!find_registry(run, err) || !skip_built(run, err))
		return false;
	run->prepared = true;
	return true;
}

static const struct key *key_in_plan(const struct run *run, const struct ledger_work *work)
{
	for (size_t i = 0; i < run->plan.count; i++)
		if (strcmp(run->plan.services[i].service->name, work->service) == 0 &&
			strcmp(run->plan.services[i].key.text, work->key) == 0)
			return &run->plan.services[i].key;
	return NULL;
}

bool run_save_prepared(struct run *run, struct error *err)
{
	struct ledger *ledger = run->options->ledger;

	for (size_t i = 0; i < run->service_count; i++) {
		struct ledger_work *work = &run->services[i].work;
		const struct key *key = key_in_plan(run, work);
		scoped(json_free) struct json *parts = key ? key_to_json(key) : NULL;

		work->run = run->row.id;
		if (!ledger_work_save(ledger, work, err) ||
			!ledger_build_use(ledger, run->row.app, work->service, work->key,
				run->row.id, err) ||
			(parts && !ledger_key_save(ledger, work->key, parts, err)))
			return false;
	}
	for (size_t i = 0; i < run->step_count; i++)
		run->steps[i].row.run = run->row.id;
	return true;
}

static bool restore_services(struct run *run, struct error *err)
{
	struct ledger_works works = {0};
	bool done = ledger_works_find(run->options->ledger, run->row.id, &works, err);

	run->services = memory_new_array(works.count, sizeof(*run->services));
	for (size_t i = 0; done && i < works.count; i++) {
		struct run_service *service = &run->services[run->service_count++];
		scoped(ledger_build_free) struct ledger_build build = {0};
		bool found = false;

		service->work = works.items[i];
		works.items[i] = (struct ledger_work){0};
		service->service = project_need_service(run->project, service->work.service, err);
		done = service->service && read_batch(run, service, err) &&
		       ledger_build_get(run->options->ledger, run->row.app, service->work.service,
			       service->work.key, &build, &found, err);
		if (done && found && *build.layout) {
			service->layout = build.layout;
			build.layout = NULL;
		}
	}
	ledger_works_free(&works);
	return done;
}

/* The child of a step that was under way dies with its engine; we go on when it is gone. */
static bool await_child(struct run *run, const struct run_step *step, struct error *err)
{
	scoped(text_free) char *path =
		memory_format("%s/%s/%s.lock", run->row.folder, step->row.service, step->row.name);
	int64_t until = clock_elapsed(&system_clock) + LOCK_PATIENCE_MS;

	if (!file_exists(path))
		return true;
	for (;;) {
		scoped(error_free) struct error busy = {0};
		scoped(descriptor_close) int fd = -1;

		if (file_lock(path, false, &fd, &busy))
			return true;
		if (busy.kind != ERROR_CONFLICT || clock_elapsed(&system_clock) > until) {
			error_move(err, &busy);
			return error_while(err,
				"waiting for %s of %s, started by an engine that died",
				step->row.name, step->row.service);
		}
		clock_sleep(&system_clock, LOCK_PAUSE_MS);
	}
}

static bool restore_steps(struct run *run, struct error *err)
{
	scoped(ledger_steps_free) struct ledger_steps steps = {0};

	if (!ledger_steps_find(run->options->ledger, run->row.id, &steps, err))
		return false;
	run->steps = memory_new_array(steps.count, sizeof(*run->steps));
	for (size_t i = 0; i < steps.count; i++) {
		struct run_step *step = &run->steps[run->step_count++];

		step->row = steps.items[i];
		steps.items[i] = (struct ledger_step){0};
		step->service = place_of(run, step->row.service);
		if (!step_kind_of_name(step->row.name, &step->kind) ||
			step->service == run->service_count)
			return error_raise(err, ERROR_INVALID,
				"run %lld has the unknown step %s of %s", (long long)run->row.id,
				step->row.name, step->row.service);
		if (step->row.status != OUTCOME_RUNNING)
			continue;
		if (!await_child(run, step, err))
			return false;
		step->row.status = OUTCOME_WAITING;
	}
	return true;
}

bool run_restore(struct run *run, struct error *err)
{
	if (!read_commit(run, err) || !find_site(run, err) ||
		!ledger_currents_find(run->options->ledger, run->row.app, run->row.environment,
			&run->currents, err) ||
		!restore_services(run, err) || !restore_steps(run, err) || !find_registry(run, err))
		return error_while(err, "taking over run %lld", (long long)run->row.id);
	make_schedule(run);
	run->prepared = true;
	return true;
}
