/*
 * Reads any bytes as a stored log. What is read must be as long as its times say, and reading without
 * the text must find the same blocks.
 */
#include "builders/executor/stored_log.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t read_all(struct stored_log_reader *reader, bool skip)
{
	scoped(stored_block_free) struct stored_block block = {0};
	scoped(error_free) struct error err = {0};
	int64_t total = 0;
	bool more;

	while (stored_log_read(reader, skip, &block, &more, &err) && more) {
		size_t sum = 0;

		total += block.text_bytes;
		for (size_t i = 0; !skip && i < block.time_count; i++)
			sum += block.times[i].size;
		if (!skip && (sum != block.text.size || block.text_bytes != (int64_t)sum))
			abort();
	}
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct stored_log_reader *reader = stored_log_reader_of(fd, "log");
	int64_t total = read_all(reader, false);

	stored_log_rewind(reader);
	/* A frame that is damaged is only found by reading it. */
	if (read_all(reader, true) < total)
		abort();
	stored_log_reader_free(&reader);
	return 0;
}
