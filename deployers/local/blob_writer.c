#include "deployers/local/blob_writer.h"

#include "base/file.h"
#include "base/memory.h"
#include "deployers/local/block_pool.h"
#include "deployers/local/workers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	BEHIND = 8,       /* blocks of one blob */
	BEHIND_ALL = 128, /* blocks of all */
	SMALL = 64 << 10, /* less is not worth a thread */
};

/*
 * A writer waits in `ready` (queued), is in a thread's hands (working), or is idle. While it is
 * neither idle nor free, fd and hasher belong to the thread; otherwise to the loop.
 */
struct blob_writer {
	struct writers *writers;
	int fd;
	enum digest_kind kind;
	struct hasher *hasher; /* owned */
	int64_t rehash_bytes;  /* of the file are to be hashed first; -1: none */
	struct block *current; /* owned: being filled */

	atomic_size_t waiting; /* blocks that are not done; changed under the lock */

	/* under the lock */
	struct block_list blocks;
	bool queued, working, gone, told; /* told: in `events` */
	struct blob_writer *next_ready, *next_event;
	bool failed;
	struct error error;

	void (*ready)(void *context);
	void *ready_context;
	void (*done)(void *context, const struct error *err);
	void *done_context;
};

struct writers {
	struct loop *loop; /* borrowed */
	struct watch *watch;
	int event_fd;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct workers workers;
	bool stop;
	struct blob_writer *ready, **ready_end; /* to be worked on */
	struct blob_writer *events;             /* to be told about */

	struct block_pool pool; /* has a lock of its own */
	size_t count;           /* writers that are open; the loop's */
};

/* --- the threads --- */

