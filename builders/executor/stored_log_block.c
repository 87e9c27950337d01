#include "builders/executor/stored_log_block.h"

#include <endian.h>

static void put_word(struct buf *out, uint32_t value)
{
	value = htole32(value);
	buf_append(out, &value, sizeof(value));
}

static void put(struct buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf_append_char(out, (char)(value | 0x80));
	buf_append_char(out, (char)value);
}

void stored_index_write(const struct stored_time *times, size_t count, size_t text_size,
	size_t frame_size, struct buf *out)
{
	scoped(buf_free) struct buf content = {0};
	int64_t before = count ? times[0].time_ms : 0;

	put(&content, STORED_VERSION);
	put(&content, (uint64_t)before);
	put(&content, text_size);
	put(&content, frame_size);
	put(&content, count);
	for (size_t i = 0; i < count; i++) {
		put(&content, (uint64_t)(times[i].time_ms - before));
		put(&content, times[i].size);
		before = times[i].time_ms;
	}
	put_word(out, STORED_MAGIC);
	put_word(out, (uint32_t)content.size);
	buf_append_str(out, buf_str(&content));
}

/* A number of at most 62 bits, so that sums of two cannot overflow. */
static bool get(struct str *rest, uint64_t *out_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; rest->size && shift < 63; shift += 7) {
		unsigned char byte = (unsigned char)*rest->data;

		rest->data++;
		rest->size--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*out_value = value;
			return value >> 62 == 0;
		}
	}
	return false;
}

static bool get_times(struct str *rest, uint64_t first, size_t count, size_t text_size,
	struct stored_time *times)
{
	uint64_t time = first, later, size, sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (!get(rest, &later) || !get(rest, &size) || size == 0 || size > text_size - sum)
			return false;
		time += later;
		sum += size;
		if (time >> 62)
			return false;
		times[i] = (struct stored_time){(int64_t)time, size};
	}
	return sum == text_size && rest->size == 0;
}

bool stored_index_read(struct str content, struct stored_time *times, size_t *out_count,
	size_t *out_text_size, size_t *out_frame_size)
{
	uint64_t version, first, text, frame, count;

	/* zstd expands nothing by more than some bytes in the thousand. */
	if (!get(&content, &version) || version != STORED_VERSION || !get(&content, &first) ||
		!get(&content, &text) || !get(&content, &frame) || !get(&content, &count) ||
		text == 0 || text > STORED_LOG_BLOCK || frame > STORED_LOG_BLOCK + 64 * 1024 ||
		count == 0 || count > STORED_LOG_TIMES ||
		!get_times(&content, first, count, text, times))
		return false;
	*out_count = count;
	*out_text_size = text;
	*out_frame_size = frame;
	return true;
}
