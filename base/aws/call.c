#include "base/aws/client.h"
#include "base/aws/failure.h"
#include "base/aws/query.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

enum { SKEW_MS = 5 * 60 * 1000, HEADERS = 10 };

/* One call on its way; the request is built once and signed for each attempt. */
struct call {
	const struct aws_service *service;
	const char *operation;
	const struct aws_credentials *credentials; /* borrowed; NULL: unsigned */
	char *url;                                 /* owned */
	struct http_url parts;                     /* of url */
	struct buf body;
	char *host, *target; /* owned; target NULL with the query protocol */
	const char *content_type;
	char invocation[UUID_TEXT_SIZE];
	char payload[DIGEST_HEX_SIZE];
};

static void call_free(struct call *call)
{
	free(call->url);
	free(call->host);
	free(call->target);
	buf_free(&call->body);
}

/* As libcurl sends it: without the scheme's own port. */
static char *host_header(const struct http_url *parts)
{
	bool https = str_equal_ignoring_case(parts->scheme, str_literal("https"));
	bool is_v6 = parts->host.size && memchr(parts->host.data, ':', parts->host.size);
	bool has_port = parts->port.size && !str_equal_text(parts->port, https ? "443" : "80");

	return memory_format("%s%.*s%s%s%.*s", is_v6 ? "[" : "", str_args(parts->host),
		is_v6 ? "]" : "", has_port ? ":" : "", has_port ? (int)parts->port.size : 0,
		has_port ? parts->port.data : "");
}

static bool build(struct aws *aws, const struct aws_service *service, const char *operation,
	const struct json *input, struct call *call, struct error *err)
{
	struct digest digest;

	call->service = service;
	call->operation = operation;
	if (!endpoint_find(aws, service, &call->url, err) ||
		!http_url_parse(call->url, &call->parts, err))
		return false;
	call->host = host_header(&call->parts);
	if (service->protocol == AWS_QUERY) {
		query_encode(operation, service->target, input, &call->body);
		call->content_type = "application/x-www-form-urlencoded; charset=utf-8";
	} else {
		if (input)
			json_write(input, &call->body);
		else
			buf_append_text(&call->body, "{}");
		call->target = memory_format("%s.%s", service->target, operation);
		call->content_type = service->protocol == AWS_JSON_1_0
					     ? "application/x-amz-json-1.0"
					     : "application/x-amz-json-1.1";
	}
	digest = digest_of_str(buf_str(&call->body));
	digest_to_hex(&digest, call->payload);
	uuid_new(call->invocation);
	return true;
}

struct header_list {
	struct http_header rows[HEADERS];
	struct sigv4_header signed_rows[HEADERS];
	size_t count;
};

static void add_header(struct header_list *list, const char *name, const char *value)
{
	list->signed_rows[list->count] = (struct sigv4_header){str_of(name), str_of(value)};
	list->rows[list->count++] = (struct http_header){name, value};
}

static void sign(struct aws *aws, const struct call *call, const struct header_list *headers,
	int64_t time_ms, struct buf *out)
{
	struct sigv4_request request = {
		.method = str_literal("POST"),
		.path = call->parts.path,
		.query = call->parts.query,
		.headers = headers->signed_rows,
		.header_count = headers->count,
		.payload_sha256 = str_of(call->payload),
		.normalise_path = true,
		.escape_path_twice = true,
	};
	struct sigv4_scope scope = {
		.region = str_of(aws->region),
		.service = str_of(call->service->signing_name),
		.time_ms = time_ms,
	};

	sigv4_authorization(&request, &scope, call->credentials, out);
}

static bool send_once(struct aws *aws, const struct call *call, const struct retry *retry,
	struct http_response *response, struct error *err)
{
	scoped(buf_free) struct buf authorization = {0};
	scoped(text_free) char *attempt =
		memory_format("attempt=%d; max=%d", retry->attempts + 1, retry->max_attempts);
	struct header_list headers = {0};
	struct http_client *http = NULL;
	int64_t time_ms = clock_now(aws->clock) + aws->skew_ms;
	char date[TIME_TEXT_SIZE];

