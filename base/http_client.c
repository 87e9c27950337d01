#include "base/http_client.h"

#include "base/http_transfer.h"
#include "base/memory.h"

#include <stdlib.h>
#include <strings.h>

enum {
	STALL_TIMEOUT_MS = 30000,
	PARALLEL = 8,
	IDLE_CONNECTIONS = 16,
};

struct http_client {
	CURLM *multi; /* holds the open connections */
	struct tls_sessions sessions;
};

static void leg_end(struct http_client *client, struct transfer *transfer)
{
	if (transfer->easy) {
		(void)curl.multi_remove_handle(client->multi, transfer->easy);
		curl.easy_cleanup(transfer->easy);
	}
	curl.slist_free_all(transfer->headers);
	transfer->easy = NULL;
	transfer->headers = NULL;
}

static bool leg_start(struct http_client *client, struct transfer *transfer, struct error *err)
{
	transfer->offset = 0;
	transfer->sends = 0;
	transfer->headers_size = 0;
	transfer->active_ms = monotonic_ms();
	transfer->paced_bytes = transfer->response->bytes_received;
	if (!transfer_prepare(transfer, &client->sessions, err))
		return false;
	CURLMcode code = curl.multi_add_handle(client->multi, transfer->easy);

	return code == CURLM_OK ||
	       error_raise(err, ERROR_SYSTEM, "libcurl: %s", curl.multi_strerror(code));
}

static void count_bytes(struct transfer *transfer)
{
	long headers = 0;
	curl_off_t body = 0;

	curl.easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &headers);
	curl.easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &body);
	transfer->response->bytes_sent += headers + body;
}

static bool same_origin(const char *a, const char *b)
{
	struct http_url x, y;

	return http_url_parse(a, &x, NULL) && http_url_parse(b, &y, NULL) &&
	       str_equal_ignoring_case(x.scheme, y.scheme) &&
	       str_equal_ignoring_case(x.host, y.host) && str_equal(x.port, y.port);
}

/* RFC 9110, 15.4: 303 always asks for a GET, 301 and 302 turn a POST into one. */
static bool becomes_get(int status, const char *method)
{
	if (status == 303)
		return !text_equal(method, "HEAD");
	return (status == 301 || status == 302) && text_equal(method, "POST");
}

/* Whoever answers on the open network must not make us ask inside ours. */
static bool check_target(const struct transfer *transfer, const char *target, struct error *err)
{
	struct http_url from, to;

	if (!http_url_parse(transfer->request->url, &from, err) ||
		!http_url_parse(target, &to, err))
		return false;
	return http_host_may_lead_to(from.host, to.host) ||
	       error_raise(err, ERROR_DENIED, "%.*s redirects to the private address %.*s; refused",
		       str_args(from.host), str_args(to.host));
}

static bool follow(struct http_client *client, struct transfer *transfer, struct error *err)
{
	char *target = NULL;

	if (!http_url_resolve(transfer->url, http_response_header(transfer->response, "Location"),
		    &target, err))
		return false;
	if (!check_target(transfer, target, err)) {
		free(target);
		return false;
	}
	transfer->foreign = transfer->foreign || !same_origin(transfer->url, target);
	if (becomes_get(transfer->response->status, transfer_method(transfer)))
		transfer->get = true;
	free(transfer->url);
	transfer->url = target;
	transfer->redirects++;
	strings_free(&transfer->response->headers);
	buf_clear(&transfer->response->body);
	return leg_start(client, transfer, err);
}

