#include "pipeline/cli/build_merge.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "builders/executor/executor.h"
#include "builders/executor/reads_file.h"
#include "pipeline/engine/schedule.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { RESULT_LIMIT = 64 << 20 };

struct merging {
	const struct build_merge *how;
	size_t task;      /* whose files are taken now */
	const char *from; /* its artifacts */
	const char *to;   /* artifacts of the service */
	struct json_writer *w;
	struct strings read;       /* by any of them */
	char *unknown;             /* owned; why that is not known; NULL */
	struct secret_names asked; /* of AWS, by any of them */
};

static void merging_free(struct merging *merging)
{
	strings_free(&merging->read);
	free(merging->unknown);
	secret_names_free(&merging->asked);
}

static char *task_folder(const struct build_merge *how, size_t task, const char *name)
{
	return memory_format("%s/" STEP_TASK_PREFIX "%s/%s", how->tasks,
		how->batch->plan.tasks[task].identifier, name);
}

/* A task that failed and may has nothing to give. */
static bool has_passed(const struct build_merge *how, size_t task, struct secret_names *asked,
	bool *out_passed, struct error *err)
{
	const struct batch_plan_task *of = &how->batch->plan.tasks[task];
	scoped(text_free) char *path = task_folder(how, task, EXECUTOR_RESULT);
	scoped(json_free) struct json *result = NULL;
	scoped(error_free) struct error wrong = {0};

	*out_passed = json_read_file(path, RESULT_LIMIT, &result, &wrong) &&
		      text_equal(json_get_text(result, "status", ""), "passed");
	secret_names_read(result, asked);
	if (*out_passed || of->ignore_failure) {
		error_ignore(&wrong, "a task that was cut off left no result");
		return true;
	}
	if (wrong.kind)
		error_move(err, &wrong);
	else
		error_raise(err, ERROR_NOT_FOUND, "it did not pass");
	return error_while(err, "taking the artifacts of task \"%s\"", of->identifier);
}

/* The task before this one that left the same path. */
static const char *earlier_task(const struct merging *merging, const char *relative)
{
	for (size_t i = 0; i < merging->task; i++) {
		scoped(text_free) char *folder = task_folder(merging->how, i, "artifacts");
		scoped(text_free) char *path = path_join(folder, relative);

		if (file_exists(path))
			return merging->how->batch->plan.tasks[i].identifier;
	}
	return "another";
}

static bool are_same(const char *one, const char *other, bool *out_same, struct error *err)
{
	struct digest digests[2];
	int64_t sizes[2];
	struct stat status;

	*out_same = false;
	if (lstat(other, &status) != 0 || !S_ISREG(status.st_mode))
		return true;
	if (!digest_of_file(one, &digests[0], &sizes[0], err) ||
		!digest_of_file(other, &digests[1], &sizes[1], err))
		return false;
	*out_same = sizes[0] == sizes[1] && digest_equal(&digests[0], &digests[1]);
	return true;
}

static bool put_file(struct merging *merging, const char *relative, const char *path,
	struct error *err)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	int64_t size_bytes;

	if (!digest_of_file(path, &digest, &size_bytes, err))
		return false;
	digest_to_text(&digest, text);
	json_object_begin(merging->w);
	json_put_text(merging->w, "path", relative);
	json_put_text(merging->w, "task",
		merging->how->batch->plan.tasks[merging->task].identifier);
	json_put_int(merging->w, "size", size_bytes);
	json_put_text(merging->w, "digest", text);
	json_object_end(merging->w);
	return true;
}

static bool clash(const struct merging *merging, const char *relative, struct error *err)
{
	error_raise(err, ERROR_FAILED,
		"the tasks \"%s\" and \"%s\" left different artifacts with the name \"%s\"",
		earlier_task(merging, relative),
		merging->how->batch->plan.tasks[merging->task].identifier, relative);
	return error_next(err, "name it differently in one of them, or leave it out of its "
			       "artifacts: files:");
}

static bool take_entry(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct merging *merging = context;
	scoped(text_free) char *from = path_join(merging->from, relative);
	scoped(text_free) char *to = path_join(merging->to, relative);
	bool same = false;

	if (S_ISDIR(status->st_mode)) {
		if (file_exists(to) && !file_is_folder(to))
			return clash(merging, relative, err);
		return folder_make(to, 0755, err);
	}
	if (!file_exists(to))
		return file_copy(from, to, err) && put_file(merging, relative, to, err);
	if (!are_same(from, to, &same, err))
		return false;
	return same || clash(merging, relative, err);
}

static void take_reads(struct merging *merging, bool passed)
{
	scoped(text_free) char *output = task_folder(merging->how, merging->task, "");
	scoped(text_free) char *why = NULL;

	if (!merging->how->reads || merging->unknown)
		return;
	if (passed)
		reads_file_read(output, &merging->read, &why);
	if (!passed || why)
		merging->unknown = memory_format("of task \"%s\": %s",
			merging->how->batch->plan.tasks[merging->task].identifier,
			why ? why : "it did not pass");
}

/* Several may have read the same. */
static bool write_reads(struct merging *merging, struct error *err)
{
	scoped(strings_free) struct strings once = {0};

	if (!merging->how->reads)
		return true;
	strings_sort(&merging->read);
	for (size_t i = 0; i < merging->read.count; i++)
		if (!i || !text_equal(merging->read.items[i], merging->read.items[i - 1]))
			strings_add(&once, merging->read.items[i]);
	return reads_file_write(merging->how->output, &once, merging->unknown, err);
}

static bool take_task(struct merging *merging, struct error *err)
{
	scoped(text_free) char *from = task_folder(merging->how, merging->task, "artifacts");
	bool passed = false;

	if (!has_passed(merging->how, merging->task, &merging->asked, &passed, err))
		return false;
	take_reads(merging, passed);
	if (!passed || !file_is_folder(from))
		return true;
	merging->from = from;
	return folder_walk(from, take_entry, merging, err);
}

bool build_merge(const struct build_merge *how, struct buf *out_result, struct error *err)
{
	struct json_writer w = json_writer_start(out_result);
	scoped(text_free) char *to = path_join(how->output, "artifacts");
	scoped(text_free) char *result = path_join(how->output, EXECUTOR_RESULT);
	scoped(merging_free) struct merging merging = {.how = how, .to = to, .w = &w};

	if (!executor_clear(how->output, err) || !folder_make(to, 0755, err))
		return false;
	json_object_begin(&w);
	json_put_text(&w, "stage", "build");
	json_put_text(&w, "status", "passed");
	json_put_text(&w, "service", how->service);
	json_put_text(&w, "commit", how->commit);
	json_key(&w, "artifacts");
	json_array_begin(&w);
	for (; merging.task < how->batch->plan.count; merging.task++)
		if (!take_task(&merging, err))
			return error_while(err, "putting the batch of %s together", how->service);
	json_array_end(&w);
	secret_names_write(&merging.asked, &w);
	json_object_end(&w);
	return write_reads(&merging, err) &&
	       file_write(result, buf_str(out_result), 0600, false, err);
}
