/*
 * logs.h - CloudWatch Logs on files: one file a stream, lines "<epoch ms> <text>\n".
 *
 * Writers (the task monitor, PutLogEvents) append whole lines with O_APPEND, so several may write
 * and a crash loses nothing that was written. Newlines inside a message are kept as "\n" escapes
 * ("\\" for a backslash).
 */
#ifndef DEPLOYERS_LOCAL_LOGS_H
#define DEPLOYERS_LOCAL_LOGS_H

#include "deployers/local/cloud.h"

struct logs;

bool logs_open(struct cloud *cloud, struct logs **out_logs, struct error *err) must_use;
void logs_close(struct logs **logs);

/* Makes group (when missing and make_group) and stream, and gives the file to append to; owned. */
bool logs_stream_file(struct logs *logs, const char *group, const char *stream, bool make_group,
	char **out_path, struct error *err) must_use;
/* Appends one line to out, ready to be written to a stream's file in one write(). */
void logs_format_line(int64_t time_ms, struct str text, struct buf *out);

/* Makes a group, as CreateLogGroup does. ERROR_CONFLICT when it exists, ERROR_INVALID for a name
 * that CloudWatch would not take. */
bool logs_make_group(struct logs *logs, const char *group, struct error *err) must_use;
/* Removes a group and its streams; ERROR_NOT_FOUND. */
bool logs_remove_group(struct logs *logs, const char *group, struct error *err) must_use;
/* Names of the group's streams, sorted. */
bool logs_list_streams(struct logs *logs, const char *group, struct strings *out_streams,
	struct error *err) must_use;
/* The stream's file when it is there, else NULL; owned. */
char *logs_find_stream(struct logs *logs, const char *group, const char *stream) must_use;

#endif
