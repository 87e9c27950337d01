#include "base/http_exchange.h"
#include "base/http_gate.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	HEAD_LIMIT = 32 << 10,
	HEADER_COUNT_LIMIT = 256,
	DROP_LIMIT = 64 << 20, /* of a body after the answer is known; then the connection ends */
};

/* --- keeping a connection --- */

/* Readable while kept: either the client went away, or it sends its next request already. */
static void on_hang_up(void *context, unsigned bits)
{
	struct http_exchange *exchange = context;
	const union MHD_ConnectionInfo *info = microhttpd.get_connection_info(exchange->connection,
		MHD_CONNECTION_INFO_CONNECTION_FD);
	char byte;
	ssize_t got = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)bits;
	if (got > 0) {
		watch_set_bits(exchange->hang_up, 0);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		exchange->gone = true;
		exchange_resume(exchange);
	}
}

void exchange_suspend(struct http_exchange *exchange)
{
	const union MHD_ConnectionInfo *info = microhttpd.get_connection_info(exchange->connection,
		MHD_CONNECTION_INFO_CONNECTION_FD);

	exchange->suspended = true;
	microhttpd.suspend_connection(exchange->connection);
	exchange->hang_up = loop_add_fd(exchange->server->loop, info->connect_fd, LOOP_READ,
		on_hang_up, exchange);
}

void exchange_suspend_body(struct http_exchange *exchange)
{
	exchange->suspended = true;
	microhttpd.suspend_connection(exchange->connection);
}

void exchange_resume(struct http_exchange *exchange)
{
	if (!exchange->suspended)
		return;
	exchange->suspended = false;
	loop_remove(exchange->server->loop, &exchange->hang_up);
	microhttpd.resume_connection(exchange->connection);
	exchange->server->resuming = true;
}

/* --- the gate --- */

struct head {
	struct http_gate_header headers[HEADER_COUNT_LIMIT];
	size_t count; /* may be larger than the limit, then headers are not complete */
};

static enum MHD_Result collect_header(void *context, enum MHD_ValueKind kind, const char *name,
	const char *value)
{
	struct head *head = context;

	(void)kind;
	if (head->count < HEADER_COUNT_LIMIT)
		head->headers[head->count] = (struct http_gate_header){str_of(name), str_of(value)};
	head->count++;
	return MHD_YES;
}

static const char *after(struct str piece)
{
	return piece.data + piece.size;
}

/*
 * From the end of a value to what follows there is CR LF, and NUL over the CR. From its version 1.0 on
 * libmicrohttpd leaves out white space before it: then NUL is over the first of that, and CR LF stands
 * as it came.
 */
static bool is_line_end(const char *end, const char *next)
{
	enum { CRLF = 2 };

	if (next - end <= CRLF)
		return next - end == CRLF;
	for (end++; end < next - CRLF; end++)
		if (*end != ' ' && *end != '\t')
			return false;
	return end[0] == '\r' && end[1] == '\n';
}

/*
 * Is what libmicrohttpd shows all that arrived? It accepts lines that end with LF alone, joins
 * folded lines, skips empty lines and cuts at NUL, and its callbacks show none of that. But it
 * splits the head where it lies: request line and headers are pieces of one block of header_size
 * bytes, in which it only writes NUL over separators. So each piece must begin where the one before
 * ends, plus exactly one separator, and the last must reach the end of the block; whatever was
 * skipped or moved leaves a gap.
 */
static bool is_whole(const struct http_exchange *exchange, const char *version,
	const struct head *head, size_t header_size)
{
	enum { CRLF = 2 };
	struct str method = str_of(exchange->method);
	const char *end = exchange->target_in_buffer + strlen(exchange->target) + 1;

	if (exchange->target_in_buffer != after(method) + 1 || end != version)
		return false;
	end = version + strlen(version);
	for (size_t i = 0; i < head->count; i++) {
		struct str name = head->headers[i].name, value = head->headers[i].value;

		if (!is_line_end(end, name.data) || !value.data || value.data <= after(name))
			return false;
		for (const char *space = after(name) + 1; space < value.data; space++)
			if (*space != ' ' && *space != '\t')
				return false;
		end = after(value);
	}
	return is_line_end(end, exchange->method + header_size - CRLF);
}

