#include "pipeline/engine/step_log.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/executor/executor.h"
#include "builders/executor/stored_log.h"
#include "pipeline/engine/schedule.h"

#include <fcntl.h>
#include <unistd.h>

char *step_log_said(const char *folder, const char *service, const char *step)
{
	return memory_format("%s/%s/%s.log", folder, service, step);
}

char *step_log_output(const char *folder, const char *service, const char *step)
{
	enum step_kind kind = STEP_IMAGE;

	if (!step_kind_of_name(step, &kind) || kind > STEP_BUILD)
		return NULL;
	return memory_format("%s/%s/%s/%s", folder, service, step, EXECUTOR_LOG);
}

static void append_end(const char *path, size_t limit, struct buf *out)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	size_t wanted = end < (off_t)limit ? (size_t)end : limit;

	if (end <= 0)
		return;
	ssize_t size = pread(fd, buf_reserve(out, wanted), wanted, end - (off_t)wanted);

	if (size > 0)
		out->size += (size_t)size;
}

void step_log_tail(const char *folder, const char *service, const char *step, size_t limit,
	struct buf *out)
{
	scoped(text_free) char *said_path = step_log_said(folder, service, step);
	scoped(text_free) char *output_path = step_log_output(folder, service, step);
	scoped(buf_free) struct buf said = {0};
	struct error ignored = {0};

	append_end(said_path, limit, &said);
	if (output_path && said.size < limit &&
		!stored_log_tail(output_path, limit - said.size, out, &ignored))
		error_ignore(&ignored, "a damaged log still has its end in what the stage said");
	if (out->size && out->data[out->size - 1] != '\n' && said.size)
		buf_append_char(out, '\n');
	buf_append_str(out, buf_str(&said));
}
