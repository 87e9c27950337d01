#include "base/http_exchange.h"
#include "base/memory.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECTION_MEMORY = 64 << 10,
	BODY_LIMIT = 4 << 20,
	BACKLOG = 1024,
};

bool server_is_quiet(const struct http_server *server)
{
	return server->listen_fd < 0;
}

/* --- libmicrohttpd on our loop --- */

static void run(struct http_server *server)
{
	server->resuming = false;
	server->running = true;
	microhttpd.run(server->daemon);
	server->running = false;
}

static void on_ready(void *context, unsigned bits)
{
	(void)bits;
	run(context);
}

/*
 * What libmicrohttpd has to do without an event on its descriptor: connections that timed out or
 * have bytes left in memory (MHD_get_timeout), and resumed ones (which 0.9.75 forgets there).
 */
static int64_t before_wait(void *context)
{
	struct http_server *server = context;
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	bool limited = microhttpd.get_timeout(server->daemon, &wait_ms) == MHD_YES;

	if (server->resuming || (limited && wait_ms == 0)) {
		run(server);
		limited = microhttpd.get_timeout(server->daemon, &wait_ms) == MHD_YES;
	}
	if (server->resuming)
		return 0;
	if (!limited)
		return -1;
	return wait_ms > INT64_MAX ? INT64_MAX : (int64_t)wait_ms;
}

/* --- start and end --- */

/* We decode paths and queries ourselves; in place it would hide a NUL. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context, (void)connection;
	return strlen(text);
}

static bool parse_address(const char *host, int port, struct sockaddr_storage *out,
	socklen_t *out_size)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(out, &v4, *out_size = sizeof(v4));
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(out, &v6, *out_size = sizeof(v6));
		return true;
	}
	return false;
}

static bool listen_on(const char *host, int port, bool same_machine, int *out_fd, int *out_port,
	struct error *err)
{
	struct sockaddr_storage address;
	socklen_t size = 0;
	const int on = 1;

	if (port < 0 || port > 65535 || !parse_address(host, port, &address, &size))
		return error_raise(err, ERROR_USAGE, "\"%s\" port %d is no address to listen on",
			host, port);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_raise_errno(err, "create a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Handed on to every connection. A system without it keeps its own, which works too. */
	if (same_machine)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
	if (bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, BACKLOG) != 0) {
		error_raise_errno(err, "listen on %s port %d", host, port);
		close(fd);
		return error_next(err, "choose another port, or end the program that has this one: "
				       "ss -ltnp");
	}
	getsockname(fd, (struct sockaddr *)&address, &size);
	*out_port =
		ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
						   : ((struct sockaddr_in6 *)&address)->sin6_port);
	*out_fd = fd;
	return true;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
	return microhttpd.start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0,
		NULL, NULL, request_on_bytes, server, MHD_OPTION_LISTEN_SOCKET, server->listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, server->options.connection_limit,
		MHD_OPTION_CONNECTION_TIMEOUT, server->options.idle_timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, server->options.connection_memory_bytes,
		MHD_OPTION_URI_LOG_CALLBACK, request_on_target, server,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		request_on_completed, server, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		/* Else 1.0 unfolds lines, before the gate sees them. 0.9 needs it not, and would
		 * end some connections without an answer. */
		MHD_OPTION_STRICT_FOR_CLIENT, !text_starts_with(microhttpd.get_version(), "0."),
		MHD_OPTION_END);
}

bool http_server_start(struct loop *loop, const struct http_server_options *options,
	struct http_server **out_server, struct error *err)
{
	scoped(http_server_free) struct http_server *server = memory_new(sizeof(*server));

	server->loop = loop;
	server->options = *options;
	server->listen_fd = -1;
	if (!server->options.host)
		server->options.host = "127.0.0.1";
	if (!server->options.body_limit_bytes)
		server->options.body_limit_bytes = BODY_LIMIT;
	if (!server->options.connection_memory_bytes)
		server->options.connection_memory_bytes = CONNECTION_MEMORY;
	if (!server->options.connection_limit)
		server->options.connection_limit = 1024;
	if (!server->options.idle_timeout_s)
		server->options.idle_timeout_s = 75;
	if (!listen_on(server->options.host, options->port, options->same_machine,
		    &server->listen_fd, &server->port, err))
		return false;
	if (!microhttpd_library_load(err))
		return false;
	/* sendfile() has no flag against it. */
	signal(SIGPIPE, SIG_IGN);
	server->daemon = start_daemon(server);
	if (!server->daemon)
		return error_raise(err, ERROR_SYSTEM, "start the HTTP server on %s port %d",
			server->options.host, server->port);
	server->options.host = NULL; /* borrowed until here */
	server->ready = loop_add_fd(loop,
		microhttpd.get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		LOOP_READ, on_ready, server);
	server->idle = loop_add_idle(loop, before_wait, server);
	*out_server = server;
	server = NULL;
	return true;
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_quiesce(struct http_server *server)
{
	if (server_is_quiet(server))
		return;
	/* Connections that wait to be accepted would be reset with the socket: take them in first. */
	if (!server->running)
		run(server);
	microhttpd.quiesce_daemon(server->daemon);
	close(server->listen_fd);
	server->listen_fd = -1;
}

size_t http_server_open_requests(const struct http_server *server)
{
	return server->open;
}

void http_server_free(struct http_server **server)
{
	struct http_server *gone = *server;

	*server = NULL;
	if (!gone)
		return;
	assert(!gone->running);
	if (gone->daemon) {
		/* libmicrohttpd does not stop while a connection is suspended. */
		for (struct http_exchange *each = gone->exchanges; each; each = each->following) {
			each->gone = true;
			exchange_resume(each);
		}
		loop_remove(gone->loop, &gone->ready);
		loop_remove(gone->loop, &gone->idle);
		if (gone->listen_fd >= 0)
			gone->listen_fd = microhttpd.quiesce_daemon(gone->daemon);
		microhttpd.stop_daemon(gone->daemon);
	}
	if (gone->listen_fd >= 0)
		close(gone->listen_fd);
	free(gone);
}
