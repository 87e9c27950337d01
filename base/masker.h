/*
 * masker.h - takes secrets out of a stream of text: those we are told, and whatever looks like a
 *            credential (secret_shape.h), of which nobody told us. Each becomes "***".
 *
 *     masker_add...     masker_feed...  masker_flush
 *
 * A secret is found wherever the pieces of the stream end, and however it is written (mask_forms.h):
 * as it is, in base64, hexadecimal, percent encoding or the escapes of JSON, XML and shells; of one
 * with several lines each line.
 *
 * Held back  what may be the beginning of a secret, until the next piece or the flush decides: at
 *            most the longest form, for ordinary text a few bytes. Memory grows no further.
 * Overlap    occurrences that overlap become one "***"; of those that begin at one place the longest
 *            counts.
 * Speed      more than 1 GB/s where nothing is found: two bytes of text are one look into a table of
 *            8 KiB.
 * Threads    a masker belongs to one thread.
 */
#ifndef BASE_MASKER_H
#define BASE_MASKER_H

#include "base/mask_forms.h"

struct masker {
	struct strings secrets;   /* owned; as they were added */
	struct mask_forms *forms; /* owned; what is looked for, NULL until it is needed */
	struct buf held;          /* owned; the tail that may be the start of a secret */
	struct buf marks;         /* owned; which of its first bytes are hidden */
	struct buf pauses;        /* owned; size_t: places of held, see masker_pause() */
	char previous;            /* what stood before held; NUL at the beginning */
	/* Shows what stands in between, when all before it is in out; may empty out. */
	void (*paused)(void *self, struct buf *out);
	void *self;
};

/* An empty secret is ignored. Not in the middle of a stream. */
void masker_add(struct masker *masker, const char *secret);
/* Appends what is safe to show to out; flush at the end of the stream shows the rest. */
void masker_feed(struct masker *masker, struct str piece, struct buf *out);
void masker_flush(struct masker *masker, struct buf *out);
/* Something else is to be shown between what was fed and what comes: a secret may begin before it and
 * end behind it. Calls paused at once, with an empty out, or from masker_feed() or masker_flush(). */
void masker_pause(struct masker *masker);
/* A text of its own, whatever the stream holds back; owned. */
char *masker_text(struct masker *masker, const char *text) must_use;
void masker_free(struct masker *masker);

#endif