/* NULL when the request may pass, else why not, with the status to answer. */
static const char *check_head(struct http_exchange *exchange, const char *version, int *out_status)
{
	const union MHD_ConnectionInfo *info = microhttpd.get_connection_info(exchange->connection,
		MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct head head;
	const char *why;

	head.count = 0;
	*out_status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (!info || info->header_size > HEAD_LIMIT)
		return "the head is larger than 32 KiB";
	microhttpd.get_connection_values(exchange->connection, MHD_HEADER_KIND, collect_header,
		&head);
	if (head.count > HEADER_COUNT_LIMIT)
		return "there are more than 256 header lines";
	*out_status = MHD_HTTP_BAD_REQUEST;
	why = http_gate_check(str_of(exchange->method), str_of(exchange->target), str_of(version),
		head.headers, head.count);
	if (why)
		return why;
	if (!is_whole(exchange, version, &head, info->header_size))
		return "a line is folded, does not end with CR LF, or holds a NUL";
	if (!exchange_set_path(exchange))
		return "the target has a broken escape";
	return NULL;
}

/* --- the way of a request --- */

static enum MHD_Result hand_over(struct http_exchange *exchange)
{
	enum MHD_Result result = microhttpd.queue_response(exchange->connection,
		(unsigned)exchange->status, exchange->response);

	microhttpd.destroy_response(exchange->response);
	exchange->response = NULL;
	exchange->queued = true;
	return result;
}

static void answer_error(struct http_exchange *exchange, int status, const char *why)
{
	const struct http_server_options *options = &exchange->server->options;
	scoped(buf_free) struct buf body = {0};

	if (options->describe)
		options->describe(status, why, &body);
	else
		buf_printf(&body, "%s\n", why);
	http_answer_buf(exchange, status, options->describe ? options->describe_type : "text/plain",
		&body);
}

/* An answer in the first callback makes libmicrohttpd close the connection behind it. */
static enum MHD_Result refuse(struct http_exchange *exchange, int status, const char *why)
{
	http_answer_header(exchange, "Connection", "close");
	answer_error(exchange, status, why);
	return hand_over(exchange);
}

static int64_t announced_length(const struct http_exchange *exchange)
{
	const char *length = http_exchange_header(exchange, "Content-Length");
	int64_t size = 0;

	/* The gate let digits pass, and few enough of them. */
	return length && str_to_int(str_of(length), &size) ? size : 0;
}

/*
 * An answer that is known before the body is in waits until the body is read and dropped: answered
 * at once, the connection would be closed with unread bytes in it, and the reset that causes can
 * destroy the answer on its way. Not so when the client itself waits for our word (Expect), or the
 * body is too large to bother.
 */
static bool answers_at_once(const struct http_exchange *exchange)
{
	const char *expect = http_exchange_header(exchange, "Expect");

	return exchange->answered && ((expect && strcasecmp(expect, "100-continue") == 0) ||
					     announced_length(exchange) > DROP_LIMIT);
}

static enum MHD_Result receive_head(struct http_exchange *exchange, const char *method,
	const char *version)
{
	struct http_server *server = exchange->server;
	const struct http_server_options *options = &server->options;
	const char *why;
	int status;

	exchange->phase = EXCHANGE_BODY;
	exchange->method = method;
	server->open++;
	why = check_head(exchange, version, &status);
	if (why)
		return refuse(exchange, status, why);
	exchange->shown = true;
	if (options->begin)
		options->begin(options->context, exchange, &exchange->sink);
	if (!exchange->answered && !exchange->sink.take &&
		announced_length(exchange) > (int64_t)options->body_limit_bytes)
		answer_error(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
	return answers_at_once(exchange) ? hand_over(exchange) : MHD_YES;
}

static int status_of_sink_error(const struct error *err)
{
	if (error_is_full(err))
		return MHD_HTTP_INSUFFICIENT_STORAGE;
	switch ((int)err->kind) {
	case ERROR_LIMIT:
		return MHD_HTTP_CONTENT_TOO_LARGE;
	case ERROR_INVALID:
		return MHD_HTTP_BAD_REQUEST;
	case ERROR_UNAVAILABLE:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

static void feed_sink(struct http_exchange *exchange, const void *bytes, size_t size)
{
	struct error err = {0};

	if (!exchange->sink.take(exchange->sink.self, bytes, size, &err) && !exchange->answered)
		answer_error(exchange, status_of_sink_error(&err),
			err.message ? err.message : "the body was not accepted");
	error_free(&err);
}

static enum MHD_Result receive_body(struct http_exchange *exchange, const void *bytes, size_t size)
{
	if (exchange->answered) {
		exchange->dropped_bytes += (int64_t)size;
		return exchange->dropped_bytes > DROP_LIMIT ? MHD_NO : MHD_YES;
	}
	if (exchange->sink.take) {
		feed_sink(exchange, bytes, size);
	} else if (size > exchange->server->options.body_limit_bytes - exchange->body.size) {
		buf_free(&exchange->body);
		answer_error(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
	} else {
		buf_append(&exchange->body, bytes, size);
	}
	return MHD_YES;
}

/* The request is complete; called again when a kept exchange is resumed. */
static enum MHD_Result receive_end(struct http_exchange *exchange)
{
	const struct http_server_options *options = &exchange->server->options;

	if (exchange->gone)
		return MHD_NO;
	if (!exchange->answered && exchange->phase == EXCHANGE_BODY) {
		exchange->phase = EXCHANGE_HANDED;
		options->handle(options->context, exchange);
	}
	if (exchange->answered)
		return hand_over(exchange);
	exchange_suspend(exchange);
	return MHD_YES;
}

enum MHD_Result request_on_bytes(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *bytes, size_t *size, void **state)
{
	struct http_exchange *exchange = *state;
	enum MHD_Result result;

	(void)context, (void)connection, (void)url;
	if (exchange->phase == EXCHANGE_HEAD)
		return receive_head(exchange, method, version);
	if (*size == 0)
		return receive_end(exchange);
	result = receive_body(exchange, bytes, *size);
	*size = 0;
	/* A body in chunks may come with two pieces in one go: the second finds it suspended. */
	if (exchange->paused && !exchange->suspended && !exchange->answered)
		exchange_suspend_body(exchange);
	return result;
}

/* The first word of a request: its target, before libmicrohttpd takes it apart. */
void *request_on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	struct http_exchange *exchange = memory_new(sizeof(*exchange));
	struct http_server *server = context;

	exchange->server = server;
	exchange->connection = connection;
	exchange->target_in_buffer = target;
	exchange->target = memory_copy_text(target ? target : "");
	exchange->following = server->exchanges;
	if (server->exchanges)
		server->exchanges->previous = exchange;
	server->exchanges = exchange;
	return exchange;
}

void request_on_completed(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct http_server *server = context;
	struct http_exchange *exchange = *state;

	(void)connection, (void)code;
	*state = NULL;
	if (!exchange)
		return;
	exchange->gone = true;
	loop_remove(server->loop, &exchange->hang_up);
	if (exchange->shown && server->options.closed)
		server->options.closed(server->options.context, exchange);
	if (exchange->previous)
		exchange->previous->following = exchange->following;
	else
		server->exchanges = exchange->following;
	if (exchange->following)
		exchange->following->previous = exchange->previous;
	server->open -= exchange->phase != EXCHANGE_HEAD;
	http_exchange_free(exchange);
}
