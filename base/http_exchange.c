#include "base/http_exchange.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* A reader that takes nothing for this long a text has stopped reading. */
enum { STREAM_LIMIT = 8 << 20, STREAM_BLOCK = 16 << 10 };

/* What is smaller is sent by the loop, after which the connection stays open. */
enum { SENDER_LEAST = 4 << 20 };

struct sent_file {
	const struct http_sender *sender; /* borrowed */
	void *job;                        /* the sender's; NULL once ended */
	bool going;
};

static void sent_file_free(struct sent_file **address)
{
	struct sent_file *file = *address;

	if (!file)
		return;
	if (file->job)
		file->sender->end(file->job);
	free(file);
	*address = NULL;
}

void http_exchange_free(struct http_exchange *exchange)
{
	if (exchange->response)
		microhttpd.destroy_response(exchange->response);
	sent_file_free(&exchange->file);
	free(exchange->target);
	free(exchange->path);
	strings_free(&exchange->query);
	strings_free(&exchange->headers);
	buf_free(&exchange->body);
	buf_free(&exchange->stream);
	free(exchange);
}

/* --- the request --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Appends text with its %XX decoded; false on a broken escape and on NUL. */
static bool decode(struct str text, bool plus_is_space, struct buf *out)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '%') {
			int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
			int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;

			if (high < 0 || low < 0 || high + low == 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		buf_append_char(out, c);
	}
	return true;
}

/* The path and query of a target; an absolute one ("http://host/a?b") loses what is before them. */
static struct str without_authority(const char *target)
{
	const char *authority = strstr(target, "://");

	if (target[0] == '/' || !authority)
		return str_of(target);
	authority += 3;
	return str_of(authority + strcspn(authority, "/?"));
}

bool exchange_set_path(struct http_exchange *exchange)
{
	struct str rest = without_authority(exchange->target);
	scoped(buf_free) struct buf path = {0};

	if (!decode(str_cut(&rest, '?'), false, &path))
		return false;
	if (path.size == 0)
		buf_append_char(&path, '/');
	exchange->path = buf_take(&path);
	return true;
}

const char *http_exchange_method(const struct http_exchange *exchange)
{
	return exchange->method;
}

const char *http_exchange_path(const struct http_exchange *exchange)
{
	return exchange->path;
}

const char *http_exchange_target(const struct http_exchange *exchange)
{
	return exchange->target;
}

const char *http_exchange_header(const struct http_exchange *exchange, const char *name)
{
	return microhttpd.lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

struct header_visit {
	void (*each)(void *context, const char *name, const char *value);
	void *context;
};

static enum MHD_Result visit_header(void *context, enum MHD_ValueKind kind, const char *name,
	const char *value)
{
	struct header_visit *visit = context;

	(void)kind;
	visit->each(visit->context, name, value ? value : "");
	return MHD_YES;
}

void http_exchange_each_header(const struct http_exchange *exchange,
	void (*each)(void *context, const char *name, const char *value), void *context)
{
	struct header_visit visit = {each, context};

	microhttpd.get_connection_values(exchange->connection, MHD_HEADER_KIND, visit_header,
		&visit);
}

/* A parameter that cannot be decoded is left out, as one that nobody asked for. */
static void parse_query(struct http_exchange *exchange)
{
	struct str rest = without_authority(exchange->target);

	exchange->query_is_parsed = true;
	str_cut(&rest, '?');
	while (rest.size > 0) {
		struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
		scoped(buf_free) struct buf decoded_name = {0}, decoded_value = {0};

		if (name.size == 0 || !decode(name, true, &decoded_name) ||
			!decode(value, true, &decoded_value))
			continue;
		strings_add(&exchange->query, buf_text(&decoded_name));
		strings_add(&exchange->query, buf_text(&decoded_value));
	}
}

const char *http_exchange_query(const struct http_exchange *exchange, const char *name)
{
	/* Parsing at first use changes nothing that a caller sees. */
	struct http_exchange *cache = (struct http_exchange *)(uintptr_t)exchange;

	if (!exchange->query_is_parsed)
		parse_query(cache);
	for (size_t i = 0; i + 1 < exchange->query.count; i += 2)
		if (strcmp(exchange->query.items[i], name) == 0)
			return exchange->query.items[i + 1];
	return NULL;
}

struct str http_exchange_body(const struct http_exchange *exchange)
{
	return buf_str(&exchange->body);
}

static void write_address(const struct sockaddr *address, char out[INET6_ADDRSTRLEN])
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (!bytes || !inet_ntop(address->sa_family, bytes, out, INET6_ADDRSTRLEN))
		out[0] = '\0';
}

