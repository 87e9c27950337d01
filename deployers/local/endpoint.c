#include "deployers/local/endpoint.h"

#include "base/digest.h"
#include "base/http_server.h"
#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/auth.h"
#include "deployers/local/operation.h"
#include "deployers/local/query_codec.h"
#include "deployers/local/registry_api.h"
#include "deployers/local/store.h"

#include <stdlib.h>

enum {
	BODY_LIMIT = 16 << 20, /* a layer part of 10 MiB in base64 */
	HEADERS_MAX = 128,
	CONNECTION_MEMORY = 256 << 10, /* layers come in reads of 128 KiB */
};

struct endpoint {
	struct cloud *cloud;           /* borrowed */
	struct http_server *server;    /* owned */
	struct http_server *gateway;   /* owned; the same on the bridge, NULL without one */
	struct registry_api *registry; /* owned */
};

/* One request on its way to an operation. */
struct call {
	struct cloud *cloud;
	struct http_exchange *exchange;
	const struct operation_table *table;
	struct str name;     /* of the operation */
	struct json *input;  /* owned */
	struct json *output; /* owned */
	struct refusal refusal;
	char request_id[UUID_TEXT_SIZE];
};

static void call_free(struct call *call)
{
	json_free(&call->input);
	json_free(&call->output);
	refusal_free(&call->refusal);
}

struct header_list {
	struct sigv4_header items[HEADERS_MAX];
	size_t count;
};

static void add_header(void *context, const char *name, const char *value)
{
	struct header_list *list = context;

	if (list->count < HEADERS_MAX)
		list->items[list->count++] = (struct sigv4_header){str_of(name), str_of(value)};
}

static bool verify(struct call *call)
{
	struct header_list headers = {.count = 0};

	http_exchange_each_header(call->exchange, add_header, &headers);
	return auth_verify(call->cloud->auth,
		&(struct auth_request){
			.method = str_of(http_exchange_method(call->exchange)),
			.target = str_of(http_exchange_target(call->exchange)),
			.body = http_exchange_body(call->exchange),
			.headers = headers.items,
			.header_count = headers.count,
		},
		call->table->service, call->table->target_prefix != NULL, &call->refusal);
}

static const struct operation *find_operation(const struct call *call)
{
	for (const struct operation *row = call->table->rows; row->name; row++)
		if (str_equal_text(call->name, row->name))
			return row;
	return NULL;
}

/* What both protocols have in common once the input is decoded. */
static void perform(struct call *call)
{
	const struct operation *row = find_operation(call);
	const char *why = NULL;

	/* What we would answer is true, but waiting for it to change would be in vain. */
	if (store_is_full(call->cloud->store, &why))
		refuse(&call->refusal, 507, "InsufficientStorage",
			"%s (the local cloud goes on when there is space again)", why);
	else if (row)
		row->call(call->cloud, call->input, &call->output, &call->refusal);
	else
		refuse(&call->refusal, 400,
			call->table->target_prefix ? "UnknownOperationException" : "InvalidAction",
			"The local cloud does not answer %.*s of %s", str_args(call->name),
			call->table->service);
}

static void trace(const struct call *call, int status)
{
	log_trace("endpoint", "%s %.*s -> %d%s%s", call->table ? call->table->service : "?",
		str_args(call->name), status, call->refusal.code ? " " : "",
		call->refusal.code ? call->refusal.code : "");
}

static void answer_json(struct call *call)
{
	const char *type = http_exchange_header(call->exchange, "Content-Type");
	scoped(buf_free) struct buf body = {0};
	int status = call->refusal.code ? call->refusal.status : 200;

	if (call->refusal.code) {
		buf_append_text(&body, "{\"__type\":");
		json_quote(str_of(call->refusal.code), &body);
		buf_append_text(&body, ",\"message\":");
		json_quote(str_of(call->refusal.message), &body);
		buf_append_char(&body, '}');
	} else if (call->output) {
		json_write(call->output, &body);
	} else {
		buf_append_text(&body, "{}");
	}
	trace(call, status);
	http_answer_buf(call->exchange, status,
		type && text_starts_with(type, "application/x-amz-json-1.0")
			? "application/x-amz-json-1.0"
			: "application/x-amz-json-1.1",
		&body);
}

static void handle_json(struct call *call, const char *target)
{
	struct str name = str_of(target), prefix = str_cut(&name, '.');
	struct str body = http_exchange_body(call->exchange);
	struct error err = {0};

	call->name = name;
	for (const struct operation_table *const *table = operation_tables; *table; table++)
		if ((*table)->target_prefix && str_equal_text(prefix, (*table)->target_prefix))
			call->table = *table;
	if (!call->table) {
		refuse(&call->refusal, 400, "UnknownOperationException",
			"The local cloud has no service \"%.*s\"", str_args(prefix));
	} else if (verify(call)) {
		if (!json_parse(body.size ? body : str_literal("{}"), "the request's body",
			    &(struct json_limits){.size_bytes = BODY_LIMIT}, &call->input, &err) ||
			!json_is_object(call->input))
			refuse(&call->refusal, 400, "SerializationException", "%s",
				err.message ? err.message : "the request's body is no object");
		else
			perform(call);
	}
	error_free(&err);
	answer_json(call);
}

