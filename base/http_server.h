/*
 * http_server.h - an HTTP/1.1 server on our own loop (libmicrohttpd with MHD_USE_EPOLL and no
 *                 thread of its own), behind a gate that refuses smuggled requests.
 *
 * A request is handed to the handler when its headers are in and, unless it asks for a stream, its
 * whole body. The handler answers at once with http_answer_*(), or keeps the exchange and answers
 * later (the connection is suspended meanwhile).
 *
 *     headers in -> gate (base/http_gate.h) -> begin() may take the body as a stream -> handle()
 *
 * Ownership  an exchange is the server's; it ends when answered. `closed` tells a keeper that the
 *            client went away before the answer.
 * Limits     headers 32 KiB, body_limit_bytes, connection_limit, idle_timeout_s; 8 MiB of a stream
 *            that its reader does not take.
 * Signals    SIGPIPE is ignored from http_server_start() on.
 */
#ifndef BASE_HTTP_SERVER_H
#define BASE_HTTP_SERVER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/loop.h"

struct http_server;
struct http_exchange; /* one request and its answer */

/* A sink for a request body that is too large for memory. */
struct http_body_sink {
	bool (*take)(void *self, const void *bytes, size_t size, struct error *err);
	void *self;
};

struct http_server_options {
	const char *host;        /* NULL: 127.0.0.1; "0.0.0.0" for all */
	int port;                /* 0: any free one, see http_server_port() */
	size_t body_limit_bytes; /* of bodies kept in memory; 0: 4 MiB; beyond: 413 */
	/* What one connection may use: the head, and room to receive in; 0: 64 KiB. Half of it is what
	 * one read of a large body brings. */
	size_t connection_memory_bytes;
	/* Clients are on this machine: congestion control "reno" in place of the system's. One that
	 * paces (bbr) halves what loopback carries, and there is no network to be gentle with. */
	bool same_machine;
	unsigned connection_limit; /* 0: 1024 */
	unsigned idle_timeout_s;   /* 0: 75 */
	/* Headers are in. To stream the body set *sink and return; otherwise leave it. May answer
	 * right away, then the body is dropped and handle is not called. A sink that fails answers
	 * (also by itself, before it returns false) and ends the upload. NULL: nothing is streamed. */
	void (*begin)(void *context, struct http_exchange *exchange, struct http_body_sink *sink);
	/* The request is complete. Must answer, or keep the exchange and answer later. */
	void (*handle)(void *context, struct http_exchange *exchange);
	/* The exchange is over (answered, or the client went away): the last word about it. */
	void (*closed)(void *context, struct http_exchange *exchange);
	void *context;
	/* Writes the body of an answer that the server itself gives (400, 413, 431); its type. NULL:
	 * why, as text/plain. */
	void (*describe)(int status, const char *why, struct buf *out);
	const char *describe_type;
};

bool http_server_start(struct loop *loop, const struct http_server_options *options,
	struct http_server **out_server, struct error *err) must_use;
int http_server_port(const struct http_server *server);
/* Stops accepting; requests in flight go on, answers carry "Connection: close". */
void http_server_quiesce(struct http_server *server);
size_t http_server_open_requests(const struct http_server *server);
/* Ends all connections; not from inside a callback of the server. */
void http_server_free(struct http_server **server);

/* The request. Borrowed until the exchange is over. */
const char *http_exchange_method(const struct http_exchange *exchange);
const char *http_exchange_path(
	const struct http_exchange *exchange); /* percent-decoded, without query */
const char *http_exchange_target(
	const struct http_exchange *exchange); /* as received: path?query */
const char *http_exchange_header(const struct http_exchange *exchange, const char *name);
/* Calls each for every header, in order of arrival. */
void http_exchange_each_header(const struct http_exchange *exchange,
	void (*each)(void *context, const char *name, const char *value), void *context);
/* The decoded query parameter; NULL when absent, "" when it has no value. */
const char *http_exchange_query(const struct http_exchange *exchange, const char *name);
struct str http_exchange_body(const struct http_exchange *exchange);    /* empty when streamed */
const char *http_exchange_client(const struct http_exchange *exchange); /* address, no port */

/* From within a sink's take: after this piece nothing more of the body is received, and the client
 * has to wait, until http_exchange_continue(). */
void http_exchange_pause(struct http_exchange *exchange);
void http_exchange_continue(struct http_exchange *exchange);

/* A place for the caller's own state about this exchange. */
void http_exchange_set_user(struct http_exchange *exchange, void *user);
void *http_exchange_user(const struct http_exchange *exchange);

/* Adds a header to the answer to come; copies. */
void http_answer_header(struct http_exchange *exchange, const char *name, const char *value);
/* Answers with body (copied), NULL type: none is set. Exactly once per exchange. */
void http_answer(struct http_exchange *exchange, int status, const char *content_type,
	struct str body);
/* Answers with the buf's content, which is taken. */
void http_answer_buf(struct http_exchange *exchange, int status, const char *content_type,
	struct buf *body);
/* Answers with size bytes of an open file from offset (sendfile); takes fd. */
void http_answer_file(struct http_exchange *exchange, int status, const char *content_type, int fd,
	int64_t offset, int64_t size);
/*
 * Who sends files elsewhere than on the loop: one loop is one processor, and libmicrohttpd goes
 * around it for every 128 KiB. All is called on the loop's thread.
 *
 * prepare  is to send size bytes of fd from offset through socket; both are borrowed for the call,
 *          so it duplicates them. false: it cannot.
 * go       the head is out, and nothing else uses the socket: sends, and calls http_exchange_sent()
 *          at the end. Never from within.
 * end      the exchange is over: frees job, also one that never went or is not done.
 */
struct http_sender {
	bool (*prepare)(void *self, struct http_exchange *exchange, int socket, int fd,
		int64_t offset, int64_t size, void **out_job);
	void (*go)(void *job);
	void (*end)(void *job);
	void *self;
};

/* As http_answer_file(); from 4 MiB on through sender (borrowed: outlives the exchange), and the
 * connection ends with it. */
void http_answer_file_by(struct http_exchange *exchange, int status, const char *content_type,
	int fd, int64_t offset, int64_t size, const struct http_sender *sender);
/* ok: all of it is with the system; else the connection ends. */
void http_exchange_sent(struct http_exchange *exchange, bool ok);

/* An empty answer whose Content-Length is what a GET would have (HEAD). */
void http_answer_head(struct http_exchange *exchange, int status, const char *content_type,
	int64_t size);

/* An answer that is written bit by bit (server-sent events): begin, any number of writes from the
 * loop, end. write returns false when the client is gone. */
void http_answer_stream_begin(struct http_exchange *exchange, int status, const char *content_type);
bool http_answer_stream_write(struct http_exchange *exchange, struct str piece) must_use;
void http_answer_stream_end(struct http_exchange *exchange);

#endif
