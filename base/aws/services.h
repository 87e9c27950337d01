/*
 * services.h - the AWS services we can call, a row each: protocol, names, host.
 */
#ifndef BASE_AWS_SERVICES_H
#define BASE_AWS_SERVICES_H

#include "base/json.h"

enum aws_protocol {
	AWS_JSON_1_0,
	AWS_JSON_1_1,
	AWS_QUERY,
};

struct aws_service {
	const char *name;         /* what aws_call() is given */
	const char *id;           /* in AWS_ENDPOINT_URL_<ID>; lower-case in [services] sections */
	const char *signing_name; /* in the credential scope */
	const char *host;         /* before ".<region>.amazonaws.com" */
	enum aws_protocol protocol;
	const char *target; /* JSON: prefix of X-Amz-Target; query: the API's version */
};

/* NULL when there is no such row. */
const struct aws_service *aws_service_find(const char *name);

/*
 * May the call be repeated when nobody knows whether the first one arrived? Reads may, and writes
 * that describe an end state or carry a token by which the service knows the repeat.
 */
bool aws_is_idempotent(const char *service, const char *operation, const struct json *input);

#endif
