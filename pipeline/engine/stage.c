#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/engine/image_stage.h"
#include "pipeline/engine/run.h"
#include "pipeline/engine/step_log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { RESULT_BYTES_MAX = 4 << 20, LOG_TAIL_BYTES = 4096, REASON_MAX = 400 };

char *stage_repository(const struct run *run, const struct run_service *service)
{
	if (!run->site.registry)
		return memory_copy_text("");
	return memory_format("%s/%s/%s", run->site.registry, run->row.app, service->service->name);
}

static void add_flag(struct strings *argv, const char *flag, const char *value)
{
	strings_add(argv, flag);
	strings_add(argv, value);
}

static char *output_of(const struct run_service *service)
{
	return path_join(service->folder, step_kind_name(STEP_BUILD));
}

static bool build_command(struct run *run, const struct run_step *step, struct strings *argv,
	struct error *err)
{
	struct run_service *service = &run->services[step->service];
	scoped(text_free) char *output = path_join(service->folder, step->row.name);

	/* What an attempt that was cut off left behind is no result. */
	if (!folder_remove(output, err))
		return false;
	strings_add(argv, "build");
	strings_add(argv, service->service->name);
	add_flag(argv, "--commit", run->row.commit);
	add_flag(argv, "--repository", run->row.repository);
	add_flag(argv, "--output", output);
	if (service->batch.kind && step->kind == STEP_BUILD) {
		add_flag(argv, "--merge", service->folder);
		return true;
	}
	if (step->kind == STEP_TASK)
		add_flag(argv, "--task", step->row.name + strlen(STEP_TASK_PREFIX));
	else
		project_pairs_add(&service->service->env, "--env", argv);
	add_flag(argv, "--log", "stored");
	if (run->row.fresh)
		strings_add(argv, "--no-restore");
	if (service->service->timeout_ms) {
		strings_add(argv, "--timeout");
		strings_printf(argv, "%lldms", (long long)service->service->timeout_ms);
	}
	return true;
}

static bool image_command(struct run *run, struct run_service *service, struct strings *argv,
	struct error *err)
{
	scoped(text_free) char *output = output_of(service);
	scoped(text_free) char *files = path_join(service->folder, "files");
	scoped(text_free) char *facts = path_join(service->folder, "facts.json");
	scoped(text_free) char *layout = memory_format("%s/images/%s/%s:k-%.16s",
		run->options->state, run->row.app, service->service->name, service->work.key);
	scoped(text_free) char *parent =
		memory_format("%s/images/%s", run->options->state, run->row.app);
	const struct image_stage stage = {.service = service->service,
		.snapshot = run->snapshot,
		.output = output,
		.files = files};
	const struct image_origin origin = {.repository = run->options->repository,
		.key = service->work.key,
		.run = run->row.id,
		.started_ms = run->row.started_ms};

	if (!image_stage_arguments(&stage, argv, err) || !folder_make(parent, 0755, err) ||
		!image_stage_write_facts(&stage, &origin, facts, err))
		return false;
	add_flag(argv, "--provenance", facts);
	add_flag(argv, "--output", layout);
	free(service->layout);
	service->layout = layout;
	layout = NULL;
	return true;
}

static bool push_command(struct run *run, struct run_service *service, struct strings *argv,
	struct error *err)
{
	scoped(text_free) char *repository = stage_repository(run, service);

	if (!*repository || !service->layout)
		return error_raise(err, ERROR_USAGE,
			"there is no registry or no image to push for \"%s\"",
			service->service->name);
	strings_add(argv, "image");
	strings_add(argv, "push");
	strings_add(argv, service->layout);
	strings_printf(argv, "%s:%.12s-%.8s", repository, run->row.commit, service->work.key);
	strings_add(argv, "--create-repository");
	return true;
}

static bool deploy_command(struct run *run, struct run_service *service, const char *token,
	struct strings *argv, struct error *err)
{
	scoped(text_free) char *repository = stage_repository(run, service);

	if (!*repository || !*service->work.image)
		return error_raise(err, ERROR_USAGE,
			"there is no registry or no image to deploy for \"%s\"",
			service->service->name);
	strings_add(argv, "deploy");
	strings_add(argv, service->service->name);
	add_flag(argv, "--env", run->row.environment);
	strings_add(argv, "--image");
	strings_printf(argv, "%s@%s", repository, service->work.image);
	add_flag(argv, "--commit", run->row.commit);
	add_flag(argv, "--project", run->row.repository);
	add_flag(argv, "--client-token", token);
	return true;
}

