/*
 * report_text.h - for the report formats: texts that are cut where they are too long, durations as
 *                 tools write them.
 */
#ifndef BUILDSPEC_REPORT_TEXT_H
#define BUILDSPEC_REPORT_TEXT_H

#include "base/buf.h"

enum {
	REPORT_NAME_BYTES = 1024,
	REPORT_MESSAGE_BYTES = 4096,
	REPORT_DETAILS_BYTES = 16 * 1024,
};

/* Replaces what is in out by text, cut behind a whole character; NULL empties it. */
void report_cut(struct buf *out, const char *text, size_t size_max);
/* The first line of text that says something. */
struct str report_first_line(struct str text);

/* "0.012", "1,234.5" (thousands), "0,012" (a decimal comma), "9e-05"; 0 for anything else. */
int64_t report_seconds(const char *text);
/* A count; 0 for anything else. */
int64_t report_number(const char *text);

#endif