static enum error_kind kind_of(CURLcode code)
{
	/* libcurl's list is long and grows; what is not named is the server's doing. */
	static const struct {
		CURLcode code;
		enum error_kind kind;
	} rows[] = {
		{CURLE_COULDNT_RESOLVE_PROXY, ERROR_UNAVAILABLE},
		{CURLE_COULDNT_RESOLVE_HOST, ERROR_UNAVAILABLE},
		{CURLE_COULDNT_CONNECT, ERROR_UNAVAILABLE},
		{CURLE_GOT_NOTHING, ERROR_UNAVAILABLE},
		{CURLE_SEND_ERROR, ERROR_UNAVAILABLE},
		{CURLE_RECV_ERROR, ERROR_UNAVAILABLE},
		{CURLE_PARTIAL_FILE, ERROR_UNAVAILABLE},
		{CURLE_SSL_CONNECT_ERROR, ERROR_UNAVAILABLE},
		/* GOAWAY and the like: Harbor says ENHANCE_YOUR_CALM under load. */
		{CURLE_HTTP2, ERROR_UNAVAILABLE},
		{CURLE_HTTP2_STREAM, ERROR_UNAVAILABLE},
		{CURLE_OPERATION_TIMEDOUT, ERROR_TIMED_OUT},
		{CURLE_PEER_FAILED_VERIFICATION, ERROR_DENIED},
		{CURLE_SSL_CERTPROBLEM, ERROR_DENIED},
		{CURLE_SSL_CACERT_BADFILE, ERROR_DENIED},
		{CURLE_URL_MALFORMAT, ERROR_INVALID},
		{CURLE_OUT_OF_MEMORY, ERROR_SYSTEM},
		{CURLE_FAILED_INIT, ERROR_SYSTEM},
	};

	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].code == code)
			return rows[i].kind;
	return ERROR_PROTOCOL;
}

/* "GET http://host/path": without the query, which may hold a signature. */
static char *name_of(const struct transfer *transfer)
{
	return memory_format("%s %.*s", transfer_method(transfer),
		(int)strcspn(transfer->url, "?#"), transfer->url);
}

/* The transfer is over; whoever waits at the other end of its relay learns how. */
static void end(struct transfer *transfer, bool answered)
{
	const struct http_request *request = transfer->request;
	struct http_relay *relay = request->relay_to;

	transfer->done = true;
	transfer->response->duration_ms = monotonic_ms() - transfer->started_ms;
	if (request->relay_from)
		request->relay_from->unwanted = true;
	if (!relay)
		return;
	bool whole = answered && transfer->response->status / 100 == 2;
	if (whole && relay->check && !relay->unwanted)
		whole = relay->check(relay->context, &transfer->response->error);
	relay->end = whole ? RELAY_WHOLE : RELAY_BROKEN;
}

/* The transfer has no answer: says why in response->error. */
static void transfer_fail(struct http_client *client, struct transfer *transfer, struct error *why)
{
	scoped(text_free) char *name = name_of(transfer);
	int number = why->system_errno;

	error_raise_at(&transfer->response->error, why->kind, why->file, why->line, "%s: %s", name,
		why->message);
	transfer->response->error.system_errno = number;
	if (why->next)
		error_next(&transfer->response->error, "%s", why->next);
	error_free(why);
	leg_end(client, transfer);
	end(transfer, false);
}

static void leg_failed(struct http_client *client, struct transfer *transfer, CURLcode code)
{
	struct error why = {0};
	long number = 0;

	curl.easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
	if (transfer->failure.kind != ERROR_NONE) {
		error_move(&why, &transfer->failure);
	} else if (code == CURLE_COULDNT_CONNECT && transfer->sends > 0) {
		/* libcurl lost the connection, tried another and was refused: see before_send(). */
		error_raise(&why, ERROR_UNAVAILABLE,
			"the connection closed after the request was sent");
	} else {
		error_raise(&why, kind_of(code), "%s",
			*transfer->reason ? transfer->reason : curl.easy_strerror(code));
		why.system_errno = (int)number;
	}
	transfer_fail(client, transfer, &why);
}

