/*
 * http_exchange.h - what base/http_server.c (start, libmicrohttpd on our loop, end),
 *                   base/http_request.c (the way of a request) and base/http_exchange.c (looking at
 *                   it, answering) share. Nobody else's.
 *
 *     HEAD --headers in, gate--> BODY --body in--> HANDED --answered, or kept and answered--> over
 *       |                          |
 *       refuse: 400, 431           answered early: the rest of the body is dropped
 *
 * libmicrohttpd accepts a response in one callback only, so http_answer*() leaves it in `response`
 * and the server hands it over at the end of the callback, or after resuming a kept connection.
 */
#ifndef BASE_HTTP_EXCHANGE_H
#define BASE_HTTP_EXCHANGE_H

#include "base/http_server.h"
#include "base/microhttpd_library.h"

#include <arpa/inet.h>

struct http_server {
	struct loop *loop; /* borrowed */
	struct http_server_options options;
	struct MHD_Daemon *daemon;
	struct watch *ready, *idle;
	struct http_exchange *exchanges; /* all that are open, newest first */
	size_t open;                     /* those whose head is in */
	int listen_fd;                   /* -1 once quiet */
	int port;
	bool running;  /* libmicrohttpd is at work: its callbacks run inside */
	bool resuming; /* a connection was resumed since it last ran */
};

enum exchange_phase {
	EXCHANGE_HEAD,
	EXCHANGE_BODY,
	EXCHANGE_HANDED,
};

struct http_exchange {
	struct http_server *server;
	struct http_exchange *previous, *following; /* in server->exchanges */
	struct MHD_Connection *connection;          /* libmicrohttpd's */
	enum exchange_phase phase;
	bool shown; /* begin or handle was called with it */

	/* the request */
	const char *target_in_buffer; /* where libmicrohttpd has it: for comparing addresses only */
	char *target, *path;          /* owned */
	const char *method;           /* libmicrohttpd's */
	struct strings query;         /* owned; name, value, name, value… decoded at first use */
	bool query_is_parsed;
	struct buf body;
	struct http_body_sink sink; /* take == NULL: the body is kept in memory */
	bool paused;                /* its reader wants no more of it for now */
	int64_t dropped_bytes;      /* of a body that nobody wants any more */
	char client[INET6_ADDRSTRLEN];
	void *user;

	/* the answer */
	struct strings headers; /* owned; name, value, … of the answer to come */
	struct MHD_Response *response;
	int status;
	bool answered;  /* response is set, or was and is handed over */
	bool queued;    /* handed over */
	bool suspended; /* libmicrohttpd leaves the connection alone until we resume it */
	bool gone;      /* the client is no longer there */
	struct watch *hang_up;

	struct sent_file *file; /* owned: an answer that a sender sends */

	/* an answer that is written bit by bit */
	bool stream_ended;
	struct buf stream;
	size_t stream_read; /* of it are with libmicrohttpd already */
};

/* The connection goes on: libmicrohttpd calls back with it soon. Nothing when it is not suspended. */
void exchange_resume(struct http_exchange *exchange);
/* libmicrohttpd leaves it alone; a client that goes away meanwhile is noticed. */
void exchange_suspend(struct http_exchange *exchange);
/* The same for a client that is in the middle of its body: what became of it shows when it goes on. */
void exchange_suspend_body(struct http_exchange *exchange);
/* Splits the target; false when an escape makes no sense or stands for NUL. */
bool exchange_set_path(struct http_exchange *exchange) must_use;
/* Frees what the exchange owns, and itself. */
void http_exchange_free(struct http_exchange *exchange);
/* What libmicrohttpd calls: the first word of a request, its target; then head, each piece of the body,
 * and the end; the last word. */
void *request_on_target(void *context, const char *target, struct MHD_Connection *connection);
enum MHD_Result request_on_bytes(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *bytes, size_t *size, void **state);
void request_on_completed(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code);

/* Does the server no longer accept? Then answers say "Connection: close". */
bool server_is_quiet(const struct http_server *server);

#endif
