/*
 * referrer_push.h - one manifest about an image into a repository, with its blobs. Which of them, and what
 *                   lists them there, is told in referrers.h.
 *
 * A registry that refuses one for what it is gets its plain form (plain_artifact.h); one that the source
 * has but in that form goes whole where it is taken. cosign's signatures are put behind those that are
 * there.
 */
#ifndef BUILDERS_REGISTRY_REFERRER_PUSH_H
#define BUILDERS_REGISTRY_REFERRER_PUSH_H

#include "builders/image/artifact.h"
#include "builders/registry/push.h"

/*
 * forms       gets the entry of what was pushed when that is another form than entry's
 * out_pushed  false: all signatures of entry are there already
 */
bool referrer_push(struct session *session, const struct image_source *source,
	const struct artifact_entry *entry, struct artifact_list *forms, bool *out_pushed,
	struct error *err) must_use;

#endif
