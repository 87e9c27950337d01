/*
 * registry_api.h - the registry under /v2/ (OCI distribution specification 1.1) over content.h.
 *
 * Only "Basic AWS:<password of GetAuthorizationToken>" may in, as with ECR, or the same password as
 * a Bearer token; a repository must exist before something is pushed to it (NAME_UNKNOWN). Blobs
 * stream to disk and are hashed on the way; a manifest is refused while a blob that it names is
 * missing, with one error for each. An index may be sparse: manifests that it names may come later.
 *
 * An upload outlives the process (uploads.h): a client asks how far it came and goes on.
 *
 * Limits  1000 uploads at once, an hour each without a byte; manifests 4 MiB; lists of 1000.
 */
#ifndef DEPLOYERS_LOCAL_REGISTRY_API_H
#define DEPLOYERS_LOCAL_REGISTRY_API_H

#include "base/http_server.h"
#include "deployers/local/cloud.h"

struct registry_api;

struct registry_api *registry_api_new(struct cloud *cloud) must_use;
void registry_api_free(struct registry_api **api);

/* Whether the path is the registry's. */
bool registry_api_wants(const struct http_exchange *exchange);
/* The three callbacks of http_server.h. */
void registry_api_begin(struct registry_api *api, struct http_exchange *exchange,
	struct http_body_sink *sink);
void registry_api_handle(struct registry_api *api, struct http_exchange *exchange);
void registry_api_closed(struct registry_api *api, struct http_exchange *exchange);

/* A path below /v2/ cut into what it names. */
enum registry_what {
	REGISTRY_NOTHING, /* no path of the specification */
	REGISTRY_ROOT,    /* /v2/ */
	REGISTRY_TOKEN,   /* /v2/token: not the specification's, named by WWW-Authenticate */
	REGISTRY_BLOB,
	REGISTRY_UPLOADS, /* …/blobs/uploads/ */
	REGISTRY_UPLOAD,  /* …/blobs/uploads/<id> */
	REGISTRY_MANIFEST,
	REGISTRY_TAGS,
	REGISTRY_REFERRERS,
};
struct registry_path {
	enum registry_what what;
	struct str repository, reference; /* borrowed from the path */
};
struct registry_path registry_path_parse(struct str path);

#endif