	if (!client_http(aws, &http, err))
		return false;
	time_to_basic(time_ms, date);
	add_header(&headers, "Host", call->host);
	add_header(&headers, "Content-Type", call->content_type);
	add_header(&headers, "X-Amz-Date", date);
	if (call->target)
		add_header(&headers, "X-Amz-Target", call->target);
	if (call->credentials && call->credentials->session_token)
		add_header(&headers, "X-Amz-Security-Token", call->credentials->session_token);
	if (call->credentials) {
		sign(aws, call, &headers, time_ms, &authorization);
		add_header(&headers, "Authorization", buf_text(&authorization));
	}
	add_header(&headers, "amz-sdk-invocation-id", call->invocation);
	add_header(&headers, "amz-sdk-request", attempt);
	return http_perform(http,
		&(struct http_request){.method = "POST",
			.url = call->url,
			.headers = headers.rows,
			.header_count = headers.count,
			.body = buf_str(&call->body)},
		response, err);
}

static enum retry_outcome outcome_of(const struct http_response *response, const struct error *err)
{
	if (!response->was_sent && (err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMED_OUT))
		return RETRY_NOT_ARRIVED;
	if (err->kind == ERROR_TIMED_OUT)
		return RETRY_TIMED_OUT;
	return err->kind == ERROR_UNAVAILABLE ? RETRY_TRANSIENT : RETRY_DONE;
}

/* The server's clock differs by minutes and it refused for that: sign by its clock from now on. */
static bool correct_clock(struct aws *aws, const struct http_response *response,
	const struct aws_failure *failure)
{
	const char *date = http_response_header(response, "Date");
	int64_t server_ms;

	if (!failure_is_clock_skew(failure) || !date || !time_of_http(str_of(date), &server_ms))
		return false;
	int64_t skew = server_ms - clock_now(aws->clock);

	if (skew > -SKEW_MS && skew < SKEW_MS)
		skew = 0;
	if (skew - aws->skew_ms > -SKEW_MS && skew - aws->skew_ms < SKEW_MS)
		return false;
	log_trace("aws", "the server's clock is %lld ms from ours", (long long)skew);
	aws->skew_ms = skew;
	return true;
}

static bool raise_refusal(const struct call *call, const struct aws_failure *failure,
	const char *message, struct error *err)
{
	enum error_kind kind = failure_kind(failure);

	error_raise(err, kind, "%s %s: %s%s%s", call->service->name, call->operation, failure->code,
		*failure->code ? ": " : "", message);
	if (kind == ERROR_DENIED && failure->known && call->credentials)
		error_next(err, "the call was signed with the key %s (from: %s)",
			call->credentials->access_key_id, call->credentials->source);
	if (failure->status == 507)
		error_next(err, "free some space on the disk of the cloud at %s", call->url);
	if (kind == ERROR_UNAVAILABLE)
		error_next(err, "%s has trouble of its own or is asked too often: try again later",
			call->url);
	return false;
}

static bool decode(const struct call *call, const struct http_response *response,
	struct json **out_output, struct error *err)
{
	struct json_limits limits = {.size_bytes = 64 << 20};

	if (!out_output)
		return true;
	if (call->service->protocol == AWS_QUERY)
		return query_decode(buf_str(&response->body), out_output, err);
	if (response->body.size == 0) {
		*out_output = json_object_new();
		return true;
	}
	if (json_parse(buf_str(&response->body), "answer", &limits, out_output, err))
		return true;
	err->kind = ERROR_PROTOCOL;
	return false;
}

enum step {
	STEP_DONE,
	STEP_FAILED,
	STEP_AGAIN,
};

static enum step decide(struct aws *aws, struct retry *retry, enum retry_outcome outcome,
	const struct call *call)
{
	uint32_t chance = 0;
	int64_t delay_ms = 0;

	random_bytes(&chance, sizeof(chance));
	if (!retry_decide(retry, &aws->bucket, outcome, chance / 4294967296.0, &delay_ms))
		return STEP_FAILED;
	log_trace("aws", "%s %s: attempt %d in %lld ms", call->service->name, call->operation,
		retry->attempts + 1, (long long)delay_ms);
	clock_sleep(aws->clock, delay_ms);
	return STEP_AGAIN;
}

/* One attempt. AGAIN leaves err as it is set; the caller drops it. */
static enum step attempt_call(struct aws *aws, struct call *call, struct retry *retry,
	bool *clock_corrected, struct json **out_output, struct aws_failure *out_failure,
	struct error *err)
{
	scoped(http_response_free) struct http_response response = {0};
	scoped(text_free) char *message = NULL;

