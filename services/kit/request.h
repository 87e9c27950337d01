/*
 * request.h - one request on its way through a service: what was asked, who asked, and the answer.
 *
 * Answers are JSON. An error's body is {"error":{"code":"room_taken","message":"…"}}: the code is
 * for programs and never changes, the message is for people.
 *
 * Ownership  a request is the kit's; it ends when answered, or when the client goes away: whoever
 *            keeps one sets `gone`.
 */
#ifndef SERVICES_KIT_REQUEST_H
#define SERVICES_KIT_REQUEST_H

#include "base/http_server.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "services/kit/service.h"
#include "services/kit/trace.h"

enum { ROUTE_PARAMETERS = 4 };

struct request {
	struct service *service;
	struct http_exchange *exchange;
	const struct route *route; /* NULL: none matched */
	void *context;             /* the plan's */
	struct trace trace;
	int64_t started_us;
	int status;                         /* 0: not answered */
	char *parameters[ROUTE_PARAMETERS]; /* owned: what the braces of the pattern took */
	/* Called when it ends without an answer, so that a keeper forgets it. */
	void (*gone)(struct request *request, void *keeper);
	void *keeper;
};

/* What the n-th brace of the pattern took, from 0; decoded. */
const char *request_parameter(const struct request *request, size_t index);
/* A query parameter, NULL when absent. */
const char *request_query(const struct request *request, const char *name);
/* A number between least and most from the query; fallback when absent. Otherwise answers 400 and
 * returns false. */
bool request_query_int(struct request *request, const char *name, int64_t least, int64_t most,
	int64_t fallback, int64_t *out_value) must_use;
/* The body as a JSON object; answers 400 or 413 itself and returns false when it is none. */
bool request_json(struct request *request, struct json **out_object) must_use;

/* Adds a header to the answer to come. */
void request_header(struct request *request, const char *name, const char *value);
/* Answers with the JSON in body, which is taken. */
void request_answer(struct request *request, int status, struct buf *body);
/* Answers without a body: 204. */
void request_answer_nothing(struct request *request);
/* Answers with an error body. */
void request_refuse(struct request *request, int status, const char *code, const char *format, ...)
	printf_like(4, 5);
/* Answers what the error means to a client: 503 when trying again may help, else 500; logs it with
 * all it says, tells the client nothing of it; empties it. */
void request_fail(struct request *request, struct error *err);

/* Writes {"error":{"code":…,"message":…}}. */
void write_error_body(struct buf *out, const char *code, const char *message);

#endif
