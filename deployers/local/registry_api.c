#include "base/json_writer.h"
#include "base/memory.h"
#include "deployers/local/auth.h"
#include "deployers/local/blob_sender.h"
#include "deployers/local/ecr_lifecycle.h"
#include "deployers/local/registry_internal.h"
#include "deployers/local/uploads.h"

#include <stdlib.h>

enum { COLLECT_MS = 3600 * 1000, STALLED_MS = 75 * 1000 };

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

/* An error for each, so that one answer tells all that has to be sent. */
void registry_answer_missing(struct http_exchange *exchange, const struct strings *missing,
	const char *repository)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);

	json_object_begin(&w);
	json_key(&w, "errors");
	json_array_begin(&w);
	for (size_t i = 0; i < missing->count; i++) {
		scoped(text_free) char *message =
			memory_format("%s is not in repository %s", missing->items[i], repository);

		json_object_begin(&w);
		json_put_text(&w, "code", "MANIFEST_BLOB_UNKNOWN");
		json_put_text(&w, "message", message);
		json_key(&w, "detail");
		json_object_begin(&w);
		json_put_text(&w, "digest", missing->items[i]);
		json_object_end(&w);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
	http_answer_buf(exchange, 404, "application/json", &body);
}

void registry_answer_digest(struct http_exchange *exchange, const char *name)
{
	http_answer_header(exchange, "Docker-Content-Digest", name);
}

bool registry_is_digest(struct registry_call *call)
{
	enum digest_kind kind;

	if (digest_name_valid(str_of(call->reference), &kind))
		return true;
	registry_fail(call->exchange, 400, "DIGEST_INVALID", "\"%.100s\" is no digest",
		call->reference);
	return false;
}

static void collect(void *context)
{
	struct registry_api *api = context;
	struct error err = {0};

	uploads_touch(api->cloud->uploads);
	if (!ecr_lifecycle_apply(api->cloud, &err) || !content_collect(api->cloud->content, &err)) {
		error_while(&err, "removing images and blobs that are not needed");
		error_print(stderr, &err, false);
		error_free(&err);
	}
	watch_set_delay(api->collector, COLLECT_MS);
}

struct registry_api *registry_api_new(struct cloud *cloud)
{
	struct registry_api *api = memory_new(sizeof(*api));

	api->cloud = cloud;
	api->senders = senders_new(cloud->loop, STALLED_MS);
	cloud->uploads = uploads_new(cloud);
	api->collector = loop_add_timer(cloud->loop, 0, collect, api);
	return api;
}

void registry_api_free(struct registry_api **address)
{
	struct registry_api *api = *address;

	if (!api)
		return;
	loop_remove(api->cloud->loop, &api->collector);
	uploads_free(&api->cloud->uploads);
	senders_free(&api->senders);
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

/*
 * Basic first, as ECR has it. Bearer is for clients that know nothing else, as docker-registry when
 * it is a mirror: the token service hands out the password that it is asked with.
 */
static void ask_for_credentials(const struct registry_call *call)
{
	const char *host = http_exchange_header(call->exchange, "Host");
	scoped(text_free) char *own =
		memory_format("%s:%d", call->api->cloud->host, call->api->cloud->port);
	scoped(text_free) char *bearer =
		memory_format("Bearer realm=\"http://%s/v2/token\",service=\"ecr\"",
			host ? host : own);

	http_answer_header(call->exchange, "WWW-Authenticate",
		"Basic realm=\"the local cloud\",service=\"ecr\"");
	if (!host || !strchr(host, '"'))
		http_answer_header(call->exchange, "WWW-Authenticate", bearer);
	registry_fail(call->exchange, 401, "UNAUTHORIZED",
		"Basic credentials of ecr GetAuthorizationToken are needed");
}

/* A blob may also be read by who has a link of GetDownloadUrlForLayer. */
static bool has_link(const struct registry_call *call)
{
	return call->what == REGISTRY_BLOB &&
	       (text_equal(call->method, "GET") || text_equal(call->method, "HEAD")) &&
	       auth_link_check(call->api->cloud->auth, http_exchange_path(call->exchange),
		       http_exchange_query(call->exchange, "expires"),
		       http_exchange_query(call->exchange, "seal"));
}

/* Answers itself when the caller may not, or names something that cannot be. */
static bool admit(const struct registry_call *call)
{
	http_answer_header(call->exchange, "Docker-Distribution-Api-Version", "registry/2.0");
	if (!auth_registry_check(call->api->cloud->auth,
		    http_exchange_header(call->exchange, "Authorization")) &&
		!has_link(call)) {
		ask_for_credentials(call);
		return false;
	}
	if (call->what == REGISTRY_ROOT || call->what == REGISTRY_TOKEN)
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

	bool manifest = call.what == REGISTRY_MANIFEST && text_equal(call.method, "PUT");

	if ((post || upload) && admit(&call))
		registry_upload_begin(&call, sink);
	else if (manifest)
		registry_manifest_begin(&call);
}

static void root(struct registry_call *call)
{
	http_answer(call->exchange, 200, "application/json", str_literal("{}"));
}

static void token(struct registry_call *call)
{
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	int64_t expires_ms, now = clock_now(call->api->cloud->clock);
	scoped(text_free) char *password =
		auth_registry_password(call->api->cloud->auth, &expires_ms);

	json_object_begin(&w);
	json_put_text(&w, "token", password);
	json_put_text(&w, "access_token", password);
	json_put_int(&w, "expires_in", (expires_ms - now) / 1000);
	json_object_end(&w);
	http_answer_buf(call->exchange, 200, "application/json", &body);
}

struct route {
	enum registry_what what;
	const char *methods; /* between spaces */
	void (*handle)(struct registry_call *call);
};

static const struct route routes[] = {
	{REGISTRY_ROOT, " GET HEAD ", root},
	{REGISTRY_TOKEN, " GET ", token},
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
