/*
 * tags.h - the tags of a repository.
 *
 * Source  distribution-spec 1.1, "Listing Tags". Pages follow the Link header; a registry that sends
 *         none but fills its pages is asked on with "last".
 */
#ifndef BUILDERS_REGISTRY_TAGS_H
#define BUILDERS_REGISTRY_TAGS_H

#include "builders/registry/session.h"

enum { TAGS_PAGE = 1000 }; /* the most that ECR lets us ask for */

/*
 * Adds the tags to *out_tags, sorted bytewise, each once.
 *
 * Fails with  ERROR_NOT_FOUND (no such repository), ERROR_DENIED, ERROR_UNAVAILABLE, ERROR_PROTOCOL (no
 *             such list, or one that leads to another server), ERROR_LIMIT (a list without an end).
 */
bool tags_list(struct session *session, struct strings *out_tags, struct error *err) must_use;

#endif
