#include "builders/evidence/sbom_model.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>

/*
 * SPDX 2.3 as JSON. The image is a package whose files were looked at, so it has a verification code
 * and each file a SHA-1 beside the SHA-256; of Debian's packages only some files are in the image, so
 * theirs were not (7.8).
 */

#define IMAGE_ID "SPDXRef-Image"
#define BASE_ID "SPDXRef-Base"

/* "SPDXRef-Package-libstdc--6-amd64": letters, digits, '.' and '-' only. Debian's names have '+'
 * besides, and no two differ by that alone. */
static void package_id(const struct package *package, struct buf *out)
{
	buf_clear(out);
	buf_printf(out, "SPDXRef-Package-%s-%s", package->name, package->architecture);
	for (size_t i = 0; i < out->size; i++)
		if (!isalnum((unsigned char)out->data[i]) && out->data[i] != '.')
			out->data[i] = '-';
}

static void file_id(const struct sbom_file *file, struct buf *out)
{
	char id[SBOM_ID_SIZE];

	sbom_id(file->entry->path, id);
	buf_clear(out);
	buf_printf(out, "SPDXRef-File-%s", id);
}

static void archive_id(const char *name, struct buf *out)
{
	char id[SBOM_ID_SIZE];

	sbom_id(name, id);
	buf_clear(out);
	buf_printf(out, "SPDXRef-Archive-%s", id);
}

static void put_unknown_licence(struct json_writer *w)
{
	json_put_text(w, "downloadLocation", "NOASSERTION");
	json_put_text(w, "licenseConcluded", "NOASSERTION");
	json_put_text(w, "copyrightText", "NOASSERTION");
}

static void put_url(struct json_writer *w, const char *url)
{
	json_key(w, "externalRefs");
	json_array_begin(w);
	json_object_begin(w);
	json_put_text(w, "referenceCategory", "PACKAGE-MANAGER");
	json_put_text(w, "referenceType", "purl");
	json_put_text(w, "referenceLocator", url);
	json_object_end(w);
	json_array_end(w);
}

static int compare_sha1(const void *a, const void *b)
{
	return memcmp(a, b, SHA1_SIZE);
}

/* SHA-1 over the sorted SHA-1s of all files, in hex (7.9). */
static void put_verification_code(struct json_writer *w, const struct sbom *sbom)
{
	unsigned char(*sums)[SHA1_SIZE] = memory_new_array(sbom->file_count, SHA1_SIZE),
		 code[SHA1_SIZE];
	struct hasher *hasher = hasher_new_sha1();
	scoped(buf_free) struct buf hex = {0};

	for (size_t i = 0; i < sbom->file_count; i++)
		memcpy(sums[i], sbom->files[i].sha1, SHA1_SIZE);
	if (sbom->file_count > 0)
		qsort(sums, sbom->file_count, SHA1_SIZE, compare_sha1);
	for (size_t i = 0; i < sbom->file_count; i++)
		hex_append(&hex, sums[i], SHA1_SIZE);
	hasher_add(hasher, hex.data ? hex.data : "", hex.size);
	hasher_finish_sha1(hasher, code);
	hasher_free(&hasher);
	free(sums);
	json_key(w, "packageVerificationCode");
	json_object_begin(w);
	sbom_put_hex(w, "packageVerificationCodeValue", code, sizeof(code));
	json_object_end(w);
}

static void put_image(struct json_writer *w, const struct sbom *sbom)
{
	scoped(text_free) char *url = sbom_image_url(sbom->image);
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&sbom->image->digest, digest);
	json_object_begin(w);
	json_put_text(w, "SPDXID", IMAGE_ID);
	json_put_text(w, "name", sbom_image_name(sbom->image));
	json_put_text(w, "versionInfo", digest);
	json_put_text(w, "primaryPackagePurpose", "CONTAINER");
	put_unknown_licence(w);
	json_put_text(w, "licenseDeclared", "NOASSERTION");
	/* Of the base's files nothing was seen, and the code is one of all files. */
	json_put_bool(w, "filesAnalyzed", !sbom->image->base_name);
	if (!sbom->image->base_name)
		put_verification_code(w, sbom);
	put_url(w, url);
	json_object_end(w);
}

static void put_base(struct json_writer *w, const struct image *image)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&image->base_digest, digest);
	json_object_begin(w);
	json_put_text(w, "SPDXID", BASE_ID);
	json_put_text(w, "name", image->base_name);
	json_put_text(w, "versionInfo", digest);
	json_put_text(w, "primaryPackagePurpose", "CONTAINER");
	json_put_text(w, "comment", "the image that this one stands on; its files are not listed");
	json_put_bool(w, "filesAnalyzed", false);
	put_unknown_licence(w);
	json_put_text(w, "licenseDeclared", "NOASSERTION");
	json_object_end(w);
}

