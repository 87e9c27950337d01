#include "tests/unit/base/fake_server.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 256 };

struct connection {
	struct fake_server *server;
	pthread_t thread;
	int fd, number;
};

struct fake_server {
	int listener, port;
	pthread_t thread;
	fake_answer *answer;
	void *context;
	pthread_mutex_t lock; /* guards everything below, and calls of answer */
	struct connection connections[CONNECTIONS];
	int connection_count, request_count;
	bool stopping;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(99);
}

/* Reads until out holds the head and the body that its Content-Length tells of. */
static bool read_request(int fd, struct buf *in, size_t *out_head_size, size_t *out_size)
{
	for (;;) {
		char *end = strstr(buf_text(in), "\r\n\r\n");

		if (end) {
			const char *length = strcasestr(buf_text(in), "\r\nContent-Length:");
			size_t body = 0;

			if (length && length < end)
				body = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
			*out_head_size = (size_t)(end + 4 - in->data);
			*out_size = *out_head_size + body;
			if (in->size >= *out_size)
				return true;
		}
		ssize_t got = recv(fd, buf_reserve(in, 65536), 65536, 0);

		if (got <= 0)
			return false;
		in->size += (size_t)got;
		in->data[in->size] = '\0';
	}
}

static bool send_all(int fd, struct str bytes)
{
	while (bytes.size) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes = (struct str){bytes.data + sent, bytes.size - (size_t)sent};
	}
	return true;
}

static bool answer_one(struct connection *connection, struct buf *in)
{
	struct fake_server *server = connection->server;
	scoped(buf_free) struct buf out = {0};
	size_t head_size = 0, size = 0;
	char discard[256];

	if (!read_request(connection->fd, in, &head_size, &size))
		return false;
	scoped(text_free) char *head = memory_copy(in->data, head_size);
	scoped(text_free) char *line = memory_copy(head, strcspn(head, "\r"));
	char *target = strchr(line, ' ');
	struct fake_request request = {
		.head = head,
		.body = {in->data + head_size, size - head_size},
		.method = line,
		.connection = connection->number,
	};

	must(target != NULL, "a request line without a target");
	*target++ = '\0';
	target[strcspn(target, " ")] = '\0';
	request.target = target;
	pthread_mutex_lock(&server->lock);
	request.number = ++server->request_count;
	server->answer(server->context, &request, &out);
	pthread_mutex_unlock(&server->lock);
	buf_remove_front(in, size);
	if (request.hold && send_all(connection->fd, buf_str(&out)))
		while (recv(connection->fd, discard, sizeof(discard), 0) > 0)
			;
	if (request.dribble)
		while (send_all(connection->fd, buf_str(&out))) {
			buf_clear(&out);
			buf_append_char(&out, 'x');
			poll(NULL, 0, 5);
		}
	return !request.hold && !request.dribble && out.size &&
	       send_all(connection->fd, buf_str(&out)) && !request.close;
}

static void *serve(void *context)
{
	struct connection *connection = context;
	scoped(buf_free) struct buf in = {0};

	while (answer_one(connection, &in))
		;
	pthread_mutex_lock(&connection->server->lock);
	close(connection->fd);
	connection->fd = -1;
	pthread_mutex_unlock(&connection->server->lock);
	return NULL;
}

static void *accept_all(void *context)
{
	struct fake_server *server = context;

	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		pthread_mutex_lock(&server->lock);
		if (fd < 0 || server->stopping || server->connection_count == CONNECTIONS) {
			if (fd >= 0)
				close(fd);
			pthread_mutex_unlock(&server->lock);
			return NULL;
		}
		struct connection *connection = &server->connections[server->connection_count++];

		*connection = (struct connection){.server = server,
			.fd = fd,
			.number = server->connection_count};
		must(pthread_create(&connection->thread, NULL, serve, connection) == 0, "thread");
		pthread_mutex_unlock(&server->lock);
	}
}

static void listen_tcp(struct fake_server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listener >= 0, "socket");
	must(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
	server->port = ntohs(address.sin_port);
}

static void listen_unix(struct fake_server *server, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listener >= 0, "socket");
	must(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
}

struct fake_server *fake_server_start(const char *unix_path, fake_answer *answer, void *context)
{
	struct fake_server *server = memory_new(sizeof(*server));

	server->answer = answer;
	server->context = context;
	pthread_mutex_init(&server->lock, NULL);
	if (unix_path)
		listen_unix(server, unix_path);
	else
		listen_tcp(server);
	must(listen(server->listener, 64) == 0, "listen");
	must(pthread_create(&server->thread, NULL, accept_all, server) == 0, "thread");
	return server;
}

int fake_server_port(const struct fake_server *server)
{
	return server->port;
}

int fake_server_requests(struct fake_server *server)
{
	pthread_mutex_lock(&server->lock);
	int count = server->request_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

int fake_server_connections(struct fake_server *server)
{
	pthread_mutex_lock(&server->lock);
	int count = server->connection_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

void fake_server_stop(struct fake_server **server_at)
{
	struct fake_server *server = *server_at;

	if (!server)
		return;
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	shutdown(server->listener, SHUT_RDWR);
	for (int i = 0; i < server->connection_count; i++)
		if (server->connections[i].fd >= 0)
			shutdown(server->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->connection_count; i++)
		pthread_join(server->connections[i].thread, NULL);
	close(server->listener);
	pthread_mutex_destroy(&server->lock);
	free(server);
	*server_at = NULL;
}

char *fake_header(const struct fake_request *request, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = strstr(request->head, "\r\n"); at && at[2];
		at = strstr(at + 2, "\r\n"))
		if (strncasecmp(at + 2, name, size) == 0 && at[2 + size] == ':') {
			const char *value = at + 3 + size;

			return str_copy(str_trim((struct str){value, strcspn(value, "\r")}));
		}
	return NULL;
}

void fake_reply(struct buf *out, int status, const char *headers, struct str body)
{
	buf_printf(out, "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
		body.size);
	buf_append_str(out, body);
}
