#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/layers.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A layer made entry by entry, and the folder it was unpacked into. */
struct scene {
	char *folder, *blob, *root;
	struct digest diff_id;
	struct archive *archive;
	struct buf tar;
};

static void scene_free(struct scene *scene)
{
	struct error err = {0};

	if (scene->folder && !folder_remove(scene->folder, &err))
		error_free(&err);
	text_free(&scene->folder);
	text_free(&scene->blob);
	text_free(&scene->root);
	buf_free(&scene->tar);
}

static la_ssize_t keep(struct archive *archive, void *context, const void *bytes, size_t size)
{
	(void)archive;
	buf_append(context, bytes, size);
	return (la_ssize_t)size;
}

static void begin(struct scene *scene)
{
	struct error err = {0};

	CHECK_OK(folder_make_temporary(NULL, "layer", &scene->folder, &err));
	scene->blob = path_join(scene->folder, "blob");
	scene->root = path_join(scene->folder, "root");
	CHECK_OK(folder_make(scene->root, 0755, &err));
	scene->archive = archive_write_new();
	archive_write_set_format_pax_restricted(scene->archive);
	archive_write_open(scene->archive, &scene->tar, NULL, keep, NULL);
}

static void add(struct scene *scene, const char *name, unsigned type, const char *text,
	const char *link)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, text ? (int64_t)strlen(text) : 0);
	if (link && type == AE_IFLNK)
		archive_entry_set_symlink(entry, link);
	else if (link)
		archive_entry_set_hardlink(entry, link);
	archive_entry_xattr_add_entry(entry, "trusted.overlay.redirect", "/etc", 4);
	archive_write_header(scene->archive, entry);
	if (text)
		archive_write_data(scene->archive, text, strlen(text));
	archive_entry_free(entry);
}

/* Unpacks in a child, whose root directory changes; what went wrong comes back as text. */
static char *unpack(struct scene *scene, const struct digest *diff_id)
{
	struct error err = {0};
	int pipes[2], status;
	char text[1024];

	if (scene->archive) {
		archive_write_close(scene->archive);
		archive_write_free(scene->archive);
		scene->archive = NULL;
		scene->diff_id = digest_of(scene->tar.data, scene->tar.size);
		CHECK_OK(file_write(scene->blob, buf_str(&scene->tar), 0644, false, &err));
	}
	CHECK(pipe(pipes) == 0);
	pid_t child = fork();

	if (child == 0) {
		if (!layer_unpack(scene->blob, diff_id ? diff_id : &scene->diff_id, scene->root,
			    &err))
			dprintf(pipes[1], "%s", err.message);
		_exit(0);
	}
	close(pipes[1]);
	ssize_t size = read(pipes[0], text, sizeof(text));

	close(pipes[0]);
	waitpid(child, &status, 0);
	CHECK_INT(status, 0);
	return memory_copy(text, size > 0 ? (size_t)size : 0);
}

static char *inside(const struct scene *scene, const char *name)
{
	return path_join(scene->root, name);
}

TEST(files_links_and_folders_are_as_in_the_archive)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};

	begin(&scene);
	add(&scene, "./etc/", AE_IFDIR, NULL, NULL);
	add(&scene, "/etc/passwd", AE_IFREG, "root", NULL);
	add(&scene, "etc/same", AE_IFREG, NULL, "etc/passwd");
	add(&scene, "bin", AE_IFLNK, NULL, "/usr/bin");
	add(&scene, "k\xc3\xa4se", AE_IFREG, "x", NULL);
	scoped(text_free) char *said = unpack(&scene, NULL);
	scoped(text_free) char *same = inside(&scene, "etc/same");
	scoped(text_free) char *bin = inside(&scene, "bin");
	scoped(text_free) char *umlaut = inside(&scene, "k\xc3\xa4se");
	scoped(buf_free) struct buf text = {0};
	char target[64] = {0}, value[16];

	CHECK_TEXT(said, "");
	CHECK_OK(file_read(same, 100, &text, &err));
	CHECK_TEXT(buf_text(&text), "root");
	CHECK(readlink(bin, target, sizeof(target) - 1) == 8);
	CHECK_TEXT(target, "/usr/bin");
	CHECK(file_exists(umlaut));
	/* What steers overlayfs does not come from an archive. */
	CHECK(lgetxattr(same, "trusted.overlay.redirect", value, sizeof(value)) < 0);
}

