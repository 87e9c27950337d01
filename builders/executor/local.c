#include "base/clock.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"
#include "builders/executor/reads.h"
#include "builders/executor/reads_file.h"
#include "builders/executor/stored_log.h"
#include "buildspec/shell.h"

#include <fcntl.h>

struct tee {
	const struct executor_request *request;
	struct stored_log *stored;
	int plain;            /* -1: not wanted */
	struct error failure; /* the first one in writing the plain log */
};

static void write_plain(struct tee *tee, struct str piece)
{
	if (tee->plain >= 0 && !tee->failure.kind &&
		!descriptor_write_all(tee->plain, piece.data, piece.size, EXECUTOR_PLAIN_LOG,
			&tee->failure))
		error_while(&tee->failure, "writing the build's log");
}

static void take(void *self, struct str piece)
{
	struct tee *tee = self;

	stored_log_add(tee->stored, piece);
	write_plain(tee, piece);
	if (tee->request->log)
		tee->request->log(tee->request->log_self, piece);
}

static void take_plain(void *self, struct str piece)
{
	write_plain(self, piece);
}

static void tee_free(struct tee *tee)
{
	stored_log_free(&tee->stored);
	descriptor_close(&tee->plain);
	error_free(&tee->failure);
}

static bool open_plain(const char *output, int *out_fd, struct error *err)
{
	scoped(text_free) char *path = path_join(output, EXECUTOR_PLAIN_LOG);

	*out_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	return *out_fd >= 0 || error_raise_errno(err, "create \"%s\"", path);
}

static bool open_log(const struct executor_request *request, struct tee *tee, struct error *err)
{
	scoped(text_free) char *path = path_join(request->output, EXECUTOR_LOG);

	return stored_log_open(path, &system_clock, &tee->stored, err) &&
	       (!request->plain_log || open_plain(request->output, &tee->plain, err));
}

static bool close_log(struct tee *tee, struct error *err)
{
	if (!stored_log_close(&tee->stored, err))
		return false;
	if (!tee->failure.kind)
		return true;
	error_move(err, &tee->failure);
	return false;
}

bool executor_write_plain_log(const char *output, struct error *err)
{
	scoped(text_free) char *stored = path_join(output, EXECUTOR_LOG);
	scoped(tee_free) struct tee tee = {.plain = -1};

	if (!file_exists(stored))
		return true;
	return open_plain(output, &tee.plain, err) &&
	       stored_log_each(stored, take_plain, &tee, err) && close_log(&tee, err);
}

static bool write_result(const struct executor_request *request, const struct build_result *result,
	struct error *err)
{
	scoped(text_free) char *path = path_join(request->output, EXECUTOR_RESULT);
	scoped(buf_free) struct buf text = {0};

	if (!executor_write_result(request, result, &text, err))
		return false;
	buf_append_char(&text, '\n');
	return file_write(path, buf_str(&text), 0600, false, err);
}

/* What it read is a help to later plans; a build is none the worse without it. */
static void mark(const struct executor_request *request, struct reads *reads)
{
	struct error err = {0};

	if (request->path && !reads_mark(request->source, reads, &err)) {
		reads->unknown = memory_copy_text(err.message);
		error_ignore(&err, "the file tells");
	}
}

/* The service's own folder is its own. */
static bool write_reads(const struct executor_request *request, const struct reads *reads,
	struct error *err)
{
	scoped(text_free) char *unknown = NULL;
	scoped(strings_free) struct strings read = {0}, outside = {0};

	if (!request->path)
		return true;
	if (!reads_collect(reads, request->source,
		    request->sandbox ? SHELL_SOURCE_INSIDE : request->source, &read, &unknown, err))
		return false;
	for (size_t i = 0; i < read.count; i++)
		if (!path_is_below(read.items[i], request->path))
			strings_add(&outside, read.items[i]);
	return reads_file_write(request->output, &outside, unknown, err);
}

static bool build(const struct executor_request *request, struct build_result *out_result,
	struct error *err)
{
	scoped(tee_free) struct tee tee = {.request = request, .plain = -1};
	scoped(build_result_free) struct build_result result = {0};
	scoped(reads_free) struct reads reads = {0};
	const struct build_options options = {.source = request->source,
		.buildspec = request->buildspec,
		.output = request->output,
		.work = request->work,
		.primary_folder = "artifacts",
		.secondary_folder = "secondary",
		.cache = request->cache,
		.commit = request->commit,
		.env = request->env,
		.secrets = request->secrets,
		.sandbox = request->sandbox,
		.network = request->network,
		.limits = request->limits,
		.log_limit_bytes = request->log_limit_bytes,
		.timeout_ms = request->timeout_ms,
		.cancel_fd = request->cancel_fd,
		.log = take,
		.log_self = &tee};

	if (!executor_clear(request->output, err) || !open_log(request, &tee, err))
		return false;
	mark(request, &reads);
	if (!build_run(&options, &result, err))
		return error_next(err, "its log so far: %s/%s", request->output,
			request->plain_log ? EXECUTOR_PLAIN_LOG : EXECUTOR_LOG);
	if (!close_log(&tee, err))
		return false;
	if (!write_result(request, &result, err) ||
		(result.succeeded && !write_reads(request, &reads, err)))
		return false;
	*out_result = result;
	result = (struct build_result){0};
	return true;
}

const struct executor local_executor = {"local", build};
