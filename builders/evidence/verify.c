#include "builders/evidence/verify_internal.h"

#include "base/memory.h"
#include "builders/image/base_image.h"
#include "builders/image/config.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

enum { DEPTH_LIMIT = 3 };

void verification_free(struct verification *verification)
{
	for (size_t i = 0; i < verification->count; i++)
		free(verification->checks[i].detail);
	free(verification->checks);
	*verification = (struct verification){0};
}

const struct verify_check *verification_failure(const struct verification *verification)
{
	for (size_t i = 0; i < verification->count; i++)
		if (!verification->checks[i].passed)
			return &verification->checks[i];
	return NULL;
}

static void verifier_free(struct verifier *v)
{
	artifact_list_free(&v->artifacts);
	for (size_t i = 0; i < v->trusted_count; i++)
		statement_free(&v->trusted[i].statement);
	free(v->trusted);
	strings_free(&v->signers);
	strings_free(&v->unheard);
}

static void add_check(struct verifier *v, const char *name, bool passed, char *detail)
{
	struct verification *out = v->out;

	out->checks = memory_resize(out->checks, (out->count + 1) * sizeof(out->checks[0]));
	out->checks[out->count++] = (struct verify_check){name, passed, detail};
	out->passed = out->passed && passed;
}

void verify_pass(struct verifier *v, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_check(v, name, true, memory_format_list(format, args));
	va_end(args);
}

void verify_fail(struct verifier *v, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_check(v, name, false, memory_format_list(format, args));
	va_end(args);
}

const char *verify_artifact_name(const struct artifact_entry *entry)
{
	const char *predicate = json_get_text(entry->annotations, PREDICATE_TYPE_ANNOTATION,
		json_get_text(entry->annotations, "dev.sigstore.bundle.predicateType", ""));

	if (entry->tag || text_equal(predicate, PREDICATE_SIGNATURE))
		return "the signature";
	if (text_equal(predicate, PREDICATE_SLSA_PROVENANCE))
		return "the provenance";
	if (evidence_is_sbom(entry->artifact_type))
		return "the SBOM";
	return evidence_is_plain(entry) ? "the referrer" : "the attestation";
}

bool verify_blob(struct verifier *v, const char *check, const struct digest *digest,
	int64_t size_bytes, const char *what)
{
	scoped(text_free) char *path = layout_blob_path(v->layout, digest);
	char wanted[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];
	struct error err = {0};
	struct digest real;
	int64_t size;

	digest_to_text(digest, wanted);
	if (!digest_of_file(path, &real, &size, &err)) {
		verify_fail(v, check, "%s (%s) cannot be read: %s", what, wanted, err.message);
		error_free(&err);
		return false;
	}
	if (digest_equal(&real, digest) && size == size_bytes)
		return true;
	digest_to_text(&real, got);
	verify_fail(v, check, "%s was changed: its name is %s, its content of %lld bytes is %s",
		what, wanted, (long long)size, got);
	return false;
}

/* How many layers were looked at, and how many a layout leaves in the registry of its base image. */
struct layer_counts {
	size_t here, with_base;
};

static bool check_manifest(struct verifier *v, const struct digest *digest, int64_t size_bytes,
	int depth, struct layer_counts *counts);

static bool is_here(const struct verifier *v, const struct digest *digest)
{
	scoped(text_free) char *path = layout_blob_path(v->layout, digest);

	return file_exists(path);
}

static bool check_layers(struct verifier *v, const struct manifest *manifest, const char *base,
	struct layer_counts *counts)
{
	for (size_t i = 0; i < manifest->count && !v->options->without_layers; i++) {
		char what[64];

		if (base && !is_here(v, &manifest->items[i].digest)) {
			counts->with_base++;
			continue;
		}
		snprintf(what, sizeof(what), "layer %zu of %zu", i + 1, manifest->count);
		if (!verify_blob(v, "layers", &manifest->items[i].digest,
			    manifest->items[i].size_bytes, what))
			return false;
		counts->here++;
	}
	return true;
}

