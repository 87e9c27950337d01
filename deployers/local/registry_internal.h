/*
 * registry_internal.h - what the files of the registry API share: registry_api.c (who may, which
 *                       route), registry_uploads.c (blobs coming in), registry_reads.c (blobs
 *                       going out), registry_manifests.c, registry_lists.c (tags, referrers).
 */
#ifndef DEPLOYERS_LOCAL_REGISTRY_INTERNAL_H
#define DEPLOYERS_LOCAL_REGISTRY_INTERNAL_H

#include "deployers/local/content.h"
#include "deployers/local/registry_api.h"

struct registry_api {
	struct cloud *cloud;     /* borrowed */
	struct senders *senders; /* owned */
	struct watch *collector; /* owned: every hour, what expires and what nothing needs goes */
};

/* One request, taken apart. */
struct registry_call {
	struct registry_api *api;
	struct http_exchange *exchange;
	enum registry_what what;
	char *repository, *reference; /* owned */
	const char *method;
};

/* {"errors":[{"code":…,"message":…}]} */
void registry_fail(struct http_exchange *exchange, int status, const char *code, const char *format,
	...) printf_like(4, 5);
/* The answer that fits an error of content.h; empties err. */
void registry_fail_error(struct http_exchange *exchange, struct error *err);
void registry_answer_missing(struct http_exchange *exchange, const struct strings *missing,
	const char *repository);
/* Docker-Content-Digest */
void registry_answer_digest(struct http_exchange *exchange, const char *name);
/* Whether the call's reference is a digest; answers itself when it is not. */
bool registry_is_digest(struct registry_call *call);

/* registry_uploads.c. begin answers itself when the upload cannot start. */
void registry_upload_begin(struct registry_call *call, struct http_body_sink *sink);
void registry_upload_start(struct registry_call *call);  /* POST */
void registry_upload_handle(struct registry_call *call); /* GET, PATCH, PUT, DELETE */
void registry_upload_closed(struct http_exchange *exchange);

/* registry_reads.c */
void registry_blob(struct registry_call *call);
/* registry_manifests.c. begin answers itself when the manifest is too large. */
void registry_manifest_begin(struct registry_call *call);
void registry_manifest(struct registry_call *call);
/* registry_lists.c */
void registry_tags(struct registry_call *call);
void registry_referrers(struct registry_call *call);

#endif
