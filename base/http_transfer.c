#include "base/http_transfer.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADERS_LIMIT = 64 * 1024,
	BODY_LIMIT = 16 * 1024 * 1024,
	UPLOAD_BUFFER = 512 * 1024, /* of each transfer; more is not faster and costs memory */
	LARGE_BODY = 1024 * 1024,   /* goes over HTTP/1.1, one connection each: see set_version() */
	CONNECT_TIMEOUT_MS = 5000,
	TIMEOUT_MS = 60000,
};

int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *transfer_method(const struct transfer *transfer)
{
	if (transfer->get || !transfer->request->method)
		return "GET";
	return transfer->request->method;
}

static bool has_fd_body(const struct transfer *transfer)
{
	return (transfer->request->body_fd > 0 || transfer->request->relay_from) && !transfer->get;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool transfer_will_redirect(const struct transfer *transfer)
{
	return is_redirect(transfer->response->status) &&
	       transfer->redirects < transfer->request->redirect_limit &&
	       http_response_header(transfer->response, "Location");
}

/* A repeat on a fresh connection can do no harm (RFC 9110, 9.2.2). */
static bool is_idempotent(const char *method)
{
	static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < countof(names); i++)
		if (text_equal(method, names[i]))
			return true;
	return false;
}

bool transfer_is_ready(const struct transfer *transfer)
{
	const struct http_request *request = transfer->request;

	if (request->relay_from)
		return request->relay_from->end != RELAY_COMING ||
		       http_relay_ready(request->relay_from) > 0;
	return !request->relay_to || request->relay_to->unwanted ||
	       http_relay_free_room(request->relay_to) >= HTTP_RELAY_ROOM / 2;
}

/* Hands bytes of the body to on_body and the relay; false: not, see transfer->failure. */
static bool hand_on(struct transfer *transfer, const char *bytes, size_t size)
{
	const struct http_request *request = transfer->request;

	if (request->relay_to && request->relay_to->unwanted)
		return error_raise(&transfer->failure, ERROR_CONFLICT,
			"the request that takes the body is over");
	if (request->on_body &&
		!request->on_body(request->context, bytes, size, &transfer->failure))
		return false;
	if (request->relay_to)
		http_relay_put(request->relay_to, bytes, size);
	return true;
}

static bool is_full(const struct http_relay *relay, size_t size)
{
	return relay && !relay->unwanted && size > http_relay_free_room(relay);
}

