#include "tests/test.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/image/artifact.h"
#include "builders/image/layout_prune.h"

struct place {
	char *folder; /* owned */
	struct layout layout;
};

static void place_free(struct place *place)
{
	struct error err = {0};

	layout_free(&place->layout);
	if (place->folder && !folder_remove(place->folder, &err))
		error_print(stderr, &err, true);
	error_free(&err);
	text_free(&place->folder);
}

static bool place_start(struct place *place, struct error *err)
{
	if (!folder_make_temporary(NULL, "prune", &place->folder, err))
		return false;
	scoped(text_free) char *path = path_join(place->folder, "out");

	return layout_create(path, &place->layout, err);
}

static struct layout_entry put(struct place *place, const char *content, const char *type)
{
	struct layout_entry entry = {.size_bytes = (int64_t)strlen(content)};
	scoped(error_free) struct error err = {0};

	snprintf(entry.media_type, sizeof(entry.media_type), "%s", type);
	CHECK_OK(layout_write_blob(&place->layout, str_of(content), &entry.digest, &err));
	return entry;
}

static char *descriptor(const struct layout_entry *entry)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&entry->digest, digest);
	return memory_format("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}",
		entry->media_type, digest, (long long)entry->size_bytes);
}

/* An image of a config and two layers, the second one its own; tag NULL: only the manifest. */
static struct layout_entry put_image(struct place *place, const char *tag, const char *layer)
{
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *text = memory_format("config of %s", layer);
	struct layout_entry parts[] = {put(place, text, MEDIA_TYPE_CONFIG),
		put(place, "the shared layer", "application/x-layer"),
		put(place, layer, "application/x-layer")};
	scoped(text_free) char *config = descriptor(&parts[0]);
	scoped(text_free) char *shared = descriptor(&parts[1]);
	scoped(text_free) char *own = descriptor(&parts[2]);
	scoped(text_free) char *manifest =
		memory_format("{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s,%s]}", config,
			shared, own);
	struct layout_entry entry = put(place, manifest, MEDIA_TYPE_MANIFEST);

	if (tag)
		CHECK_OK(layout_set_tag(&place->layout, tag, &entry, "amd64", &err));
	return entry;
}

static struct layout_entry put_note(struct place *place, const struct layout_entry *subject,
	const char *content)
{
	struct artifact_blob blob = {.media_type = "text/plain", .content = str_of(content)};
	struct layout_entry entry = {0};
	scoped(error_free) struct error err = {0};

	CHECK_OK(artifact_add(&place->layout,
		&(struct artifact){.artifact_type = "text/x-note",
			.subject = *subject,
			.blobs = &blob,
			.blob_count = 1},
		&entry, &err));
	return entry;
}

static bool prune(struct place *place, const char *tag, struct layout_pruned *out,
	struct error *err)
{
	scoped(strings_free) struct strings tags = {0};

	strings_add(&tags, tag);
	return layout_prune(&place->layout, &tags, out, err);
}

static size_t blob_count(struct place *place)
{
	scoped(text_free) char *folder = path_join(place->layout.path, "blobs/sha256");
	scoped(strings_free) struct strings names = {0};
	scoped(error_free) struct error err = {0};

	CHECK_OK(folder_list(folder, &names, &err));
	return names.count;
}

static bool has(struct place *place, const char *content)
{
	struct digest digest = digest_of_str(str_of(content));

	return layout_has_blob(&place->layout, &digest, (int64_t)strlen(content));
}

static bool has_manifest(struct place *place, const struct layout_entry *entry)
{
	return layout_has_blob(&place->layout, &entry->digest, entry->size_bytes);
}

TEST(a_tag_goes_with_what_only_it_needed)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	struct layout_pruned pruned = {0};
	struct layout_entry found;

	REQUIRE_OK(place_start(&place, &err));
	struct layout_entry old = put_image(&place, "old", "one");

	put_image(&place, "new", "two");
	put(&place, "left by a build that died", "application/x-layer");
	/* two manifests, two configs, the shared layer, one layer each, and the one left */
	CHECK_INT(blob_count(&place), 8);
	REQUIRE_OK(prune(&place, "old", &pruned, &err));
	CHECK_INT(pruned.tags, 1);
	CHECK_INT(pruned.blobs, 4);
	/* "config of one", "one", what was left, and the manifest */
	CHECK_INT(pruned.size_bytes, 13 + 3 + 25 + old.size_bytes);
	CHECK(has(&place, "the shared layer") && has(&place, "two"));
	CHECK(!has(&place, "one") && !has_manifest(&place, &old));
	CHECK(!layout_find_tag(&place.layout, "old", &found, &err));
	error_free(&err);
	CHECK_OK(layout_find_tag(&place.layout, "new", &found, &err));
	/* again is fine, and for a tag that never was */
	REQUIRE_OK(prune(&place, "old", &pruned, &err));
	CHECK_INT(pruned.tags + pruned.blobs, 0);
}

