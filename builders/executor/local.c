#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/executor/executor.h"

#include <fcntl.h>

struct tee {
	const struct executor_request *request;
	int fd;
	struct error failure; /* the first one in writing the log */
};

static void take(void *self, struct str piece)
{
	struct tee *tee = self;

	if (!tee->failure.kind &&
		!descriptor_write_all(tee->fd, piece.data, piece.size, EXECUTOR_LOG, &tee->failure))
		error_while(&tee->failure, "writing the build's log");
	if (tee->request->log)
		tee->request->log(tee->request->log_self, piece);
}

static void tee_free(struct tee *tee)
{
	descriptor_close(&tee->fd);
	error_free(&tee->failure);
}

static bool open_log(const struct executor_request *request, struct tee *tee, struct error *err)
{
	scoped(text_free) char *path = path_join(request->output, EXECUTOR_LOG);

	tee->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	return tee->fd >= 0 || error_raise_errno(err, "create \"%s\"", path);
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

static bool build(const struct executor_request *request, struct build_result *out_result,
	struct error *err)
{
	scoped(tee_free) struct tee tee = {.request = request, .fd = -1};
	scoped(build_result_free) struct build_result result = {0};
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
	if (!build_run(&options, &result, err))
		return error_next(err, "its log so far: %s/%s", request->output, EXECUTOR_LOG);
	if (tee.failure.kind) {
		error_move(err, &tee.failure);
		return false;
	}
	if (!write_result(request, &result, err))
		return false;
	*out_result = result;
	result = (struct build_result){0};
	return true;
}

const struct executor local_executor = {"local", build};
