/*
 * referrers.h - what a repository has about an image: pushed after the image, listed, removed.
 *
 *     GET referrers/<digest> ─► 200: the registry keeps the list itself
 *          │ 404, 400, 405: it has no such thing
 *          ▼
 *     the index under the tag sha256-<hex> is the list: read, changed, written with If-Match where
 *     the registry gives an ETag, and read again, because not every registry minds If-Match
 *
 * Two writers at the same moment on a registry that minds no If-Match can still lose one entry of
 * such an index; its manifest stays, and the next push that is not noted lists it again.
 *
 * The API is asked and the OCI-Subject header is not believed: ECR once sent it without having the API.
 * Source  distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema".
 */
#ifndef BUILDERS_REGISTRY_REFERRERS_H
#define BUILDERS_REGISTRY_REFERRERS_H

#include "builders/image/artifact.h"
#include "builders/registry/push.h"

/*
 * Lists what the repository has about subject, cosign's signature tag included; an image that nobody
 * referred to gives an empty list.
 *
 * Fails with  ERROR_PROTOCOL, ERROR_DENIED, ERROR_UNAVAILABLE, ERROR_LIMIT.
 */
bool referrers_list(struct session *session, const struct digest *subject,
	struct artifact_list *out_list, struct error *err) must_use;

struct referrers_pushed {
	int64_t count; /* manifests that were not there */
	int64_t plain; /* of them: in their plain form, because the registry takes no other */
};

/*
 * Pushes the manifests of list and their blobs; those that the repository has stay. One that the
 * registry refuses for what it is goes there as a plain image (plain_artifact.h). Calling again is safe.
 *
 * Fails with  what registry_upload() and registry_put_manifest() fail with, ERROR_CONFLICT when
 *             others change the list faster than we can (ten tries).
 */
bool referrers_push(struct session *session, const struct image_source *source,
	const struct digest *subject, const struct artifact_list *list,
	struct referrers_pushed *out_pushed, struct error *err) must_use;

#endif
