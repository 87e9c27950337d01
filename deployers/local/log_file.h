/*
 * log_file.h - reads the events of one log stream (format: logs.h).
 *
 * The file is mapped as it was when opened; whoever appends meanwhile is seen next time. A last line
 * without its newline is still being written and does not count.
 */
#ifndef DEPLOYERS_LOCAL_LOG_FILE_H
#define DEPLOYERS_LOCAL_LOG_FILE_H

#include "base/buf.h"
#include "base/error.h"

struct log_file {
	const char *bytes; /* mapped */
	size_t size;       /* of whole lines */
	size_t mapped;
	int64_t changed_ms; /* when it was last written to */
};

struct log_event {
	int64_t time_ms;
	struct str text;      /* escaped as in the file; borrowed */
	size_t begin, behind; /* of its line in the file */
};

bool log_file_open(const char *path, struct log_file *out_file, struct error *err) must_use;
void log_file_close(struct log_file *file);

/* The event whose line begins at offset (or later, when that one is malformed); false at the end. */
bool log_file_at(const struct log_file *file, size_t offset, struct log_event *out_event) must_use;
/* The event whose line ends right before offset; false at the beginning. */
bool log_file_before(const struct log_file *file, size_t offset, struct log_event *out_event)
	must_use;
/* Appends the message as it was before escaping. */
void log_event_text(const struct log_event *event, struct buf *out);

#endif
