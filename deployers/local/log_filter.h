/*
 * log_filter.h - CloudWatch's filter patterns for unstructured text.
 *
 *     ERROR timeout       both words          ?ERROR ?WARN     one of them
 *     "not found"         this text           ERROR -debug     the first and not the second
 *
 * Patterns for JSON ({ $.level = "x" }) and for columns ([a, b]) are refused as ERROR_INVALID.
 * Matching is by substring and heeds case; it looks at the text as the file has it, where a newline
 * is "\n".
 */
#ifndef DEPLOYERS_LOCAL_LOG_FILTER_H
#define DEPLOYERS_LOCAL_LOG_FILTER_H

#include "base/buf.h"
#include "base/error.h"

struct log_filter {
	struct strings all, any, none; /* terms */
};

/* An empty pattern matches everything. */
bool log_filter_parse(struct str pattern, struct log_filter *out_filter, struct error *err)
	must_use;
bool log_filter_matches(const struct log_filter *filter, struct str text);
void log_filter_free(struct log_filter *filter);

#endif
