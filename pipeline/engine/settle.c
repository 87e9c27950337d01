#include "base/clock.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/run.h"
#include "pipeline/engine/test_record.h"

#include <stdlib.h>

/* The step of a service; NULL when it has none of the kind. */
static struct run_step *step_of(struct run *run, size_t service, enum step_kind kind)
{
	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].service == service && run->steps[i].kind == kind)
			return &run->steps[i];
	return NULL;
}

static void skip(struct run *run, struct run_step *step, const char *reason)
{
	if (step && step->row.status == OUTCOME_WAITING)
		run_set(run, (size_t)(step - run->steps), OUTCOME_SKIPPED, "%s", reason);
}

/* Images are the same wherever they lie, but a registry that was reset has none of them. */
static char *push_place(const struct run *run, const struct run_service *service)
{
	scoped(text_free) char *repository = stage_repository(run, service);

	return memory_format("%s %s", run->site.identity, repository);
}

static bool is_forced(const struct run *run, const struct run_step *step)
{
	const char *slash = strchr(run->row.force, '/');
	size_t size = slash ? (size_t)(slash - run->row.force) : 0;
	enum step_kind kind = STEP_BUILD;

	return *run->row.force && step_kind_of_name(slash ? slash + 1 : run->row.force, &kind) &&
	       step->kind >= kind &&
	       (!slash || (strncmp(step->row.service, run->row.force, size) == 0 &&
				  !step->row.service[size]));
}

/* What the deployment reads cannot be read: the service ends here, the run and the others go on. */
static void refuse_deployment(struct run *run, struct run_step *step, struct error *wrong)
{
	if (step->row.status == OUTCOME_WAITING) {
		step->row.exit_status = error_exit_status(wrong->kind);
		run_set(run, (size_t)(step - run->steps), OUTCOME_ERROR, "%s", wrong->message);
	}
	error_free(wrong);
}

bool settle_image(struct run *run, size_t at, struct error *err)
{
	struct run_service *service = &run->services[at];
	struct run_step *push = step_of(run, at, STEP_PUSH);
	struct run_step *deploy = step_of(run, at, STEP_DEPLOY);
	const struct ledger_current *current =
		ledger_currents_get(&run->currents, service->service->name);
	bool there = false;

	if (deploy) {
		scoped(key_free) struct key key = {0};
		struct error wrong = {0};

		if (!key_of_deployment(service->service, run->environment, run->snapshot,
			    service->work.image, run->site.identity, &key, &wrong)) {
			refuse_deployment(run, push ? push : deploy, &wrong);
			return true;
		}
		free(service->work.deploy_key);
		service->work.deploy_key = memory_copy_text(key.text);
		if (current && strcmp(current->deploy_key, key.text) == 0 &&
			!is_forced(run, deploy)) {
			scoped(text_free) char *reason =
				memory_format("the image came out the same as the one that is "
					      "deployed (%.19s)",
					service->work.image);

			skip(run, push, reason);
			skip(run, deploy, reason);
			return true;
		}
	}
	if (!push || is_forced(run, push))
		return true;
	scoped(text_free) char *place = push_place(run, service);

	if (!ledger_push_get(run->options->ledger, place, service->work.image, &there, err))
		return false;
	if (there)
		skip(run, push, "the registry has this image already");
	return true;
}

bool settle_before_deploy(struct run *run, struct run_step *step, struct error *err)
{
	struct run_service *service = &run->services[step->service];
	scoped(ledger_currents_free) struct ledger_currents now = {0};

	if (is_forced(run, step))
		return true;
	if (!ledger_currents_find(run->options->ledger, run->row.app, run->row.environment, &now,
		    err))
		return false;
	const struct ledger_current *current = ledger_currents_get(&now, step->row.service);

	if (current && current->run != run->row.id &&
		strcmp(current->deploy_key, service->work.deploy_key) == 0)
		run_set(run, (size_t)(step - run->steps), OUTCOME_SKIPPED,
			"run %lld deployed the same meanwhile", (long long)current->run);
	return true;
}

static bool save_build(struct run *run, struct run_service *service, struct error *err)
{
	const struct ledger_build build = {
		.app = run->row.app,
		.service = service->work.service,
		.key = service->work.key,
		.image = service->work.image,
		.layout = service->layout,
		.run = run->row.id,
	};

	return ledger_build_save(run->options->ledger, &build, err);
}

static bool save_push(struct run *run, struct run_service *service, struct error *err)
{
	scoped(text_free) char *place = push_place(run, service);
	scoped(text_free) char *repository = stage_repository(run, service);
	scoped(text_free) char *reference = memory_format("%s@%s", repository, service->work.image);

	return ledger_push_save(run->options->ledger, place, service->work.image, reference, err);
}

static bool save_deployment(struct run *run, struct run_step *step, struct error *err)
{
	struct run_service *service = &run->services[step->service];
	scoped(json_free) struct json *result = NULL;
	scoped(error_free) struct error wrong = {0};
	bool ended = outcome_is_final(step->row.status);

	if (*step->row.result &&
		!json_parse(str_of(step->row.result), "result", NULL, &result, &wrong))
		error_ignore(&wrong, "we wrote it from a tree; without it the id is missing");
	const struct ledger_deployment deployment = {
		.token = step->row.token,
		.app = run->row.app,
		.environment = run->row.environment,
		.service = step->row.service,
		.image = service->work.image,
		.run = run->row.id,
		.verdict = ended ? json_get_text(result, "verdict", outcome_name(step->row.status))
				 : NULL,
		.deployment = json_get_text(result, "deployment_id", NULL),
	};

	return ledger_deployment_save(run->options->ledger, &deployment, err);
}

