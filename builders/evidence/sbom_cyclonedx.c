#include "builders/evidence/sbom_model.h"

#include "base/memory.h"

#include <stdlib.h>

/*
 * CycloneDX 1.6 as JSON. A package holds those of its files that are in the image; what asks for what
 * stands under "dependencies".
 */

static void put_property(struct json_writer *w, const char *name, const char *value)
{
	json_object_begin(w);
	json_put_text(w, "name", name);
	json_put_text(w, "value", value);
	json_object_end(w);
}

/* Version 8 of RFC 9562, ours to fill: the first bits of the identity. */
static void put_serial(struct json_writer *w, const struct digest *identity)
{
	unsigned char b[16];
	scoped(buf_free) struct buf hex = {0};

	memcpy(b, identity->bytes, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x80);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	hex_append(&hex, b, sizeof(b));
	const char *h = buf_text(&hex);
	json_key(w, "serialNumber");
	json_write_format(w, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
		h + 20);
}

static void put_hash(struct json_writer *w, const struct digest *digest)
{
	json_key(w, "hashes");
	json_array_begin(w);
	json_object_begin(w);
	json_put_text(w, "alg", "SHA-256");
	sbom_put_hex(w, "content", digest->bytes, sizeof(digest->bytes));
	json_object_end(w);
	json_array_end(w);
}

/* The image that this one stands on; its files are not listed. */
static void put_base(struct json_writer *w, const struct image *image)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&image->base_digest, digest);
	json_key(w, "pedigree");
	json_object_begin(w);
	json_key(w, "ancestors");
	json_array_begin(w);
	json_object_begin(w);
	json_put_text(w, "type", "container");
	json_put_text(w, "name", image->base_name);
	json_put_text(w, "version", digest);
	put_hash(w, &image->base_digest);
	json_object_end(w);
	json_array_end(w);
	json_object_end(w);
}

static void put_metadata(struct json_writer *w, const struct sbom *sbom, const char *url)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&sbom->image->digest, digest);
	json_key(w, "metadata");
	json_object_begin(w);
	sbom_put_time(w, "timestamp", sbom->image->created_s);
	json_key(w, "tools");
	json_object_begin(w);
	json_key(w, "components");
	json_array_begin(w);
	json_object_begin(w);
	json_put_text(w, "type", "application");
	json_put_text(w, "name", "dogshore");
	json_put_text(w, "version", DOGSHORE_VERSION);
	json_object_end(w);
	json_array_end(w);
	json_object_end(w);
	json_key(w, "component");
	json_object_begin(w);
	json_put_text(w, "type", "container");
	json_put_text(w, "bom-ref", url);
	json_put_text(w, "name", sbom_image_name(sbom->image));
	json_put_text(w, "version", digest);
	put_hash(w, &sbom->image->digest);
	json_put_text(w, "purl", url);
	if (sbom->image->base_name)
		put_base(w, sbom->image);
	json_object_end(w);
	json_object_end(w);
}

static void put_file(struct json_writer *w, const struct sbom_file *file)
{
	json_object_begin(w);
	json_put_text(w, "type", "file");
	json_key(w, "bom-ref");
	json_write_format(w, "file:/%s", file->entry->path);
	json_key(w, "name");
	json_write_format(w, "/%s", file->entry->path);
	put_hash(w, &file->sha256);
	json_object_end(w);
}

/* The files of a package (a place in sbom->packages), or those of none (-1). */
static void put_files_of(struct json_writer *w, const struct sbom *sbom, int package)
{
	for (size_t i = 0; i < sbom->file_count; i++)
		if (sbom->files[i].package == package)
			put_file(w, &sbom->files[i]);
}

static void put_properties(struct json_writer *w, const struct sbom_package *one)
{
	char digest[DIGEST_TEXT_SIZE];

	json_key(w, "properties");
	json_array_begin(w);
	put_property(w, "dogshore:source", one->package->source);
	put_property(w, "dogshore:source-version", one->package->source_version);
	if (!digest_is_zero(&one->licence.text)) {
		digest_to_text(&one->licence.text, digest);
		put_property(w, "dogshore:copyright-file", digest);
	}
	if (one->is_static)
		put_property(w, "dogshore:linked", "statically");
	json_array_end(w);
}

