#include "builders/evidence/simple_signing.h"

#include "base/json_writer.h"
#include "base/memory.h"

enum { DOCUMENT_LIMIT = 1 << 20 };

#define SIGNATURE_TYPE "cosign container image signature"

bool simple_signing_verify(const struct signature_layer *layer, const struct public_key *key)
{
	scoped(buf_free) struct buf signature = {0};

	return strlen(layer->signature) <= 2 * (size_t)SIGNATURE_LIMIT &&
	       base64_decode(str_of(layer->signature), &signature) &&
	       public_key_verify(key, &layer->document, buf_str(&signature));
}

bool simple_signing_parse(struct str document, const char *what, struct digest *out_digest,
	char **out_reference, struct error *err)
{
	scoped(json_free) struct json *value = NULL;

	if (!json_parse(document, what, &(struct json_limits){.size_bytes = DOCUMENT_LIMIT}, &value,
		    err))
		return false;
	const struct json *critical = json_get(value, "critical");
	const char *type = json_get_text(critical, "type", "");
	if (!text_equal(type, SIGNATURE_TYPE))
		return error_raise(err, ERROR_INVALID,
			"%s is of the type \"%.80s\", expected "
			"\"" SIGNATURE_TYPE "\"",
			what, type);
	if (!digest_parse(json_str(json_get(json_get(critical, "image"), "docker-manifest-digest")),
		    out_digest))
		return error_raise(err, ERROR_INVALID, "%s names no sha256 digest", what);
	*out_reference = memory_copy_text(
		json_get_text(json_get(critical, "identity"), "docker-reference", ""));
	return true;
}

static void write_document(const struct digest *subject, const char *reference, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(subject, digest);
	json_object_begin(&w);
	json_key(&w, "critical");
	json_object_begin(&w);
	json_key(&w, "identity");
	json_object_begin(&w);
	json_put_text(&w, "docker-reference", reference);
	json_object_end(&w);
	json_key(&w, "image");
	json_object_begin(&w);
	json_put_text(&w, "docker-manifest-digest", digest);
	json_object_end(&w);
	json_put_text(&w, "type", SIGNATURE_TYPE);
	json_object_end(&w);
	json_put_text(&w, "optional", NULL);
	json_object_end(&w);
}

/* The signatures that the layout has about subject so far. */
static bool read_known(const struct layout *layout, const char *tag,
	struct signature_image *out_known, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct error none = {0};
	struct layout_entry entry;

	if (!layout_find_tag(layout, tag, &entry, &none)) {
		if (none.kind == ERROR_NOT_FOUND) {
			error_ignore(&none, "nobody has signed it yet");
			return true;
		}
		error_move(err, &none);
		return false;
	}
	return layout_read_blob(layout, &entry.digest, MANIFEST_LIMIT, &text, err) &&
	       signature_image_parse(buf_str(&text), tag, out_known, err);
}

static bool is_signed(const struct signature_image *known, const struct digest *document,
	const struct public_key *key)
{
	for (size_t i = 0; i < known->count; i++)
		if (digest_equal(&known->items[i].document, document) &&
			simple_signing_verify(&known->items[i], key))
			return true;
	return false;
}

static bool write_image(const struct layout *layout, const struct signature_image *image,
	const char *tag, struct error *err)
{
	scoped(buf_free) struct buf config = {0}, manifest = {0};
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST};
	struct digest digest;

	signature_image_write(image, &config, &manifest);
	entry.size_bytes = (int64_t)manifest.size;
	return layout_write_blob(layout, buf_str(&config), &digest, err) &&
	       layout_write_blob(layout, buf_str(&manifest), &entry.digest, err) &&
	       layout_set_tag(layout, tag, &entry, NULL, err);
}

bool simple_signing_add(const struct layout *layout, const struct digest *subject,
	const char *reference, struct signer *signer, struct error *err)
{
	scoped(signature_image_free) struct signature_image image = {0};
	scoped(buf_free) struct buf text = {0}, signature = {0}, encoded = {0};
	char tag[ARTIFACT_TAG_SIZE];
	struct digest document;

	artifact_tag(subject, ".sig", tag);
	write_document(subject, reference, &text);
	if (!layout_write_blob(layout, buf_str(&text), &document, err) ||
		!read_known(layout, tag, &image, err))
		return false;
	if (is_signed(&image, &document, signer_public_key(signer)))
		return true;
	/* What is signed is the document, by its digest: the layer's name. */
	if (!signer_sign(signer, &document, &signature, err))
		return false;
	base64_append(&encoded, signature.data, signature.size);
	signature_image_add(&image, &document, (int64_t)text.size, buf_text(&encoded));
	return write_image(layout, &image, tag, err);
}
