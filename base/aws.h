/*
 * aws.h - one call to any AWS service we use: aws_call(service, operation, input) -> output.
 *
 * Signs with SigV4, speaks the service's protocol (JSON 1.0, JSON 1.1 or query), retries as AWS's
 * "standard" mode does and corrects a skewed clock. Input and output are JSON in the shapes of the
 * published models whatever the wire looks like; query answers (XML) come back as JSON too.
 *
 * Endpoint  AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's, else the public host.
 * Retries   attempts in all AWS_MAX_ATTEMPTS (3). An operation that is not idempotent is repeated
 *           only when the request certainly did not arrive (connection refused) or was throttled.
 * Secrets   never in errors or traces.
 * Threads   one aws belongs to one thread.
 */
#ifndef BASE_AWS_H
#define BASE_AWS_H

#include "base/clock.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/json.h"

struct aws;

struct aws_options {
	const char *region;   /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's, IMDS */
	const char *profile;  /* NULL: AWS_PROFILE, "default" */
	const char *endpoint; /* NULL: as above */
	struct clock *clock;  /* NULL: the system's */
	int attempts;         /* in all, for each call; 0: AWS_MAX_ATTEMPTS, else 3 */
};

bool aws_new(const struct aws_options *options, struct aws **out_aws, struct error *err) must_use;
void aws_free(struct aws **aws);
const char *aws_region(const struct aws *aws);

/* What AWS said when it refused: "ServiceNotFoundException" and the HTTP status. */
struct aws_failure {
	char code[128];
	int status;
	bool known; /* false: no answer, or not in AWS's form */
};

/*
 * Calls one operation.
 *
 * service      "ecs", "ecr", "elbv2", "sts", "logs", … (rows of the table in base/aws/services.c)
 * operation    "DescribeServices"
 * input        object in the model's shape, NULL for {}
 * out_output   the answer, the caller's; NULL when it is not wanted
 * out_failure  may be NULL; filled when AWS answered with an error
 *
 * Fails with the kind that fits the code (NOT_FOUND, DENIED, CONFLICT, UNAVAILABLE, INVALID, …);
 * the message is "ecs DescribeServices: CODE: AWS's message".
 */
bool aws_call(struct aws *aws, const char *service, const char *operation, const struct json *input,
	struct json **out_output, struct aws_failure *out_failure, struct error *err) must_use;

#endif
