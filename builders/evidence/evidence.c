#include "builders/evidence/evidence.h"

#include "base/memory.h"
#include "builders/evidence/signed_bundle.h"
#include "builders/evidence/simple_signing.h"

enum { BLOB_LIMIT = 64 << 20 };

bool evidence_is_sbom(const char *artifact_type)
{
	return text_equal(artifact_type, MEDIA_TYPE_SPDX) ||
	       text_equal(artifact_type, MEDIA_TYPE_CYCLONEDX);
}

bool evidence_is_plain(const struct artifact_entry *entry)
{
	return !entry->tag && !text_equal(entry->artifact_type, MEDIA_TYPE_IN_TOTO) &&
	       !text_starts_with(entry->artifact_type, "application/vnd.dev.sigstore.bundle") &&
	       !text_starts_with(entry->artifact_type, "application/vnd.dev.cosign");
}

/* Does the layout have a bundle of this key around this payload? ECDSA signs anew each time, and a
 * second signature of the same would only be one more referrer. */
static bool find_signed(const struct layout *layout, const struct digest *subject,
	const struct dsse *wanted, const struct public_key *key, bool *out_found, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};

	*out_found = false;
	if (!artifact_list_read(layout, subject, &list, err))
		return false;
	for (size_t i = 0; i < list.count && !*out_found; i++) {
		scoped(buf_free) struct buf manifest = {0}, text = {0};
		scoped(manifest_free) struct manifest parsed = {0};
		scoped(signed_bundle_free) struct signed_bundle bundle = {0};
		struct error ignored = {0};

		if (!text_equal(list.items[i].artifact_type, MEDIA_TYPE_BUNDLE))
			continue;
		if (!layout_read_blob(layout, &list.items[i].manifest.digest, MANIFEST_LIMIT,
			    &manifest, &ignored) ||
			!manifest_parse(buf_str(&manifest), NULL, "a referrer", &parsed,
				&ignored) ||
			parsed.count != 1 ||
			!layout_read_blob(layout, &parsed.items[0].digest, BLOB_LIMIT, &text,
				&ignored) ||
			!signed_bundle_parse(buf_str(&text), "a bundle", &bundle, &ignored)) {
			error_ignore(&ignored, "what cannot be read is no signature of ours");
			continue;
		}
		*out_found =
			bundle.has_envelope &&
			str_equal(buf_str(&bundle.envelope.payload), buf_str(&wanted->payload)) &&
			dsse_verify(&bundle.envelope, key);
	}
	return true;
}

static bool add_blob(const struct layout *layout, const struct layout_entry *subject,
	const char *artifact_type, const char *media_type, const struct buf *content,
	const struct strings *annotations, struct error *err)
{
	struct artifact_blob blob = {.media_type = media_type, .content = buf_str(content)};

	return artifact_add(layout,
		&(struct artifact){.artifact_type = artifact_type,
			.subject = *subject,
			.blobs = &blob,
			.blob_count = 1,
			.annotations = annotations},
		NULL, err);
}

static bool add_bundle(const struct layout *layout, const struct layout_entry *subject,
	const struct dsse *envelope, const char *predicate_type, const struct public_key *key,
	struct error *err)
{
	scoped(strings_free) struct strings annotations = {0};
	scoped(buf_free) struct buf text = {0};

	strings_add(&annotations, "dev.sigstore.bundle.content=dsse-envelope");
	strings_printf(&annotations, "dev.sigstore.bundle.predicateType=%s", predicate_type);
	signed_bundle_write(envelope, key, &text);
	return add_blob(layout, subject, MEDIA_TYPE_BUNDLE, MEDIA_TYPE_BUNDLE, &text, &annotations,
		err);
}

static bool add_envelope(const struct layout *layout, const struct layout_entry *subject,
	const struct dsse *envelope, const char *predicate_type, struct error *err)
{
	scoped(strings_free) struct strings annotations = {0};
	scoped(buf_free) struct buf text = {0};
	struct json_writer w = json_writer_start(&text);

	strings_printf(&annotations, PREDICATE_TYPE_ANNOTATION "=%s", predicate_type);
	dsse_write(envelope, &w);
	return add_blob(layout, subject, MEDIA_TYPE_IN_TOTO, MEDIA_TYPE_DSSE, &text, &annotations,
		err);
}

static void envelope_of(const struct statement *statement, struct dsse *out)
{
	statement_write(statement, &out->payload);
	out->payload_type = memory_copy_text(MEDIA_TYPE_IN_TOTO);
}

bool evidence_attest(const struct layout *layout, const struct layout_entry *subject,
	struct statement *statement, struct signer *signer, struct error *err)
{
	scoped(dsse_free) struct dsse envelope = {0};
	const struct public_key *key = signer ? signer_public_key(signer) : NULL;
	bool found = false;

