/*
 * The gate on raw bytes. What passes is looked at once more in another way: as lines of text, so
 * that a smuggled header which the gate's own parser misses ends the program.
 */
#include "base/http_gate.h"

#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned lines_that_start_with(const char *text, size_t size, const char *name)
{
	unsigned count = 0;

	for (size_t i = 1; i + strlen(name) <= size; i++)
		if (text[i - 1] == '\n' && strncasecmp(text + i, name, strlen(name)) == 0)
			count++;
	return count;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (http_gate_check_raw((struct str){text, size}) != NULL)
		return 0;
	unsigned lengths = lines_that_start_with(text, size, "content-length:");
	unsigned encodings = lines_that_start_with(text, size, "transfer-encoding:");

	require(size >= 4 && memcmp(text + size - 4, "\r\n\r\n", 4) == 0);
	require(memmem(text, size - 1, "\r\n\r\n", 4) == NULL);
	require(memchr(text, 0, size) == NULL);
	require(lengths <= 1 && encodings <= 1 && lengths + encodings <= 1);
	require(lines_that_start_with(text, size, "content-length ") == 0);
	require(lines_that_start_with(text, size, "transfer-encoding ") == 0);
	require(lines_that_start_with(text, size, "host:") <= 1);
	require(lines_that_start_with(text, size, " ") == 0);
	require(lines_that_start_with(text, size, "\t") == 0);
	for (size_t i = 0; i < size; i++)
		require((text[i] == '\n') == (i > 0 && text[i - 1] == '\r'));
	return 0;
}