/* Also of a build that failed: flaky tests are found by what failed. */
static bool save_tests(struct run *run, const struct run_step *step, struct error *err)
{
	const struct run_service *service = &run->services[step->service];
	scoped(text_free) char *name = test_record_name(step->row.service, step->row.name);
	const struct test_run tests = {.run = run->row.id,
		.app = run->row.app,
		.service = name,
		.branch = run->row.branch,
		.commit = run->row.commit,
		.key = service->work.key};
	scoped(text_free) char *output = path_join(service->folder, step->row.name);
	scoped(json_free) struct json *result = NULL;
	scoped(error_free) struct error wrong = {0};

	if (step->row.status != OUTCOME_PASSED && step->row.status != OUTCOME_FAILED)
		return true;
	if (!*step->row.result ||
		!json_parse(str_of(step->row.result), "result", NULL, &result, &wrong)) {
		error_ignore(&wrong, "a build that has no result has no tests");
		return true;
	}
	return test_record(run->options->ledger, &tests, output, result, err);
}

bool settle_step(struct run *run, struct run_step *step, struct error *err)
{
	struct run_service *service = &run->services[step->service];

	if (step->kind <= STEP_BUILD && !save_tests(run, step, err))
		return false;

	/* A deployment is recorded before it begins, so that its token is known whatever happens. */
	if (step->kind == STEP_DEPLOY &&
		(step->row.status == OUTCOME_RUNNING || step->row.attempts > 0) &&
		step->row.status != OUTCOME_SKIPPED)
		return save_deployment(run, step, err);
	if (step->row.status != OUTCOME_PASSED)
		return true;
	if (step->kind == STEP_BUILD)
		return reads_record(run, service, err) &&
		       (service->service->image.given || save_build(run, service, err));
	if (step->kind == STEP_IMAGE)
		return save_build(run, service, err);
	if (step->kind == STEP_PUSH)
		return save_push(run, service, err);
	return true;
}

bool settle_services(struct run *run, struct error *err)
{
	for (size_t i = 0; i < run->service_count; i++) {
		struct run_service *service = &run->services[i];
		const struct ledger_current current = {
			.service = service->work.service,
			.commit = run->row.commit,
			.key = service->work.key,
			.image = service->work.image,
			.deploy_key = service->work.deploy_key,
			.run = run->row.id,
		};

		if (service->settled || !schedule_service_passed(&run->schedule, i))
			continue;
		if (!ledger_current_save(run->options->ledger, run->row.app, run->row.environment,
			    &current, err) ||
			!ledger_work_save(run->options->ledger, &service->work, err))
			return false;
		service->settled = true;
	}
	return true;
}

/* A release is what the environment has now: images of this run and of those before. */
static bool save_release(struct run *run, struct error *err)
{
	scoped(ledger_currents_free) struct ledger_currents now = {0};
	scoped(json_free) struct json *images = json_object_new();
	bool deployed = false;

	for (size_t i = 0; i < run->step_count; i++)
		deployed |= run->steps[i].kind == STEP_DEPLOY &&
			    run->steps[i].row.status == OUTCOME_PASSED;
	if (!deployed)
		return true;
	if (!ledger_currents_find(run->options->ledger, run->row.app, run->row.environment, &now,
		    err))
		return false;
	for (size_t i = 0; i < now.count; i++)
		if (*now.items[i].image)
			json_set(images, now.items[i].service, json_text_new(now.items[i].image));
	return ledger_release_save(run->options->ledger, run->row.id, run->row.app,
		run->row.environment, run->row.commit, images, &run->row.release, err);
}

static const struct run_step *telling_step(const struct run *run)
{
	for (size_t i = 0; i < run->step_count; i++)
		if (run->steps[i].row.status == run->row.status &&
			!schedule_step_passed(&run->schedule_steps[i]))
			return &run->steps[i];
	return NULL;
}

bool settle_run(struct run *run, struct error *err)
{
	run->row.status = schedule_outcome(&run->schedule);
	run->row.ended_ms = clock_now(&system_clock);
	if (run->row.status == OUTCOME_PASSED) {
		free(run->row.reason);
		run->row.reason =
			memory_copy_text(run->step_count ? "" : "nothing that is built changed");
		if (!save_release(run, err))
			return false;
	} else if (!*run->row.reason) {
		const struct run_step *step = telling_step(run);

		if (step) {
			free(run->row.reason);
			run->row.reason = memory_format("%s of %s: %s", step->row.name,
				step->row.service, step->row.reason);
		}
	}
	run_note(run, "run.ended",
		json_object_of("status", json_text_new(outcome_name(run->row.status)), "reason",
			json_text_new(run->row.reason), "duration_ms",
			json_int_new(run->row.ended_ms - run->row.started_ms), NULL));
	return ledger_run_save(run->options->ledger, &run->row, err);
}
