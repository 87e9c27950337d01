#include "builders/evidence/signed_bundle.h"

#include "base/memory.h"

#include <stdlib.h>

enum { BUNDLE_LIMIT = 64 << 20 };

void signed_bundle_free(struct signed_bundle *bundle)
{
	free(bundle->hint);
	dsse_free(&bundle->envelope);
	buf_free(&bundle->signature);
	*bundle = (struct signed_bundle){0};
}

void signed_bundle_hint(const struct public_key *key, struct buf *out)
{
	struct digest id = public_key_id(key);

	base64_append(out, id.bytes, DIGEST_SIZE);
}

void signed_bundle_write(const struct dsse *envelope, const struct public_key *key, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	scoped(buf_free) struct buf hint = {0};

	signed_bundle_hint(key, &hint);
	json_object_begin(&w);
	json_put_text(&w, "mediaType", MEDIA_TYPE_BUNDLE);
	json_key(&w, "verificationMaterial");
	json_object_begin(&w);
	json_key(&w, "publicKey");
	json_object_begin(&w);
	json_put_text(&w, "hint", buf_text(&hint));
	json_object_end(&w);
	json_object_end(&w);
	json_key(&w, "dsseEnvelope");
	dsse_write(envelope, &w);
	json_object_end(&w);
}

static bool is_bundle(const char *media_type)
{
	static const char *const known[] = {MEDIA_TYPE_BUNDLE,
		"application/vnd.dev.sigstore.bundle+json;version=0.1",
		"application/vnd.dev.sigstore.bundle+json;version=0.2",
		"application/vnd.dev.sigstore.bundle+json;version=0.3"};

	for (size_t i = 0; i < countof(known); i++)
		if (text_equal(media_type, known[i]))
			return true;
	return false;
}

static bool read_message(const struct json *message, const char *what, struct signed_bundle *bundle,
	struct error *err)
{
	const struct json *said = json_get(message, "messageDigest");
	scoped(buf_free) struct buf digest = {0};

	if (!text_equal(json_get_text(said, "algorithm", ""), "SHA2_256") ||
		!dsse_decode(json_str(json_get(said, "digest")), &digest) ||
		digest.size != DIGEST_SIZE)
		return error_raise(err, ERROR_INVALID, "%s: its messageDigest is no SHA-256", what);
	memcpy(bundle->digest.bytes, digest.data, DIGEST_SIZE);
	struct str signature = json_str(json_get(message, "signature"));
	if (signature.size == 0 || signature.size > 2 * (size_t)SIGNATURE_LIMIT ||
		!dsse_decode(signature, &bundle->signature))
		return error_raise(err, ERROR_INVALID, "%s: its signature is no base64", what);
	return true;
}

bool signed_bundle_parse(struct str text, const char *what, struct signed_bundle *out_bundle,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(signed_bundle_free) struct signed_bundle bundle = {0};

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = BUNDLE_LIMIT}, &value, err))
		return false;
	const char *type = json_get_text(value, "mediaType", "");
	if (!is_bundle(type))
		return error_raise(err, ERROR_INVALID,
			"%s is no sigstore bundle of version 0.1 to 0.3 but \"%.80s\"", what, type);
	const struct json *material = json_get(value, "verificationMaterial");
	const struct json *envelope = json_get(value, "dsseEnvelope");
	bundle.hint = memory_copy_text(json_get_text(json_get(material, "publicKey"), "hint", ""));
	bundle.has_certificate =
		json_get(material, "certificate") || json_get(material, "x509CertificateChain");
	bundle.has_envelope = envelope != NULL;
	if (envelope ? !dsse_read(envelope, what, &bundle.envelope, err)
		     : !read_message(json_get(value, "messageSignature"), what, &bundle, err))
		return false;
	*out_bundle = bundle;
	bundle = (struct signed_bundle){0};
	return true;
}
