#include "base/file.h"
#include "base/memory.h"
#include "builders/executor/stored_log_block.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

struct stored_log_reader {
	int fd;
	char *path;      /* owned */
	int64_t at;      /* where the next block begins in the file */
	bool cut;        /* something stands there that is no whole block */
	ZSTD_DCtx *zstd; /* made when it is first needed */
	struct buf bytes;
};

struct stored_log_reader *stored_log_reader_of(int fd, const char *path)
{
	struct stored_log_reader *reader = memory_new(sizeof(*reader));

	reader->fd = fd;
	reader->path = memory_copy_text(path);
	return reader;
}

bool stored_log_reader_open(const char *path, struct stored_log_reader **out_reader,
	struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	*out_reader = stored_log_reader_of(fd, path);
	return true;
}

void stored_log_reader_free(struct stored_log_reader **reader)
{
	if (!*reader)
		return;
	descriptor_close(&(*reader)->fd);
	ZSTD_freeDCtx((*reader)->zstd);
	buf_free(&(*reader)->bytes);
	free((*reader)->path);
	free(*reader);
	*reader = NULL;
}

void stored_block_free(struct stored_block *block)
{
	buf_free(&block->text);
	free(block->times);
	*block = (struct stored_block){0};
}

void stored_log_rewind(struct stored_log_reader *reader)
{
	reader->at = 0;
	reader->cut = false;
}

bool stored_log_is_cut(const struct stored_log_reader *reader)
{
	return reader->cut;
}

static bool damaged(const struct stored_log_reader *reader, const char *what, struct error *err)
{
	return error_raise(err, ERROR_INVALID, "the log \"%s\" is damaged at byte %lld: %s",
		reader->path, (long long)reader->at, what);
}

/* Fills reader->bytes with so many from a place; false on failure. *out_whole: they are all there. */
static bool fetch(struct stored_log_reader *reader, int64_t from, size_t size, bool *out_whole,
	struct error *err)
{
	buf_clear(&reader->bytes);
	while (reader->bytes.size < size) {
		ssize_t got = pread(reader->fd, buf_reserve(&reader->bytes, size),
			size - reader->bytes.size, from + (int64_t)reader->bytes.size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_raise_errno(err, "read \"%s\"", reader->path);
		if (got == 0)
			break;
		reader->bytes.size += (size_t)got;
	}
	*out_whole = reader->bytes.size == size;
	reader->cut = reader->cut || (!*out_whole && reader->bytes.size);
	return true;
}

static uint32_t word_at(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return le32toh(word);
}

struct head {
	struct stored_time times[STORED_LOG_TIMES];
	size_t count, text_size, frame_size;
	int64_t frame_at;
};

static bool read_head(struct stored_log_reader *reader, struct head *head, bool *out_more,
	struct error *err)
{
	if (!fetch(reader, reader->at, STORED_HEAD, out_more, err))
		return false;
	if (!*out_more)
		return true;
	size_t size = word_at(reader->bytes.data + 4);

	if (word_at(reader->bytes.data) != STORED_MAGIC || size > STORED_INDEX_MAX)
		return damaged(reader, "no block begins there", err);
	if (!fetch(reader, reader->at + STORED_HEAD, size, out_more, err))
		return false;
	reader->cut = reader->cut || !*out_more;
	if (!*out_more)
		return true;
	head->frame_at = reader->at + STORED_HEAD + (int64_t)size;
	return stored_index_read(buf_str(&reader->bytes), head->times, &head->count,
		       &head->text_size, &head->frame_size) ||
	       damaged(reader, "its times make no sense", err);
}

/* The frame is all there. */
static bool unpack(struct stored_log_reader *reader, const struct head *head,
	struct stored_block *out_block, struct error *err)
{
	if (!reader->zstd)
		reader->zstd = ZSTD_createDCtx();
	buf_clear(&out_block->text);
	size_t size =
		ZSTD_decompressDCtx(reader->zstd, buf_reserve(&out_block->text, head->text_size),
			head->text_size, reader->bytes.data, reader->bytes.size);