static bool check_parts(struct verifier *v, const struct manifest *manifest, const char *base,
	int depth, struct layer_counts *counts)
{
	if (!manifest->is_index)
		return verify_blob(v, "configuration", &manifest->config.digest,
			       manifest->config.size_bytes, "the configuration") &&
		       check_layers(v, manifest, base, counts);
	for (size_t i = 0; i < manifest->count; i++)
		if (!check_manifest(v, &manifest->items[i].digest, manifest->items[i].size_bytes,
			    depth + 1, counts))
			return false;
	return true;
}

static bool check_manifest(struct verifier *v, const struct digest *digest, int64_t size_bytes,
	int depth, struct layer_counts *counts)
{
	scoped(buf_free) struct buf text = {0};
	scoped(manifest_free) struct manifest manifest = {0};
	struct error err = {0};

	if (!verify_blob(v, "manifest", digest, size_bytes, "the manifest"))
		return false;
	if (depth > DEPTH_LIMIT) {
		verify_fail(v, "manifest", "indexes are nested more than %d deep", DEPTH_LIMIT);
		return false;
	}
	if (!layout_read_blob(v->layout, digest, MANIFEST_LIMIT, &text, &err) ||
		!manifest_parse(buf_str(&text), NULL, "the manifest", &manifest, &err)) {
		verify_fail(v, "manifest", "%s", err.message);
		error_free(&err);
		return false;
	}
	scoped(text_free) char *base = manifest_base_name(buf_str(&text));
	return check_parts(v, &manifest, base, depth, counts);
}

static void check_content(struct verifier *v)
{
	struct layer_counts counts = {0};

	if (!check_manifest(v, &v->subject->digest, v->subject->size_bytes, 0, &counts))
		return;
	verify_pass(v, "manifest", "it is what its digest says");
	verify_pass(v, "configuration", "it is what its digest says");
	if (v->options->without_layers)
		return;
	if (counts.with_base)
		verify_pass(v, "layers",
			"%zu are what their digests say; %zu lie with the base image and are "
			"named by digest",
			counts.here, counts.with_base);
	else
		verify_pass(v, "layers", "all %zu are what their digests say", counts.here);
}

/* Why nothing was found: what was passed over, or that there is nothing. */
static void fail_for_lack(struct verifier *v, const char *name, const char *of_what)
{
	scoped(buf_free) struct buf why = {0};

	for (size_t i = 0; i < v->unheard.count; i++)
		buf_printf(&why, "%s%s", i ? "; " : "", v->unheard.items[i]);
	if (why.size)
		verify_fail(v, name, "there is no %s by a key of the policy: %s", of_what,
			buf_text(&why));
	else
		verify_fail(v, name, "there is no %s", of_what);
}

static void judge_signature(struct verifier *v)
{
	scoped(strings_free) struct strings names = {0};
	scoped(buf_free) struct buf all = {0};

	for (size_t i = 0; i < v->signers.count; i++)
		if (!strings_contain(&names, v->signers.items[i]))
			strings_add(&names, v->signers.items[i]);
	for (size_t i = 0; i < v->trusted_count; i++)
		if (text_equal(v->trusted[i].statement.predicate_type, PREDICATE_SIGNATURE) &&
			!strings_contain(&names, v->trusted[i].key))
			strings_add(&names, v->trusted[i].key);
	for (size_t i = 0; i < names.count; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", names.items[i]);
	if (names.count)
		verify_pass(v, "signature", "signed by %s", buf_text(&all));
	else
		fail_for_lack(v, "signature", "signature");
}

static bool matches(const char *text, const struct strings *patterns)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (text && text_matches(text, patterns->items[i]))
			return true;
	return patterns->count == 0;
}

static const char *shown(const char *text)
{
	return text ? text : "nothing";
}

static void judge_provenance(struct verifier *v)
{
	scoped(text_free) char *wrong = NULL;

	for (size_t i = 0; i < v->trusted_count; i++) {
		const struct trusted *trusted = &v->trusted[i];
		struct provenance p;

		if (!text_equal(trusted->statement.predicate_type, PREDICATE_SLSA_PROVENANCE))
			continue;
		provenance_read(trusted->statement.predicate, &p);
		text_free(&wrong);
		if (!matches(p.builder, &v->policy->builders)) {
			wrong = memory_format("the builder is \"%.200s\", which the policy does "
					      "not "
					      "name",
				shown(p.builder));
		} else if (!matches(p.repository, &v->policy->repositories)) {
			wrong = memory_format("the repository is \"%.200s\", which the policy does "
					      "not name",
				shown(p.repository));
		} else {
			verify_pass(v, "provenance",
				"built by %.200s from %.200s at %.40s, says the key %s",
				shown(p.builder), shown(p.repository), shown(p.commit),
				trusted->key);
			return;
		}
	}
	if (wrong)
		verify_fail(v, "provenance", "%s", wrong);
	else
		fail_for_lack(v, "provenance", "provenance");
}

