#include "base/http_plain.h"

#include "base/file.h"
#include "base/http_transfer.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HEAD_LIMIT = 64 * 1024,
	BODY_LIMIT = 16 * 1024 * 1024,
	PIECE = 64 * 1024,
	REQUEST_LIMIT = 16 * 1024, /* fits into the buffer of a fresh connection */
	STALL_MS = 30000,
	TOTAL_MS = 60000,
};

static bool is_address(const struct http_url *url, struct sockaddr_in *out)
{
	char host[32];
	int64_t port = 80;

	if (url->host.size >= sizeof(host) || !http_host_is_loopback(url->host) ||
		(url->port.size > 0 && !str_to_int(url->port, &port)) || port < 1 || port > 65535)
		return false;
	snprintf(host, sizeof(host), "%.*s", str_args(url->host));
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

bool http_plain_fits(const struct http_request *request)
{
	struct http_url url;
	struct sockaddr_in address;
	size_t size = strlen(request->url);

	if ((request->method && !text_equal(request->method, "GET")) || request->body.data ||
		request->body_fd > 0 || request->on_body || request->relay_to ||
		request->relay_from || request->unix_socket || request->send_once)
		return false;
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];

		if (strpbrk(header->name, "\r\n:") || strpbrk(header->value, "\r\n") ||
			strcasecmp(header->name, "Host") == 0)
			return false;
		size += strlen(header->name) + strlen(header->value);
	}
	return size < REQUEST_LIMIT && http_url_parse(request->url, &url, NULL) &&
	       str_equal_text(url.scheme, "http") && is_address(&url, &address) &&
	       !strpbrk(request->url, " \r\n#");
}

/* Cuts a line, which may end with a bare LF. False: there is no whole one. */
static bool cut_line(struct str *rest, struct str *out_line)
{
	const char *end = memchr(rest->data ? rest->data : "", '\n', rest->size);

	if (!end)
		return false;
	*out_line = (struct str){rest->data, (size_t)(end - rest->data)};
	if (out_line->size > 0 && end[-1] == '\r')
		out_line->size--;
	*rest = (struct str){end + 1, rest->size - (size_t)(end + 1 - rest->data)};
	return true;
}

static bool has_name(struct str line, const char *name)
{
	size_t size = strlen(name);

	return line.size > size && strncasecmp(line.data, name, size) == 0 &&
	       line.data[size] == ':';
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct str line, int *out_status)
{
	int64_t status;

	if (!str_starts_with(line, "HTTP/1.") || line.size < 12 || line.data[8] != ' ' ||
		(line.size > 12 && line.data[12] != ' ') ||
		!str_to_int((struct str){line.data + 9, 3}, &status) || status < 200 ||
		status > 599 || status / 100 == 3)
		return false;
	*out_status = (int)status;
	return true;
}

enum http_plain_state http_plain_parse(struct str bytes, bool ended, size_t body_limit_bytes,
	struct http_response *out_response)
{
	struct str rest = bytes, line;
	int64_t length = -1;
	int status;

	if (!cut_line(&rest, &line))
		return bytes.size > HEAD_LIMIT ? HTTP_PLAIN_ODD : HTTP_PLAIN_MORE;
	if (!read_status(line, &status))
		return HTTP_PLAIN_ODD;
	struct str headers = rest;
	for (;;) {
		if (!cut_line(&rest, &line))
			return bytes.size > HEAD_LIMIT ? HTTP_PLAIN_ODD : HTTP_PLAIN_MORE;
		if (line.size == 0)
			break;
		if (has_name(line, "Transfer-Encoding") || line.data[0] == ' ' ||
			line.data[0] == '\t' || memchr(line.data, 0, line.size))
			return HTTP_PLAIN_ODD;
		if (!has_name(line, "Content-Length"))
			continue;
		struct str value = {line.data + 15, line.size - 15};
		if (length >= 0 || !str_to_int(str_trim(value), &length) || length < 0)
			return HTTP_PLAIN_ODD;
	}
	if ((size_t)(rest.data - bytes.data) > HEAD_LIMIT || status == 204 ||
		rest.size > body_limit_bytes || length > (int64_t)body_limit_bytes)
		return HTTP_PLAIN_ODD;
	if (length < 0 && ended)
		length = (int64_t)rest.size; /* RFC 9112, 6.3, the last case */
	if (length < 0 || (uint64_t)length > rest.size)
		return HTTP_PLAIN_MORE;
	out_response->status = status;
	while (cut_line(&headers, &line) && line.size > 0)
		strings_add_owned(&out_response->headers, str_copy(str_trim(line)));
	buf_append(&out_response->body, rest.data, (size_t)length);
	return HTTP_PLAIN_WHOLE;
}