/* libcurl gives at most 16 KiB at once to a relay and the same again after a pause. */
static size_t pass_body(struct transfer *transfer, const char *bytes, size_t size)
{
	const char *range = http_response_header(transfer->response, "Content-Range");
	struct http_resume *resume = &transfer->resume;

	if (!resume->begun &&
		!http_resume_begin(resume, transfer->response->status, str_of(range))) {
		error_raise(&transfer->failure, ERROR_PROTOCOL,
			"the answer has not the rest of the body, from byte %lld on, but \"%.60s\"",
			(long long)resume->passed, range ? range : "");
		return 0;
	}
	size_t unseen = http_resume_unseen(resume, size);
	if (is_full(transfer->request->relay_to, size - unseen)) {
		transfer->response->bytes_received -= (int64_t)size;
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (size > unseen && !hand_on(transfer, bytes + unseen, size - unseen))
		return 0;
	http_resume_pass(resume, size);
	return size;
}

/* What the relay has; nothing yet is a pause. */
static size_t give_relayed(struct transfer *transfer, char *bytes, size_t room)
{
	struct http_relay *relay = transfer->request->relay_from;
	size_t size = http_relay_take(relay, bytes, room);

	if (size > 0) {
		transfer->offset += (int64_t)size;
		return size;
	}
	if (relay->end == RELAY_COMING) {
		transfer->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	error_raise(&transfer->failure, ERROR_CONFLICT, "the body to be sent did not arrive whole");
	return CURL_READFUNC_ABORT;
}

/* Callbacks of libcurl; context is the transfer. A wrong count returned ends the transfer. */

/* Without a limit for the whole, a byte now and then is no progress. */
static void note_progress(struct transfer *transfer)
{
	int64_t received = transfer->response->bytes_received;

	if (transfer->request->timeout_ms >= 0 ||
		received - transfer->paced_bytes >= HTTP_PACE_BYTES) {
		transfer->paced_bytes = received;
		transfer->active_ms = monotonic_ms();
	}
}

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;
	const struct http_request *request = transfer->request;
	size_t limit = request->body_limit_bytes ? request->body_limit_bytes : BODY_LIMIT;

	(void)one;
	transfer->response->bytes_received += (int64_t)size;
	note_progress(transfer);
	if (transfer_will_redirect(transfer))
		return size;
	if ((request->relay_to || request->on_body) && transfer->response->status / 100 == 2)
		return pass_body(transfer, bytes, size);
	if (transfer->response->body.size + size > limit) {
		error_raise(&transfer->failure, ERROR_LIMIT,
			"the answer is larger than the %zu bytes accepted", limit);
		return 0;
	}
	buf_append(&transfer->response->body, bytes, size);
	return size;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": each begins a new list of headers (after 100, for one). */
static void begin_answer(struct transfer *transfer, struct str line)
{
	int64_t status = 0;

	strings_free(&transfer->response->headers);
	transfer->response->status = 0;
	(void)str_cut(&line, ' ');
	line = str_trim(line);
	if (line.size >= 3 && str_to_int((struct str){line.data, 3}, &status))
		transfer->response->status = (int)status;
}

static size_t take_header(char *bytes, size_t one, size_t size, void *context)
{
	struct transfer *transfer = context;
	struct str line = str_trim((struct str){bytes, size});

	(void)one;
	transfer->active_ms = monotonic_ms();
	transfer->response->bytes_received += (int64_t)size;
	transfer->headers_size += size;
	if (transfer->headers_size > HEADERS_LIMIT) {
		error_raise(&transfer->failure, ERROR_LIMIT,
			"the answer has over 64 KiB of headers");
		return 0;
	}
	if (str_starts_with((struct str){bytes, size}, "HTTP/"))
		begin_answer(transfer, line);
	else if (line.size)
		strings_add_owned(&transfer->response->headers, str_copy(line));
	return size;
}

static size_t give_body(char *bytes, size_t one, size_t room, void *context)
{
	struct transfer *transfer = context;
	int64_t left = transfer->request->body_size - transfer->offset;
	ssize_t got;

	(void)one;
	transfer->active_ms = monotonic_ms();
	if (left < (int64_t)room)
		room = (size_t)left;
	if (room == 0)
		return 0;
	if (transfer->request->relay_from)
		return give_relayed(transfer, bytes, room);
	do {
		got = pread(transfer->request->body_fd, bytes, room,
			transfer->request->body_offset + transfer->offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		error_raise_errno(&transfer->failure, "read the body to be sent");
		return CURL_READFUNC_ABORT;
	}
	if (got == 0) {
		error_raise(&transfer->failure, ERROR_CONFLICT,
			"the file being sent became shorter while it was sent");
		return CURL_READFUNC_ABORT;
	}
	transfer->offset += got;
	return (size_t)got;
}

static int seek_body(void *context, curl_off_t offset, int origin)
{
	struct transfer *transfer = context;

	/* What went through a relay is gone. */
	if (origin != SEEK_SET || (transfer->request->relay_from && offset != transfer->offset))
		return CURL_SEEKFUNC_FAIL;
	transfer->offset = offset;
	return CURL_SEEKFUNC_OK;
}

/*
 * Called when a connection is there and the request is about to go out. libcurl sends a request
 * again by itself when a reused connection turns out closed; whether the server had acted on the
 * first one is unknown, so that is stopped here for methods that may not be repeated.
 */
static int before_send(void *context, char *remote_ip, char *local_ip, int remote_port,
	int local_port)
{
	struct transfer *transfer = context;
	bool may_repeat = is_idempotent(transfer_method(transfer)) && !transfer->request->send_once;

	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	transfer->active_ms = monotonic_ms();
	if (transfer->sends++ > 0 && !may_repeat) {
		error_raise(&transfer->failure, ERROR_UNAVAILABLE,
			"the connection closed after the request was sent");
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->response->was_sent = true;
	return CURL_PREREQFUNC_OK;
}

static bool has_line_break(const char *text)
{
	return strpbrk(text, "\r\n") != NULL;
}

static bool is_credential(const char *name)
{
	return strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Cookie") == 0 ||
	       strcasecmp(name, "Proxy-Authorization") == 0 ||
	       strncasecmp(name, "X-Amz-", strlen("X-Amz-")) == 0;
}

static bool has_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return true;
	return false;
}

static void add_header(struct transfer *transfer, const char *line)
{
	struct curl_slist *longer = curl.slist_append(transfer->headers, line);

	if (longer)
		transfer->headers = longer;
}

/* libcurl's own headers are switched off by "Name:", an empty value is spelt "Name;". */
static bool build_headers(struct transfer *transfer, struct error *err)
{
	const struct http_request *request = transfer->request;

	add_header(transfer, "Expect:");
	if (transfer->resume.passed > 0 && !transfer->resume.no_range) {
		scoped(text_free) char *range =
			memory_format("Range: bytes=%lld-", (long long)transfer->resume.passed);

		add_header(transfer, range);
	}
	if (!has_header(request, "Content-Type"))
		add_header(transfer, "Content-Type:");
	if (!has_header(request, "User-Agent"))
		add_header(transfer, "User-Agent: dogshore/" DOGSHORE_VERSION);
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];

		if (has_line_break(header->name) || has_line_break(header->value))
			return error_raise(err, ERROR_INVALID,
				"the value of the header \"%.40s\" has a line break", header->name);
		if (transfer->foreign &&
			(is_credential(header->name) || strcasecmp(header->name, "Host") == 0))
			continue;
		scoped(text_free) char *line =
			*header->value ? memory_format("%s: %s", header->name, header->value)
				       : memory_format("%s;", header->name);

		add_header(transfer, line);
	}
	return true;
}

#define SET(option, value) (void)curl.easy_setopt(transfer->easy, option, value)

static void set_body(struct transfer *transfer)
{
	const struct http_request *request = transfer->request;
	const char *method = transfer_method(transfer);

	if (text_equal(method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (has_fd_body(transfer)) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, give_body);
		SET(CURLOPT_READDATA, transfer);
		SET(CURLOPT_SEEKFUNCTION, seek_body);
		SET(CURLOPT_SEEKDATA, transfer);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
	} else if ((request->body.data && !transfer->get) || text_equal(method, "POST") ||
		   text_equal(method, "PUT") || text_equal(method, "PATCH")) {
		bool has_body = request->body.data && !transfer->get;

		SET(CURLOPT_POSTFIELDS, has_body ? request->body.data : "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(has_body ? request->body.size : 0));
	} else {
		SET(CURLOPT_HTTPGET, 1L);
	}
	if (!text_equal(method, "HEAD"))
		SET(CURLOPT_CUSTOMREQUEST, method);
}

/*
 * Small requests share one HTTP/2 connection where the server has it. Large bodies go over HTTP/1.1:
 * uploads that share a connection and its flow control window are several times slower.
 */
static void set_version(struct transfer *transfer)
{
	const struct http_request *request = transfer->request;
	bool large = has_fd_body(transfer) || request->body.size > LARGE_BODY || request->on_body ||
		     request->relay_to;

	SET(CURLOPT_HTTP_VERSION, (long)(large ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
	if (request->on_body)
		SET(CURLOPT_BUFFERSIZE, 256L * 1024);
}

static void set_times(struct transfer *transfer)
{
	int64_t connect = transfer->request->connect_timeout_ms;
	int64_t total = transfer->request->timeout_ms;

	if (total == 0)
		total = TIMEOUT_MS;
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect ? connect : CONNECT_TIMEOUT_MS));
	if (total > 0) {
		int64_t left = transfer->started_ms + total - monotonic_ms();

		SET(CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
	}
}

static void set_callbacks(struct transfer *transfer)
{
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_PREREQFUNCTION, before_send);
	SET(CURLOPT_PREREQDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->reason);
	SET(CURLOPT_PRIVATE, transfer);
}

/* Debian's libcurl has the place of the authorities built in and heeds no environment. */
static void set_tls(struct transfer *transfer, const struct http_url *url,
	struct tls_sessions *sessions)
{
	const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");

	transfer->peer = NULL;
	if (!str_equal_ignoring_case(url->scheme, str_literal("https")))
		return;
	if (file && *file)
		SET(CURLOPT_CAINFO, file);
	if (folder && *folder)
		SET(CURLOPT_CAPATH, folder);
	transfer->peer = tls_sessions_peer(sessions, url->host, url->port);
	if (!transfer->peer)
		return;
	SET(CURLOPT_SSL_CTX_FUNCTION, tls_sessions_prepare);
	SET(CURLOPT_SSL_CTX_DATA, transfer->peer);
}

bool transfer_prepare(struct transfer *transfer, struct tls_sessions *sessions, struct error *err)
{
	struct http_url parts;

	if (!http_url_parse(transfer->url, &parts, err))
		return false;
	if (has_line_break(transfer_method(transfer)))
		return error_raise(err, ERROR_INVALID, "the method has a line break");
	transfer->easy = curl.easy_init();
	if (!transfer->easy)
		return error_raise(err, ERROR_SYSTEM, "libcurl has no memory for a request");
	if (!build_headers(transfer, err))
		return false;
	SET(CURLOPT_URL, transfer->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L); /* what was signed must be what is sent */
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	if (transfer->request->direct || http_host_is_loopback(parts.host))
		SET(CURLOPT_NOPROXY, "*");
	if (transfer->request->unix_socket)
		SET(CURLOPT_UNIX_SOCKET_PATH, transfer->request->unix_socket);
	set_callbacks(transfer);
	set_body(transfer);
	set_version(transfer);
	set_times(transfer);
	set_tls(transfer, &parts, sessions);
	return true;
}