static void leg_finished(struct http_client *client, struct transfer *transfer, CURLcode code)
{
	struct error err = {0};

	count_bytes(transfer);
	if (code != CURLE_OK) {
		leg_failed(client, transfer, code);
		return;
	}
	leg_end(client, transfer);
	tls_sessions_keep(transfer->peer);
	if (!transfer_will_redirect(transfer)) {
		end(transfer, true);
		return;
	}
	if (!follow(client, transfer, &err))
		transfer_fail(client, transfer, &err);
}

/* How long this transfer may still go without a byte; ends it when that is over. */
static int64_t check_stall(struct http_client *client, struct transfer *transfer, int64_t now)
{
	int64_t given = transfer->request->stall_timeout_ms;
	int64_t limit = given ? given : STALL_TIMEOUT_MS;
	int64_t left = transfer->active_ms + limit - now;
	struct error why = {0};

	/* The other end of the relay is the one that is waited for. */
	if (transfer->paused) {
		transfer->active_ms = now;
		return limit;
	}
	if (left > 0)
		return left;
	count_bytes(transfer);
	if (transfer->response->bytes_received > transfer->paced_bytes)
		error_raise(&why, ERROR_TIMED_OUT, "no more than %lld bytes in %lld ms",
			(long long)(transfer->response->bytes_received - transfer->paced_bytes),
			(long long)limit);
	else
		error_raise(&why, ERROR_TIMED_OUT, "no byte for %lld ms", (long long)limit);
	transfer_fail(client, transfer, &why);
	return 0;
}

struct batch {
	struct http_client *client;
	struct transfer *transfers; /* owned */
	size_t count;
	size_t parallel;
};

static bool is_running(const struct transfer *transfer)
{
	return transfer->begun && !transfer->done;
}

static size_t running(const struct batch *batch)
{
	size_t sum = 0;

	for (size_t i = 0; i < batch->count; i++)
		sum += is_running(&batch->transfers[i]) && !batch->transfers[i].request->relay_from;
	return sum;
}

static bool all_done(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (!batch->transfers[i].done)
			return false;
	return true;
}

static void start(struct batch *batch, struct transfer *transfer)
{
	struct error err = {0};
	const struct http_relay *from = transfer->request->relay_from;

	transfer->begun = true;
	transfer->started_ms = monotonic_ms();
	transfer->url = memory_copy_text(transfer->request->url);
	if (from && from->end == RELAY_BROKEN)
		error_raise(&err, ERROR_CONFLICT, "the body to be sent did not arrive");
	if (err.kind || !leg_start(batch->client, transfer, &err))
		transfer_fail(batch->client, transfer, &err);
}

/* Those that take from a relay begin when there is something to take. */
static void start_more(struct batch *batch)
{
	size_t free_places = batch->parallel - running(batch);

	for (size_t i = 0; i < batch->count; i++) {
		struct transfer *transfer = &batch->transfers[i];

		if (transfer->begun)
			continue;
		if (transfer->request->relay_from) {
			if (transfer_is_ready(transfer))
				start(batch, transfer);
		} else if (free_places > 0) {
			start(batch, transfer);
			free_places -= !transfer->done;
		}
	}
}

/* Those whose relay was full or empty and is not any more go on. Says whether there are any. */
static bool go_on(struct batch *batch)
{
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		struct transfer *transfer = &batch->transfers[i];
		bool waits = transfer->begun ? transfer->paused && !transfer->done
					     : transfer->request->relay_from != NULL;

		if (!waits || !transfer_is_ready(transfer))
			continue;
		any = true;
		if (!transfer->begun)
			continue; /* start_more() will */
		transfer->paused = false;
		transfer->active_ms = monotonic_ms();
		(void)curl.easy_pause(transfer->easy, CURLPAUSE_CONT);
	}
	return any;
}

static void finish_some(struct batch *batch)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl.multi_info_read(batch->client->multi, &left))) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;

		curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (message->msg != CURLMSG_DONE || !transfer)
			continue;
		leg_finished(batch->client, transfer, code);
	}
}