/* Does a trusted provenance name it among what was made with the image? */
static bool is_byproduct(const struct statement *statement, const struct digest *digest)
{
	const struct json *list =
		json_get(json_get(statement->predicate, "runDetails"), "byproducts");
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	for (size_t i = 0; json_is_array(list) && i < json_count(list); i++)
		if (text_equal(json_get_text(json_get(json_at(list, i), "digest"), "sha256", ""),
			    hex))
			return true;
	return false;
}

static const char *covered_by(const struct verifier *v, const struct digest *digest)
{
	for (size_t i = 0; i < v->trusted_count; i++) {
		const struct statement *statement = &v->trusted[i].statement;

		if ((text_equal(statement->predicate_type, PREDICATE_SIGNATURE) &&
			    statement_find(statement, digest)) ||
			(text_equal(statement->predicate_type, PREDICATE_SLSA_PROVENANCE) &&
				is_byproduct(statement, digest)))
			return v->trusted[i].key;
	}
	return NULL;
}

static bool is_sbom_predicate(const char *type)
{
	return text_starts_with(type, PREDICATE_SPDX) ||
	       text_starts_with(type, PREDICATE_CYCLONEDX);
}

static void judge_sbom(struct verifier *v)
{
	const char *by = NULL;
	size_t count = 0;

	for (size_t i = 0; i < v->artifacts.count; i++) {
		const struct artifact_entry *entry = &v->artifacts.items[i];
		char digest[DIGEST_TEXT_SIZE];

		if (!evidence_is_sbom(entry->artifact_type))
			continue;
		by = covered_by(v, &entry->manifest.digest);
		digest_to_text(&entry->manifest.digest, digest);
		if (!by) {
			verify_fail(v, "sbom",
				"the SBOM %s (%s) is covered by no signature and no provenance by "
				"a key of the policy",
				digest, entry->artifact_type);
			return;
		}
		count++;
	}
	for (size_t i = 0; i < v->trusted_count; i++) {
		if (!is_sbom_predicate(v->trusted[i].statement.predicate_type))
			continue;
		by = v->trusted[i].key;
		count++;
	}
	if (count)
		verify_pass(v, "sbom", "%zu, covered by the key %s", count, by);
	else
		fail_for_lack(v, "sbom", "SBOM");
}

bool verify_image(const struct layout *layout, const struct layout_entry *subject,
	const struct policy *policy, const struct verify_options *options,
	struct verification *out_verification, struct error *err)
{
	scoped(verification_free) struct verification out = {.digest = subject->digest,
		.passed = true};
	scoped(verifier_free) struct verifier v = {.layout = layout,
		.subject = subject,
		.policy = policy,
		.options = options,
		.out = &out};

	check_content(&v);
	if (!artifact_list_read(layout, &subject->digest, &v.artifacts, err))
		return false;
	verify_collect(&v);
	if (policy->signature)
		judge_signature(&v);
	if (policy->provenance)
		judge_provenance(&v);
	if (policy->sbom)
		judge_sbom(&v);
	*out_verification = out;
	out = (struct verification){0};
	return true;
}

void verification_write_json(const struct verification *verification, const char *image,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "stage", "image verify");
	json_put_text(&w, "status", verification->passed ? "passed" : "failed");
	json_put_text(&w, "image", image);
	descriptor_put_digest(&w, "digest", &verification->digest);
	json_key(&w, "checks");
	json_array_begin(&w);
	for (size_t i = 0; i < verification->count; i++) {
		json_object_begin(&w);
		json_put_text(&w, "name", verification->checks[i].name);
		json_put_text(&w, "status", verification->checks[i].passed ? "passed" : "failed");
		json_put_text(&w, "detail", verification->checks[i].detail);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}
