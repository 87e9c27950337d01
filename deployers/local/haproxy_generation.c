#include "deployers/local/haproxy_generation.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROMPT "\n> "

enum { ANSWER_LIMIT = 4 << 20, ANSWER_MS = 2000, LET_GO_MS = 1000 };

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void generation_close(struct generation *generation)
{
	if (generation->fd > 0)
		close(generation->fd);
	if (generation->process > 0)
		close(generation->process);
	*generation = (struct generation){0};
}

/* Each command of a line is answered for itself, with a prompt of its own. */
static size_t commands_in(const char *line)
{
	size_t count = 1;

	for (; *line; line++)
		count += *line == ';';
	return count;
}

void generation_kill(const struct generation *generation)
{
	if (generation->process > 0)
		syscall(SYS_pidfd_send_signal, generation->process, SIGKILL, NULL, 0);
}

static size_t prompts_in(struct str text)
{
	size_t count = 0;
	const char *end = text.data + text.size, *found;

	for (; text.size && (found = memmem(text.data, text.size, PROMPT, strlen(PROMPT)));
		count++) {
		text.data = found + strlen(PROMPT);
		text.size = (size_t)(end - text.data);
	}
	return count;
}

/* Reads until the last of so many prompts, however the answers are cut into pieces on their way.
 * False when the process is gone or does not answer in time. */
static bool read_answer(int fd, size_t prompts, struct buf *out)
{
	int64_t deadline = monotonic_ms() + ANSWER_MS;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - monotonic_ms();
		ssize_t got;

		if (str_ends_with(buf_str(out), PROMPT) && prompts_in(buf_str(out)) >= prompts) {
			out->size -= strlen(PROMPT);
			return true;
		}
		if (left <= 0 || out->size > ANSWER_LIMIT)
			return false;
		if (poll(&wait, 1, (int)left) < 0 && errno != EINTR)
			return false;
		got = recv(fd, buf_reserve(out, 16384), 16384, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		out->size += got > 0 ? (size_t)got : 0;
	}
}

bool generation_ask(struct generation *generation, const char *command, struct buf *out)
{
	scoped(buf_free) struct buf line = {0}, ignored = {0};

	if (generation->fd <= 0 || generation->broken)
		return false;
	buf_printf(&line, "%s\n", command);
	generation->broken =
		!descriptor_write_all(generation->fd, line.data, line.size, "haproxy", NULL) ||
		!read_answer(generation->fd, commands_in(command), out ? out : &ignored);
	/* The watch on the connection then sees its end, and looks for a process that answers. */
	if (generation->broken)
		shutdown(generation->fd, SHUT_RDWR);
	return !generation->broken;
}

bool generation_info(struct generation *generation, const char *name, struct buf *out)
{
	scoped(buf_free) struct buf answer = {0};
	struct str rest;

	if (!generation_ask(generation, "show info", &answer))
		return false;
	rest = buf_str(&answer);
	while (rest.data) {
		struct str value = str_cut(&rest, '\n'), key = str_cut(&value, ':');

		if (value.data && str_equal_text(key, name)) {
			buf_append_str(out, str_trim(value));
			return true;
		}
	}
	return false;
}

void generation_wait_until_stopping(struct generation *generation)
{
	int64_t deadline = monotonic_ms() + LET_GO_MS;

	while (monotonic_ms() < deadline) {
		scoped(buf_free) struct buf stopping = {0};

		if (!generation_info(generation, "Stopping", &stopping) ||
			!text_equal(buf_text(&stopping), "0"))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 500 * 1000}, NULL);
	}
}

/* "show stat BACKEND 4 -1": a line a server; columns 2, 3 and 5 are name, queued and open. */
static int64_t sessions_in(struct str answer, const char *server)
{
	while (answer.data) {
		struct str line = str_cut(&answer, '\n');
		int64_t queued = 0, open = 0;

		str_cut(&line, ',');
		if (!str_equal_text(str_cut(&line, ','), server))
			continue;
		if (!str_to_int(str_cut(&line, ','), &queued))
			queued = 0;
		str_cut(&line, ',');
		if (!str_to_int(str_cut(&line, ','), &open))
			open = 0;
		return queued + open;
	}
	return 0;
}

int64_t generation_sessions(struct generation *generation, const char *backend, const char *server)
{
	scoped(text_free) char *command = memory_format("show stat %s 4 -1", backend);
	scoped(buf_free) struct buf answer = {0};

	return generation_ask(generation, command, &answer) ? sessions_in(buf_str(&answer), server)
							    : 0;
}
