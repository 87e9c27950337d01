#include "base/memory.h"
#include "builders/evidence/signed_bundle.h"
#include "builders/evidence/simple_signing.h"
#include "builders/evidence/verify_internal.h"

#include <stdlib.h>

enum { BLOB_LIMIT = 64 << 20 };

/* Evidence that is passed over, with the reason that a lack of better will be given. */
static void pass_over(struct verifier *v, const struct artifact_entry *entry, const char *why)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&entry->manifest.digest, digest);
	strings_printf(&v->unheard, "%s %.19s… %s", verify_artifact_name(entry), digest, why);
}

static void refuse(struct verifier *v, const struct artifact_entry *entry, const char *why)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&entry->manifest.digest, digest);
	verify_fail(v, "evidence", "%s %s %s", verify_artifact_name(entry), digest, why);
}

static const char *key_of_digest(const struct verifier *v, const struct digest *digest,
	struct str signature)
{
	for (size_t i = 0; i < v->policy->key_count; i++)
		if (public_key_verify(v->policy->keys[i].key, digest, signature))
			return v->policy->keys[i].name;
	return NULL;
}

static const char *key_of_envelope(const struct verifier *v, const struct dsse *envelope)
{
	for (size_t i = 0; i < v->policy->key_count; i++)
		if (dsse_verify(envelope, v->policy->keys[i].key))
			return v->policy->keys[i].name;
	return NULL;
}

/* The policy's key that a bundle's hint names. */
static const char *key_of_hint(const struct verifier *v, const char *hint)
{
	for (size_t i = 0; i < v->policy->key_count; i++) {
		scoped(buf_free) struct buf text = {0};

		signed_bundle_hint(v->policy->keys[i].key, &text);
		if (text_equal(buf_text(&text), hint))
			return v->policy->keys[i].name;
	}
	return NULL;
}

