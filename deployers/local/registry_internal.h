/*
 * registry_internal.h - what the files of the registry API share: registry_api.c (who may, which
 *                       route), registry_uploads.c (blobs coming in), registry_reads.c (what is
 *                       there: blobs, manifests, tags, referrers).
 */
#ifndef DEPLOYERS_LOCAL_REGISTRY_INTERNAL_H
#define DEPLOYERS_LOCAL_REGISTRY_INTERNAL_H

#include "deployers/local/content.h"
#include "deployers/local/registry_api.h"

struct registry_api {
	struct cloud *cloud;    /* borrowed */
	struct upload *uploads; /* owned */
	size_t upload_count;
	struct watch *sweeper; /* owned; drops uploads that nobody goes on with */
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
void registry_answer_digest(struct http_exchange *exchange, const struct digest *digest);

/* registry_uploads.c. begin answers itself when the upload cannot start. */
void registry_upload_begin(struct registry_call *call, struct http_body_sink *sink);
void registry_upload_start(struct registry_call *call);  /* POST */
void registry_upload_handle(struct registry_call *call); /* GET, PATCH, PUT, DELETE */
void registry_upload_closed(struct http_exchange *exchange);
void registry_uploads_free(struct registry_api *api);

/* registry_reads.c */
void registry_blob(struct registry_call *call);
void registry_manifest(struct registry_call *call);
void registry_tags(struct registry_call *call);
void registry_referrers(struct registry_call *call);

#endif
