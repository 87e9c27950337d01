#include "services/bookings/rooms.h"

#include "base/memory.h"

#include <stdlib.h>

enum { REMEMBERED = 1024 }; /* a power of two: slots, found by hash; the newer room wins */

struct remembered {
	char *room; /* owned; NULL: empty */
	int64_t until_ms;
};

struct asker {
	void (*told)(void *context, enum room_state state, const char *why);
	void *context;
	struct asker *following;
};

/* One call on its way, and all who wait for it. */
struct question {
	struct room_directory *directory;
	char *room; /* owned */
	struct asker *askers, **last_asker;
	struct question *following;
};

struct room_directory {
	struct caller *caller;
	struct clock *clock;
	int64_t cache_ms;
	struct remembered remembered[REMEMBERED];
	struct question *questions;
};

bool room_directory_new(struct loop *loop, const struct caller_options *options, int64_t cache_ms,
	struct clock *clock, struct room_directory **out_directory, struct error *err)
{
	struct caller *caller;

	if (!caller_new(loop, options, &caller, err))
		return false;
	*out_directory = memory_new(sizeof(**out_directory));
	**out_directory =
		(struct room_directory){.caller = caller, .clock = clock, .cache_ms = cache_ms};
	return true;
}

static void question_free(struct question *question)
{
	while (question->askers) {
		struct asker *asker = question->askers;

		question->askers = asker->following;
		free(asker);
	}
	free(question->room);
	free(question);
}

void room_directory_free(struct room_directory **directory)
{
	struct room_directory *gone = *directory;

	*directory = NULL;
	if (!gone)
		return;
	caller_free(&gone->caller);
	while (gone->questions) {
		struct question *question = gone->questions;

		gone->questions = question->following;
		question_free(question);
	}
	for (size_t i = 0; i < REMEMBERED; i++)
		free(gone->remembered[i].room);
	free(gone);
}

static struct remembered *slot_of(struct room_directory *directory, const char *room)
{
	unsigned hash = 2166136261u;

	for (; *room; room++)
		hash = (hash ^ (unsigned char)*room) * 16777619u;
	return &directory->remembered[hash & (REMEMBERED - 1)];
}

bool room_directory_knows(struct room_directory *directory, const char *room)
{
	const struct remembered *slot = slot_of(directory, room);

	return slot->room && text_equal(slot->room, room) &&
	       clock_elapsed(directory->clock) < slot->until_ms;
}

static void remember(struct room_directory *directory, const char *room)
{
	struct remembered *slot = slot_of(directory, room);

	free(slot->room);
	slot->room = memory_copy_text(room);
	slot->until_ms = clock_elapsed(directory->clock) + directory->cache_ms;
}

static void unlink_question(struct question *question)
{
	struct question **at = &question->directory->questions;

	while (*at != question)
		at = &(*at)->following;
	*at = question->following;
}

static void hear(void *context, const struct call_answer *answer)
{
	struct question *question = context;
	enum room_state state = answer->status == 200   ? ROOM_EXISTS
				: answer->status == 404 ? ROOM_UNKNOWN
							: ROOM_NOT_TOLD;
	char why[200];

	snprintf(why, sizeof(why), "rooms answered %d: %s", answer->status, answer->why);
	/* First out of the list: who is told may ask again at once. */
	unlink_question(question);
	if (state == ROOM_EXISTS)
		remember(question->directory, question->room);
	for (struct asker *asker = question->askers; asker; asker = asker->following)
		asker->told(asker->context, state, why);
	question_free(question);
}

static struct question *find_question(struct room_directory *directory, const char *room)
{
	struct question *question = directory->questions;

	while (question && !text_equal(question->room, room))
		question = question->following;
	return question;
}

static struct question *start_question(struct room_directory *directory, const char *room,
	const struct trace *trace)
{
	struct question *question = memory_new(sizeof(*question));
	scoped(text_free) char *path = memory_format("/rooms/%s", room);

	question->directory = directory;
	question->room = memory_copy_text(room);
	question->last_asker = &question->askers;
	question->following = directory->questions;
	directory->questions = question;
	caller_get(directory->caller, path, trace, hear, question);
	return question;
}

void room_directory_ask(struct room_directory *directory, const char *room,
	const struct trace *trace,
	void (*told)(void *context, enum room_state state, const char *why), void *context)
{
	struct question *question = find_question(directory, room);
	struct asker *asker = memory_new(sizeof(*asker));

	if (!question)
		question = start_question(directory, room, trace);
	*asker = (struct asker){told, context, NULL};
	*question->last_asker = asker;
	question->last_asker = &asker->following;
}

void room_directory_search(struct room_directory *directory, const char *path,
	const struct trace *trace, void (*told)(void *context, const struct call_answer *answer),
	void *context)
{
	caller_get(directory->caller, path, trace, told, context);
}