	if (ZSTD_isError(size))
		return damaged(reader, ZSTD_getErrorName(size), err);
	if (size != head->text_size)
		return damaged(reader, "the text has another length", err);
	out_block->text.size = size;
	out_block->text.data[size] = '\0';
	free(out_block->times);
	out_block->times = memory_new_array(head->count, sizeof(*head->times));
	memcpy(out_block->times, head->times, head->count * sizeof(*head->times));
	out_block->time_count = head->count;
	return true;
}

bool stored_log_read(struct stored_log_reader *reader, bool skip, struct stored_block *out_block,
	bool *out_more, struct error *err)
{
	struct head head;
	char last;

	reader->cut = false;
	if (!read_head(reader, &head, out_more, err))
		return false;
	if (!*out_more)
		return true;
	if (skip) {
		/* All of the frame must be there: else it is not there yet. */
		*out_more = head.frame_size == 0 ||
			    pread(reader->fd, &last, 1,
				    head.frame_at + (int64_t)head.frame_size - 1) == 1;
	} else if (!fetch(reader, head.frame_at, head.frame_size, out_more, err)) {
		return false;
	}
	reader->cut = !*out_more;
	if (!*out_more)
		return true;
	if (!skip && !unpack(reader, &head, out_block, err))
		return false;
	out_block->text_bytes = (int64_t)head.text_size;
	reader->at = head.frame_at + (int64_t)head.frame_size;
	return true;
}

bool stored_log_each(const char *path, void (*take)(void *self, struct str piece), void *self,
	struct error *err)
{
	scoped(stored_log_reader_free) struct stored_log_reader *reader = NULL;
	scoped(stored_block_free) struct stored_block block = {0};
	bool more = true;

	if (!stored_log_reader_open(path, &reader, err))
		return false;
	while (more) {
		if (!stored_log_read(reader, false, &block, &more, err))
			return false;
		if (more)
			take(self, buf_str(&block.text));
	}
	return true;
}

/* Of all whole blocks. */
static bool measure(struct stored_log_reader *reader, int64_t *out_total, struct error *err)
{
	struct stored_block block = {0};
	bool more = true;

	for (*out_total = 0; more; *out_total += more ? block.text_bytes : 0)
		if (!stored_log_read(reader, true, &block, &more, err))
			return false;
	stored_log_rewind(reader);
	return true;
}

/* Skips the blocks that end before a place in the text; *out_at is where the next one begins. */
static bool skip_to(struct stored_log_reader *reader, int64_t from, int64_t *out_at,
	struct error *err)
{
	struct stored_block block = {0};
	bool more = true;

	for (*out_at = 0; more; *out_at += block.text_bytes) {
		int64_t before = reader->at;

		if (!stored_log_read(reader, true, &block, &more, err))
			return false;
		if (!more)
			break;
		if (*out_at + block.text_bytes > from) {
			reader->at = before;
			break;
		}
	}
	return true;
}

bool stored_log_tail(const char *path, size_t limit, struct buf *out, struct error *err)
{
	scoped(stored_log_reader_free) struct stored_log_reader *reader = NULL;
	scoped(stored_block_free) struct stored_block block = {0};
	int64_t total, at, from;
	bool more = true;

	if (!file_exists(path))
		return true;
	if (!stored_log_reader_open(path, &reader, err) || !measure(reader, &total, err))
		return false;
	from = total > (int64_t)limit ? total - (int64_t)limit : 0;
	if (!skip_to(reader, from, &at, err))
		return false;
	for (; at < total; at += block.text_bytes) {
		if (!stored_log_read(reader, false, &block, &more, err))
			return false;
		if (!more)
			break;
		size_t drop = from > at ? (size_t)(from - at) : 0;

		buf_append(out, block.text.data + drop, block.text.size - drop);
	}
	return true;
}
