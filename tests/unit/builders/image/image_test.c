#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/image.h"
#include "tests/unit/builders/image/elf_maker.h"

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

struct place {
	char *root, *binary, *config, *layout, *cache; /* owned */
	struct strings files;
};

static bool open_place(struct place *place, const char *content)
{
	scoped(buf_free) struct buf file = {0};
	struct error err = {0};

	if (!folder_make_temporary(NULL, "image-", &place->root, &err))
		return false;
	place->binary = path_join(place->root, "rooms");
	place->config = path_join(place->root, "rooms.json");
	place->layout = path_join(place->root, "out:1");
	place->cache = path_join(place->root, "cache");
	strings_printf(&place->files, "%s:/etc/rooms/", place->config);
	elf_make(&(struct elf_recipe){.type = ET_EXEC, .tail = content}, &file);
	bool ok = file_write(place->binary, buf_str(&file), 0755, false, &err) &&
		  file_write(place->config, str_of("{}"), 0600, false, &err);
	error_free(&err);
	return ok;
}

static void close_place(struct place *place)
{
	struct error err = {0};

	if (place->root && !folder_remove(place->root, &err))
		error_free(&err);
	text_free(&place->root);
	text_free(&place->binary);
	text_free(&place->config);
	text_free(&place->layout);
	text_free(&place->cache);
	strings_free(&place->files);
}

static struct image_options options_of(const struct place *place)
{
	return (struct image_options){.binary = place->binary,
		.files = &place->files,
		.port = 8080,
		.platform = "linux/amd64",
		.output = place->layout};
}

/* The first layer of a kind; an empty one when there is none. */
static const struct layer *layer_of(const struct image *image, enum layer_kind kind)
{
	static const struct layer none = {.reused = false};

	for (size_t i = 0; i < image->layer_count; i++)
		if (image->layers[i].kind == kind)
			return &image->layers[i];
	return &none;
}

TEST(the_digest_depends_on_neither_folder_nor_umask_nor_locale_nor_time)
{
	scoped(close_place) struct place here = {0}, there = {0};
	scoped(image_free) struct image one = {0}, two = {0};
	struct error err = {0};

	REQUIRE(open_place(&here, "program"));
	mode_t old = umask(077);
	bool opened = open_place(&there, "program");
	REQUIRE(opened);
	setenv("TZ", "Pacific/Kiritimati", 1);
	tzset();
	setlocale(LC_ALL, "C.UTF-8");
	REQUIRE(utime(there.binary, &(struct utimbuf){.actime = 5, .modtime = 5}) == 0);
	struct image_options first = options_of(&here), second = options_of(&there);
	CHECK_OK(image_build(&second, &two, &err));
	umask(old);
	setlocale(LC_ALL, "C");
	unsetenv("TZ");
	tzset();
	REQUIRE_OK(image_build(&first, &one, &err));
	CHECK(digest_equal(&one.digest, &two.digest));
	CHECK(!digest_is_zero(&one.digest));
}

TEST(the_digest_depends_on_content_options_and_source_date_epoch)
{
	scoped(close_place) struct place place = {0}, other = {0};
	scoped(image_free) struct image plain = {0}, changed = {0}, labelled = {0}, dated = {0};
	scoped(strings_free) struct strings labels = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program") && open_place(&other, "Program"));
	struct image_options options = options_of(&place), options_other = options_of(&other);
	REQUIRE_OK(image_build(&options, &plain, &err));
	REQUIRE_OK(image_build(&options_other, &changed, &err));
	CHECK(!digest_equal(&plain.digest, &changed.digest));
	/* only the program's layer differs */
	CHECK(digest_equal(&layer_of(&plain, LAYER_BASE)->packed.digest,
		&layer_of(&changed, LAYER_BASE)->packed.digest));
	CHECK(digest_equal(&layer_of(&plain, LAYER_CONFIGURATION)->packed.digest,
		&layer_of(&changed, LAYER_CONFIGURATION)->packed.digest));
	strings_add(&labels, "a=b");
	options.labels = &labels;
	REQUIRE_OK(image_build(&options, &labelled, &err));
	CHECK(!digest_equal(&plain.digest, &labelled.digest));
	options.labels = NULL;
	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	CHECK_OK(image_build(&options, &dated, &err));
	unsetenv("SOURCE_DATE_EPOCH");
	CHECK(!digest_equal(&plain.digest, &dated.digest));
}