/* "Debian GnuTLS Maintainers <x@y>" as "Organization: Debian GnuTLS Maintainers (x@y)". */
static void put_supplier(struct json_writer *w, const struct package *package)
{
	struct str mail = package_field(package, "Maintainer"), name = str_cut(&mail, '<');

	name = str_trim(name);
	if (name.size == 0)
		return;
	if (mail.size > 0 && mail.data[mail.size - 1] == '>')
		mail.size--;
	json_key(w, "supplier");
	if (mail.size > 0)
		json_write_format(w, "Organization: %.*s (%.*s)", str_args(name), str_args(mail));
	else
		json_write_format(w, "Organization: %.*s", str_args(name));
}

static void put_package(struct json_writer *w, const struct sbom_package *one, struct buf *id)
{
	const struct package *package = one->package;
	struct str homepage = package_field(package, "Homepage");
	char digest[DIGEST_TEXT_SIZE];

	package_id(package, id);
	json_object_begin(w);
	json_put_str(w, "SPDXID", buf_str(id));
	json_put_text(w, "name", package->name);
	json_put_text(w, "versionInfo", package->version);
	put_supplier(w, package);
	if (homepage.size > 0)
		json_put_str(w, "homepage", homepage);
	json_key(w, "sourceInfo");
	json_write_format(w, "built from the source package %s %s", package->source,
		package->source_version);
	json_put_bool(w, "filesAnalyzed", false);
	put_unknown_licence(w);
	json_put_text(w, "licenseDeclared",
		one->licence.expression ? one->licence.expression : "NOASSERTION");
	if (!digest_is_zero(&one->licence.text)) {
		digest_to_text(&one->licence.text, digest);
		json_key(w, "licenseComments");
		json_write_format(w, "/usr/share/doc/%s/copyright has the digest %s%s",
			package->name, digest,
			one->licence.expression ? "" : " and is not machine-readable");
	}
	put_url(w, one->url);
	json_object_end(w);
}

static void put_archive(struct json_writer *w, const char *name, struct buf *id)
{
	archive_id(name, id);
	json_object_begin(w);
	json_put_str(w, "SPDXID", buf_str(id));
	json_put_text(w, "name", name);
	json_put_text(w, "comment", "a static library that the linker's map names; of no package");
	json_put_bool(w, "filesAnalyzed", false);
	put_unknown_licence(w);
	json_put_text(w, "licenseDeclared", "NOASSERTION");
	json_object_end(w);
}

static void put_checksum(struct json_writer *w, const char *algorithm, const void *bytes,
	size_t size)
{
	json_object_begin(w);
	json_put_text(w, "algorithm", algorithm);
	sbom_put_hex(w, "checksumValue", bytes, size);
	json_object_end(w);
}

static void put_file(struct json_writer *w, const struct sbom_file *file, struct buf *id)
{
	file_id(file, id);
	json_object_begin(w);
	json_put_str(w, "SPDXID", buf_str(id));
	json_key(w, "fileName");
	json_write_format(w, "./%s", file->entry->path);
	if (file->is_elf) {
		json_key(w, "fileTypes");
		json_array_begin(w);
		json_write_text(w, "BINARY");
		json_array_end(w);
	}
	json_key(w, "checksums");
	json_array_begin(w);
	put_checksum(w, "SHA1", file->sha1, sizeof(file->sha1));
	put_checksum(w, "SHA256", file->sha256.bytes, sizeof(file->sha256.bytes));
	json_array_end(w);
	json_put_text(w, "licenseConcluded", "NOASSERTION");
	json_put_text(w, "copyrightText", "NOASSERTION");
	json_object_end(w);
}

static void put_relation(struct json_writer *w, const char *from, const char *type, const char *to)
{
	json_object_begin(w);
	json_put_text(w, "spdxElementId", from);
	json_put_text(w, "relationshipType", type);
	json_put_text(w, "relatedSpdxElement", to);
	json_object_end(w);
}

static void put_file_relations(struct json_writer *w, const struct sbom *sbom,
	const struct sbom_file *file, struct buf *from, struct buf *to)
{
	file_id(file, from);
	put_relation(w, IMAGE_ID, "CONTAINS", buf_text(from));
	if (file->package >= 0) {
		package_id(sbom->packages[file->package].package, to);
		put_relation(w, buf_text(from), "GENERATED_FROM", buf_text(to));
	}
	for (size_t i = 0; i < file->need_count; i++) {
		file_id(&sbom->files[file->needs[i]], to);
		put_relation(w, buf_text(from), "DYNAMIC_LINK", buf_text(to));
	}
}

