/*
 * output.h - what a container prints, line by line into its log stream.
 */
#ifndef DEPLOYERS_LOCAL_MONITOR_OUTPUT_H
#define DEPLOYERS_LOCAL_MONITOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { LINE_LIMIT = 16 * 1024 }; /* longer lines are cut into several, as container runtimes do */

/* The file of a log stream. */
struct stream {
	int fd;                   /* -1: nothing is kept */
	long long limit, written; /* bytes; what comes behind the limit is lost; 0: none */
};

/* One of the container's two outputs, with the line that is not complete yet. */
struct output {
	int fd; /* -1: closed */
	char line[LINE_LIMIT];
	size_t size;
};

/* Reads what is there; false when the other end is closed. */
bool output_read(struct output *output, struct stream *log);
/* Reads the rest, also a last line without an end. */
void output_close(struct output *output, struct stream *log);

int64_t clock_ms(clockid_t id);

#endif
