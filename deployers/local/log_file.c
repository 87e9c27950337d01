#include "deployers/local/log_file.h"

#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool log_file_open(const char *path, struct log_file *out_file, struct error *err)
{
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct log_file file = {0};
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_raise_errno(err, "open log stream \"%s\"", path);
	file.changed_ms = status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
	file.mapped = (size_t)status.st_size;
	if (file.mapped) {
		void *bytes = mmap(NULL, file.mapped, PROT_READ, MAP_PRIVATE, fd, 0);

		if (bytes == MAP_FAILED)
			return error_raise_errno(err, "map log stream \"%s\"", path);
		file.bytes = bytes;
		const char *last = memrchr(file.bytes, '\n', file.mapped);

		file.size = last ? (size_t)(last - file.bytes) + 1 : 0;
	}
	*out_file = file;
	return true;
}

void log_file_close(struct log_file *file)
{
	union {
		const char *borrowed;
		void *mapped;
	} bytes = {file->bytes};

	if (file->bytes)
		munmap(bytes.mapped, file->mapped);
	*file = (struct log_file){0};
}

static bool parse(const struct log_file *file, size_t begin, size_t behind,
	struct log_event *out_event)
{
	struct str text = {file->bytes + begin, behind - begin - 1};
	struct str time = str_cut(&text, ' ');

	*out_event = (struct log_event){.begin = begin, .behind = behind, .text = text};
	return text.data && str_to_int(time, &out_event->time_ms);
}

bool log_file_at(const struct log_file *file, size_t offset, struct log_event *out_event)
{
	while (offset < file->size) {
		const char *end = memchr(file->bytes + offset, '\n', file->size - offset);
		size_t behind = (size_t)(end - file->bytes) + 1;

		if (parse(file, offset, behind, out_event))
			return true;
		offset = behind;
	}
	return false;
}

bool log_file_before(const struct log_file *file, size_t offset, struct log_event *out_event)
{
	if (offset > file->size)
		offset = file->size;
	while (offset > 0) {
		const char *end = memrchr(file->bytes, '\n', offset - 1);
		size_t begin = end ? (size_t)(end - file->bytes) + 1 : 0;

		if (parse(file, begin, offset, out_event))
			return true;
		offset = begin;
	}
	return false;
}

void log_event_text(const struct log_event *event, struct buf *out)
{
	const char *text = event->text.data;

	for (size_t i = 0; i < event->text.size; i++) {
		bool escaped = text[i] == '\\' && i + 1 < event->text.size;

		i += escaped;
		buf_append_char(out, escaped && text[i] == 'n' ? '\n' : text[i]);
	}
}