static bool wait_for_more(struct batch *batch, struct error *err)
{
	int64_t now = monotonic_ms(), timeout = 1000;

	for (size_t i = 0; i < batch->count; i++) {
		if (!is_running(&batch->transfers[i]))
			continue;
		int64_t left = check_stall(batch->client, &batch->transfers[i], now);

		timeout = left < timeout ? left : timeout;
	}
	CURLMcode code = curl.multi_poll(batch->client->multi, NULL, 0, (int)timeout, NULL);

	return code == CURLM_OK ||
	       error_raise(err, ERROR_SYSTEM, "libcurl: %s", curl.multi_strerror(code));
}

static bool batch_run(struct batch *batch, struct error *err)
{
	int active;

	for (;;) {
		CURLMcode code;

		start_more(batch);
		code = curl.multi_perform(batch->client->multi, &active);
		if (code != CURLM_OK)
			return error_raise(err, ERROR_SYSTEM, "libcurl: %s",
				curl.multi_strerror(code));
		finish_some(batch);
		if (all_done(batch))
			return true;
		/* What began just now (a redirect, the next request) is driven before waiting. */
		if (active > 0 && !go_on(batch) && !wait_for_more(batch, err))
			return false;
	}
}

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		leg_end(batch->client, &batch->transfers[i]);
		free(batch->transfers[i].url);
		error_free(&batch->transfers[i].failure);
	}
	free(batch->transfers);
}

static bool first_failure(const struct http_response *responses, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct error *from = &responses[i].error;

		if (from->kind == ERROR_NONE)
			continue;
		error_raise_at(err, from->kind, from->file, from->line, "%s", from->message);
		if (err)
			err->system_errno = from->system_errno;
		if (from->next)
			error_next(err, "%s", from->next);
		return false;
	}
	return true;
}

bool http_perform_all(struct http_client *client, const struct http_request *requests,
	struct http_response *out_responses, size_t count, size_t parallel, struct error *err)
{
	scoped(batch_free) struct batch batch = {
		.client = client,
		.transfers = memory_new_array(count, sizeof(struct transfer)),
		.count = count,
		.parallel = parallel ? parallel : PARALLEL,
	};

	for (size_t i = 0; i < count; i++) {
		out_responses[i] = (struct http_response){0};
		batch.transfers[i].request = &requests[i];
		batch.transfers[i].response = &out_responses[i];
	}
	return batch_run(&batch, err) && first_failure(out_responses, count, err);
}

bool http_perform(struct http_client *client, const struct http_request *request,
	struct http_response *out_response, struct error *err)
{
	return http_perform_all(client, request, out_response, 1, 1, err);
}

bool http_client_new(struct http_client **out_client, struct error *err)
{
	if (!curl_library_load(err))
		return false;
	CURLM *multi = curl.multi_init();

	if (!multi)
		return error_raise(err, ERROR_SYSTEM, "libcurl has no memory for a client");
	(void)curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
	*out_client = memory_new(sizeof(**out_client));
	(*out_client)->multi = multi;
	return true;
}

void http_client_free(struct http_client **client)
{
	if (!*client)
		return;
	(void)curl.multi_cleanup((*client)->multi);
	tls_sessions_free(&(*client)->sessions);
	free(*client);
	*client = NULL;
}

void http_client_keep_sessions(struct http_client *client, const char *folder)
{
	free(client->sessions.folder);
	client->sessions.folder = memory_copy_text(folder);
}

const char *http_response_header(const struct http_response *response, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < response->headers.count; i++) {
		const char *line = response->headers.items[i];

		if (strncasecmp(line, name, size) == 0 && line[size] == ':')
			return line + size + 1 + strspn(line + size + 1, " \t");
	}
	return NULL;
}

void http_response_free(struct http_response *response)
{
	strings_free(&response->headers);
	buf_free(&response->body);
	error_free(&response->error);
	*response = (struct http_response){0};
}