TEST(every_image_has_users_nsswitch_and_tmp_and_the_users_own_file_wins)
{
	scoped(close_place) struct place place = {0};
	scoped(image_free) struct image image = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program"));
	strings_printf(&place.files, "%s:/etc/passwd", place.config);
	struct image_options options = options_of(&place);
	REQUIRE_OK(image_build(&options, &image, &err));
	const struct tree_entry *passwd = tree_find(&image.tree, "etc/passwd");
	const struct tree_entry *tmp = tree_find(&image.tree, "tmp");
	REQUIRE(passwd && tmp && tree_find(&image.tree, "etc/group") &&
		tree_find(&image.tree, "etc/nsswitch.conf") && tree_find(&image.tree, "app/rooms"));
	CHECK_TEXT(passwd->source, place.config);
	CHECK_INT(tmp->mode, 01777);
	CHECK_INT(tree_find(&image.tree, "etc/rooms/rooms.json")->mode, 0644);
}

/* Moves the times of a file's change into the past by waiting for the coarse clock: the cache only
 * trusts files that were left alone for LAYER_CACHE_QUIET_NS. A loop on the clock, not a sleep of a
 * guessed length. */
static void wait_until_quiet(const char *path)
{
	struct stat status;
	struct timespec now;

	if (stat(path, &status) != 0)
		return;
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while ((now.tv_sec - status.st_ctim.tv_sec) * 1000000000LL + now.tv_nsec -
			status.st_ctim.tv_nsec <=
		LAYER_CACHE_QUIET_NS);
}

TEST(unchanged_layers_come_from_the_cache_and_changed_ones_do_not)
{
	scoped(close_place) struct place place = {0};
	scoped(image_free) struct image first = {0}, second = {0}, third = {0}, fourth = {0};
	scoped(buf_free) struct buf file = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program"));
	wait_until_quiet(place.binary);
	wait_until_quiet(place.config);
	struct image_options options = options_of(&place);
	options.cache_folder = place.cache;
	REQUIRE_OK(image_build(&options, &first, &err));
	CHECK(!layer_of(&first, LAYER_PROGRAM)->reused);

	/* another layout: the blobs come out of the cache */
	scoped(text_free) char *elsewhere = path_join(place.root, "second:1");
	options.output = elsewhere;
	REQUIRE_OK(image_build(&options, &second, &err));
	CHECK(layer_of(&second, LAYER_PROGRAM)->reused && layer_of(&second, LAYER_BASE)->reused);
	CHECK(digest_equal(&first.digest, &second.digest));

	/* same size, other content, and the old time put back: the time of change gives it away */
	struct stat before;
	REQUIRE(stat(place.binary, &before) == 0);
	elf_make(&(struct elf_recipe){.type = ET_EXEC, .tail = "PROGRAM"}, &file);
	FILE *rewritten = fopen(place.binary, "r+");
	REQUIRE(rewritten != NULL);
	CHECK(fwrite(file.data, file.size, 1, rewritten) == 1);
	fclose(rewritten);
	struct timespec times[2] = {before.st_atim, before.st_mtim};
	REQUIRE(utimensat(AT_FDCWD, place.binary, times, 0) == 0);
	REQUIRE_OK(image_build(&options, &third, &err));
	CHECK(!layer_of(&third, LAYER_PROGRAM)->reused);
	CHECK(layer_of(&third, LAYER_CONFIGURATION)->reused);
	CHECK(!digest_equal(&first.digest, &third.digest));

	/* the old content in a new file: found by content */
	buf_clear(&file);
	elf_make(&(struct elf_recipe){.type = ET_EXEC, .tail = "program"}, &file);
	REQUIRE_OK(file_write(place.binary, buf_str(&file), 0755, false, &err));
	REQUIRE_OK(image_build(&options, &fourth, &err));
	CHECK(layer_of(&fourth, LAYER_PROGRAM)->reused);
	CHECK(digest_equal(&first.digest, &fourth.digest));
}

