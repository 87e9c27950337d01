/*
 * replay.c - feeds every file of a fuzz target's corpus to it, and every file cut short.
 *
 * One TAP line per file. Inputs lie in blocks of exactly their size, so the address sanitizer sees a
 * read of one byte too many. A crash ends the program: the line "# file" before it names the input.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's entry point; it comes without a header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 64 }; /* how many beginnings of each file are tried */

static void feed(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void feed_beginnings(const uint8_t *data, size_t size)
{
	size_t step = size / CUTS + 1;

	for (size_t length = 0; length < size; length += step)
		feed(data, length);
	feed(data, size);
}

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, room = 0, got;

	if (!file) {
		printf("# open %s: %s\n", path, strerror(errno));
		return false;
	}
	do {
		if (room - size < 4096 && !(data = realloc(data, room += 65536)))
			abort();
		got = fread(data + size, 1, room - size, file);
		size += got;
	} while (got > 0);
	(void)fclose(file);
	feed_beginnings(data, size);
	free(data);
	return true;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(void)
{
	struct dirent **entries = NULL;
	int count = scandir(DOGSHORE_CORPUS, &entries, visible, alphasort), failed = 0;
	char path[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count <= 0) {
		printf("not ok 1 - %s has files\n1..1\n", DOGSHORE_CORPUS);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		bool passed = snprintf(path, sizeof path, "%s/%s", DOGSHORE_CORPUS,
				      entries[i]->d_name) < (int)sizeof path;

		printf("# %s\n", entries[i]->d_name);
		passed = passed && replay_file(path);
		failed += !passed;
		printf("%s %d - %s\n", passed ? "ok" : "not ok", i + 1, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	printf("1..%d\n", count);
	return failed ? 1 : 0;
}
