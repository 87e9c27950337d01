/*
 * operation.h - one row per AWS operation that the local cloud answers.
 *
 * The endpoint decodes the wire (JSON 1.0/1.1, query) to the model's JSON shape, looks the row up,
 * calls it and encodes the answer; a row knows nothing of HTTP. Rows of one service lie together in
 * <service>_operations.c; operations.c lists the tables.
 */
#ifndef DEPLOYERS_LOCAL_OPERATION_H
#define DEPLOYERS_LOCAL_OPERATION_H

#include "deployers/local/cloud.h"

/* How AWS refuses: the code its SDKs know and a message for people. */
struct refusal {
	int status;    /* HTTP; 0: 400 */
	char *code;    /* owned; "ServiceNotFoundException"; NULL: nothing was refused */
	char *message; /* owned */
};
/* Always returns false. */
bool refuse(struct refusal *refusal, int status, const char *code, const char *format, ...)
	printf_like(4, 5);
/* We could not do our own work (500 InternalFailure; 507 when the disk is full); empties err. Always returns false. */
bool refuse_error(struct refusal *refusal, struct error *err);
void refusal_free(struct refusal *refusal);

struct operation {
	const char *name; /* "DescribeServices" */
	/* input is an object (never NULL), borrowed; *out_output is the caller's, NULL for {}. */
	bool (*call)(struct cloud *cloud, const struct json *input, struct json **out_output,
		struct refusal *refusal);
};

struct operation_table {
	const char *service; /* signing name: "ecs", "ecr", "elasticloadbalancing", "logs", "sts" */
	const char *target_prefix; /* "AmazonEC2ContainerServiceV20141113"; NULL: query protocol */
	const char *query_version; /* "2015-12-01"; NULL: JSON protocol */
	const char *query_namespace;  /* xmlns of answers; NULL: JSON protocol */
	const struct operation *rows; /* ends with a NULL name */
};

/* Defined by <service>_operations.c, listed in operations.c. */
extern const struct operation_table ecs_operations, ecr_operations, elbv2_operations,
	logs_operations, sts_operations;
extern const struct operation_table *const operation_tables[]; /* ends with NULL */

#endif