/* What the linker's map says is of the program. */
static void put_static_relations(struct json_writer *w, const struct sbom *sbom, struct buf *from,
	struct buf *to)
{
	const struct sbom_file *program = sbom_program(sbom);

	if (!program)
		return;
	file_id(program, from);
	for (size_t i = 0; i < sbom->package_count; i++) {
		if (!sbom->packages[i].is_static)
			continue;
		package_id(sbom->packages[i].package, to);
		put_relation(w, buf_text(from), "STATIC_LINK", buf_text(to));
	}
	for (size_t i = 0; i < sbom->archives.count; i++) {
		archive_id(sbom->archives.items[i], to);
		put_relation(w, buf_text(from), "STATIC_LINK", buf_text(to));
	}
}

static void put_relations(struct json_writer *w, const struct sbom *sbom)
{
	scoped(buf_free) struct buf from = {0}, to = {0};

	json_key(w, "relationships");
	json_array_begin(w);
	put_relation(w, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE_ID);
	if (sbom->image->base_name)
		put_relation(w, IMAGE_ID, "DESCENDANT_OF", BASE_ID);
	for (size_t i = 0; i < sbom->package_count; i++) {
		package_id(sbom->packages[i].package, &to);
		if (sbom->packages[i].in_image)
			put_relation(w, IMAGE_ID, "CONTAINS", buf_text(&to));
	}
	for (size_t i = 0; i < sbom->file_count; i++)
		put_file_relations(w, sbom, &sbom->files[i], &from, &to);
	put_static_relations(w, sbom, &from, &to);
	json_array_end(w);
}

/* Texts of licences that SPDX has no name for, each once. */
static void put_licences(struct json_writer *w, const struct sbom *sbom)
{
	scoped(strings_free) struct strings done = {0};

	for (size_t i = 0; i < sbom->package_count; i++) {
		const struct sbom_licence *licence = &sbom->packages[i].licence;

		for (size_t j = 0; j < licence->reference_count; j++) {
			const struct sbom_licence_reference *one = &licence->references[j];
			if (strings_contain(&done, one->id))
				continue;
			if (done.count == 0) {
				json_key(w, "hasExtractedLicensingInfos");
				json_array_begin(w);
			}
			strings_add(&done, one->id);
			json_object_begin(w);
			json_put_text(w, "licenseId", one->id);
			json_put_text(w, "name", one->name);
			json_put_text(w, "extractedText", one->text);
			json_object_end(w);
		}
	}
	if (done.count > 0)
		json_array_end(w);
}

static void put_head(struct json_writer *w, const struct sbom *sbom)
{
	char identity[DIGEST_HEX_SIZE];

	digest_to_hex(&sbom->identity, identity);
	json_put_text(w, "spdxVersion", "SPDX-2.3");
	json_put_text(w, "dataLicense", "CC0-1.0");
	json_put_text(w, "SPDXID", "SPDXRef-DOCUMENT");
	json_put_text(w, "name", sbom_image_name(sbom->image));
	json_key(w, "documentNamespace");
	json_write_format(w, "https://spdx.org/spdxdocs/dogshore-%s", identity);
	json_key(w, "creationInfo");
	json_object_begin(w);
	sbom_put_time(w, "created", sbom->image->created_s);
	json_key(w, "creators");
	json_array_begin(w);
	json_write_text(w, "Tool: dogshore-" DOGSHORE_VERSION);
	json_array_end(w);
	json_object_end(w);
}

void sbom_write_spdx(const struct sbom *sbom, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	scoped(buf_free) struct buf id = {0};

	json_object_begin(&w);
	put_head(&w, sbom);
	json_key(&w, "packages");
	json_array_begin(&w);
	put_image(&w, sbom);
	if (sbom->image->base_name)
		put_base(&w, sbom->image);
	for (size_t i = 0; i < sbom->package_count; i++)
		put_package(&w, &sbom->packages[i], &id);
	for (size_t i = 0; i < sbom->archives.count; i++)
		put_archive(&w, sbom->archives.items[i], &id);
	json_array_end(&w);
	json_key(&w, "files");
	json_array_begin(&w);
	for (size_t i = 0; i < sbom->file_count; i++)
		put_file(&w, &sbom->files[i], &id);
	json_array_end(&w);
	put_licences(&w, sbom);
	put_relations(&w, sbom);
	json_object_end(&w);
}