	if (!statement_find(statement, &subject->digest))
		statement_add_subject(statement, &subject->digest, NULL);
	envelope_of(statement, &envelope);
	if (!signer)
		return add_envelope(layout, subject, &envelope, statement->predicate_type, err);
	if (!find_signed(layout, &subject->digest, &envelope, key, &found, err) || found)
		return found;
	return dsse_sign(&envelope, signer, err) &&
	       add_envelope(layout, subject, &envelope, statement->predicate_type, err) &&
	       add_bundle(layout, subject, &envelope, statement->predicate_type, key, err);
}

bool evidence_sign(const struct layout *layout, const struct layout_entry *subject,
	const char *reference, struct signer *signer, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};
	scoped(statement_free) struct statement statement = {0};
	scoped(dsse_free) struct dsse envelope = {0};
	bool found = false;

	if (!artifact_list_read(layout, &subject->digest, &list, err))
		return false;
	statement.predicate_type = memory_copy_text(PREDICATE_SIGNATURE);
	statement_add_subject(&statement, &subject->digest, NULL);
	for (size_t i = 0; i < list.count; i++)
		if (evidence_is_plain(&list.items[i]))
			statement_add_subject(&statement, &list.items[i].manifest.digest,
				list.items[i].artifact_type);
	envelope_of(&statement, &envelope);
	if (!simple_signing_add(layout, &subject->digest, reference, signer, err) ||
		!find_signed(layout, &subject->digest, &envelope, signer_public_key(signer), &found,
			err))
		return error_while(err, "signing the image");
	if (found)
		return true;
	return (dsse_sign(&envelope, signer, err) &&
		       add_bundle(layout, subject, &envelope, PREDICATE_SIGNATURE,
			       signer_public_key(signer), err)) ||
	       error_while(err, "signing the image");
}

bool evidence_provenance(const struct layout *layout, const struct layout_entry *subject,
	const struct provenance_facts *facts, const char *compressor,
	const struct provenance_items *packages, struct signer *signer, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};
	scoped(provenance_items_free) struct provenance_items byproducts = {0};
	scoped(statement_free) struct statement statement = {0};

	if (!artifact_list_read(layout, &subject->digest, &list, err))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (evidence_is_plain(&list.items[i]))
			provenance_items_add(&byproducts, list.items[i].artifact_type, NULL,
				MEDIA_TYPE_MANIFEST, &list.items[i].manifest.digest);
	provenance_write(facts, compressor, packages, &byproducts, &statement);
	statement_add_subject(&statement, &subject->digest, facts->service);
	return evidence_attest(layout, subject, &statement, signer, err) ||
	       error_while(err, "writing the provenance");
}

/* The statement in a referrer's envelope; false for anything else. */
static bool read_provenance(const struct layout *layout, const struct artifact_entry *entry,
	const struct digest *subject, struct statement *out, struct error *err)
{
	scoped(buf_free) struct buf manifest = {0}, text = {0};
	scoped(manifest_free) struct manifest parsed = {0};
	scoped(dsse_free) struct dsse envelope = {0};
	scoped(statement_free) struct statement statement = {0};
	struct provenance provenance;

	if (!text_equal(entry->artifact_type, MEDIA_TYPE_IN_TOTO) ||
		!layout_read_blob(layout, &entry->manifest.digest, MANIFEST_LIMIT, &manifest,
			err) ||
		!manifest_parse(buf_str(&manifest), NULL, "a referrer", &parsed, err) ||
		parsed.count != 1 ||
		!layout_read_blob(layout, &parsed.items[0].digest, BLOB_LIMIT, &text, err) ||
		!dsse_parse(buf_str(&text), "the provenance", &envelope, err) ||
		!statement_parse(buf_str(&envelope.payload), "the provenance", &statement, err) ||
		!text_equal(statement.predicate_type, PREDICATE_SLSA_PROVENANCE) ||
		!statement_find(&statement, subject))
		return false;
	provenance_read(statement.predicate, &provenance);
	if (!provenance.commit || !provenance.service)
		return false;
	*out = statement;
	statement = (struct statement){0};
	return true;
}

bool evidence_find_provenance(const struct layout *layout, const struct digest *subject,
	struct statement *out_statement, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};

	if (!artifact_list_read(layout, subject, &list, err))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		struct error wrong = {0};

		if (read_provenance(layout, &list.items[i], subject, out_statement, &wrong))
			return true;
		if (wrong.kind != ERROR_NONE) {
			error_move(err, &wrong);
			return false;
		}
	}
	error_raise(err, ERROR_NOT_FOUND,
		"there is no provenance that says from which commit and service the image is");
	return error_next(err,
		"images of a run have it; dogshore image attest --provenance adds it");
}