static bool command_of(struct run *run, const struct run_step *step, struct strings *argv,
	struct error *err)
{
	struct run_service *service = &run->services[step->service];

	strings_add(argv, run->options->program ? run->options->program : "/proc/self/exe");
	switch (step->kind) {
	case STEP_TASK:
	case STEP_BUILD:
		if (!build_command(run, step, argv, err))
			return false;
		break;
	case STEP_IMAGE:
		if (!image_command(run, service, argv, err))
			return false;
		break;
	case STEP_PUSH:
		if (!push_command(run, service, argv, err))
			return false;
		break;
	case STEP_DEPLOY:
		if (!deploy_command(run, service, step->row.token, argv, err))
			return false;
		break;
	}
	strings_add(argv, "--json");
	return true;
}

static void environment_of(const struct run *run, struct strings *out_env)
{
	scoped(strings_free) struct strings extra = {0};

	strings_printf(&extra, "DOGSHORE_RUN=%lld", (long long)run->row.id);
	strings_printf(&extra, "DOGSHORE_STATE=%s", run->options->state);
	strings_printf(&extra, "DOGSHORE_LEDGER=%s", run->options->ledger_url);
	site_environment(&run->site, &extra, out_env);
}

static bool open_output(const char *path, int *out_fd, struct error *err)
{
	*out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return *out_fd >= 0 || error_raise_errno(err, "open \"%s\"", path);
}

static char *result_path(const struct run *run, const struct run_step *step)
{
	return memory_format("%s/%s/%s.json", run->row.folder, step->row.service, step->row.name);
}

static char *lock_path(const struct run *run, const struct run_step *step)
{
	return memory_format("%s/%s/%s.lock", run->row.folder, step->row.service, step->row.name);
}

/* The child holds the locks as long as it lives: nobody repeats the step before it is gone. */
static bool start_process(struct run *run, struct run_step *step, const struct strings *argv,
	const struct strings *env, int out, int log, int lock, struct error *err)
{
	const int given[] = {out, log, lock, step->deploy_lock};
	size_t locks = step->deploy_lock ? 2 : 1;
	const struct process_options options = {
		.argv = (const char *const *)argv->items,
		.env = (const char *const *)env->items,
		.stdout_fd = out,
		.stderr_fd = log,
		.keep_fds = given + 2,
		.keep_fd_count = locks,
		.die_with_parent = true,
	};
	bool done = (run->spare &&
			    spare_use(run->spare, argv, env, given, 2 + locks, &step->process)) ||
		    process_start(&options, &step->process, err);

	/* The next step comes soon. */
	if (run->spare)
		spare_start(run->spare);
	return done;
}

bool stage_start(struct run *run, struct run_step *step, struct error *err)
{
	struct run_service *service = &run->services[step->service];
	scoped(strings_free) struct strings argv = {0}, env = {0};
	scoped(descriptor_close) int out = -1, log = -1, lock = -1;
	scoped(text_free) char *result = result_path(run, step), *lock_file = lock_path(run, step);
	scoped(text_free) char *log_file =
		step_log_said(run->row.folder, step->row.service, step->row.name);

	if (!folder_make(service->folder, 0700, err) || !command_of(run, step, &argv, err) ||
		!open_output(result, &out, err) || !open_output(log_file, &log, err) ||
		!file_lock(lock_file, false, &lock, err))
		return error_while(err, "starting %s of %s", step->row.name, step->row.service);
	environment_of(run, &env);
	return start_process(run, step, &argv, &env, out, log, lock, err) ||
	       error_while(err, "starting %s of %s", step->row.name, step->row.service);
}

void stage_note(const struct run *run, const struct run_step *step, const struct error *err)
{
	scoped(text_free) char *path =
		step_log_said(run->row.folder, step->row.service, step->row.name);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	FILE *log = fd < 0 ? NULL : fdopen(fd, "a");

	/* Without a log the step's reason tells the most of it. */
	if (log)
		error_print(log, err, false);
	if (log)
		fclose(log);
	else if (fd >= 0)
		close(fd);
}

/* The last line of a log that says something. */
static char *last_line(const struct run *run, const struct run_step *step)
{
	scoped(buf_free) struct buf text = {0};
	struct str last = {0};

	step_log_tail(run->row.folder, step->row.service, step->row.name, LOG_TAIL_BYTES, &text);
	struct str rest = buf_str(&text);

	while (rest.size) {
		struct str line = str_trim(str_cut(&rest, '\n'));

		if (line.size && !str_starts_with(line, "next:"))
			last = line;
	}
	return last.size ? str_copy(last) : NULL;
}

