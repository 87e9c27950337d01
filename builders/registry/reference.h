/*
 * reference.h - the name of an image in a registry: HOST[:PORT]/REPOSITORY[:TAG][@DIGEST].
 *
 * The host must be written: "rooms:1" means Docker Hub to some tools and this machine to others.
 * Source  distribution-spec 1.1, "Pulling manifests" (grammar of names and tags).
 */
#ifndef BUILDERS_REGISTRY_REFERENCE_H
#define BUILDERS_REGISTRY_REFERENCE_H

#include "base/digest.h"
#include "base/error.h"

struct reference {
	char *host;       /* owned; "127.0.0.1:5000", "[::1]:5000", as the API is reached */
	char *repository; /* owned; "booking/rooms" */
	char *tag;        /* owned; NULL when none was given */
	bool has_digest;
	struct digest digest;
};

/* ERROR_USAGE says which part is wrong. No tag and no digest leaves both empty. */
bool reference_parse(const char *text, struct reference *out_reference, struct error *err) must_use;
void reference_free(struct reference *reference);

/* The grammar of a repository's name, of any length, and of a tag. */
bool reference_repository_valid(struct str name) must_use;
bool reference_tag_valid(struct str tag) must_use;

/* "sha256:…" when there is a digest, else the tag, else "latest"; owned. What a URL ends with. */
char *reference_key(const struct reference *reference) must_use;
/* "HOST/REPOSITORY:TAG" or "HOST/REPOSITORY@sha256:…"; owned. */
char *reference_text(const struct reference *reference) must_use;

#endif
