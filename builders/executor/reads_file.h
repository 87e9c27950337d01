/*
 * reads_file.h - reads.json in the output folder of a build: which files it read of what its service uses.
 *
 *     {"files":["base/x.h"]}    these and no other
 *     {"unknown":"why"}         any of them
 */
#ifndef BUILDERS_EXECUTOR_READS_FILE_H
#define BUILDERS_EXECUTOR_READS_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* unknown: why it is not known what was read, which then is all that is written; NULL. */
bool reads_file_write(const char *output, const struct strings *files, const char *unknown,
	struct error *err) must_use;

/* Appends the files. What is missing or cannot be understood is unknown: *out_unknown, owned, says why and
 * nothing is appended; else it is NULL. */
void reads_file_read(const char *output, struct strings *files, char **out_unknown);

#endif
