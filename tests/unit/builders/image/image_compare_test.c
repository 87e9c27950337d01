#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/image_compare.h"
#include "tests/unit/builders/image/archive_scene.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The archive so far, as it is; owned. */
static void scene_take(struct scene *scene, struct buf *out)
{
	archive_write_close(scene->archive);
	archive_write_free(scene->archive);
	buf_append_str(out, buf_str(&scene->bytes));
	buf_free(&scene->bytes);
}

static int open_bytes(struct str bytes)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	if (write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size)
		abort();
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* "where: what" of the first difference, "" when there is none; owned. Ends both scenes. */
static char *difference(struct scene *given, struct scene *here)
{
	scoped(buf_free) struct buf one = {0}, other = {0};
	scoped(image_difference_free) struct image_difference found = {0};
	struct error err = {0};

	scene_take(given, &one);
	scene_take(here, &other);
	int given_fd = open_bytes(buf_str(&one)), here_fd = open_bytes(buf_str(&other));
	CHECK_OK(archive_compare(given_fd, here_fd, "layer", &found, &err));
	close(given_fd);
	close(here_fd);
	return found.same ? memory_copy_text("") : memory_format("%s: %s", found.where, found.what);
}

/* One file on each side; change is made to the one that is given. */
static char *with_changed(void (*change)(struct archive_entry *entry))
{
	struct scene given = {0}, here = {0};

	scene_begin(&given);
	scene_begin(&here);
	struct archive_entry *entry = scene_entry("etc/x", AE_IFREG, 2);
	change(entry);
	scene_put(&given, entry, "ab");
	scene_file(&here, "etc/x", "ab");
	return difference(&given, &here);
}

static void nothing(struct archive_entry *entry)
{
	(void)entry;
}

static void mode(struct archive_entry *entry)
{
	archive_entry_set_perm(entry, 04755);
}

static void owner(struct archive_entry *entry)
{
	archive_entry_set_uid(entry, 0);
}

static void group(struct archive_entry *entry)
{
	archive_entry_set_gid(entry, 9);
}

static void later(struct archive_entry *entry)
{
	archive_entry_set_mtime(entry, 1001, 0);
}

/* linux/capability.h: version 2, effective; CAP_NET_BIND_SERVICE is bit 10. */
static void capability(struct archive_entry *entry)
{
	static const char value[20] = {1, 0, 0, 2, 0, 4};

	archive_entry_xattr_add_entry(entry, "security.capability", value, sizeof(value));
}

TEST(each_property_of_a_file_counts)
{
	const struct {
		void (*change)(struct archive_entry *entry);
		const char *expected;
	} rows[] = {{nothing, ""}, {mode, "layer: /etc/x: mode 04755, here 0640"},
		{owner, "layer: /etc/x: owner 0, here 7"},
		{group, "layer: /etc/x: group 9, here 8"},
		{later, "layer: /etc/x: time 1001, here 1000"},
		{capability, "layer: /etc/x: has other file capabilities"}};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(text_free) char *text = with_changed(rows[i].change);
		CHECK_TEXT(text, rows[i].expected);
	}
}

TEST(kinds_and_links_count)
{
	struct scene given = {0}, here = {0};

	scene_begin(&given);
	scene_begin(&here);
	scene_soft(&given, "x", "a");
	scene_soft(&here, "x", "b");
	scoped(text_free) char *soft = difference(&given, &here);
	CHECK_TEXT(soft, "layer: /x: leads to \"a\", here to \"b\"");

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "a", "");
	scene_file(&here, "a", "");
	scene_hard(&given, "x", "a");
	scene_file(&here, "x", "");
	scoped(text_free) char *hard = difference(&given, &here);
	CHECK_TEXT(hard, "layer: /x: leads to \"a\", here to \"\"");

	scene_begin(&given);
	scene_begin(&here);
	scene_folder(&given, "x");
	scene_soft(&here, "x", "b");
	scoped(text_free) char *kind = difference(&given, &here);
	CHECK_TEXT(kind, "layer: /x/: is not here");
}

TEST(what_only_one_side_has_is_named)
{
	struct scene given = {0}, here = {0};

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "a", "");
	scene_file(&given, "b", "");
	scene_file(&here, "a", "");
	scene_file(&here, "c", "");
	scoped(text_free) char *middle = difference(&given, &here);
	CHECK_TEXT(middle, "layer: /b: is not here");

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "a", "");
	scene_file(&here, "a", "");
	scene_file(&here, "c", "");
	scoped(text_free) char *end = difference(&given, &here);
	CHECK_TEXT(end, "layer: /c: is only here");
}