TEST(whiteouts_become_what_overlayfs_understands)
{
	if (geteuid() != 0)
		SKIP("making device nodes needs root");
	scoped(scene_free) struct scene scene = {0};

	begin(&scene);
	add(&scene, "etc/.wh.gone", AE_IFREG, NULL, NULL);
	add(&scene, "opt/.wh..wh..opq", AE_IFREG, NULL, NULL);
	scoped(text_free) char *said = unpack(&scene, NULL);
	scoped(text_free) char *gone = inside(&scene, "etc/gone");
	scoped(text_free) char *opaque = inside(&scene, "opt");
	struct stat status = {0};
	char value[4] = {0};

	CHECK_TEXT(said, "");
	CHECK(lstat(gone, &status) == 0 && S_ISCHR(status.st_mode));
	CHECK(status.st_rdev == makedev(0, 0));
	CHECK_INT(lgetxattr(opaque, "trusted.overlay.opaque", value, sizeof(value)), 1);
	CHECK_TEXT(value, "y");
}

TEST(nothing_leads_out_of_the_image)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	static const struct {
		const char *name, *link;
		unsigned type;
	} cases[] = {
		{"../outside", NULL, AE_IFREG}, {"a/../../outside", NULL, AE_IFREG},
		{"x", "../../etc/passwd", AE_IFREG}, /* a hard link */
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(scene_free) struct scene scene = {0};

		begin(&scene);
		add(&scene, cases[i].name, cases[i].type, NULL, cases[i].link);
		scoped(text_free) char *said = unpack(&scene, NULL);
		scoped(text_free) char *outside = path_join(scene.folder, "outside");

		CHECK_CONTAINS(said, "out of the image");
		CHECK(!file_exists(outside));
	}
}

TEST(nothing_is_written_through_a_link)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};

	begin(&scene);
	add(&scene, "way", AE_IFLNK, NULL, "/");
	add(&scene, "way/through", AE_IFREG, "x", NULL);
	scoped(text_free) char *said = unpack(&scene, NULL);

	CHECK_CONTAINS(said, "symlink");
}

TEST(names_from_the_root_lie_in_the_image)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	begin(&scene);
	add(&scene, "/etc/passwd", AE_IFREG, "mine", NULL);
	add(&scene, "/etc/second", AE_IFREG, NULL, "/etc/passwd"); /* a hard link */
	scoped(text_free) char *said = unpack(&scene, NULL);
	scoped(text_free) char *file = inside(&scene, "etc/passwd");
	scoped(text_free) char *second = inside(&scene, "etc/second");

	CHECK_TEXT(said, "");
	CHECK_OK(file_read(file, 100, &text, &err));
	CHECK_OK(file_read(second, 100, &text, &err));
	CHECK_TEXT(buf_text(&text), "minemine");
}

TEST(devices_are_left_out)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};
	struct strings names = {0};

	begin(&scene);
	add(&scene, "zero", AE_IFCHR, NULL, NULL);
	add(&scene, "disk", AE_IFBLK, NULL, NULL);
	add(&scene, "file", AE_IFREG, "x", NULL);
	scoped(text_free) char *said = unpack(&scene, NULL);

	CHECK_TEXT(said, "");
	CHECK_OK(folder_list(scene.root, &names, &err));
	CHECK_INT(names.count, 1);
	CHECK_TEXT(names.items[0], "file");
	strings_free(&names);
}