const char *http_exchange_client(const struct http_exchange *exchange)
{
	struct http_exchange *cache = (struct http_exchange *)(uintptr_t)exchange;
	const union MHD_ConnectionInfo *info;

	if (!exchange->client[0]) {
		info = microhttpd.get_connection_info(exchange->connection,
			MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		if (info && info->client_addr)
			write_address(info->client_addr, cache->client);
	}
	return exchange->client;
}

void http_exchange_pause(struct http_exchange *exchange)
{
	exchange->paused = true;
}

void http_exchange_continue(struct http_exchange *exchange)
{
	exchange->paused = false;
	exchange_resume(exchange);
}

void http_exchange_set_user(struct http_exchange *exchange, void *user)
{
	exchange->user = user;
}

void *http_exchange_user(const struct http_exchange *exchange)
{
	return exchange->user;
}

/* --- the answer --- */

void http_answer_header(struct http_exchange *exchange, const char *name, const char *value)
{
	assert(!exchange->answered);
	strings_add(&exchange->headers, name);
	strings_add(&exchange->headers, value);
}

/* Takes response. libmicrohttpd refuses a header with CR or LF inside, so none can be injected. */
static void answer(struct http_exchange *exchange, int status, const char *content_type,
	struct MHD_Response *response)
{
	assert(!exchange->answered);
	if (!response) {
		fprintf(stderr, "error: no answer can be made: out of memory\n");
		abort();
	}
	if (content_type)
		microhttpd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
			content_type);
	for (size_t i = 0; i + 1 < exchange->headers.count; i += 2)
		microhttpd.add_response_header(response, exchange->headers.items[i],
			exchange->headers.items[i + 1]);
	if (server_is_quiet(exchange->server))
		microhttpd.add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	exchange->response = response;
	exchange->status = status;
	exchange->answered = true;
	exchange_resume(exchange);
}

void http_answer(struct http_exchange *exchange, int status, const char *content_type,
	struct str body)
{
	/* libmicrohttpd copies, but its prototype says otherwise. */
	void *bytes = (void *)(uintptr_t)(body.data ? body.data : "");

	answer(exchange, status, content_type,
		microhttpd.create_response_from_buffer(body.size, bytes, MHD_RESPMEM_MUST_COPY));
}

void http_answer_buf(struct http_exchange *exchange, int status, const char *content_type,
	struct buf *body)
{
	size_t size = body->size;

	answer(exchange, status, content_type,
		microhttpd.create_response_from_buffer(size, buf_take(body),
			MHD_RESPMEM_MUST_FREE));
}

void http_answer_file(struct http_exchange *exchange, int status, const char *content_type, int fd,
	int64_t offset, int64_t size)
{
	if (size <= 0) {
		close(fd);
		http_answer(exchange, status, content_type, (struct str){0});
		return;
	}
	answer(exchange, status, content_type,
		microhttpd.create_response_from_fd_at_offset64((uint64_t)size, fd,
			(uint64_t)offset));
}

/*
 * Called with the head out: suspends the connection while the sender sends on its socket. At the end
 * libmicrohttpd has sent nothing of the body, so all that it can do then is close the connection
 * (which the head has said). Tried: a response of only the last bytes, with our Content-Length, for
 * the connection to stay open; it writes its own beside it. Nothing watches for a client that goes
 * away, because the sender's system calls fail then.
 */
