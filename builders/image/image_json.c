#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/descriptor.h"
#include "builders/image/image.h"
#include "builders/image/package_files.h"

#include <stdlib.h>

static void put_layer(struct json_writer *w, const struct layer *layer)
{
	json_object_begin(w);
	descriptor_put_digest(w, "digest", &layer->packed.digest);
	descriptor_put_digest(w, "diff_id", &layer->packed.diff_id);
	json_put_int(w, "size", layer->packed.size_bytes);
	json_put_text(w, "media_type", compression_media_type(layer->compression));
	json_put_text(w, "kind", layer_kind_name(layer->kind));
	json_put_strings(w, "packages", &layer->packages);
	json_put_int(w, "entries", (int64_t)layer->entry_count);
	json_put_bool(w, "reused", layer->reused);
	json_object_end(w);
}

static void put_files(struct json_writer *w, const struct tree *tree)
{
	json_key(w, "files");
	json_array_begin(w);
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		json_object_begin(w);
		json_key(w, "path");
		json_write_format(w, "/%s", entry->path);
		json_put_text(w, "layer", layer_kind_name(entry->layer));
		if (entry->package)
			json_put_text(w, "package", entry->package->name);
		json_put_int(w, "size", entry->size_bytes);
		if (entry->kind == ENTRY_LINK)
			json_put_text(w, "target", entry->target);
		json_put_text(w, "why", entry->why);
		json_object_end(w);
	}
	json_array_end(w);
}

static void put_debug(struct json_writer *w, const struct debug_files *debug)
{
	json_key(w, "debug");
	json_object_begin(w);
	descriptor_put_digest(w, "digest", &debug->digest);
	json_key(w, "files");
	json_array_begin(w);
	for (size_t i = 0; i < debug->count; i++) {
		json_object_begin(w);
		json_put_text(w, "path", debug->items[i].path);
		json_put_text(w, "build_id", debug->items[i].build_id);
		json_put_int(w, "size", debug->items[i].size_bytes);
		json_object_end(w);
	}
	json_array_end(w);
	json_object_end(w);
}

static void put_packages(struct json_writer *w, const struct tree *tree)
{
	size_t count;
	const struct package **packages = package_files_list(tree, &count);

	json_key(w, "packages");
	json_array_begin(w);
	for (size_t i = 0; i < count; i++) {
		json_object_begin(w);
		json_put_text(w, "name", packages[i]->name);
		json_put_text(w, "version", packages[i]->version);
		json_put_text(w, "architecture", packages[i]->architecture);
		json_object_end(w);
	}
	json_array_end(w);
	free(packages);
}

/* What the layers named below stand on. */
static void put_base(struct json_writer *w, const struct image *image)
{
	if (image->base_layers == 0)
		return;
	json_key(w, "base");
	json_object_begin(w);
	json_put_text(w, "name", image->base_name);
	descriptor_put_digest(w, "digest", &image->base_digest);
	json_put_int(w, "layers", (int64_t)image->base_layers);
	json_object_end(w);
}

void image_write_json(const struct image *image, bool files, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "stage", "image build");
	json_put_text(&w, "status", "done");
	descriptor_put_digest(&w, "digest", &image->digest);
	descriptor_put_digest(&w, "config_digest", &image->config_digest);
	json_put_int(&w, "size", image->size_bytes);
	json_key(&w, "platform");
	json_write_format(&w, "linux/%s", image->architecture);
	put_base(&w, image);
	json_put_text(&w, "layout", image->layout);
	json_put_text(&w, "tag", image->tag);
	json_put_text(&w, "loader", loader_check_result_name(image->loader));
	if (image->loader_note)
		json_put_text(&w, "loader_note", image->loader_note);
	json_key(&w, "layers");
	json_array_begin(&w);
	for (size_t i = 0; i < image->layer_count; i++)
		put_layer(&w, &image->layers[i]);
	json_array_end(&w);
	put_packages(&w, &image->tree);
	if (image->debug.count > 0)
		put_debug(&w, &image->debug);
	if (digest_is_zero(&image->sbom))
		json_put_text(&w, "sbom", NULL);
	else
		descriptor_put_digest(&w, "sbom", &image->sbom);
	json_put_bool(&w, "reproducible", !image->runs_commands);
	json_put_strings(&w, "warnings", &image->warnings);
	if (files)
		put_files(&w, &image->tree);
	json_object_end(&w);
}
