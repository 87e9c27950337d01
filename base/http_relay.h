/*
 * http_relay.h - the body of one answer becomes the body of another request, while it arrives: what is
 *                in between is half a megabyte, whatever the size of the body.
 *
 *     GET ──on_body──► room for some ──► PUT
 *      └ waits while it is full           └ waits while it is empty, and begins when something is there
 *
 * The last byte is held back until the GET has ended and check() says that it is what was meant, so a
 * body that is wrong never becomes a whole request.
 *
 * Both requests go in one http_perform_all() (request.relay_to, request.relay_from), where the PUT does
 * not count as one of `parallel`.
 */
#ifndef BASE_HTTP_RELAY_H
#define BASE_HTTP_RELAY_H

#include "base/error.h"

#include <stddef.h>

enum { HTTP_RELAY_ROOM = 512 * 1024 };

enum relay_end {
	RELAY_COMING, /* there may be more */
	RELAY_WHOLE,
	RELAY_BROKEN,
};

struct http_relay {
	/* Is everything that came what was meant? NULL: yes. */
	bool (*check)(void *context, struct error *err);
	void *context;
	/* http_client's own */
	char *room; /* owned, a ring */
	size_t first, used;
	enum relay_end end;
	bool unwanted; /* the request that takes it is over */
};
void http_relay_free(struct http_relay *relay);

size_t http_relay_free_room(const struct http_relay *relay);
void http_relay_put(struct http_relay *relay, const char *bytes, size_t size); /* which must fit */
/* What may be taken now. */
size_t http_relay_ready(const struct http_relay *relay);
size_t http_relay_take(struct http_relay *relay, char *bytes, size_t room);

#endif
