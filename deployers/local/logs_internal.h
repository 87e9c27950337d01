/*
 * logs_internal.h - what the files of the Logs API share: logs_operations.c (the table, groups, streams,
 *                   PutLogEvents) and logs_reads.c (GetLogEvents, FilterLogEvents).
 */
#ifndef DEPLOYERS_LOCAL_LOGS_INTERNAL_H
#define DEPLOYERS_LOCAL_LOGS_INTERNAL_H

#include "deployers/local/operation.h"

#define LOGS_INVALID "InvalidParameterException"
#define LOGS_NOT_FOUND "ResourceNotFoundException"

/* Refuses what logs.h could not do; empties err. */
bool logs_refuse(struct refusal *refusal, struct error *err);
/* The group by name or by ARN, which must exist; NULL: refused. */
const char *logs_group_of(struct cloud *cloud, const struct json *input, struct refusal *refusal);
/* The items in the other order; takes array. */
struct json *logs_reversed(struct json *array) must_use;

bool logs_answer_get_log_events(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal);
bool logs_answer_filter_log_events(struct cloud *cloud, const struct json *input,
	struct json **out_output, struct refusal *refusal);

#endif
