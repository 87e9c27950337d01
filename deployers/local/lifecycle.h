/*
 * lifecycle.h - which images a lifecycle policy of ECR expires: a pure function.
 *
 * Rules are applied by priority, 1 first. A rule sees all images that its selection matches, also
 * those that an earlier rule expires; it never expires what an earlier rule's selection matches. So
 * each image is expired by one rule or by none. An image that an index names stays as long as the
 * index.
 *
 * Source  "Automate the cleanup of images by using lifecycle policies in Amazon ECR", its examples
 *         and the properties of lifecycle policies.
 */
#ifndef DEPLOYERS_LOCAL_LIFECYCLE_H
#define DEPLOYERS_LOCAL_LIFECYCLE_H

#include "base/buf.h"
#include "base/error.h"

struct lifecycle; /* a policy */

/* ERROR_INVALID says which rule and member, as AWS's validation does. */
bool lifecycle_parse(struct str text, struct lifecycle **out_lifecycle, struct error *err) must_use;
void lifecycle_free(struct lifecycle **lifecycle);

struct lifecycle_image {
	const char *digest;
	const struct strings *tags;     /* borrowed; empty: untagged */
	const struct strings *contains; /* digests that an index names; borrowed; NULL: no index */
	int64_t pushed_ms;
	int64_t expired_by; /* out: the rule's priority; 0: it stays */
};

/* Decides about every image; their order does not matter. */
void lifecycle_decide(const struct lifecycle *lifecycle, struct lifecycle_image *images,
	size_t count, int64_t now_ms);

#endif