TEST(an_image_stays_while_another_tag_names_it)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	struct layout_pruned pruned = {0};
	struct layout_entry found;

	REQUIRE_OK(place_start(&place, &err));
	put_image(&place, "a", "one");
	put_image(&place, "b", "one");
	REQUIRE_OK(prune(&place, "a", &pruned, &err));
	CHECK_INT(pruned.tags, 1);
	CHECK_INT(pruned.blobs, 0);
	CHECK_OK(layout_find_tag(&place.layout, "b", &found, &err));
}

TEST(what_refers_to_an_image_goes_and_stays_with_it)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	struct layout_pruned pruned = {0};
	char hex[DIGEST_HEX_SIZE];

	REQUIRE_OK(place_start(&place, &err));
	struct layout_entry old = put_image(&place, "old", "one"),
			    new = put_image(&place, "new", "two");
	struct layout_entry old_note = put_note(&place, &old, "about the old one");
	struct layout_entry new_note = put_note(&place, &new, "about the new one");
	struct layout_entry note_of_note = put_note(&place, &new_note, "about what is about it");
	struct layout_entry signature = put_image(&place, NULL, "a signature");

	digest_to_hex(&old.digest, hex);
	scoped(text_free) char *tag = memory_format("sha256-%s.sig", hex);

	CHECK_OK(layout_set_tag(&place.layout, tag, &signature, NULL, &err));
	REQUIRE_OK(prune(&place, "old", &pruned, &err));
	CHECK(!has_manifest(&place, &old_note) && !has(&place, "about the old one"));
	CHECK(!has_manifest(&place, &signature) && !has(&place, "a signature"));
	CHECK(has_manifest(&place, &new_note) && has(&place, "about the new one"));
	CHECK(has_manifest(&place, &note_of_note) && has(&place, "about what is about it"));
	scoped(artifact_list_free) struct artifact_list list = {0};

	CHECK_OK(artifact_list_read(&place.layout, &new.digest, &list, &err));
	CHECK_INT(list.count, 1);
}

TEST(an_index_keeps_its_images_and_what_refers_to_them)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	struct layout_pruned pruned = {0};

	REQUIRE_OK(place_start(&place, &err));
	struct layout_entry image = put_image(&place, "amd64", "one");
	scoped(text_free) char *listed = descriptor(&image);
	scoped(text_free) char *text =
		memory_format("{\"schemaVersion\":2,\"manifests\":[%s]}", listed);
	struct layout_entry index = put(&place, text, MEDIA_TYPE_INDEX);
	struct layout_entry note = put_note(&place, &image, "about one of them");

	CHECK_OK(layout_set_tag(&place.layout, "all", &index, NULL, &err));
	REQUIRE_OK(prune(&place, "amd64", &pruned, &err));
	CHECK(has_manifest(&place, &image) && has(&place, "one"));
	CHECK(has_manifest(&place, &note) && has(&place, "about one of them"));
	REQUIRE_OK(prune(&place, "all", &pruned, &err));
	CHECK_INT(blob_count(&place), 0);
}

TEST(nothing_goes_when_something_that_stays_cannot_be_read)
{
	scoped(place_free) struct place place = {0};
	scoped(error_free) struct error err = {0};
	struct layout_pruned pruned = {0};
	struct layout_entry found;

	REQUIRE_OK(place_start(&place, &err));
	put_image(&place, "old", "one");
	struct layout_entry new = put_image(&place, "new", "two");
	scoped(text_free) char *path = layout_blob_path(&place.layout, &new.digest);
	size_t before = blob_count(&place);

	REQUIRE_OK(file_write(path, str_of("{}"), 0644, false, &err));
	CHECK(!prune(&place, "old", &pruned, &err));
	CHECK_CONTAINS(err.message, path);
	error_free(&err);
	CHECK_INT(blob_count(&place), before);
	CHECK_OK(layout_find_tag(&place.layout, "old", &found, &err));
}

TEST_MAIN()