/* Packs the scene's tar and so many zeros behind its end as zstd; about 100 KB for 2 GiB. */
static void pack_with_zeros(struct scene *scene, int mebibytes)
{
	struct archive *packed = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	scoped(buf_free) struct buf blob = {0};
	char *zeros = memory_new(1 << 20);
	struct error err = {0};

	archive_write_close(scene->archive);
	archive_write_free(scene->archive);
	scene->archive = NULL;
	archive_write_set_format_raw(packed);
	archive_write_add_filter_zstd(packed);
	archive_write_open(packed, &blob, NULL, keep, NULL);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(packed, entry);
	archive_write_data(packed, scene->tar.data, scene->tar.size);
	for (int i = 0; i < mebibytes; i++)
		archive_write_data(packed, zeros, 1 << 20);
	archive_write_close(packed);
	archive_write_free(packed);
	archive_entry_free(entry);
	free(zeros);
	CHECK_OK(file_write(scene->blob, buf_str(&blob), 0644, false, &err));
}

TEST(a_bomb_is_refused)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};

	begin(&scene);
	add(&scene, "file", AE_IFREG, "x", NULL);
	pack_with_zeros(&scene, 1100);
	scoped(text_free) char *said = unpack(&scene, NULL);

	CHECK_CONTAINS(said, "more than 1100 times its size");
}

/* A ustar header by hand: libarchive would not write such lies. */
static void put_header(struct buf *tar, const char *name, const char *size, char type)
{
	char block[512] = {0};
	unsigned sum = 0;

	snprintf(block, 100, "%s", name);
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	memcpy(block + 124, size, strlen(size));
	memcpy(block + 136, "00000000000", 12);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	buf_append(tar, block, sizeof(block));
}

static void begin_by_hand(struct scene *scene)
{
	begin(scene);
	archive_write_free(scene->archive);
	scene->archive = NULL;
	buf_clear(&scene->tar);
}

static char *unpack_bytes(struct scene *scene)
{
	struct error err = {0};

	CHECK_OK(file_write(scene->blob, buf_str(&scene->tar), 0644, false, &err));
	return unpack(scene, NULL);
}

TEST(sizes_that_lie_are_refused)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	/* 32 GiB as octal digits do not fit: base 256, as GNU tar writes it. */
	static const char huge[] = "\200\0\0\0\0\0\0\010\0\0\0\0";
	scoped(scene_free) struct scene large = {0}, cut = {0};

	begin_by_hand(&large);
	put_header(&large.tar, "large", "", '0');
	memcpy(large.tar.data + 124, huge, 12);
	unsigned sum = 0;
	memset(large.tar.data + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)large.tar.data[i];
	snprintf(large.tar.data + 148, 8, "%06o", sum);
	scoped(text_free) char *said = unpack_bytes(&large);
	CHECK_CONTAINS(said, "says that \"large\" has 34359738368 bytes");

	begin_by_hand(&cut);
	put_header(&cut.tar, "cut", "00000010000", '0'); /* 4,096 bytes, of which few are there */
	buf_append(&cut.tar, huge, sizeof(huge));
	scoped(text_free) char *also = unpack_bytes(&cut);
	CHECK_CONTAINS(also, "unpacking layer blob: Truncated");
}

TEST(other_content_than_the_config_names_is_refused)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};
	struct digest other = digest_of("x", 1);

	begin(&scene);
	add(&scene, "file", AE_IFREG, "x", NULL);
	scoped(text_free) char *said = unpack(&scene, &other);

	/* sha256 of "x" begins with 2d711642 */
	CHECK_CONTAINS(said, "the config says sha256:2d711642");
}

TEST(what_is_no_archive_is_refused)
{
	if (geteuid() != 0)
		SKIP("changing the root directory needs root");
	scoped(scene_free) struct scene scene = {0};
	struct error err = {0};

	begin(&scene);
	archive_write_free(scene.archive);
	scene.archive = NULL;
	CHECK_OK(file_write(scene.blob, str_of("this is no tar, but long enough to look like one"),
		0644, false, &err));
	scoped(text_free) char *said = unpack(&scene, &scene.diff_id);

	CHECK_CONTAINS(said, "unpacking layer blob");
}

TEST_MAIN()
