#include "base/json_writer.h"
#include "base/memory.h"
#include "deployers/local/auth.h"
#include "deployers/local/registry_internal.h"

#include <stdlib.h>

void registry_fail(struct http_exchange *exchange, int status, const char *code, const char *format,
	...)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	va_list args;

	va_start(args, format);
	scoped(text_free) char *message = memory_format_list(format, args);
	va_end(args);
	json_object_begin(&w);
	json_key(&w, "errors");
	json_array_begin(&w);
	json_object_begin(&w);
	json_put_text(&w, "code", code);
	json_put_text(&w, "message", message);
	json_object_end(&w);
	json_array_end(&w);
	json_object_end(&w);
	http_answer_buf(exchange, status, "application/json", &body);
}

void registry_fail_error(struct http_exchange *exchange, struct error *err)
{
	const char *message = err->message ? err->message : "";

	if (err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT)
		registry_fail(exchange, 400, "MANIFEST_INVALID", "%s", message);
	else if (err->kind == ERROR_NOT_FOUND)
		registry_fail(exchange, 404, "MANIFEST_BLOB_UNKNOWN", "%s", message);
	else if (err->kind == ERROR_CONFLICT)
		registry_fail(exchange, 400, "TAG_INVALID", "%s", message);
	else
		registry_fail(exchange, error_is_full(err) ? 507 : 500, "UNKNOWN", "%s", message);
	error_free(err);
}

void registry_answer_digest(struct http_exchange *exchange, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	http_answer_header(exchange, "Docker-Content-Digest", text);
}

struct registry_api *registry_api_new(struct cloud *cloud)
{
	struct registry_api *api = memory_new(sizeof(*api));

	api->cloud = cloud;
	return api;
}

void registry_api_free(struct registry_api **address)
{
	struct registry_api *api = *address;

	if (!api)
		return;
	registry_uploads_free(api);
	free(api);
	*address = NULL;
}

bool registry_api_wants(const struct http_exchange *exchange)
{
	const char *path = http_exchange_path(exchange);

	return text_starts_with(path, "/v2/") || text_equal(path, "/v2");
}

static void call_free(struct registry_call *call)
{
	free(call->repository);
	free(call->reference);
}

static struct registry_call call_of(struct registry_api *api, struct http_exchange *exchange)
{
	struct registry_path path = registry_path_parse(str_of(http_exchange_path(exchange)));

	return (struct registry_call){
		.api = api,
		.exchange = exchange,
		.what = path.what,
		.repository = str_copy(path.repository),
		.reference = str_copy(path.reference),
		.method = http_exchange_method(exchange),
	};
}

/* Answers itself when the caller may not, or names something that cannot be. */
static bool admit(const struct registry_call *call)
{
	http_answer_header(call->exchange, "Docker-Distribution-Api-Version", "registry/2.0");
	if (!auth_registry_check(call->api->cloud->auth,
		    http_exchange_header(call->exchange, "Authorization"))) {
		http_answer_header(call->exchange, "WWW-Authenticate",
			"Basic realm=\"the local cloud\",service=\"ecr\"");
		registry_fail(call->exchange, 401, "UNAUTHORIZED",
			"Basic credentials of ecr GetAuthorizationToken are needed");
		return false;
	}
	if (call->what == REGISTRY_ROOT)
		return true;
	if (call->what == REGISTRY_NOTHING) {
		registry_fail(call->exchange, 404, "UNSUPPORTED", "no path of a registry");
		return false;
	}
	if (!content_repository_name_valid(str_of(call->repository))) {
		registry_fail(call->exchange, 400, "NAME_INVALID", "invalid repository name");
		return false;
	}
	if (!content_repository(call->api->cloud->content, call->repository)) {
		registry_fail(call->exchange, 404, "NAME_UNKNOWN",
			"The repository with name '%s' does not exist in the registry with id '%s'",
			call->repository, call->api->cloud->account);
		return false;
	}
	return true;
}

void registry_api_begin(struct registry_api *api, struct http_exchange *exchange,
	struct http_body_sink *sink)
{
	scoped(call_free) struct registry_call call = call_of(api, exchange);
	bool post = text_equal(call.method, "POST") && call.what == REGISTRY_UPLOADS &&
		    http_exchange_query(exchange, "digest") != NULL;
	bool upload = call.what == REGISTRY_UPLOAD &&
		      (text_equal(call.method, "PATCH") || text_equal(call.method, "PUT"));

	if ((post || upload) && admit(&call))
		registry_upload_begin(&call, sink);
}

static void root(struct registry_call *call)
{
	http_answer(call->exchange, 200, "application/json", str_literal("{}"));
}

struct route {
	enum registry_what what;
	const char *methods; /* between spaces */
	void (*handle)(struct registry_call *call);
};

static const struct route routes[] = {
	{REGISTRY_ROOT, " GET HEAD ", root},
	{REGISTRY_BLOB, " GET HEAD DELETE ", registry_blob},
	{REGISTRY_UPLOADS, " POST ", registry_upload_start},
	{REGISTRY_UPLOAD, " GET PATCH PUT DELETE ", registry_upload_handle},
	{REGISTRY_MANIFEST, " GET HEAD PUT DELETE ", registry_manifest},
	{REGISTRY_TAGS, " GET HEAD ", registry_tags},
	{REGISTRY_REFERRERS, " GET HEAD ", registry_referrers},
};

void registry_api_handle(struct registry_api *api, struct http_exchange *exchange)
{
	scoped(call_free) struct registry_call call = call_of(api, exchange);
	scoped(text_free) char *method = memory_format(" %s ", call.method);

	/* A body that streamed was admitted when it began. */
	if (!http_exchange_user(exchange) && !admit(&call))
		return;
	for (size_t i = 0; i < countof(routes); i++)
		if (routes[i].what == call.what && strstr(routes[i].methods, method)) {
			routes[i].handle(&call);
			return;
		}
	registry_fail(exchange, 405, "UNSUPPORTED", "%s is not possible here", call.method);
}

void registry_api_closed(struct registry_api *api, struct http_exchange *exchange)
{
	(void)api;
	registry_upload_closed(exchange);
}
