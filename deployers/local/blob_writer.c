#include "deployers/local/blob_writer.h"

#include "base/file.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	BLOCK = 256 << 10,
	BEHIND = 8,       /* blocks of one blob */
	BEHIND_ALL = 128, /* blocks of all */
	KEPT = 8,         /* free ones */
	SMALL = 64 << 10, /* less is not worth a thread */
	THREADS_MAX = 4,
};

struct block {
	struct block *following;
	size_t size;
	unsigned char bytes[];
};

struct block_list {
	struct block *first, **end; /* end NULL: empty */
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
	pthread_t threads[THREADS_MAX];
	size_t thread_count;
	bool stop;
	struct blob_writer *ready, **ready_end; /* to be worked on */
	struct blob_writer *events;             /* to be told about */
	size_t count;                           /* writers that are open */
	struct block *free;
	size_t free_count;
	atomic_size_t used_count; /* changed under the lock */
};

/* --- blocks, under the lock --- */

static struct block *block_new(struct writers *writers)
{
	struct block *block = writers->free;

	if (block) {
		writers->free = block->following;
		writers->free_count--;
	} else {
		/* Not from the heap: it would keep what a rush of uploads needed. */
		block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
		if (block == MAP_FAILED) {
			fprintf(stderr, "error: out of memory (for an upload)\n");
			exit(3);
		}
	}
	writers->used_count++;
	block->following = NULL;
	block->size = 0;
	return block;
}

static void block_free(struct writers *writers, struct block *block)
{
	writers->used_count--;
	if (!writers->count && writers->free_count >= KEPT) {
		munmap(block, BLOCK);
		return;
	}
	block->following = writers->free;
	writers->free = block;
	writers->free_count++;
}

static size_t room(const struct block *block)
{
	return BLOCK - sizeof(*block) - block->size;
}

/* --- the threads --- */

static bool hash_present(struct blob_writer *writer, struct error *err)
{
	scoped(buf_free) struct buf piece = {0};
	char *bytes = buf_reserve(&piece, BLOCK);

	for (int64_t at = 0; at < writer->rehash_bytes;) {
		int64_t left = writer->rehash_bytes - at;
		ssize_t got = pread(writer->fd, bytes, left < BLOCK ? (size_t)left : BLOCK, at);

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
		struct block *block = writer->blocks.first;
		struct error err = {0};
		bool ok = true, failed = writer->failed;

		if (block)
			writer->blocks.first = block->following;
		if (block && !block->following)
			writer->blocks.end = NULL;
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
			block_free(writers, block);
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
	while (writer->blocks.first) {
		struct block *block = writer->blocks.first;

		writer->blocks.first = block->following;
		block_free(writer->writers, block);
	}
	writer->blocks.end = NULL;
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

/* Signals are the loop's. */
static void start_threads(struct writers *writers)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = processors < 1             ? 1
			: processors > THREADS_MAX ? THREADS_MAX
						   : (size_t)processors;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (writers->thread_count < wanted) {
		if (pthread_create(&writers->threads[writers->thread_count], NULL, thread_main,
			    writers) != 0)
			break;
		writers->thread_count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!writers->thread_count) {
		fprintf(stderr, "error: no thread can be started for uploads\n");
		exit(3);
	}
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
	for (size_t i = 0; i < writers->thread_count; i++)
		pthread_join(writers->threads[i], NULL);
	/* Those that were gone while they waited for a thread. */
	while (writers->ready) {
		struct blob_writer *writer = writers->ready;

		writers->ready = writer->next_ready;
		drop_blocks(writer);
		writer_destroy(writer);
	}
	while (writers->free) {
		struct block *block = writers->free;

		writers->free = block->following;
		munmap(block, BLOCK);
	}
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
	pthread_mutex_lock(&writers->lock);
	writers->count++;
	pthread_mutex_unlock(&writers->lock);
	*out_writer = writer;
	return true;
}

/* Under the lock: what a rush of uploads needed goes back to the system when it is over. */
static void trim(struct writers *writers)
{
	while (!writers->count && writers->free_count > KEPT) {
		struct block *block = writers->free;

		writers->free = block->following;
		writers->free_count--;
		munmap(block, BLOCK);
	}
}

void blob_writer_free(struct blob_writer **address)
{
	struct blob_writer *writer = *address;

	if (!writer)
		return;
	struct writers *writers = writer->writers;

	*address = NULL;
	pthread_mutex_lock(&writers->lock);
	writers->count--;
	for (struct blob_writer **link = &writers->events; *link; link = &(*link)->next_event)
		if (*link == writer) {
			*link = writer->next_event;
			break;
		}
	writer->ready = NULL;
	writer->done = NULL;
	writer->told = true; /* nobody wants to hear of it any more */
	if (writer->current)
		block_free(writers, writer->current);
	writer->current = NULL;
	writer->gone = !is_idle(writer);
	trim(writers);
	bool idle = !writer->gone;

	pthread_mutex_unlock(&writers->lock);
	if (idle)
		writer_destroy(writer);
}

/* The block that was filled goes to a thread. */
static void hand_over(struct blob_writer *writer)
{
	struct writers *writers = writer->writers;
	struct block *block = writer->current;

	if (!writers->thread_count)
		start_threads(writers);
	writer->current = NULL;
	pthread_mutex_lock(&writers->lock);
	if (writer->blocks.end)
		*writer->blocks.end = block;
	else
		writer->blocks.first = block;
	writer->blocks.end = &block->following;
	writer->waiting++;
	enqueue(writers, writer);
	pthread_mutex_unlock(&writers->lock);
}

void blob_writer_take(struct blob_writer *writer, const void *bytes, size_t size)
{
	struct writers *writers = writer->writers;

	for (const unsigned char *from = bytes; size;) {
		if (!writer->current) {
			pthread_mutex_lock(&writers->lock);
			writer->current = block_new(writers);
			pthread_mutex_unlock(&writers->lock);
		}
		struct block *block = writer->current;
		size_t piece = size < room(block) ? size : room(block);

		memcpy(block->bytes + block->size, from, piece);
		block->size += piece;
		from += piece;
		size -= piece;
		if (!room(block))
			hand_over(writer);
	}
}

bool blob_writer_is_behind(const struct blob_writer *writer)
{
	return writer->waiting >= BEHIND ||
	       (writer->waiting && writer->writers->used_count >= BEHIND_ALL);
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

/* Writes and hashes a small rest here; a thread would cost more. */
static void keep_here(struct blob_writer *writer)
{
	struct writers *writers = writer->writers;
	struct block *block = writer->current;

	writer->current = NULL;
	if (!block)
		return;
	if (!writer->failed)
		writer->failed = !keep(writer, block->bytes, block->size, &writer->error);
	pthread_mutex_lock(&writers->lock);
	block_free(writers, block);
	pthread_mutex_unlock(&writers->lock);
}

void blob_writer_settle(struct blob_writer *writer,
	void (*done)(void *context, const struct error *err), void *context)
{
	struct writers *writers = writer->writers;
	size_t rest = writer->current ? writer->current->size : 0;

	pthread_mutex_lock(&writers->lock);
	bool here = is_idle(writer) && writer->rehash_bytes < 0 && rest < SMALL;

	pthread_mutex_unlock(&writers->lock);
	if (here) {
		keep_here(writer);
		done(context, writer->failed ? &writer->error : NULL);
		return;
	}
	if (writer->current)
		hand_over(writer);
	if (!writers->thread_count)
		start_threads(writers);
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
