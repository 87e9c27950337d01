#include "builders/image/descriptor.h"

void descriptor_write_digest(struct json_writer *w, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_to_text(digest, text);
	json_write_text(w, text);
}

void descriptor_put_digest(struct json_writer *w, const char *key, const struct digest *digest)
{
	json_key(w, key);
	descriptor_write_digest(w, digest);
}

void descriptor_put(struct json_writer *w, const char *media_type, const struct digest *digest,
	int64_t size_bytes)
{
	json_put_text(w, "mediaType", media_type);
	descriptor_put_digest(w, "digest", digest);
	json_put_int(w, "size", size_bytes);
}
