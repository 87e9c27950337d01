#include "base/aws/failure.h"

#include "base/aws/query.h"
#include "base/memory.h"

/* "com.amazonaws.ecs#ServiceNotFoundException:http://…" is "ServiceNotFoundException". */
static void set_code(struct aws_failure *failure, const char *text)
{
	const char *hash = strchr(text, '#');
	struct str code = str_of(hash ? hash + 1 : text);

	code = str_trim(str_cut(&code, ':'));
	snprintf(failure->code, sizeof(failure->code), "%.*s", str_args(code));
	failure->known = code.size > 0;
}

static void read_json(const struct http_response *response, struct aws_failure *failure,
	char **out_message)
{
	scoped(json_free) struct json *body = NULL;
	struct error err = {0};
	const char *header = http_response_header(response, "x-amzn-errortype");

	if (!json_parse(buf_str(&response->body), "answer", NULL, &body, &err))
		error_ignore(&err, "then the HTTP status is all we know");
	const char *code = json_get_text(body, "__type", json_get_text(body, "code", header));
	const char *message = json_get_text(body, "message", json_get_text(body, "Message", NULL));

	if (code)
		set_code(failure, code);
	*out_message = memory_copy_text(message);
}

static void read_query(const struct http_response *response, struct aws_failure *failure,
	char **out_message)
{
	scoped(json_free) struct json *body = NULL;
	struct error err = {0};

	if (!query_decode(buf_str(&response->body), &body, &err))
		error_ignore(&err, "then the HTTP status is all we know");
	const char *code = json_get_text(body, "Code", NULL);

	if (code)
		set_code(failure, code);
	*out_message = memory_copy_text(json_get_text(body, "Message", NULL));
}

void failure_read(const struct http_response *response, enum aws_protocol protocol,
	struct aws_failure *out_failure, char **out_message)
{
	*out_failure = (struct aws_failure){.status = response->status};
	if (protocol == AWS_QUERY)
		read_query(response, out_failure, out_message);
	else
		read_json(response, out_failure, out_message);
	if (!*out_message || !**out_message) {
		text_free(out_message);
		*out_message = memory_format("HTTP status %d", response->status);
	}
}

static bool matches_any(const char *code, const char *const *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (text_matches(code, patterns[i]))
			return true;
	return false;
}

static const char *const throttles[] = {"Throttling", "ThrottlingException", "ThrottledException",
	"RequestThrottledException", "RequestThrottled", "TooManyRequestsException",
	"ProvisionedThroughputExceededException", "TransactionInProgressException",
	"RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete",
	"EC2ThrottledException"};

static const char *const skews[] = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture",
	"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"};

/* The first pattern that fits decides. */
static const struct {
	const char *pattern;
	enum error_kind kind;
} kinds[] = {
	{"AccessDenied*", ERROR_DENIED},
	{"AuthFailure", ERROR_DENIED},
	{"ExpiredToken*", ERROR_DENIED},
	{"IncompleteSignature*", ERROR_DENIED},
	{"InvalidClientTokenId", ERROR_DENIED},
	{"InvalidSignatureException", ERROR_DENIED},
	{"MissingAuthenticationToken*", ERROR_DENIED},
	{"NotAuthorized*", ERROR_DENIED},
	{"OptInRequired", ERROR_DENIED},
	{"RequestExpired", ERROR_DENIED},
	{"RequestTimeTooSkewed", ERROR_DENIED},
	{"SignatureDoesNotMatch", ERROR_DENIED},
	{"Unauthorized*", ERROR_DENIED},
	{"UnrecognizedClientException", ERROR_DENIED},
	{"Blocked*", ERROR_DENIED},
	{"*NotFound", ERROR_NOT_FOUND},
	{"*NotFoundException", ERROR_NOT_FOUND},
	{"*NotFoundFault", ERROR_NOT_FOUND},
	{"*DoesNotExist*", ERROR_NOT_FOUND},
	{"ServiceNotActiveException", ERROR_NOT_FOUND},
	{"*AlreadyExist*", ERROR_CONFLICT},
	{"Duplicate*", ERROR_CONFLICT},
	{"*InUse*", ERROR_CONFLICT},
	{"*Conflict*", ERROR_CONFLICT},
	{"UpdateInProgressException", ERROR_CONFLICT},
	{"OperationAbortedException", ERROR_CONFLICT},
	{"*LimitExceeded*", ERROR_LIMIT},
	{"*QuotaExceeded*", ERROR_LIMIT},
	{"TooMany*", ERROR_LIMIT},
	{"ServerException", ERROR_UNAVAILABLE},
	{"InternalFailure", ERROR_UNAVAILABLE},
	{"InternalServer*", ERROR_UNAVAILABLE},
	{"ServiceUnavailable*", ERROR_UNAVAILABLE},
	{"RequestTimeout*", ERROR_UNAVAILABLE},
	{"IDPCommunicationError", ERROR_UNAVAILABLE},
};

enum error_kind failure_kind(const struct aws_failure *failure)
{
	if (failure->status == 429 || matches_any(failure->code, throttles, countof(throttles)))
		return ERROR_UNAVAILABLE;
	for (size_t i = 0; i < countof(kinds) && failure->known; i++)
		if (text_matches(failure->code, kinds[i].pattern))
			return kinds[i].kind;
	return error_kind_of_http(failure->status);
}

enum retry_outcome failure_retry(const struct aws_failure *failure)
{
	if (failure->status == 429 || matches_any(failure->code, throttles, countof(throttles)))
		return RETRY_THROTTLED;
	if (failure->status == 500 || (failure->status >= 502 && failure->status <= 504) ||
		text_starts_with(failure->code, "RequestTimeout") ||
		text_starts_with(failure->code, "IDPCommunicationError"))
		return RETRY_TRANSIENT;
	return RETRY_DONE;
}

bool failure_is_clock_skew(const struct aws_failure *failure)
{
	return matches_any(failure->code, skews, countof(skews));
}
