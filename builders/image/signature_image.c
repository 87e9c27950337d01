#include "builders/image/signature_image.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/descriptor.h"

#include <stdlib.h>

enum { LAYER_LIMIT = 1000 };

void signature_image_free(struct signature_image *image)
{
	for (size_t i = 0; i < image->count; i++)
		free(image->items[i].signature);
	free(image->items);
	*image = (struct signature_image){0};
}

void signature_image_add(struct signature_image *image, const struct digest *document,
	int64_t size_bytes, const char *signature)
{
	for (size_t i = 0; i < image->count; i++)
		if (digest_equal(&image->items[i].document, document) &&
			text_equal(image->items[i].signature, signature))
			return;
	image->items = memory_resize(image->items, (image->count + 1) * sizeof(image->items[0]));
	image->items[image->count++] =
		(struct signature_layer){*document, size_bytes, memory_copy_text(signature)};
}

bool signature_image_parse(struct str manifest, const char *what, struct signature_image *out_image,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(signature_image_free) struct signature_image image = {0};

	if (!json_parse(manifest, what, &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value,
		    err))
		return false;
	const struct json *layers = json_get(value, "layers");
	if (!json_is_array(layers))
		return error_raise(err, ERROR_INVALID, "%s has no list of layers", what);
	if (json_count(layers) > LAYER_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s has more than %d signatures", what,
			LAYER_LIMIT);
	for (size_t i = 0; i < json_count(layers); i++) {
		const struct json *layer = json_at(layers, i);
		struct digest digest;

		if (!text_equal(json_get_text(layer, "mediaType", ""), MEDIA_TYPE_SIMPLE_SIGNING))
			continue;
		if (!digest_parse(json_str(json_get(layer, "digest")), &digest))
			return error_raise(err, ERROR_INVALID, "%s: layer %zu has no sha256 digest",
				what, i + 1);
		signature_image_add(&image, &digest, json_get_int(layer, "size", 0),
			json_get_text(json_get(layer, "annotations"), SIGNATURE_ANNOTATION, ""));
	}
	*out_image = image;
	image = (struct signature_image){0};
	return true;
}

/* cosign's configuration: nothing to run, but the documents' digests as those of plain layers. */
static void write_config(const struct signature_image *image, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "architecture", "");
	json_put_text(&w, "created", "0001-01-01T00:00:00Z");
	json_put_text(&w, "os", "");
	json_key(&w, "rootfs");
	json_object_begin(&w);
	json_put_text(&w, "type", "layers");
	json_key(&w, "diff_ids");
	json_array_begin(&w);
	for (size_t i = 0; i < image->count; i++)
		descriptor_write_digest(&w, &image->items[i].document);
	json_array_end(&w);
	json_object_end(&w);
	json_key(&w, "config");
	json_object_begin(&w);
	json_object_end(&w);
	json_object_end(&w);
}

void signature_image_write(const struct signature_image *image, struct buf *out_config,
	struct buf *out_manifest)
{
	struct json_writer w = json_writer_start(out_manifest);

	write_config(image, out_config);
	struct digest config = digest_of_str(buf_str(out_config));
	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", MEDIA_TYPE_MANIFEST);
	json_key(&w, "config");
	json_object_begin(&w);
	descriptor_put(&w, MEDIA_TYPE_CONFIG, &config, (int64_t)out_config->size);
	json_object_end(&w);
	json_key(&w, "layers");
	json_array_begin(&w);
	for (size_t i = 0; i < image->count; i++) {
		json_object_begin(&w);
		descriptor_put(&w, MEDIA_TYPE_SIMPLE_SIGNING, &image->items[i].document,
			image->items[i].size_bytes);
		json_key(&w, "annotations");
		json_object_begin(&w);
		json_put_text(&w, SIGNATURE_ANNOTATION, image->items[i].signature);
		json_object_end(&w);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
}