	if (!send_once(aws, call, retry, &response, err)) {
		*out_failure = (struct aws_failure){0};
		error_while(err, "calling %s %s", call->service->name, call->operation);
		error_next(err, "%s",
			http_host_is_loopback(call->parts.host)
				? "is the local cloud up? dogshore local up --detach"
				: "is the network up, and are AWS_REGION and AWS_ENDPOINT_URL "
				  "right?");
		return decide(aws, retry, outcome_of(&response, err), call);
	}
	log_trace("aws", "%s %s: %d in %lld ms", call->service->name, call->operation,
		response.status, (long long)response.duration_ms);
	if (response.status >= 200 && response.status < 300) {
		retry_succeeded(retry, &aws->bucket);
		if (decode(call, &response, out_output, err))
			return STEP_DONE;
		error_while(err, "calling %s %s", call->service->name, call->operation);
		return STEP_FAILED;
	}
	failure_read(&response, call->service->protocol, out_failure, &message);
	raise_refusal(call, out_failure, message, err);
	if (!*clock_corrected && correct_clock(aws, &response, out_failure)) {
		*clock_corrected = true;
		return STEP_AGAIN;
	}
	return decide(aws, retry, failure_retry(out_failure), call);
}

bool client_call(struct aws *aws, const struct aws_service *service, const char *operation,
	const struct json *input, const struct aws_credentials *credentials,
	struct json **out_output, struct aws_failure *out_failure, struct error *err)
{
	scoped(call_free) struct call call = {.credentials = credentials};
	struct retry retry = {
		.max_attempts = aws->max_attempts,
		.idempotent = aws_is_idempotent(service->name, operation, input),
	};
	struct aws_failure failure = {0};
	bool clock_corrected = false;
	struct error why = {0};
	enum step step;

	if (!build(aws, service, operation, input, &call, err))
		return false;
	do {
		error_free(&why);
		step = attempt_call(aws, &call, &retry, &clock_corrected, out_output, &failure,
			&why);
	} while (step == STEP_AGAIN);
	if (out_failure)
		*out_failure = failure;
	if (step == STEP_DONE)
		return true;
	if (retry.attempts > 1)
		error_while(&why, "attempt %d of %d", retry.attempts, retry.max_attempts);
	error_move(err, &why);
	return false;
}

bool aws_call(struct aws *aws, const char *service, const char *operation, const struct json *input,
	struct json **out_output, struct aws_failure *out_failure, struct error *err)
{
	const struct aws_service *row = aws_service_find(service);

	if (out_failure)
		*out_failure = (struct aws_failure){0};
	if (!row)
		return error_raise(err, ERROR_USAGE, "the AWS service \"%s\" is not known here",
			service);
	return credentials_refresh(aws, err) &&
	       client_call(aws, row, operation, input, &aws->credentials, out_output, out_failure,
		       err);
}

bool client_http(struct aws *aws, struct http_client **out_http, struct error *err)
{
	if (!aws->http && !http_client_new(&aws->http, err))
		return false;
	*out_http = aws->http;
	return true;
}

static int max_attempts(void)
{
	const char *text = environment("AWS_MAX_ATTEMPTS");
	int64_t number = 0;

	if (text && str_to_int(str_of(text), &number) && number >= 1 && number <= 100)
		return (int)number;
	return RETRY_ATTEMPTS;
}

bool aws_new(const struct aws_options *options, struct aws **out_aws, struct error *err)
{
	static const struct aws_options none;
	scoped(aws_free) struct aws *aws = memory_new(sizeof(*aws));
	const char *named = environment("AWS_PROFILE");

	options = options ? options : &none;
	aws->profile_is_explicit = options->profile != NULL;
	aws->profile_is_named = options->profile || named;
	aws->profile = memory_copy_text(options->profile ? options->profile
					: named          ? named
							 : "default");
	aws->endpoint = memory_copy_text(options->endpoint);
	aws->clock = options->clock ? options->clock : &system_clock;
	aws->bucket.tokens = RETRY_TOKENS;
	aws->max_attempts = options->attempts ? options->attempts : max_attempts();
	if (!region_find(aws, options->region, err))
		return false;
	*out_aws = aws;
	aws = NULL;
	return true;
}

void aws_free(struct aws **aws)
{
	if (!*aws)
		return;
	http_client_free(&(*aws)->http);
	profiles_free(&(*aws)->profiles);
	aws_credentials_free(&(*aws)->credentials);
	free((*aws)->region);
	free((*aws)->profile);
	free((*aws)->endpoint);
	free(*aws);
	*aws = NULL;
}

const char *aws_region(const struct aws *aws)
{
	return aws->region;
}
