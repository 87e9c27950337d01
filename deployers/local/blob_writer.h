/*
 * blob_writer.h - threads that write blobs to disk and hash them, so that the loop only receives.
 *
 *     writers_new -> blob_writer_new -> take, take, … -> settle -> name, free
 *                                        ^ is_behind -> when_ready ^
 *
 * Bytes are copied into blocks of 256 KiB (block_pool.h); a full block goes to one of the threads, which writes and
 * hashes it. The blocks of one blob are handled in order, by one thread at a time. What is small
 * altogether is written and hashed where it is, by the caller of settle.
 *
 * Threads  everything here is called on the loop's thread, and so are the callbacks. The threads
 *          start with the first full block; where none can be started, the loop writes and hashes.
 * Limits   2 MiB of one blob and 32 MiB altogether wait for the disk. The caller asks is_behind and stops receiving; nothing enforces it.
 */
#ifndef DEPLOYERS_LOCAL_BLOB_WRITER_H
#define DEPLOYERS_LOCAL_BLOB_WRITER_H

#include "base/digest.h"
#include "base/loop.h"

struct writers;     /* the threads, the blocks */
struct blob_writer; /* one blob on its way in */

struct writers *writers_new(struct loop *loop) must_use;
void writers_free(struct writers **writers); /* when no blob_writer is left */

/* fd: at its end, where bytes are appended; borrowed (duplicated). present_bytes of it are there
 * already and are hashed first. */
bool blob_writer_new(struct writers *writers, int fd, enum digest_kind kind, int64_t present_bytes,
	struct blob_writer **out_writer, struct error *err) must_use;
/* Ends it at any time; a thread that is at work finishes its block. */
void blob_writer_free(struct blob_writer **writer);

void blob_writer_take(struct blob_writer *writer, const void *bytes, size_t size);
/* Too much waits already: the caller should pause until ready is called, once. */
bool blob_writer_is_behind(const struct blob_writer *writer) must_use;
void blob_writer_when_ready(struct blob_writer *writer, void (*ready)(void *context),
	void *context);

/* Calls done when all that was taken is in the file and hashed, or could not be (err is borrowed;
 * NULL: well done). May call it before it returns. More may be taken afterwards. */
void blob_writer_settle(struct blob_writer *writer,
	void (*done)(void *context, const struct error *err), void *context);

/* Calls a done that waits, without err, whatever became of the bytes: when nobody is left to care. */
void blob_writer_cancel(struct blob_writer *writer);

/* Writes and hashes here and now, while settled, for callers that cannot wait. */
bool blob_writer_keep_now(struct blob_writer *writer, struct str bytes, struct error *err) must_use;

/* The digest under another kind than the one it began with: all is read and hashed again; settle
 * next. Only while settled. */
void blob_writer_rehash(struct blob_writer *writer, enum digest_kind kind);
enum digest_kind blob_writer_kind(const struct blob_writer *writer);
/* The digest of all bytes; once, while settled, and nothing can be taken afterwards. */
void blob_writer_name(struct blob_writer *writer, char out[DIGEST_NAME_SIZE]);

#endif