/* An envelope that a key of the policy signed: what it says must be a statement about this image. */
static void take_statement(struct verifier *v, const struct artifact_entry *entry,
	const struct dsse *envelope, const char *key)
{
	struct statement statement = {0};
	struct error err = {0};

	if (!text_equal(envelope->payload_type, MEDIA_TYPE_IN_TOTO)) {
		pass_over(v, entry, "holds no in-toto statement");
		return;
	}
	if (!statement_parse(buf_str(&envelope->payload), verify_artifact_name(entry), &statement,
		    &err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return;
	}
	if (!statement_find(&statement, &v->subject->digest)) {
		char digest[DIGEST_TEXT_SIZE];
		scoped(text_free) char *why = NULL;

		digest_to_text(&statement.subjects[0].digest, digest);
		why = memory_format("speaks of another image: %s", digest);
		refuse(v, entry, why);
		statement_free(&statement);
		return;
	}
	v->trusted = memory_resize(v->trusted, (v->trusted_count + 1) * sizeof(v->trusted[0]));
	v->trusted[v->trusted_count++] = (struct trusted){statement, key};
}

static void take_envelope(struct verifier *v, const struct artifact_entry *entry,
	const struct dsse *envelope)
{
	const char *key = key_of_envelope(v, envelope);

	if (key)
		take_statement(v, entry, envelope, key);
	else if (envelope->signature_count == 0)
		pass_over(v, entry, "is not signed");
	else
		pass_over(v, entry, "is not what a key of the policy signed");
}

/* A signature of the manifest itself, without a statement. */
static void take_message(struct verifier *v, const struct artifact_entry *entry,
	const struct signed_bundle *bundle)
{
	const char *key = NULL;

	if (!digest_equal(&bundle->digest, &v->subject->digest)) {
		refuse(v, entry, "is of another image");
		return;
	}
	key = key_of_digest(v, &bundle->digest, buf_str(&bundle->signature));
	if (key)
		strings_add(&v->signers, key);
	else
		pass_over(v, entry, "is by a key that the policy does not name");
}

static void take_bundle(struct verifier *v, const struct artifact_entry *entry, struct str text)
{
	scoped(signed_bundle_free) struct signed_bundle bundle = {0};
	struct error err = {0};

	if (!signed_bundle_parse(text, verify_artifact_name(entry), &bundle, &err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return;
	}
	const char *claimed = key_of_hint(v, bundle.hint);
	const char *real = bundle.has_envelope
				   ? key_of_envelope(v, &bundle.envelope)
				   : key_of_digest(v, &bundle.digest, buf_str(&bundle.signature));
	if (claimed && !real) {
		scoped(text_free) char *why =
			memory_format("claims the key %s, which did not make it: it was changed",
				claimed);
		refuse(v, entry, why);
	} else if (bundle.has_certificate && !real) {
		pass_over(v, entry, "is signed with a certificate, not with a key");
	} else if (!real) {
		pass_over(v, entry, "is by a key that the policy does not name");
	} else if (bundle.has_envelope) {
		take_envelope(v, entry, &bundle.envelope);
	} else {
		take_message(v, entry, &bundle);
	}
}

/* One signature of cosign's older form. */
static void take_simple(struct verifier *v, const struct artifact_entry *entry,
	const struct signature_layer *layer)
{
	scoped(buf_free) struct buf text = {0};
	scoped(text_free) char *reference = NULL;
	const char *key = NULL;
	struct error err = {0};
	struct digest digest;

	for (size_t i = 0; i < v->policy->key_count && !key; i++)
		if (simple_signing_verify(layer, v->policy->keys[i].key))
			key = v->policy->keys[i].name;
	if (!key) {
		pass_over(v, entry, "is by a key that the policy does not name, or was changed");
		return;
	}
	if (!layout_read_blob(v->layout, &layer->document, BLOB_LIMIT, &text, &err) ||
		!simple_signing_parse(buf_str(&text), "the signed document", &digest, &reference,
			&err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return;
	}
	if (digest_equal(&digest, &v->subject->digest))
		strings_add(&v->signers, key);
	else
		refuse(v, entry, "is of another image");
}

static void take_simple_all(struct verifier *v, const struct artifact_entry *entry,
	struct str manifest)
{
	scoped(signature_image_free) struct signature_image image = {0};
	struct error err = {0};

	if (!signature_image_parse(manifest, "the signatures", &image, &err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return;
	}
	for (size_t i = 0; i < image.count; i++)
		take_simple(v, entry, &image.items[i]);
}

/* Everything a referrer's manifest names is what its digest says, and it refers to this image. */
static bool check_artifact(struct verifier *v, const struct artifact_entry *entry, struct buf *text,
	struct manifest *manifest)
{
	const char *what = verify_artifact_name(entry);
	scoped(artifact_entry_free) struct artifact_entry read = {0};
	struct error err = {0};
	struct digest subject;

	if (!verify_blob(v, "evidence", &entry->manifest.digest, entry->manifest.size_bytes, what))
		return false;
	if (!layout_read_blob(v->layout, &entry->manifest.digest, MANIFEST_LIMIT, text, &err) ||
		!manifest_parse(buf_str(text), NULL, what, manifest, &err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return false;
	}
	if (!entry->tag && (!artifact_parse(buf_str(text), what, &subject, &read, &err) ||
				   !digest_equal(&subject, &v->subject->digest))) {
		refuse(v, entry, "refers to another image");
		error_free(&err);
		return false;
	}
	for (size_t i = 0; i < manifest->count; i++)
		if (!verify_blob(v, "evidence", &manifest->items[i].digest,
			    manifest->items[i].size_bytes, what))
			return false;
	return true;
}

static void collect(struct verifier *v, const struct artifact_entry *entry)
{
	scoped(buf_free) struct buf manifest_text = {0}, text = {0};
	scoped(manifest_free) struct manifest manifest = {0};
	bool is_envelope = text_equal(entry->artifact_type, MEDIA_TYPE_IN_TOTO);
	struct error err = {0};

	/* Debug information and the like may be large and says nothing about trust. */
	if (evidence_is_plain(entry) && !evidence_is_sbom(entry->artifact_type))
		return;
	if (!check_artifact(v, entry, &manifest_text, &manifest))
		return;
	if (entry->tag) {
		take_simple_all(v, entry, buf_str(&manifest_text));
		return;
	}
	if (evidence_is_plain(entry))
		return;
	if (manifest.count != 1) {
		refuse(v, entry, "has not exactly one document");
		return;
	}
	if (!layout_read_blob(v->layout, &manifest.items[0].digest, BLOB_LIMIT, &text, &err)) {
		refuse(v, entry, err.message);
		error_free(&err);
		return;
	}
	if (!is_envelope) {
		take_bundle(v, entry, buf_str(&text));
		return;
	}
	scoped(dsse_free) struct dsse envelope = {0};
	if (dsse_parse(buf_str(&text), verify_artifact_name(entry), &envelope, &err)) {
		take_envelope(v, entry, &envelope);
		return;
	}
	refuse(v, entry, err.message);
	error_free(&err);
}

void verify_collect(struct verifier *v)
{
	size_t failed = 0, before = v->out->count;

	for (size_t i = 0; i < v->artifacts.count; i++)
		collect(v, &v->artifacts.items[i]);
	for (size_t i = before; i < v->out->count; i++)
		failed += !v->out->checks[i].passed;
	if (failed == 0 && v->artifacts.count)
		verify_pass(v, "evidence", "all %zu pieces are what their digests say",
			v->artifacts.count);
}
