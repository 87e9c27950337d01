/*
 * server_fixture.h - a server and one client on one loop, and what the server's callbacks saw.
 *
 * What a path makes the server do: /keep and /stream keep the exchange, /file and /head answer with
 * a file and with a length, /sink takes the body as it comes, /pause stops at its first piece, /refuse
 * answers before the body; any other says what was asked.
 */
#ifndef TESTS_UNIT_BASE_SERVER_FIXTURE_H
#define TESTS_UNIT_BASE_SERVER_FIXTURE_H

#include "base/http_server.h"

struct fixture {
	struct loop *loop;
	struct http_server *server;
	int client; /* -1: not connected */
	struct buf received;
	struct buf story;           /* what the callbacks were called with, in order */
	struct http_exchange *kept; /* by /keep and /stream, until closed */
	struct buf sunk;            /* what the sink took */
	size_t sink_limit;
	struct http_exchange *paused; /* by /pause, at its first piece */
	int handled;
};

/* Ends the test program when it cannot. Bodies of 100,000 bytes are the limit. */
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);

bool fixture_connect(struct fixture *f);
/* Lets the server work until done(f) or the connection ended; true when done. */
bool fixture_run(struct fixture *f, bool (*done)(struct fixture *f));
bool fixture_never(struct fixture *f);
bool fixture_keeps(struct fixture *f);
bool fixture_keeps_none(struct fixture *f);
/* Sends everything, serving meanwhile; stops early when the server closes. */
void fixture_send(struct fixture *f, struct str bytes);
/* One connection: sends, and reads until the server closes it. */
const char *fixture_talk(struct fixture *f, struct str request);
/* 202 "later"; context is the fixture. */
void fixture_answer_kept(void *context);

#define LAST "Host: x\r\nConnection: close\r\n"

#endif
