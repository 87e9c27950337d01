#include "base/http_legs.h"

#include "base/memory.h"

#include <stdlib.h>
#include <strings.h>

enum { STALL_TIMEOUT_MS = 30000 };

void leg_end(struct http_client *client, struct transfer *transfer)
{
	if (transfer->easy) {
		(void)curl.multi_remove_handle(client->multi, transfer->easy);
		curl.easy_cleanup(transfer->easy);
	}
	curl.slist_free_all(transfer->headers);
	transfer->easy = NULL;
	transfer->headers = NULL;
}

bool leg_start(struct http_client *client, struct transfer *transfer, struct error *err)
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

static char *origin_of(const char *url)
{
	struct http_url parts;

	return http_url_parse(url, &parts, NULL)
		       ? memory_format("%.*s://%.*s%s%.*s", str_args(parts.scheme),
				 str_args(parts.host), parts.port.size ? ":" : "",
				 str_args(parts.port))
		       : memory_copy_text(url);
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
		/* The connection broke, and what went through a relay cannot be sent anew. */
		{CURLE_SEND_FAIL_REWIND, ERROR_UNAVAILABLE},
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
	if (transfer->foreign)
		transfer->response->elsewhere = origin_of(transfer->url);
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

/* Makes the transfer wait for another leg, from where its first one began. */
static void start_later(struct http_client *client, struct transfer *transfer, int64_t wait_ms)
{
	struct http_response *response = transfer->response;

	leg_end(client, transfer);
	free(transfer->url);
	transfer->url = memory_copy_text(transfer->request->url);
	transfer->foreign = transfer->get = transfer->paused = false;
	transfer->redirects = 0;
	transfer->reason[0] = 0;
	error_free(&transfer->failure);
	strings_free(&response->headers);
	buf_clear(&response->body);
	response->status = 0;
	transfer->due_ms = monotonic_ms() + wait_ms;
	transfer->waiting = true;
}

/* A body broke off, or the answer to the question for its rest was none: another try, if it is wanted. */
static bool resume(struct http_client *client, struct transfer *transfer, enum error_kind lost)
{
	const struct http_request *request = transfer->request;
	int64_t wait_ms = 0;

	if (!request->resume || transfer->resume.passed == 0 ||
		(request->relay_to && request->relay_to->unwanted))
		return false;
	if (lost != ERROR_NONE && lost != ERROR_UNAVAILABLE && lost != ERROR_TIMED_OUT &&
		!transfer->resume.misfit)
		return false;
	transfer->response->vain = http_resume_fail(&transfer->resume);
	if (!request->resume(request->resume_context, transfer->response, lost,
		    transfer->response->vain, &wait_ms))
		return false;
	transfer->response->resumed++;
	start_later(client, transfer, wait_ms);
	return true;
}

/* The transfer has no answer: says why in response->error. */
void leg_give_up(struct http_client *client, struct transfer *transfer, struct error *why)
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

static void advise(struct error *why, CURLcode code)
{
	if (code == CURLE_SSL_CACERT_BADFILE)
		error_next(why, "check SSL_CERT_FILE, or install the authorities: "
				"apt-get install ca-certificates");
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		error_next(why, "is its authority one of your own? Then name it: SSL_CERT_FILE");
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
		advise(&why, code);
	}
	if (resume(client, transfer, why.kind))
		error_free(&why);
	else
		leg_give_up(client, transfer, &why);
}

/* The whole body is there, or an answer without one. */
static void answered(struct http_client *client, struct transfer *transfer)
{
	enum error_kind lost = ERROR_NONE;

	if (transfer->response->status / 100 == 2) {
		end(transfer, true);
		return;
	}
	/* It says that there is no such byte; asked without a range it tells what there is. */
	if (transfer->response->status == 416 && !transfer->resume.no_range) {
		transfer->resume.misfit = true;
		lost = ERROR_PROTOCOL;
	}
	if (!resume(client, transfer, lost))
		end(transfer, true);
}

void leg_finished(struct http_client *client, struct transfer *transfer, CURLcode code)
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
		answered(client, transfer);
		return;
	}
	if (!follow(client, transfer, &err))
		leg_give_up(client, transfer, &err);
}

/* How long this transfer may still go without a byte; ends it when that is over. */
int64_t leg_check_stall(struct http_client *client, struct transfer *transfer, int64_t now)
{
	int64_t given = transfer->request->stall_timeout_ms;
	int64_t limit = given ? given : STALL_TIMEOUT_MS;
	int64_t left = transfer->active_ms + limit - now;
	struct error why = {0};

	if (transfer->waiting)
		return transfer->due_ms > now ? transfer->due_ms - now : 0;
	/* The other end of the relay is the one that is waited for. */
	if (transfer->paused) {
		transfer->active_ms = now;
		return limit;
	}
	if (left > 0)
		return left;
	count_bytes(transfer);
	if (resume(client, transfer, ERROR_TIMED_OUT))
		return 0;
	if (transfer->response->bytes_received > transfer->paced_bytes)
		error_raise(&why, ERROR_TIMED_OUT, "no more than %lld bytes in %lld ms",
			(long long)(transfer->response->bytes_received - transfer->paced_bytes),
			(long long)limit);
	else
		error_raise(&why, ERROR_TIMED_OUT, "no byte for %lld ms", (long long)limit);
	leg_give_up(client, transfer, &why);
	return 0;
}
