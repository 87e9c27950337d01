#include "builders/executor/stored_log.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/executor/stored_log_block.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

/*
 * Two blocks: one is filled by whoever adds, the other is compressed and written by the thread, which
 * takes a block when it is full, a second after its first byte, and at the end.
 *
 *     adding:  append to filling, wake the thread;  wait while it is full
 *     thread:  wait for a byte -> wait until full, late or closing -> swap -> compress, write
 */
enum {
	FLUSH_MS = 1000,
	LEVEL = 1, /* over 500 MB/s; level 3 makes the file a tenth smaller in twice the time */
};

struct filling {
	struct buf text;
	struct stored_time *times; /* owned; STORED_LOG_TIMES of them */
	size_t time_count;
};

struct stored_log {
	int fd;
	char *path; /* owned */
	struct clock *clock;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t added, taken;
	/* Under the mutex: */
	struct filling filling;
	bool started, closing;
	/* The thread's own until it has ended: */
	struct filling writing;
	ZSTD_CCtx *zstd;
	struct buf packed;
	struct error failure;
};

static bool is_full(const struct filling *block)
{
	return block->text.size >= STORED_LOG_BLOCK || block->time_count >= STORED_LOG_TIMES;
}

static void write_block(struct stored_log *log)
{
	const struct filling *block = &log->writing;
	scoped(buf_free) struct buf head = {0};
	size_t room = ZSTD_compressBound(block->text.size);

	if (log->failure.kind)
		return;
	buf_clear(&log->packed);
	size_t size = ZSTD_compress2(log->zstd, buf_reserve(&log->packed, room), room,
		block->text.data, block->text.size);

	if (ZSTD_isError(size)) {
		error_raise(&log->failure, ERROR_SYSTEM, "cannot compress the log \"%s\": %s",
			log->path, ZSTD_getErrorName(size));
		return;
	}
	log->packed.size = size;
	stored_index_write(block->times, block->time_count, block->text.size, size, &head);
	buf_append_str(&head, buf_str(&log->packed));
	/* In one call: what is cut off is cut off as a whole as often as can be. */
	if (!descriptor_write_all(log->fd, head.data, head.size, log->path, &log->failure))
		error_while(&log->failure, "writing the build's log");
}

static struct timespec flush_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec += FLUSH_MS / 1000;
	return now;
}

/* With the mutex held: waits for something to write. False at the end. */
static bool await_block(struct stored_log *log)
{
	while (!log->filling.text.size && !log->closing)
		pthread_cond_wait(&log->added, &log->mutex);
	const struct timespec late = flush_time();

	while (!log->closing && !is_full(&log->filling) &&
		pthread_cond_timedwait(&log->added, &log->mutex, &late) != ETIMEDOUT)
		continue;
	return log->filling.text.size > 0;
}

static void *write_blocks(void *self)
{
	struct stored_log *log = self;

	pthread_mutex_lock(&log->mutex);
	log->started = true;
	pthread_cond_signal(&log->taken);
	while (await_block(log)) {
		struct filling block = log->filling;

		log->filling = log->writing;
		log->writing = block;
		pthread_cond_signal(&log->taken);
		pthread_mutex_unlock(&log->mutex);
		write_block(log);
		buf_clear(&log->writing.text);
		log->writing.time_count = 0;
		pthread_mutex_lock(&log->mutex);
	}
	pthread_mutex_unlock(&log->mutex);
	return NULL;
}

static void release(struct stored_log *log)
{
	descriptor_close(&log->fd);
	pthread_cond_destroy(&log->added);
	pthread_cond_destroy(&log->taken);
	pthread_mutex_destroy(&log->mutex);
	buf_free(&log->filling.text);
	buf_free(&log->writing.text);
	buf_free(&log->packed);
	free(log->filling.times);
	free(log->writing.times);
	error_free(&log->failure);
	ZSTD_freeCCtx(log->zstd);
	free(log->path);
	free(log);
}

static void prepare(struct stored_log *log)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&log->added, &monotonic);
	pthread_cond_init(&log->taken, NULL);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&log->mutex, NULL);
	log->filling.times = memory_new_array(STORED_LOG_TIMES, sizeof(struct stored_time));
	log->writing.times = memory_new_array(STORED_LOG_TIMES, sizeof(struct stored_time));
	log->zstd = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(log->zstd, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(log->zstd, ZSTD_c_checksumFlag, 1);
}

/* Our caller forks next, into a keeper that allocates memory. glibc allows that, the address sanitizer
 * does not while another thread is about to have its first memory. */
static void await_start(struct stored_log *log)
{
	pthread_mutex_lock(&log->mutex);
	while (!log->started)
		pthread_cond_wait(&log->taken, &log->mutex);
	pthread_mutex_unlock(&log->mutex);
}

bool stored_log_open(const char *path, struct clock *clock, struct stored_log **out_log,
	struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_raise_errno(err, "create \"%s\"", path);
	struct stored_log *log = memory_new(sizeof(*log));

	log->fd = fd;
	log->path = memory_copy_text(path);
	log->clock = clock;
	prepare(log);
	int problem = pthread_create(&log->thread, NULL, write_blocks, log);

	if (problem) {
		errno = problem;
		error_raise_errno(err, "start the thread that writes \"%s\"", path);
		release(log);
		return false;
	}
	await_start(log);
	*out_log = log;
	return true;
}

/* With the mutex held and room in the block. */
static void add_part(struct stored_log *log, struct str part, int64_t now_ms)
{
	struct filling *block = &log->filling;
	struct stored_time *last = block->time_count ? &block->times[block->time_count - 1] : NULL;

	buf_append_str(&block->text, part);
	/* A wall clock may be set back; lines stay in order. */
	if (last && now_ms <= last->time_ms)
		last->size += part.size;
	else
		block->times[block->time_count++] = (struct stored_time){now_ms, part.size};
}

void stored_log_add(struct stored_log *log, struct str piece)
{
	int64_t now_ms = clock_now(log->clock);

	pthread_mutex_lock(&log->mutex);
	while (piece.size) {
		while (is_full(&log->filling))
			pthread_cond_wait(&log->taken, &log->mutex);
		size_t room = STORED_LOG_BLOCK - log->filling.text.size;
		struct str part = {piece.data, piece.size < room ? piece.size : room};
		bool first = !log->filling.text.size;

		add_part(log, part, now_ms);
		piece.data += part.size;
		piece.size -= part.size;
		if (first || is_full(&log->filling))
			pthread_cond_signal(&log->added);
	}
	pthread_mutex_unlock(&log->mutex);
}

bool stored_log_close(struct stored_log **log, struct error *err)
{
	struct stored_log *closing = *log;
	bool done = true;

	if (!closing)
		return true;
	*log = NULL;
	pthread_mutex_lock(&closing->mutex);
	closing->closing = true;
	pthread_cond_signal(&closing->added);
	pthread_mutex_unlock(&closing->mutex);
	pthread_join(closing->thread, NULL);
	if (closing->failure.kind) {
		error_move(err, &closing->failure);
		done = false;
	}
	release(closing);
	return done;
}

void stored_log_free(struct stored_log **log)
{
	struct error ignored = {0};

	if (!stored_log_close(log, &ignored))
		error_ignore(&ignored, "the build failed for another reason");
}