static ssize_t wait_for_sender(void *context, uint64_t position, char *out, size_t size)
{
	struct http_exchange *exchange = context;
	struct sent_file *file = exchange->file;

	(void)position, (void)out, (void)size;
	if (exchange->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!file->job)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!file->going) {
		file->going = true;
		exchange_suspend_body(exchange);
		file->sender->go(file->job);
	}
	return 0;
}

static struct sent_file *prepare_file(struct http_exchange *exchange, int fd, int64_t offset,
	int64_t size, const struct http_sender *sender)
{
	const union MHD_ConnectionInfo *info = microhttpd.get_connection_info(exchange->connection,
		MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sent_file *file;
	void *job;

	if (!sender->prepare(sender->self, exchange, info->connect_fd, fd, offset, size, &job))
		return NULL;
	file = memory_new(sizeof(*file));
	*file = (struct sent_file){.sender = sender, .job = job};
	return file;
}

void http_answer_file_by(struct http_exchange *exchange, int status, const char *content_type,
	int fd, int64_t offset, int64_t size, const struct http_sender *sender)
{
	struct sent_file *file =
		size < SENDER_LEAST ? NULL : prepare_file(exchange, fd, offset, size, sender);

	if (!file) {
		http_answer_file(exchange, status, content_type, fd, offset, size);
		return;
	}
	close(fd);
	exchange->file = file;
	http_answer_header(exchange, MHD_HTTP_HEADER_CONNECTION, "close");
	answer(exchange, status, content_type,
		microhttpd.create_response_from_callback((uint64_t)size, 1024, wait_for_sender,
			exchange, NULL));
}

void http_exchange_sent(struct http_exchange *exchange, bool ok)
{
	struct sent_file *file = exchange->file;

	file->sender->end(file->job);
	file->job = NULL;
	if (!ok)
		exchange->gone = true;
	exchange_resume(exchange);
}

static ssize_t never_read(void *context, uint64_t position, char *out, size_t size)
{
	(void)context, (void)position, (void)out, (void)size;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_answer_head(struct http_exchange *exchange, int status, const char *content_type,
	int64_t size)
{
	/* Of an answer to HEAD libmicrohttpd sends the size and reads nothing. */
	answer(exchange, status, content_type,
		microhttpd.create_response_from_callback((uint64_t)size, 1024, never_read, NULL,
			NULL));
}

/* --- answers written bit by bit --- */

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t size)
{
	struct http_exchange *exchange = context;
	struct buf *stream = &exchange->stream;
	size_t left = stream->size - exchange->stream_read;

	(void)position;
	if (exchange->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (left > 0) {
		size = size < left ? size : left;
		memcpy(out, stream->data + exchange->stream_read, size);
		exchange->stream_read += size;
		if (exchange->stream_read == stream->size) {
			buf_clear(stream);
			exchange->stream_read = 0;
		}
		return (ssize_t)size;
	}
	if (exchange->stream_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	/* Nothing to send: without suspending libmicrohttpd would ask again and again. */
	exchange_suspend(exchange);
	return 0;
}

void http_answer_stream_begin(struct http_exchange *exchange, int status, const char *content_type)
{
	answer(exchange, status, content_type,
		microhttpd.create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
			read_stream, exchange, NULL));
}

bool http_answer_stream_write(struct http_exchange *exchange, struct str piece)
{
	if (exchange->gone)
		return false;
	if (exchange->stream.size - exchange->stream_read + piece.size > STREAM_LIMIT)
		exchange->gone = true;
	else
		buf_append_str(&exchange->stream, piece);
	exchange_resume(exchange);
	return !exchange->gone;
}

void http_answer_stream_end(struct http_exchange *exchange)
{
	exchange->stream_ended = true;
	exchange_resume(exchange);
}