static bool hash_present(struct blob_writer *writer, struct error *err)
{
	scoped(buf_free) struct buf piece = {0};
	char *bytes = buf_reserve(&piece, BLOCK_SIZE);

	for (int64_t at = 0; at < writer->rehash_bytes;) {
		int64_t left = writer->rehash_bytes - at;
		ssize_t got =
			pread(writer->fd, bytes, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_raise_errno(err, "read an upload");
		if (got == 0)
			return error_raise(err, ERROR_SYSTEM, "an upload lost bytes");
		hasher_add(writer->hasher, bytes, (size_t)got);
		at += got;
	}
	writer->rehash_bytes = -1;
	return true;
}

static bool keep(struct blob_writer *writer, const void *bytes, size_t size, struct error *err)
{
	if (writer->rehash_bytes >= 0 && !hash_present(writer, err))
		return false;
	if (!descriptor_write_all(writer->fd, bytes, size, "an upload", err))
		return false;
	hasher_add(writer->hasher, bytes, size);
	return true;
}

static void writer_destroy(struct blob_writer *writer)
{
	descriptor_close(&writer->fd);
	hasher_free(&writer->hasher);
	error_free(&writer->error);
	free(writer);
}

/* Under the lock. */
static void tell(struct writers *writers, struct blob_writer *writer)
{
	if (writer->told)
		return;
	writer->told = true;
	writer->next_event = writers->events;
	writers->events = writer;
	if (eventfd_write(writers->event_fd, 1) != 0)
		abort(); /* cannot be: its count does not reach 2^64 */
}

/* Under the lock, which is released while the disk works. */
static void work_on(struct writers *writers, struct blob_writer *writer)
{
	writer->working = true;
	while (!writer->gone && (writer->blocks.first || writer->rehash_bytes >= 0)) {
		struct block *block = block_list_next(&writer->blocks);
		struct error err = {0};
		bool ok = true, failed = writer->failed;

		pthread_mutex_unlock(&writers->lock);
		if (!failed)
			ok = block ? keep(writer, block->bytes, block->size, &err)
				   : hash_present(writer, &err);
		pthread_mutex_lock(&writers->lock);
		if (!ok) {
			writer->failed = true;
			writer->error = err;
		}
		if (writer->failed)
			writer->rehash_bytes = -1;
		if (block) {
			block_give_back(&writers->pool, block);
			writer->waiting--;
		}
		if (writer->ready && writer->waiting <= BEHIND / 2)
			tell(writers, writer);
	}
	writer->working = false;
	if (writer->done)
		tell(writers, writer);
}

static void drop_blocks(struct blob_writer *writer)
{
	struct block *block;

	while ((block = block_list_next(&writer->blocks)))
		block_give_back(&writer->writers->pool, block);
}

static void *thread_main(void *context)
{
	struct writers *writers = context;

	pthread_mutex_lock(&writers->lock);
	while (!writers->stop) {
		struct blob_writer *writer = writers->ready;

		if (!writer) {
			pthread_cond_wait(&writers->work, &writers->lock);
			continue;
		}
		writers->ready = writer->next_ready;
		if (!writers->ready)
			writers->ready_end = &writers->ready;
		writer->queued = false;
		work_on(writers, writer);
		if (writer->gone) {
			drop_blocks(writer);
			writer_destroy(writer);
		}
	}
	pthread_mutex_unlock(&writers->lock);
	return NULL;
}

/* --- the loop's side --- */

/* Under the lock: gives the writer to a thread. */
static void enqueue(struct writers *writers, struct blob_writer *writer)
{
	if (writer->queued || writer->working)
		return;
	writer->queued = true;
	writer->next_ready = NULL;
	*writers->ready_end = writer;
	writers->ready_end = &writer->next_ready;
	pthread_cond_signal(&writers->work);
}

static bool is_idle(const struct blob_writer *writer)
{
	return !writer->queued && !writer->working;
}

/* One call that is due; both are taken out under the lock, because the threads look at them. */
struct event {
	void (*ready)(void *context);
	void (*done)(void *context, const struct error *err);
	void *context;
	const struct error *err;
};

/* Under the lock. */
static void take_event(struct blob_writer *writer, struct event *out)
{
	*out = (struct event){0};
	if (writer->ready) {
		out->ready = writer->ready;
		out->context = writer->ready_context;
		writer->ready = NULL;
		/* One thing at a time: a call may free it. */
		if (writer->done)
			tell(writer->writers, writer);
	} else if (writer->done && is_idle(writer)) {
		out->done = writer->done;
		out->context = writer->done_context;
		out->err = writer->failed ? &writer->error : NULL;
		writer->done = NULL;
	}
}

static bool next_event(struct writers *writers, struct event *out)
{
	pthread_mutex_lock(&writers->lock);
	struct blob_writer *writer = writers->events;

	if (writer) {
		writers->events = writer->next_event;
		writer->told = false;
		take_event(writer, out);
	}
	pthread_mutex_unlock(&writers->lock);
	return writer != NULL;
}

static void on_events(void *context, unsigned bits)
{
	struct writers *writers = context;
	struct event event;
	eventfd_t count;

	(void)bits;
	eventfd_read(writers->event_fd, &count);
	while (next_event(writers, &event)) {
		if (event.ready)
			event.ready(event.context);
		else if (event.done)
			event.done(event.context, event.err);
	}
}

struct writers *writers_new(struct loop *loop)
{
	struct writers *writers = memory_new(sizeof(*writers));

	writers->loop = loop;
	writers->ready_end = &writers->ready;
	writers->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (writers->event_fd < 0) {
		fprintf(stderr, "error: the system gives no event descriptor\n");
		exit(3);
	}
	block_pool_open(&writers->pool);
	pthread_mutex_init(&writers->lock, NULL);
	pthread_cond_init(&writers->work, NULL);
	writers->watch = loop_add_fd(loop, writers->event_fd, LOOP_READ, on_events, writers);
	return writers;
}

void writers_free(struct writers **address)
{
	struct writers *writers = *address;

	if (!writers)
		return;
	assert(!writers->count);
	pthread_mutex_lock(&writers->lock);
	writers->stop = true;
	pthread_cond_broadcast(&writers->work);
	pthread_mutex_unlock(&writers->lock);
	workers_join(&writers->workers);
	/* Those that were gone while they waited for a thread. */
	while (writers->ready) {
		struct blob_writer *writer = writers->ready;

		writers->ready = writer->next_ready;
		drop_blocks(writer);
		writer_destroy(writer);
	}
	block_pool_close(&writers->pool);
	loop_remove(writers->loop, &writers->watch);
	close(writers->event_fd);
	pthread_mutex_destroy(&writers->lock);
	pthread_cond_destroy(&writers->work);
	free(writers);
	*address = NULL;
}

bool blob_writer_new(struct writers *writers, int fd, enum digest_kind kind, int64_t present_bytes,
	struct blob_writer **out_writer, struct error *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return error_raise_errno(err, "duplicate the descriptor of an upload");
	struct blob_writer *writer = memory_new(sizeof(*writer));

	writer->writers = writers;
	writer->fd = own;
	writer->kind = kind;
	writer->hasher = hasher_new_of(kind);
	writer->rehash_bytes = present_bytes > 0 ? present_bytes : -1;
	writers->count++;
	block_pool_enter(&writers->pool);
	*out_writer = writer;
	return true;
}

void blob_writer_free(struct blob_writer **address)
{
	struct blob_writer *writer = *address;

	if (!writer)
		return;
	struct writers *writers = writer->writers;

	*address = NULL;
	writers->count--;
	if (writer->current)
		block_give_back(&writers->pool, writer->current);
	writer->current = NULL;
	pthread_mutex_lock(&writers->lock);
	for (struct blob_writer **link = &writers->events; *link; link = &(*link)->next_event)
		if (*link == writer) {
			*link = writer->next_event;
			break;
		}
	writer->ready = NULL;
	writer->done = NULL;
	writer->told = true; /* nobody wants to hear of it any more */
	writer->gone = !is_idle(writer);
	bool idle = !writer->gone;

	pthread_mutex_unlock(&writers->lock);
	block_pool_leave(&writers->pool);
	if (idle)
		writer_destroy(writer);
}

static bool have_threads(struct writers *writers)
{
	return workers_start(&writers->workers, thread_main, writers);
}

/* Writes and hashes on the loop's thread: a small rest, for which another would cost more, or all
 * where no thread can be started. */
static void keep_here(struct blob_writer *writer)
{
	struct block *block = writer->current;

	writer->current = NULL;
	if (block && !writer->failed)
		writer->failed = !keep(writer, block->bytes, block->size, &writer->error);
	else if (!writer->failed && writer->rehash_bytes >= 0)
		writer->failed = !hash_present(writer, &writer->error);
	if (block)
		block_give_back(&writer->writers->pool, block);
}

/* The block that was filled goes to a thread. */
static void hand_over(struct blob_writer *writer)
{
	struct writers *writers = writer->writers;

	if (!have_threads(writers)) {
		keep_here(writer);
		return;
	}
	pthread_mutex_lock(&writers->lock);
	block_list_add(&writer->blocks, writer->current);
	writer->current = NULL;
	writer->waiting++;
	enqueue(writers, writer);
	pthread_mutex_unlock(&writers->lock);
}

void blob_writer_take(struct blob_writer *writer, const void *bytes, size_t size)
{
	for (const unsigned char *from = bytes; size;) {
		if (!writer->current)
			writer->current = block_take(&writer->writers->pool);
		struct block *block = writer->current;
		size_t room = BLOCK_SIZE - block->size, piece = size < room ? size : room;

		memcpy(block->bytes + block->size, from, piece);
		block->size += piece;
		from += piece;
		size -= piece;
		if (piece == room)
			hand_over(writer);
	}
}

bool blob_writer_is_behind(const struct blob_writer *writer)
{
	return writer->waiting >= BEHIND ||
	       (writer->waiting && block_pool_used(&writer->writers->pool) >= BEHIND_ALL);
}

void blob_writer_when_ready(struct blob_writer *writer, void (*ready)(void *context), void *context)
{
	struct writers *writers = writer->writers;

	pthread_mutex_lock(&writers->lock);
	writer->ready = ready;
	writer->ready_context = context;
	if (writer->waiting <= BEHIND / 2)
		tell(writers, writer);
	pthread_mutex_unlock(&writers->lock);
}

void blob_writer_settle(struct blob_writer *writer,
	void (*done)(void *context, const struct error *err), void *context)
{
	struct writers *writers = writer->writers;
	size_t rest = writer->current ? writer->current->size : 0;

	pthread_mutex_lock(&writers->lock);
	bool small = is_idle(writer) && writer->rehash_bytes < 0 && rest < SMALL;

	pthread_mutex_unlock(&writers->lock);
	if (small || !have_threads(writers)) {
		keep_here(writer);
		done(context, writer->failed ? &writer->error : NULL);
		return;
	}
	if (writer->current)
		hand_over(writer);
	pthread_mutex_lock(&writers->lock);
	writer->done = done;
	writer->done_context = context;
	if (is_idle(writer) && !writer->blocks.first && writer->rehash_bytes < 0)
		tell(writers, writer);
	else
		enqueue(writers, writer);
	pthread_mutex_unlock(&writers->lock);
}

void blob_writer_cancel(struct blob_writer *writer)
{
	struct writers *writers = writer->writers;

	pthread_mutex_lock(&writers->lock);
	void (*done)(void *context, const struct error *err) = writer->done;

	writer->done = NULL;
	pthread_mutex_unlock(&writers->lock);
	if (done)
		done(writer->done_context, NULL);
}

bool blob_writer_keep_now(struct blob_writer *writer, struct str bytes, struct error *err)
{
	if (writer->failed)
		return error_raise(err, ERROR_SYSTEM, "an earlier write of this upload failed");
	writer->failed = !keep(writer, bytes.data, bytes.size, err);
	return !writer->failed;
}

void blob_writer_rehash(struct blob_writer *writer, enum digest_kind kind)
{
	off_t size = lseek(writer->fd, 0, SEEK_END);

	hasher_free(&writer->hasher);
	writer->hasher = hasher_new_of(kind);
	writer->kind = kind;
	writer->rehash_bytes = size > 0 ? (int64_t)size : -1;
}

enum digest_kind blob_writer_kind(const struct blob_writer *writer)
{
	return writer->kind;
}

void blob_writer_name(struct blob_writer *writer, char out[DIGEST_NAME_SIZE])
{
	hasher_finish_name(writer->hasher, out);
}
