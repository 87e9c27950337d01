/*
 * stored_log.h - a step's log as it is stored: compressed, and each line knows when it came.
 *
 * The file is one that zstd itself reads (zstdcat, zstdless show the text); in front of each frame
 * stands a skippable frame with the times:
 *
 *     0x184d2a5d  size                                      little endian, 4 bytes each
 *     1  first time (ms since 1970)  text bytes  frame bytes  count, then count of: ms later, bytes
 *     zstd frame of that text, with checksum
 *
 * All numbers of the second line are LEB128; a pair says that so many bytes came so much later than
 * those before. A line's time is that of its first byte.
 *
 * Writing    stored_log_open -> stored_log_add... -> stored_log_close. A thread of its own compresses;
 *            what was added is in the file a second later at most, so a log that grows can be read
 *            and a crash loses no more. Memory: two blocks of 1 MiB and zstd's own.
 * Reading    stored_log_reader_open -> stored_log_read until it gives nothing. A block that is cut off
 *            counts as not there yet.
 * Source     RFC 8878, 3.1.2 (skippable frames).
 */
#ifndef BUILDERS_EXECUTOR_STORED_LOG_H
#define BUILDERS_EXECUTOR_STORED_LOG_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

enum {
	STORED_LOG_BLOCK = 1024 * 1024, /* of text, at most */
	STORED_LOG_TIMES = 2048,        /* pairs of a block, at most */
};

struct stored_log;

/* Makes the file; there must be none. clock is that of the lines' times; borrowed. */
bool stored_log_open(const char *path, struct clock *clock, struct stored_log **out_log,
	struct error *err) must_use;
/* Waits while a whole block is still to be written. What fails is told by stored_log_close(). */
void stored_log_add(struct stored_log *log, struct str piece);
/* Writes the rest. Fails with the first error there was, as a full disk; then the file ends before. */
bool stored_log_close(struct stored_log **log, struct error *err) must_use;
/* For scoped(): writes the rest, too, and says nothing. */
void stored_log_free(struct stored_log **log);

struct stored_time {
	int64_t time_ms;
	size_t size; /* bytes of the text that came then */
};

/* A piece of a log. */
struct stored_block {
	struct buf text;
	struct stored_time *times; /* owned */
	size_t time_count;
	int64_t text_bytes; /* of the text, also when it was skipped */
};
void stored_block_free(struct stored_block *block);

struct stored_log_reader;

bool stored_log_reader_open(const char *path, struct stored_log_reader **out_reader,
	struct error *err) must_use;
/* Takes the descriptor of a file; path is for errors. */
struct stored_log_reader *stored_log_reader_of(int fd, const char *path) must_use;
void stored_log_reader_free(struct stored_log_reader **reader);

/*
 * Reads the next block.
 *
 * skip      its text and times are not wanted: only out_block->text_bytes is set
 * out_more  false: there is no further whole block now; trying again later may find one
 *
 * Fails with  ERROR_INVALID (the file is damaged, and where).
 */
bool stored_log_read(struct stored_log_reader *reader, bool skip, struct stored_block *out_block,
	bool *out_more, struct error *err) must_use;
/* Back to the beginning. */
void stored_log_rewind(struct stored_log_reader *reader);
/* Are there bytes behind the last whole block: was the writer cut off, or is it still at work? */
bool stored_log_is_cut(const struct stored_log_reader *reader);

/* Hands out the whole text; a log that is cut off ends there. */
bool stored_log_each(const char *path, void (*take)(void *self, struct str piece), void *self,
	struct error *err) must_use;

/* Appends the text's last bytes, at most limit, to out: none when there is no such log. */
bool stored_log_tail(const char *path, size_t limit, struct buf *out, struct error *err) must_use;

#endif
