#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/image/layer.h"

#include <stdlib.h>

/* A layer of a link, a generated file and a folder. */
struct recipe {
	const char *target, *content;
	unsigned mode;
	int64_t modified_s;
	enum compression compression;
};

static const struct recipe plain = {"a", "text", 01777, 7, COMPRESSION_ZSTD};

struct place {
	char *root; /* owned; removed at the end */
	struct layout layout;
	struct layer_cache cache;
};

static bool open_place(struct place *place)
{
	struct error err = {0};

	if (!folder_make_temporary(NULL, "layer-", &place->root, &err))
		return false;
	scoped(text_free) char *layout = memory_format("%s/layout", place->root);
	scoped(text_free) char *cache = memory_format("%s/cache", place->root);
	place->cache = layer_cache_of(cache);
	return layout_create(layout, &place->layout, &err);
}

static void close_place(struct place *place)
{
	struct error err = {0};

	layout_free(&place->layout);
	layer_cache_free(&place->cache);
	if (place->root && !folder_remove(place->root, &err))
		error_free(&err);
	text_free(&place->root);
}

static struct layer make(struct place *place, const struct recipe *recipe)
{
	scoped(tree_free) struct tree tree = {0};
	scoped(packer_free) struct packer *packer = packer_new(recipe->compression);
	uint32_t entries[] = {0, 1, 2};
	const struct layer_part part = {.kind = LAYER_CONFIGURATION,
		.entries = entries,
		.count = countof(entries)};
	const struct layer_options options = {.compression = recipe->compression,
		.packer = packer,
		.modified_s = recipe->modified_s,
		.cache = &place->cache};
	struct layer_work *work = NULL;
	struct layer layer = {0};
	struct error err = {0};

	CHECK_OK(tree_add_link(&tree, "/etc/link", recipe->target, LAYER_CONFIGURATION, "t", &err));
	CHECK_OK(tree_add_content(&tree, "/etc/text", str_of(recipe->content), LAYER_CONFIGURATION,
		"t", &err));
	CHECK_OK(tree_add_folder(&tree, "/tmp", recipe->mode, LAYER_CONFIGURATION, "t", &err));
	CHECK_OK(layer_begin(&tree, &part, &options, &place->layout, &work, &err));
	CHECK_OK(layer_end(&work, &layer, &err));
	return layer;
}

/* Links, generated files and folders have no times of their own that would tell of a change. */
TEST(whatever_changes_in_a_layer_makes_it_another_one)
{
	struct recipe changed[5] = {plain, plain, plain, plain, plain};
	scoped(close_place) struct place place = {0};

	REQUIRE(open_place(&place));
	changed[0].target = "b";
	changed[1].content = "TEXT";
	changed[2].mode = 0755;
	changed[3].modified_s = 8;
	changed[4].compression = COMPRESSION_GZIP;
	scoped(layer_free) struct layer first = make(&place, &plain), again = make(&place, &plain);
	CHECK(!first.reused && again.reused);
	CHECK(digest_equal(&first.packed.digest, &again.packed.digest));
	for (size_t i = 0; i < countof(changed); i++) {
		scoped(layer_free) struct layer other = make(&place, &changed[i]);
		CHECK(!other.reused);
		CHECK(!digest_equal(&first.packed.digest, &other.packed.digest));
	}
}

TEST_MAIN()
