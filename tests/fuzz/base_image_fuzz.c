/* Manifest and configuration of a base ("MANIFEST\0CONFIGURATION") that are accepted make an image,
 * and that image can be put on the same base again: its documents are read back, and its layers stay. */
#include "base/memory.h"
#include "builders/image/base_swap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read(struct str manifest, struct str config, struct base_image *out)
{
	scoped(error_free) struct error err = {0};
	const struct digest digest = digest_of_str(manifest);

	if (!base_image_of(manifest, NULL, config, &digest, out, &err))
		return false;
	out->source = memory_copy_text("fuzz");
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str config = {(const char *)data, size}, manifest = str_cut(&config, '\0');
	scoped(base_image_free) struct base_image base = {0}, image = {0}, again = {0};
	scoped(buf_free) struct buf new_config = {0}, new_manifest = {0};
	scoped(swapped_free) struct swapped swapped = {0};
	scoped(error_free) struct error err = {0};
	struct layer layer = {.kind = LAYER_PROGRAM};
	struct digest picked;

	if (base_image_pick(manifest, "amd64", &picked, &err) || !read(manifest, config, &base))
		return 0;
	error_free(&err);
	if (!base_image_check(&base, "amd64", 1, &err))
		return 0;
	base_image_write_config(&base, &(struct config_changes){.entrypoint = "/app/x"}, &layer, 1,
		&new_config);
	struct digest config_digest = digest_of_str(buf_str(&new_config));
	base_image_write_manifest(&base, &config_digest, (int64_t)new_config.size, &layer, 1,
		&new_manifest);
	if (!read(buf_str(&new_manifest), buf_str(&new_config), &image) ||
		!base_swap(&image, &base, &base, &swapped, &err) ||
		!read(buf_str(&swapped.manifest), buf_str(&swapped.config), &again) ||
		again.manifest.count != base.manifest.count + 1)
		__builtin_trap();
	return 0;
}
