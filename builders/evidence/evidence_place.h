/*
 * evidence_place.h - an image with all that is known about it, wherever it lies, as a layout: the
 *                    layout itself, or a private copy of what a registry has.
 *
 *     evidence_place_open -> evidence_sign, evidence_attest, verify_image -> evidence_place_publish
 */
#ifndef BUILDERS_EVIDENCE_EVIDENCE_PLACE_H
#define BUILDERS_EVIDENCE_EVIDENCE_PLACE_H

#include "builders/registry/copy.h"
#include "builders/registry/referrers.h"

/* As place_parse(), and FOLDER[:TAG] without "oci:" where there is a layout of that name. */
bool evidence_place_parse(const char *text, struct place *out_place, struct error *err) must_use;

struct evidence_place {
	struct layout layout;
	struct layout_entry subject;
	char *folder;            /* owned: the private copy, removed when freed; NULL: none */
	struct session *session; /* of a registry; NULL for a layout */
	char *reference;         /* owned: "HOST/REPOSITORY"; "" for a layout */
};
void evidence_place_free(struct evidence_place *place);

struct evidence_place_options {
	bool plain_http;
	bool push;   /* evidence will be published */
	bool image;  /* a copy gets the image's configuration and, of an index, manifests */
	bool layers; /* and its layers */
};

/*
 * Fails with  ERROR_NOT_FOUND (no such image), ERROR_FAILED (the registry gave other bytes than the
 *             digest says; the error names which), ERROR_DENIED, ERROR_UNAVAILABLE, ERROR_LIMIT.
 */
bool evidence_place_open(const struct place *place, const struct evidence_place_options *options,
	struct evidence_place *out_place, struct error *err) must_use;

/* Pushes what was added to a copy; nothing to do for a layout. */
bool evidence_place_publish(struct evidence_place *place, int64_t *out_pushed, struct error *err)
	must_use;

#endif
