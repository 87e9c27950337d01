/*
 * fake_server.h - an HTTP server for tests of clients: answers are the very bytes a test gives, so
 *                 broken ones are possible too.
 *
 * A thread per connection; the answer callback is called for one request at a time.
 */
#ifndef TESTS_UNIT_BASE_FAKE_SERVER_H
#define TESTS_UNIT_BASE_FAKE_SERVER_H

#include "base/buf.h"

struct fake_request {
	const char *method, *target; /* "GET", "/path?query" */
	const char *head;            /* the request line and headers as received */
	struct str body;
	int number;     /* of this request at the server, from 1 */
	int connection; /* on which it came, from 1 */
	bool close;     /* set: the connection is closed behind the answer */
	bool dribble;   /* set: a byte follows every 5 ms until nobody wants one */
	bool hold;      /* set: behind the answer nothing more happens until the client goes */
};

/* Writes the whole answer, status line included; writing nothing closes the connection. */
typedef void fake_answer(void *context, struct fake_request *request, struct buf *out);

struct fake_server;

/* unix_path NULL: a TCP port of 127.0.0.1 that is free. Ends the test program when it cannot. */
struct fake_server *fake_server_start(const char *unix_path, fake_answer *answer, void *context);
int fake_server_port(const struct fake_server *server);
int fake_server_requests(struct fake_server *server);
int fake_server_connections(struct fake_server *server);
void fake_server_stop(struct fake_server **server);

/* The value of a header of the request, owned; NULL when absent. */
char *fake_header(const struct fake_request *request, const char *name);
/* A complete answer with its Content-Length. headers may be "" or lines that end with \r\n. */
void fake_reply(struct buf *out, int status, const char *headers, struct str body);

#endif