/* "-" sorts before "/" among bytes, and behind it where what a folder holds follows it. */
TEST(whatever_the_order_the_right_one_is_named)
{
	struct scene given = {0}, here = {0};

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "x/a", "");
	scene_file(&given, "x-b", "");
	scene_file(&here, "x-b", "");
	scoped(text_free) char *missing = difference(&given, &here);
	CHECK_TEXT(missing, "layer: /x/a: is not here");

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "x-b", "");
	scene_file(&here, "x/a", "");
	scene_file(&here, "x-b", "");
	scoped(text_free) char *more = difference(&given, &here);
	CHECK_TEXT(more, "layer: /x/a: is only here");

	scene_begin(&given);
	scene_begin(&here);
	scene_file(&given, "x/a", "");
	scene_file(&given, "x-b", "");
	scene_file(&here, "x-b", "");
	scene_file(&here, "x/a", "");
	scoped(text_free) char *order = difference(&given, &here);
	CHECK_TEXT(order, "layer: /x/a: stands at another place in the archive");
}

struct two_images {
	char *folder; /* owned; removed at the end */
	struct layout layout;
	struct digest digests[2];
};

static void two_images_free(struct two_images *images)
{
	struct error err = {0};

	if (images->folder && !folder_remove(images->folder, &err))
		error_ignore(&err, "a temporary folder");
	text_free(&images->folder);
	layout_free(&images->layout);
}

/* Images of one layer, an archive with one file of that content; by: what their history says. */
static bool make_images(struct two_images *images, const char *by, struct error *err)
{
	if (!folder_make_temporary(NULL, "image-compare-", &images->folder, err) ||
		!layout_create(images->folder, &images->layout, err))
		return false;
	for (int i = 0; i < 2; i++) {
		scoped(buf_free) struct buf layer = {0}, config = {0}, manifest = {0};
		struct scene scene = {0};
		struct digest digest;
		char text[DIGEST_TEXT_SIZE];

		scene_begin(&scene);
		scene_file(&scene, "x", i ? "one" : "two");
		scene_take(&scene, &layer);
		if (!layout_write_blob(&images->layout, buf_str(&layer), &digest, err))
			return false;
		digest_to_text(&digest, text);
		buf_printf(&config,
			"{\"os\":\"linux\",\"architecture\":\"amd64\",\"history\":[{\"created_by\":"
			"\"%s\"}],\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
			by, text);
		buf_printf(&manifest,
			"{\"schemaVersion\":2,\"layers\":[{\"mediaType\":"
			"\"application/"
			"vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}],",
			text, layer.size);
		if (!layout_write_blob(&images->layout, buf_str(&config), &digest, err))
			return false;
		digest_to_text(&digest, text);
		buf_printf(&manifest,
			"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
			"\"digest\":\"%s\",\"size\":%zu}}",
			text, config.size);
		if (!layout_write_blob(&images->layout, buf_str(&manifest), &images->digests[i],
			    err))
			return false;
	}
	return true;
}

/* Histories are what other tools wrote, too. */
TEST(a_layer_has_the_name_that_we_gave_it)
{
	const struct {
		const char *by, *expected;
	} rows[] = {{"dogshore image build: program", "layer 1 of 1 (program): /x"},
		{"/bin/sh -c #(nop) CMD [\\\"a:b\\\"]", "layer 1 of 1: /x"},
		{"x:", "layer 1 of 1: /x"}, {"", "layer 1 of 1: /x"}};

	for (size_t i = 0; i < countof(rows); i++) {
		scoped(two_images_free) struct two_images images = {0};
		scoped(image_difference_free) struct image_difference found = {0};
		struct error err = {0};

		REQUIRE_OK(make_images(&images, rows[i].by, &err));
		REQUIRE_OK(image_compare(&images.layout, &images.digests[0], &images.layout,
			&images.digests[1], &found, &err));
		CHECK_TEXT(found.where, rows[i].expected);
		CHECK_TEXT(found.what, "content differs at byte 0: 0x74, here 0x6f"); /* 't', 'o' */
	}
}

TEST_MAIN()