static void put_package(struct json_writer *w, const struct sbom *sbom, size_t place)
{
	const struct sbom_package *one = &sbom->packages[place];

	json_object_begin(w);
	json_put_text(w, "type", "library");
	json_put_text(w, "bom-ref", one->url);
	json_put_text(w, "name", one->package->name);
	json_put_text(w, "version", one->package->version);
	if (one->licence.expression) {
		json_key(w, "licenses");
		json_array_begin(w);
		json_object_begin(w);
		json_put_text(w, "expression", one->licence.expression);
		json_object_end(w);
		json_array_end(w);
	}
	json_put_text(w, "purl", one->url);
	put_properties(w, one);
	if (one->in_image) {
		json_key(w, "components");
		json_array_begin(w);
		put_files_of(w, sbom, (int)place);
		json_array_end(w);
	}
	json_object_end(w);
}

static void put_archive(struct json_writer *w, const char *name)
{
	json_object_begin(w);
	json_put_text(w, "type", "library");
	json_key(w, "bom-ref");
	json_write_format(w, "archive:%s", name);
	json_put_text(w, "name", name);
	json_key(w, "properties");
	json_array_begin(w);
	put_property(w, "dogshore:linked", "statically");
	json_array_end(w);
	json_object_end(w);
}

static void begin_dependency(struct json_writer *w, const char *ref)
{
	json_object_begin(w);
	json_put_text(w, "ref", ref);
	json_key(w, "dependsOn");
	json_array_begin(w);
}

static void end_dependency(struct json_writer *w)
{
	json_array_end(w);
	json_object_end(w);
}

static void write_needs(struct json_writer *w, const struct sbom *sbom,
	const struct sbom_file *file)
{
	for (size_t i = 0; i < file->need_count; i++)
		json_write_format(w, "file:/%s", sbom->files[file->needs[i]].entry->path);
}

static bool links_statically(const struct sbom *sbom)
{
	for (size_t i = 0; i < sbom->package_count; i++)
		if (sbom->packages[i].is_static)
			return true;
	return sbom->archives.count > 0;
}

static void put_dependencies(struct json_writer *w, const struct sbom *sbom, const char *url)
{
	const struct sbom_file *program = sbom_program(sbom);

	json_key(w, "dependencies");
	json_array_begin(w);
	begin_dependency(w, url);
	for (size_t i = 0; i < sbom->package_count; i++)
		if (sbom->packages[i].in_image)
			json_write_text(w, sbom->packages[i].url);
	if (program && program->package < 0)
		json_write_format(w, "file:/%s", program->entry->path);
	end_dependency(w);
	for (size_t i = 0; i < sbom->file_count; i++) {
		const struct sbom_file *file = &sbom->files[i];
		bool is_static = file == program && links_statically(sbom);

		if (file->need_count == 0 && !is_static)
			continue;
		scoped(text_free) char *ref = memory_format("file:/%s", file->entry->path);
		begin_dependency(w, ref);
		write_needs(w, sbom, file);
		for (size_t j = 0; is_static && j < sbom->package_count; j++)
			if (sbom->packages[j].is_static)
				json_write_text(w, sbom->packages[j].url);
		for (size_t j = 0; is_static && j < sbom->archives.count; j++)
			json_write_format(w, "archive:%s", sbom->archives.items[j]);
		end_dependency(w);
	}
	json_array_end(w);
}

void sbom_write_cyclonedx(const struct sbom *sbom, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	scoped(text_free) char *url = sbom_image_url(sbom->image);

	json_object_begin(&w);
	json_put_text(&w, "$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json");
	json_put_text(&w, "bomFormat", "CycloneDX");
	json_put_text(&w, "specVersion", "1.6");
	put_serial(&w, &sbom->identity);
	json_put_int(&w, "version", 1);
	put_metadata(&w, sbom, url);
	json_key(&w, "components");
	json_array_begin(&w);
	for (size_t i = 0; i < sbom->package_count; i++)
		put_package(&w, sbom, i);
	for (size_t i = 0; i < sbom->archives.count; i++)
		put_archive(&w, sbom->archives.items[i]);
	put_files_of(&w, sbom, -1);
	json_array_end(&w);
	put_dependencies(&w, sbom, url);
	json_object_end(&w);
}
