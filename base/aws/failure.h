/*
 * failure.h - what a refusal of AWS means: its code and message, and the kind of error that is.
 */
#ifndef BASE_AWS_FAILURE_H
#define BASE_AWS_FAILURE_H

#include "base/aws.h"
#include "base/aws/retry.h"
#include "base/aws/services.h"

/*
 * Reads code and message out of an answer that is no success.
 *
 * out_message  owned; what AWS says, "HTTP 503" when it says nothing
 */
void failure_read(const struct http_response *response, enum aws_protocol protocol,
	struct aws_failure *out_failure, char **out_message);

enum error_kind failure_kind(const struct aws_failure *failure);

/* Is it worth trying again? */
enum retry_outcome failure_retry(const struct aws_failure *failure);

/* One of the codes that a clock that is off by minutes causes. */
bool failure_is_clock_skew(const struct aws_failure *failure);

#endif
