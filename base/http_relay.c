#include "base/http_relay.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void http_relay_free(struct http_relay *relay)
{
	free(relay->room);
	*relay = (struct http_relay){0};
}

size_t http_relay_free_room(const struct http_relay *relay)
{
	return HTTP_RELAY_ROOM - relay->used;
}

void http_relay_put(struct http_relay *relay, const char *bytes, size_t size)
{
	size_t at = (relay->first + relay->used) % HTTP_RELAY_ROOM;
	size_t behind = HTTP_RELAY_ROOM - at;

	assert(size <= http_relay_free_room(relay));
	if (!relay->room)
		relay->room = memory_new(HTTP_RELAY_ROOM);
	memcpy(relay->room + at, bytes, size < behind ? size : behind);
	if (size > behind)
		memcpy(relay->room, bytes + behind, size - behind);
	relay->used += size;
}

size_t http_relay_ready(const struct http_relay *relay)
{
	if (relay->end == RELAY_BROKEN)
		return 0;
	/* The last byte stays until it is known that everything before it is right. */
	return relay->end == RELAY_COMING && relay->used > 0 ? relay->used - 1 : relay->used;
}

size_t http_relay_take(struct http_relay *relay, char *bytes, size_t room)
{
	size_t ready = http_relay_ready(relay), behind = HTTP_RELAY_ROOM - relay->first;
	size_t size = ready < room ? ready : room;

	if (size == 0)
		return 0;
	memcpy(bytes, relay->room + relay->first, size < behind ? size : behind);
	if (size > behind)
		memcpy(bytes + behind, relay->room, size - behind);
	relay->first = (relay->first + size) % HTTP_RELAY_ROOM;
	relay->used -= size;
	return size;
}
