/*
 * descriptor.h - what names a blob in manifests and indexes: media type, digest and size.
 *
 * Source  image-spec 1.1, descriptor.md
 */
#ifndef BUILDERS_IMAGE_DESCRIPTOR_H
#define BUILDERS_IMAGE_DESCRIPTOR_H

#include "base/digest.h"
#include "base/json_writer.h"

/* The three members, into an object that is open. */
void descriptor_put(struct json_writer *w, const char *media_type, const struct digest *digest,
	int64_t size_bytes);
/* "sha256:…": as a value, and as a member of that key. */
void descriptor_write_digest(struct json_writer *w, const struct digest *digest);
void descriptor_put_digest(struct json_writer *w, const char *key, const struct digest *digest);

#endif
