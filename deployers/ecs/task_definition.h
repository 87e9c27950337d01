/*
 * task_definition.h - AWS's task definition: made ready to be registered, compared.
 *
 * Registering is not idempotent: every accepted call makes another revision. So what is to be
 * registered is compared with what there is, after both were brought into one form: ECS fills in
 * defaults and sorts lists as it likes.
 *
 * Source  section 2 of our reference on deploying.
 */
#ifndef DEPLOYERS_ECS_TASK_DEFINITION_H
#define DEPLOYERS_ECS_TASK_DEFINITION_H

#include "base/error.h"
#include "base/json.h"

/*
 * What DescribeTaskDefinition answered, as input of RegisterTaskDefinition: without exactly the nine
 * members that only answers have, everything else as it is (also what we do not know), and with
 * the tags that stand beside it. The caller's.
 */
struct json *definition_of_answer(const struct json *answer) must_use;

/*
 * Puts the image into the container named like the service, or the only one.
 * ERROR_USAGE when it is not clear which.
 */
bool definition_set_image(struct json *definition, const char *service, const char *image,
	struct error *err) must_use;

/* The form in which two definitions can be compared; the caller's. */
struct json *definition_normalise(const struct json *definition) must_use;
bool definition_equal(const struct json *a, const struct json *b);

/* Does a container run this image? */
bool definition_has_image(const struct json *definition, const char *image);

/* Is there a family and a container with a name and an image? ERROR_USAGE says what is missing. */
bool definition_check(const struct json *definition, const char *file, struct error *err) must_use;

#endif
