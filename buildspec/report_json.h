/*
 * report_json.h - for the files of JSON formats.
 */
#ifndef BUILDSPEC_REPORT_JSON_H
#define BUILDSPEC_REPORT_JSON_H

#include "base/json.h"
#include "buildspec/report.h"

enum { REPORT_JSON_BYTES_MAX = 64 << 20 };

struct report_document {
	/* Fails with ERROR_INVALID when it is another kind of document. */
	bool (*read)(const struct json *root, const struct report_sink *sink, struct error *err);
};

extern const struct report_document report_cucumber, report_simplecov;

#endif