TEST(a_damaged_cache_is_not_believed)
{
	scoped(close_place) struct place place = {0};
	scoped(image_free) struct image first = {0}, second = {0};
	scoped(strings_free) struct strings names = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program"));
	struct image_options options = options_of(&place);
	options.cache_folder = place.cache;
	REQUIRE_OK(image_build(&options, &first, &err));
	scoped(text_free) char *blobs = path_join(place.cache, "blobs");
	REQUIRE_OK(folder_list(blobs, &names, &err));
	CHECK(names.count > 0);
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(blobs, names.items[i]);
		REQUIRE(unlink(path) == 0);
		REQUIRE_OK(file_write(path, str_of("cut"), 0644, false, &err));
	}
	scoped(text_free) char *elsewhere = path_join(place.root, "second:1");
	options.output = elsewhere;
	REQUIRE_OK(image_build(&options, &second, &err));
	CHECK(!layer_of(&second, LAYER_PROGRAM)->reused);
	CHECK(digest_equal(&first.digest, &second.digest));
}

/* The same number of other bytes, written into the blob where it lies. */
static void write_over(const char *layout, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	scoped(text_free) char *path = memory_format("%s/blobs/sha256/%s", layout, hex);
	FILE *file = fopen(path, "r+");
	REQUIRE(file != NULL);
	CHECK(fwrite("damage", 6, 1, file) == 1);
	fclose(file);
}

/* Layouts and the cache may share a file. */
TEST(a_blob_that_was_written_over_in_a_layout_is_made_again)
{
	scoped(close_place) struct place place = {0};
	scoped(image_free) struct image first = {0}, second = {0}, third = {0};
	scoped(buf_free) struct buf blob = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program"));
	wait_until_quiet(place.binary);
	wait_until_quiet(place.config);
	struct image_options options = options_of(&place);
	options.cache_folder = place.cache;
	REQUIRE_OK(image_build(&options, &first, &err));
	const struct digest digest = layer_of(&first, LAYER_PROGRAM)->packed.digest;
	write_over(first.layout, &digest);

	scoped(text_free) char *elsewhere = path_join(place.root, "second:1");
	options.output = elsewhere;
	REQUIRE_OK(image_build(&options, &second, &err));
	CHECK(layer_of(&second, LAYER_BASE)->reused);
	const struct layout healthy = {.path = second.layout};
	CHECK_OK(layout_read_blob(&healthy, &digest, 1 << 20, &blob, &err));

	/* and in the same layout */
	write_over(second.layout, &digest);
	REQUIRE_OK(image_build(&options, &third, &err));
	CHECK_OK(layout_read_blob(&healthy, &digest, 1 << 20, &blob, &err));
}

/* The test itself, as it was linked: its libraries are of packages here, but nothing says so. */
TEST(without_dpkg_there_is_one_layer_of_libraries)
{
	scoped(close_place) struct place place = {0};
	scoped(image_free) struct image image = {0};
	struct error err = {0};
	size_t libraries = 0, notes = 0;

	REQUIRE(open_place(&place, "program"));
	struct image_options options = options_of(&place);
	options.platform = NULL;
	scoped(text_free) char *self = realpath("/proc/self/exe", NULL);
	options.binary = self;
	options.dpkg_folder = place.root;
	REQUIRE_OK(image_build(&options, &image, &err));
	for (size_t i = 0; i < image.layer_count; i++) {
		libraries += image.layers[i].kind == LAYER_LIBRARIES;
		CHECK_INT(image.layers[i].packages.count, 0);
	}
	for (size_t i = 0; i < image.tree.count; i++)
		notes += strstr(image.tree.entries[i].path, "dpkg") != NULL ||
			 strstr(image.tree.entries[i].path, "copyright") != NULL;
	CHECK_INT(libraries, 1);
	CHECK_INT(notes, 0);
}

TEST(options_that_make_no_sense_say_so)
{
	scoped(close_place) struct place place = {0};
	scoped(strings_free) struct strings odd = {0};
	struct image image = {0};
	struct error err = {0};

	REQUIRE(open_place(&place, "program"));
	struct image_options options = options_of(&place);
	options.user = "nobody";
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.user = "0:";
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.user = "1000:1000";
	options.port = 65536;
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.port = 0;
	options.platform = "windows/amd64";
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.platform = "linux/amd64";
	strings_add(&odd, "NOVALUE");
	options.env = &odd;
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.env = NULL;
	options.files = &odd;
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	options.files = NULL;
	setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_USAGE);
	unsetenv("SOURCE_DATE_EPOCH");
	options.binary = place.config;
	CHECK_FAILS(image_build(&options, &image, &err), ERROR_INVALID);
	scoped(text_free) char *out = path_join(place.root, "out");
	CHECK(!file_exists(out)); /* nothing was left behind */
}

TEST_MAIN()
