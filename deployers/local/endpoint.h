/*
 * endpoint.h - the cloud's one HTTP endpoint: every AWS API, and the registry under /v2/.
 *
 *     X-Amz-Target: <prefix>.<Operation>     JSON 1.0 / 1.1
 *     Action=…&Version=…                     query protocol, in the body or (presigned) in the URL
 *     /v2/…                                  registry_api.h
 *
 * A request is looked up, its signature verified, its operation called, its answer encoded. Every
 * answer has an x-amzn-RequestId.
 */
#ifndef DEPLOYERS_LOCAL_ENDPOINT_H
#define DEPLOYERS_LOCAL_ENDPOINT_H

#include "deployers/local/cloud.h"

struct endpoint;

/*
 * Listens on cloud->host and cloud->port (0: any free one, cloud->port says which afterwards), on
 * cloud->gateway too when there is one, makes the keys and writes <state>/credentials.json.
 *
 * Fails with  ERROR_CONFLICT when the port is taken.
 */
bool endpoint_start(struct cloud *cloud, struct endpoint **out_endpoint, struct error *err)
	must_use;
/* Ends at once; what is in flight is cut off. */
void endpoint_stop(struct endpoint **endpoint);

#endif
