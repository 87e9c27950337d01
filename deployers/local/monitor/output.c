#include "deployers/local/monitor/output.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { READ_SIZE = 16 * 1024 };

int64_t clock_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Line "<epoch ms> <text>\n" with backslashes doubled: see deployers/local/logs.h. */
static void log_line(struct stream *log, int64_t now_ms, const char *text, size_t size)
{
	static char line[2 * LINE_LIMIT + 32];
	int at = snprintf(line, 32, "%lld ", (long long)now_ms);

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\\')
			line[at++] = '\\';
		line[at++] = text[i];
	}
	line[at++] = '\n';
	if (log->limit && log->written + at > log->limit)
		return;
	log->written += at;
	if (log->fd >= 0 && write(log->fd, line, (size_t)at) < 0)
		errno = 0; /* a full disk loses lines, never the container */
}

static void output_feed(struct output *output, struct stream *log, const char *bytes, size_t size)
{
	int64_t now_ms = clock_ms(CLOCK_REALTIME);

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != '\n' && output->size < LINE_LIMIT) {
			output->line[output->size++] = bytes[i];
			continue;
		}
		log_line(log, now_ms, output->line, output->size);
		output->size = 0;
		if (bytes[i] != '\n')
			output->line[output->size++] = bytes[i];
	}
}

bool output_read(struct output *output, struct stream *log)
{
	static char bytes[READ_SIZE];
	ssize_t size;

	while ((size = read(output->fd, bytes, sizeof(bytes))) > 0)
		output_feed(output, log, bytes, (size_t)size);
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}

void output_close(struct output *output, struct stream *log)
{
	if (output->fd < 0)
		return;
	output_read(output, log);
	if (output->size)
		log_line(log, clock_ms(CLOCK_REALTIME), output->line, output->size);
	output->size = 0;
	close(output->fd);
	output->fd = -1;
}