static const char default_namespace[] = "https://dogshore.invalid/local/";

static void answer_query(struct call *call)
{
	const char *space = call->table ? call->table->query_namespace : default_namespace;
	scoped(text_free) char *action = str_copy(call->name);
	scoped(buf_free) struct buf body = {0};
	int status = call->refusal.code ? call->refusal.status : 200;

	if (call->refusal.code)
		query_write_error(space, status, call->refusal.code, call->refusal.message,
			call->request_id, &body);
	else
		query_write_answer(action, space, call->output, call->request_id, &body);
	trace(call, status);
	http_answer_buf(call->exchange, status, "text/xml", &body);
}

static void find_query_table(struct call *call)
{
	const char *version = json_get_text(call->input, "Version", "");

	call->name = json_str(json_get(call->input, "Action"));
	for (const struct operation_table *const *table = operation_tables; *table; table++)
		if ((*table)->query_version && text_equal(version, (*table)->query_version))
			call->table = *table;
	if (!call->name.size)
		refuse(&call->refusal, 403, "MissingAuthenticationToken",
			"Request is missing Authentication Token");
	else if (!call->table)
		refuse(&call->refusal, 400, "InvalidAction",
			"Could not find operation %.*s for version %s", str_args(call->name),
			version);
}

static void handle_query(struct call *call)
{
	struct str form = http_exchange_body(call->exchange);
	struct error err = {0};

	if (!form.size) {
		form = str_of(http_exchange_target(call->exchange));
		str_cut(&form, '?');
	}
	if (!query_parse(form, &call->input, &err))
		refuse(&call->refusal, 400, "MalformedQueryString", "%s", err.message);
	else
		find_query_table(call);
	error_free(&err);
	if (!call->refusal.code && verify(call))
		perform(call);
	answer_query(call);
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct endpoint *endpoint = context;
	const char *target = http_exchange_header(exchange, "X-Amz-Target");
	scoped(call_free) struct call call = {.cloud = endpoint->cloud, .exchange = exchange};

	uuid_new(call.request_id);
	http_answer_header(exchange, "x-amzn-RequestId", call.request_id);
	if (registry_api_wants(exchange))
		registry_api_handle(endpoint->registry, exchange);
	else if (target)
		handle_json(&call, target);
	else
		handle_query(&call);
}

static void begin(void *context, struct http_exchange *exchange, struct http_body_sink *sink)
{
	struct endpoint *endpoint = context;

	if (registry_api_wants(exchange))
		registry_api_begin(endpoint->registry, exchange, sink);
}

static void closed(void *context, struct http_exchange *exchange)
{
	struct endpoint *endpoint = context;

	registry_api_closed(endpoint->registry, exchange);
}

static bool listen_on(struct endpoint *endpoint, const char *host, int port,
	struct http_server **out_server, struct error *err)
{
	struct http_server_options options = {
		.host = host,
		.port = port,
		.body_limit_bytes = BODY_LIMIT,
		.connection_memory_bytes = CONNECTION_MEMORY,
		.same_machine = true,
		.begin = begin,
		.handle = handle,
		.closed = closed,
		.context = endpoint,
	};

	return http_server_start(endpoint->cloud->loop, &options, out_server, err);
}

bool endpoint_start(struct cloud *cloud, struct endpoint **out_endpoint, struct error *err)
{
	scoped(endpoint_stop) struct endpoint *endpoint = memory_new(sizeof(*endpoint));

	endpoint->cloud = cloud;
	if (!auth_open(cloud, &cloud->auth, err))
		return false;
	endpoint->registry = registry_api_new(cloud);
	if (!listen_on(endpoint, cloud->host, cloud->port, &endpoint->server, err))
		return error_while(err, "opening the local cloud's endpoint");
	cloud->port = http_server_port(endpoint->server);
	if (cloud->gateway &&
		!listen_on(endpoint, cloud->gateway, cloud->port, &endpoint->gateway, err))
		return error_while(err, "opening the local cloud's endpoint for its tasks");
	if (!auth_announce(cloud->auth, err))
		return error_while(err, "telling where the local cloud is");
	*out_endpoint = endpoint;
	endpoint = NULL;
	return true;
}

void endpoint_stop(struct endpoint **address)
{
	struct endpoint *endpoint = *address;

	if (!endpoint)
		return;
	http_server_free(&endpoint->server);
	http_server_free(&endpoint->gateway);
	registry_api_free(&endpoint->registry);
	auth_free(&endpoint->cloud->auth);
	free(endpoint);
	*address = NULL;
}