static struct buf request_text(const struct http_request *request, const struct http_url *url)
{
	struct buf text = {0};
	bool agent = false;

	buf_printf(&text, "GET %.*s", str_args(url->path));
	if (url->path.size == 0)
		buf_append_char(&text, '/');
	if (url->query.size > 0)
		buf_printf(&text, "?%.*s", str_args(url->query));
	buf_printf(&text, " HTTP/1.1\r\nHost: %.*s%s%.*s\r\nConnection: close\r\n",
		str_args(url->host), url->port.size ? ":" : "", str_args(url->port));
	for (size_t i = 0; i < request->header_count; i++) {
		agent = agent || strcasecmp(request->headers[i].name, "User-Agent") == 0;
		buf_printf(&text, "%s: %s\r\n", request->headers[i].name,
			request->headers[i].value);
	}
	if (!agent)
		buf_append_text(&text, "User-Agent: dogshore/" DOGSHORE_VERSION "\r\n");
	buf_append_text(&text, "\r\n");
	return text;
}

/* Connects and sends; a refused connection is libcurl's to tell. */
static int open_and_send(const struct sockaddr_in *address, const struct buf *text)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
		send(fd, text->data, text->size, MSG_NOSIGNAL) == (ssize_t)text->size)
		return fd;
	close(fd);
	return -1;
}

/* Reads what there is. 1: some, 0: no byte in time, -1: the end, -2: an error. */
static int read_some(int fd, int64_t end_ms, int64_t stall_ms, struct buf *in)
{
	int64_t left = end_ms - monotonic_ms();
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int count;

	left = left < stall_ms ? left : stall_ms;
	do {
		count = left > 0 ? poll(&ready, 1, (int)left) : 0;
	} while (count < 0 && errno == EINTR);
	if (count <= 0)
		return count < 0 ? -2 : 0;
	ssize_t got = recv(fd, buf_reserve(in, PIECE), PIECE, 0);
	if (got <= 0)
		return got < 0 ? -2 : -1;
	in->size += (size_t)got;
	return 1;
}

bool http_plain_get(const struct http_request *request, struct http_response *out_response)
{
	scoped(buf_free) struct buf text = {0}, in = {0};
	scoped(descriptor_close) int fd = -1;
	struct http_url url;
	struct sockaddr_in address;
	int64_t began_ms = monotonic_ms();
	int64_t stall_ms = request->stall_timeout_ms ? request->stall_timeout_ms : STALL_MS;
	int64_t total_ms = request->timeout_ms > 0 ? request->timeout_ms : TOTAL_MS;
	size_t limit = request->body_limit_bytes ? request->body_limit_bytes : BODY_LIMIT;
	enum http_plain_state state = HTTP_PLAIN_MORE;
	int some = 1;

	if (!http_url_parse(request->url, &url, NULL) || !is_address(&url, &address))
		return false;
	text = request_text(request, &url);
	fd = open_and_send(&address, &text);
	if (fd < 0)
		return false;
	while (state == HTTP_PLAIN_MORE &&
		(some = read_some(fd, began_ms + total_ms, stall_ms, &in)) > 0)
		state = http_plain_parse(buf_str(&in), false, limit, out_response);
	if (state == HTTP_PLAIN_MORE && some == -1)
		state = http_plain_parse(buf_str(&in), true, limit, out_response);
	out_response->was_sent = true;
	out_response->bytes_sent = (int64_t)text.size;
	out_response->bytes_received = (int64_t)in.size;
	out_response->duration_ms = monotonic_ms() - began_ms;
	explicit_bzero(text.data, text.size);
	if (state == HTTP_PLAIN_MORE && some == 0) {
		error_raise(&out_response->error, ERROR_TIMED_OUT, "GET %.*s: no byte for %lld ms",
			(int)strcspn(request->url, "?"), request->url, (long long)stall_ms);
		return true;
	}
	if (state == HTTP_PLAIN_WHOLE)
		return true;
	*out_response = (struct http_response){0};
	return false;
}
