#include "deployers/local/target_probe.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATUS_LINE = 12 /* "HTTP/1.1 200" */ };

struct target_probe {
	struct loop *loop;                   /* borrowed */
	struct target_probe_options options; /* texts owned */
	char *ip, *path, *matcher;           /* owned */
	int fd;
	bool connected;
	char answer[STATUS_LINE];
	size_t answered;
	enum probe_result result;
	int status;
	struct watch *socket, *timer; /* timer: the time limit, or 0 to tell a result that is in */
};

/* "200-299" or "200" at the start of *rest. */
static bool cut_range(struct str *rest, int64_t *out_from, int64_t *out_to)
{
	struct str to = str_trim(str_cut(rest, ',')), from = str_cut(&to, '-');

	if (!str_to_int(from, out_from))
		return false;
	*out_to = *out_from;
	return (!to.data || str_to_int(to, out_to)) && *out_from >= 200 && *out_to <= 499 &&
	       *out_from <= *out_to;
}

bool matcher_accepts(const char *matcher, int status)
{
	struct str rest = str_of(matcher);
	int64_t from, to;

	while (rest.data && cut_range(&rest, &from, &to))
		if (status >= from && status <= to)
			return true;
	return false;
}

bool matcher_valid(const char *matcher)
{
	struct str rest = str_of(matcher);
	int64_t from, to;

	while (rest.data)
		if (!cut_range(&rest, &from, &to))
			return false;
	return *matcher != '\0';
}

static void release(struct target_probe *probe)
{
	loop_remove(probe->loop, &probe->socket);
	loop_remove(probe->loop, &probe->timer);
	if (probe->fd >= 0)
		close(probe->fd);
	free(probe->ip);
	free(probe->path);
	free(probe->matcher);
	free(probe);
}

void target_probe_cancel(struct target_probe **probe)
{
	if (*probe)
		release(*probe);
	*probe = NULL;
}

static void finish(struct target_probe *probe, enum probe_result result)
{
	struct target_probe_options options = probe->options;
	int status = probe->status;

	release(probe);
	options.done(options.context, result, status);
}

static void on_timer(void *context)
{
	struct target_probe *probe = context;

	finish(probe, probe->result);
}

static void judge(struct target_probe *probe)
{
	struct str line = {probe->answer, probe->answered};
	int64_t status;

	if (line.size == STATUS_LINE && str_starts_with(line, "HTTP/1.") &&
		str_to_int((struct str){line.data + 9, 3}, &status)) {
		probe->status = (int)status;
		finish(probe, matcher_accepts(probe->matcher, probe->status) ? PROBE_HEALTHY
									     : PROBE_MISMATCH);
	} else {
		finish(probe, PROBE_MISMATCH);
	}
}

static bool send_request(struct target_probe *probe)
{
	scoped(buf_free) struct buf request = {0};

	buf_printf(&request,
		"GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n"
		"User-Agent: ELB-HealthChecker/2.0\r\n\r\n",
		probe->path, probe->ip, probe->options.port);
	return send(probe->fd, request.data, request.size, MSG_NOSIGNAL) == (ssize_t)request.size;
}

static void on_socket(void *context, unsigned bits)
{
	struct target_probe *probe = context;
	ssize_t got;

	(void)bits;
	if (!probe->connected) {
		int problem = 0;
		socklen_t size = sizeof(problem);

		if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0 || problem ||
			!send_request(probe)) {
			finish(probe, PROBE_REFUSED);
			return;
		}
		probe->connected = true;
		watch_set_bits(probe->socket, LOOP_READ);
		return;
	}
	got = recv(probe->fd, probe->answer + probe->answered, STATUS_LINE - probe->answered,
		MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		probe->answered += (size_t)got;
	if (got <= 0 || probe->answered == STATUS_LINE)
		judge(probe);
}

/* Connects; false when that failed at once. */
static bool begin(struct target_probe *probe)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)probe->options.port)};

	probe->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe->fd < 0 || inet_pton(AF_INET, probe->ip, &address.sin_addr) != 1 ||
		(connect(probe->fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
			errno != EINPROGRESS))
		return false;
	probe->socket = loop_add_fd(probe->loop, probe->fd, LOOP_WRITE, on_socket, probe);
	return true;
}

struct target_probe *target_probe_start(struct loop *loop,
	const struct target_probe_options *options)
{
	struct target_probe *probe = memory_new(sizeof(*probe));
	bool begun;

	probe->loop = loop;
	probe->options = *options;
	probe->ip = memory_copy_text(options->ip);
	probe->path = memory_copy_text(options->path);
	probe->matcher = memory_copy_text(options->matcher);
	probe->fd = -1;
	begun = begin(probe);
	probe->result = begun ? PROBE_TIMEOUT : PROBE_REFUSED;
	probe->timer = loop_add_timer(loop, begun ? options->timeout_ms : 0, on_timer, probe);
	return probe;
}
