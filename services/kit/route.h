/*
 * route.h - finds the route of a method and a path.
 */
#ifndef SERVICES_KIT_ROUTE_H
#define SERVICES_KIT_ROUTE_H

#include "services/kit/request.h"

/* Does the path match the pattern? Then *out holds what the braces took, in order, as pieces of
 * path; *out_count how many. */
bool route_matches(const char *pattern, const char *path, struct str out[ROUTE_PARAMETERS],
	size_t *out_count) must_use;

/*
 * The first route of method whose pattern matches; NULL when there is none. Then out_allowed, when
 * the path has routes of other methods, gets them: "GET, HEAD, POST".
 */
const struct route *route_find(const struct route *routes, size_t count, const char *method,
	const char *path, struct str out[ROUTE_PARAMETERS], size_t *out_count,
	struct buf *out_allowed) must_use;

#endif
