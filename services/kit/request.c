#include "services/kit/request.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>

static const char json_type[] = "application/json";

const char *request_parameter(const struct request *request, size_t index)
{
	assert(index < ROUTE_PARAMETERS && request->parameters[index]);
	return request->parameters[index];
}

const char *request_query(const struct request *request, const char *name)
{
	return http_exchange_query(request->exchange, name);
}

bool request_query_int(struct request *request, const char *name, int64_t least, int64_t most,
	int64_t fallback, int64_t *out_value)
{
	const char *text = request_query(request, name);
	int64_t value = fallback;

	if (text && (!str_to_int(str_of(text), &value) || value < least || value > most)) {
		request_refuse(request, 400, "invalid_parameter",
			"%s must be a number from %lld to %lld", name, (long long)least,
			(long long)most);
		return false;
	}
	*out_value = value;
	return true;
}

bool request_json(struct request *request, struct json **out_object)
{
	static const struct json_limits limits = {.size_bytes = 64 << 10, .depth = 8};
	scoped(json_free) struct json *value = NULL;
	struct error err = {0};

	if (!json_parse(http_exchange_body(request->exchange), "the body", &limits, &value, &err)) {
		bool large = err.kind == ERROR_LIMIT;

		request_refuse(request, large ? 413 : 400, large ? "too_large" : "invalid_json",
			"%s", err.message);
		error_free(&err);
		return false;
	}
	if (!json_is_object(value)) {
		request_refuse(request, 400, "invalid_json", "the body is not a JSON object");
		return false;
	}
	*out_object = value;
	value = NULL;
	return true;
}

void request_header(struct request *request, const char *name, const char *value)
{
	http_answer_header(request->exchange, name, value);
}

/* Every answer passes here. */
static void answer(struct request *request, int status, struct buf *body)
{
	assert(!request->status);
	request->status = status;
	request->gone = NULL;
	http_answer_header(request->exchange, "X-Request-Id", request->trace.request_id);
	if (service_is_leaving(request->service))
		http_answer_header(request->exchange, "Connection", "close");
	http_answer_buf(request->exchange, status, body->size ? json_type : NULL, body);
}

void request_answer(struct request *request, int status, struct buf *body)
{
	buf_append_char(body, '\n');
	answer(request, status, body);
}

void request_answer_nothing(struct request *request)
{
	struct buf nothing = {0};

	answer(request, 204, &nothing);
}

void write_error_body(struct buf *out, const char *code, const char *message)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_key(&w, "error");
	json_object_begin(&w);
	json_put_text(&w, "code", code);
	json_put_text(&w, "message", message);
	json_object_end(&w);
	json_object_end(&w);
}

void request_refuse(struct request *request, int status, const char *code, const char *format, ...)
{
	scoped(text_free) char *message = NULL;
	struct buf body = {0};
	va_list args;

	va_start(args, format);
	message = memory_format_list(format, args);
	va_end(args);
	write_error_body(&body, code, message);
	request_answer(request, status, &body);
}

void request_fail(struct request *request, struct error *err)
{
	bool again = err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMED_OUT;

	log_write(LOG_ERROR, err->message ? err->message : "unknown error", "request_id",
		request->trace.request_id, "trace_id", request->trace.trace_id, "kind",
		error_kind_name(err->kind), NULL);
	error_free(err);
	if (again) {
		request_header(request, "Retry-After", "1");
		request_refuse(request, 503, "unavailable", "try again in a moment");
	} else {
		request_refuse(request, 500, "internal",
			"something went wrong here; request %s is in our log",
			request->trace.request_id);
	}
}