static char *reason_of(const struct run *run, const struct run_step *step,
	const struct json *result)
{
	const char *message = json_get_text(json_get(result, "error"), "message", NULL);
	const char *cause = json_get_text(result, "cause", NULL);
	const char *reason = json_get_text(result, "reason", NULL);

	if (message || cause || reason)
		return memory_format("%.*s", REASON_MAX,
			message ? message
			: cause ? cause
				: reason);
	scoped(text_free) char *line = last_line(run, step);

	return line ? memory_format("%.*s", REASON_MAX, line) : NULL;
}

static void read_result(struct run *run, struct run_step *step, struct json **out_result)
{
	scoped(text_free) char *path = result_path(run, step);
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	if (!json_read_file(path, RESULT_BYTES_MAX, out_result, &err)) {
		error_ignore(&err, "a stage that died has no result; its exit status tells");
		return;
	}
	json_write(*out_result, &text);
	free(step->row.result);
	step->row.result = buf_take(&text);
}

/* "restored from run 12, commit abc"; NULL for what was made here. */
static char *restored_from(const struct json *result)
{
	const struct json *restored = json_get(result, "restored");
	int64_t run = json_get_int(restored, "run", 0);
	const char *commit = json_get_text(restored, "commit", "");

	if (!restored)
		return NULL;
	return run ? memory_format("restored from run %lld, commit %.12s", (long long)run, commit)
		   : memory_format("restored from commit %.12s", commit);
}

static void take_result(struct run *run, struct run_step *step, const struct json *result)
{
	struct run_service *service = &run->services[step->service];
	const char *digest = json_get_text(result, "digest", NULL);

	if (step->kind != STEP_IMAGE || step->row.status != OUTCOME_PASSED)
		return;
	if (!digest) {
		run_set(run, (size_t)(step - run->steps), OUTCOME_ERROR,
			"the stage ended well but named no digest");
		return;
	}
	free(service->work.image);
	service->work.image = memory_copy_text(digest);
}

void stage_end(struct run *run, struct run_step *step)
{
	size_t at = (size_t)(step - run->steps);
	scoped(error_free) struct error err = {0};
	scoped(json_free) struct json *result = NULL;
	struct process_exit exit = {0};

	loop_remove(run->options->loop, &step->watch);
	if (!process_wait(&step->process, &exit, &err))
		error_ignore(&err, "the exit status below says that it is not known");
	process_free(&step->process);
	stage_unlock(step);
	step->row.exit_status = process_exit_code(&exit);
	step->row.ended_ms = clock_now(&system_clock);
	read_result(run, step, &result);
	enum outcome outcome = outcome_of_exit_status(step->row.exit_status);

	if (outcome == OUTCOME_PASSED) {
		scoped(text_free) char *from = restored_from(result);

		run_set(run, at, outcome, "%s", from ? from : "");
	} else if (run->schedule.cancelled) {
		run_set(run, at, OUTCOME_CANCELLED, "%s", run->row.reason);
	} else if (run->schedule_steps[at].stopping) {
		run_set(run, at, OUTCOME_CANCELLED, "%s failed, and fast-fail ends the others",
			run->steps[step->stopped_by].row.name);
	} else if (!exit.exited) {
		run_set(run, at, OUTCOME_ERROR, "the stage was ended by signal %d", exit.status);
	} else {
		scoped(text_free) char *reason = reason_of(run, step, result);

		run->schedule_steps[at].status = outcome;
		run_set(run, at, outcome, "%s%s",
			schedule_step_passed(&run->schedule_steps[at]) ? STEP_IGNORED : "",
			reason ? reason : "it gave no reason");
	}
	take_result(run, step, result);
}

bool stage_lock(struct run *run, struct run_step *step, bool *out_held, struct error *err)
{
	scoped(text_free) char *folder = path_join(run->options->state, "locks");
	scoped(text_free) char *path = memory_format("%s/%s-%s-%s.lock", folder, run->row.app,
		run->row.environment, step->row.service);
	scoped(error_free) struct error busy = {0};
	int fd = -1;

	*out_held = false;
	if (step->kind != STEP_DEPLOY || step->deploy_lock)
		return true;
	if (!folder_make(folder, 0700, err))
		return false;
	if (file_lock(path, false, &fd, &busy)) {
		step->deploy_lock = fd;
		return true;
	}
	*out_held = busy.kind == ERROR_CONFLICT;
	if (!*out_held)
		error_move(err, &busy);
	return *out_held;
}

void stage_unlock(struct run_step *step)
{
	if (step->deploy_lock)
		descriptor_close(&step->deploy_lock);
	step->deploy_lock = 0;
}
