#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/foreign_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <unistd.h>

/* An archive made entry by entry with libarchive, read and written again by ours. */
struct scene {
	struct archive *archive;
	struct buf bytes;
};

static la_ssize_t keep(struct archive *archive, void *context, const void *bytes, size_t size)
{
	(void)archive;
	buf_append(context, bytes, size);
	return (la_ssize_t)size;
}

static void begin(struct scene *scene)
{
	scene->archive = archive_write_new();
	archive_write_set_format_pax_restricted(scene->archive);
	archive_write_open(scene->archive, &scene->bytes, NULL, keep, NULL);
}

/* What differs from build to build: times and names of owners. */
static int64_t now = 1000;

static struct archive_entry *entry_of(const char *path, unsigned type, int64_t size)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, type == AE_IFDIR ? 0750 : 0640);
	archive_entry_set_size(entry, size);
	archive_entry_set_uid(entry, 7);
	archive_entry_set_gid(entry, 8);
	archive_entry_set_mtime(entry, now, 5);
	archive_entry_set_uname(entry, now > 1000 ? "alice" : "bob");
	return entry;
}

static void put(struct scene *scene, struct archive_entry *entry, const char *text)
{
	archive_write_header(scene->archive, entry);
	if (text)
		archive_write_data(scene->archive, text, strlen(text));
	archive_entry_free(entry);
}

static void folder(struct scene *scene, const char *path)
{
	put(scene, entry_of(path, AE_IFDIR, 0), NULL);
}

static void file(struct scene *scene, const char *path, const char *text)
{
	put(scene, entry_of(path, AE_IFREG, (int64_t)strlen(text)), text);
}

static void soft(struct scene *scene, const char *path, const char *target)
{
	struct archive_entry *entry = entry_of(path, AE_IFLNK, 0);

	archive_entry_set_symlink(entry, target);
	put(scene, entry, NULL);
}

static void hard(struct scene *scene, const char *path, const char *target)
{
	struct archive_entry *entry = entry_of(path, AE_IFREG, 0);

	archive_entry_set_hardlink(entry, target);
	put(scene, entry, NULL);
}

static int descriptor_of(struct str bytes)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	if (write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size)
		abort();
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool read_bytes(struct str bytes, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err)
{
	int fd = descriptor_of(bytes);
	bool ok = foreign_layer_read(fd, spool, out_tree, NULL, err);

	close(fd);
	return ok;
}

static bool finish(struct scene *scene, struct foreign_spool *spool, struct foreign_tree *out_tree,
	struct error *err)
{
	archive_write_close(scene->archive);
	archive_write_free(scene->archive);
	bool ok = read_bytes(buf_str(&scene->bytes), spool, out_tree, err);
	buf_free(&scene->bytes);
	return ok;
}

/* Our archive of the tree. */
static void pack(const struct foreign_tree *tree, const struct foreign_spool *spool,
	struct buf *out)
{
	scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_NONE);
	int fd = memfd_create("packed", MFD_CLOEXEC);
	struct packed packed;
	struct error err = {0};

	packer_begin(packer, fd, "packed");
	CHECK_OK(foreign_tree_pack(tree, spool, 3, NULL, packer, &err));
	CHECK_OK(packer_finish(packer, &packed, &err));
	char *room = buf_reserve(out, (size_t)packed.size_bytes);
	out->size += (size_t)pread(fd, room, (size_t)packed.size_bytes, 0);
	close(fd);
}

/* What libarchive sees in it, an entry a line: "750 7:8 3 etc/", "640 7:8 3 etc/x=text". */
static char *list(const struct foreign_tree *tree, const struct foreign_spool *spool)
{
	scoped(buf_free) struct buf bytes = {0};
	struct buf out = {0};
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	char text[64];

	pack(tree, spool, &bytes);
	archive_read_support_format_tar(archive);
	archive_read_open_memory(archive, bytes.data, bytes.size);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		la_ssize_t size = archive_read_data(archive, text, sizeof(text));
		buf_printf(&out, "%o %d:%d %lld %s", archive_entry_perm(entry),
			(int)archive_entry_uid(entry), (int)archive_entry_gid(entry),
			(long long)archive_entry_mtime(entry), archive_entry_pathname(entry));
		if (archive_entry_hardlink(entry))
			buf_printf(&out, " => %s", archive_entry_hardlink(entry));
		else if (archive_entry_symlink(entry))
			buf_printf(&out, " -> %s", archive_entry_symlink(entry));
		else if (archive_entry_filetype(entry) == AE_IFREG)
			buf_printf(&out, "=%.*s", size > 0 ? (int)size : 0, text);
		buf_append_char(&out, '\n');
	}
	archive_read_free(archive);
	return out.size ? buf_take(&out) : memory_copy_text("");
}

static char *list_and_free(struct foreign_tree *tree, struct foreign_spool *spool)
{
	char *text = list(tree, spool);

	foreign_tree_free(tree);
	foreign_spool_close(spool);
	return text;
}

TEST(the_order_times_and_names_of_owners_of_the_input_do_not_matter)
{
	struct foreign_spool spool = {0}, other_spool = {0};
	struct foreign_tree tree = {0}, other = {0};
	scoped(buf_free) struct buf first = {0}, second = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	CHECK_OK(foreign_spool_open(&other_spool, &err));
	begin(&scene);
	folder(&scene, "etc/");
	file(&scene, "etc/a", "one");
	file(&scene, "etc-b", "two");
	soft(&scene, "etc/link", "../up/and/../away");
	CHECK_OK(finish(&scene, &spool, &tree, &err));

	now = 2000;
	begin(&scene);
	file(&scene, "./etc-b", "two");
	soft(&scene, "etc//link", "../up/and/../away");
	file(&scene, "./etc/./a", "one");
	folder(&scene, "./");
	folder(&scene, "./etc");
	CHECK_OK(finish(&scene, &other_spool, &other, &err));
	now = 1000;

	pack(&tree, &spool, &first);
	pack(&other, &other_spool, &second);
	CHECK(str_equal(buf_str(&first), buf_str(&second)));
	scoped(text_free) char *text = list_and_free(&tree, &spool);
	CHECK_TEXT(text,
		"750 7:8 3 etc/\n640 7:8 3 etc/a=one\n777 7:8 3 etc/link -> ../up/and/../away\n"
		"640 7:8 3 etc-b=two\n");
	foreign_tree_free(&other);
	foreign_spool_close(&other_spool);
}

TEST(whiteouts_stand_before_their_siblings_and_stay_empty_files)
{
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene);
	file(&scene, "var/+first", "x");
	file(&scene, "var/.wh.old", "this is no content");
	file(&scene, "var/lib/.wh..wh..opq", "");
	file(&scene, "var/lib/new", "y");
	file(&scene, "var/.wh..wh.plnk", ""); /* a mark of aufs */
	folder(&scene, "var");
	CHECK_OK(finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = list_and_free(&tree, &spool);
	CHECK_TEXT(text, "750 7:8 3 var/\n644 0:0 3 var/.wh.old=\n640 7:8 3 var/+first=x\n"
			 "644 0:0 3 var/lib/.wh..wh..opq=\n640 7:8 3 var/lib/new=y\n");
}

TEST(hard_links_stay_and_name_the_path_that_stands_first)
{
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene);
	file(&scene, "bin/perl", "perl");
	hard(&scene, "bin/a", "bin/perl");
	hard(&scene, "bin/z", "./bin/a");
	soft(&scene, "bin/s", "perl");
	hard(&scene, "bin/t", "bin/s");
	CHECK_OK(finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = list_and_free(&tree, &spool);
	CHECK_TEXT(text, "640 7:8 3 bin/a=perl\n640 7:8 3 bin/perl => bin/a\n"
			 "777 7:8 3 bin/s -> perl\n777 7:8 3 bin/t -> perl\n"
			 "640 7:8 3 bin/z => bin/a\n");
}

TEST(of_two_entries_with_one_name_the_last_counts)
{
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene);
	file(&scene, "a", "first");
	soft(&scene, "b", "a");
	file(&scene, "a", "second");
	file(&scene, "b", "third");
	CHECK_OK(finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = list_and_free(&tree, &spool);
	CHECK_TEXT(text, "640 7:8 3 a=second\n640 7:8 3 b=third\n");
}

TEST(capabilities_lose_the_root_of_their_user_namespace_and_other_attributes_go)
{
	/* struct vfs_cap_data of linux/capability.h: cap_net_raw+ep in revisions 2 and 3 (rootid 1000). */
	static const char two[20] = {1, 0, 0, 2, 0, 0x20},
			  three[24] = {1, 0, 0, 3, 0, 0x20, [20] = (char)0xe8, 3};
	struct scene scene = {0};
	struct error err = {0};
	struct buf packed[2] = {{0}};

	for (int i = 0; i < 2; i++) {
		struct foreign_spool spool = {0};
		struct foreign_tree tree = {0};
		struct archive_entry *entry = entry_of("ping", AE_IFREG, 0);

		CHECK_OK(foreign_spool_open(&spool, &err));
		archive_entry_xattr_add_entry(entry, "security.capability", i ? three : two,
			i ? 24 : 20);
		archive_entry_xattr_add_entry(entry, i ? "user.mime" : "trusted.overlay.opaque",
			"y", 1);
		begin(&scene);
		put(&scene, entry, NULL);
		CHECK_OK(finish(&scene, &spool, &tree, &err));
		pack(&tree, &spool, &packed[i]);
		foreign_tree_free(&tree);
		foreign_spool_close(&spool);
	}
	CHECK(str_equal(buf_str(&packed[0]), buf_str(&packed[1])));
	REQUIRE(packed[0].size > 1024);
	/* "57 SCHILY.xattr.security.capability=" is 36 bytes long. */
	CHECK(memcmp(packed[0].data + 512 + 36, two, sizeof(two)) == 0);
	buf_free(&packed[0]);
	buf_free(&packed[1]);
}

/* One entry that is refused, and what the error says. */
static void check_refused(struct scene *scene, const char *message)
{
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	CHECK(!finish(scene, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_TEXT(err.message, message);
	error_free(&err);
	foreign_spool_close(&spool);
}

TEST(names_that_lead_out_are_refused)
{
	struct scene scene = {0};

	begin(&scene), file(&scene, "../x", "");
	check_refused(&scene, "the name \"../x\" leads out of the image");
	begin(&scene), file(&scene, "a/../x", "");
	check_refused(&scene, "the name \"a/../x\" leads out of the image");
	begin(&scene), file(&scene, "/etc/passwd", "");
	check_refused(&scene, "the name \"/etc/passwd\" is absolute");
	begin(&scene), file(&scene, "a", ""), hard(&scene, "b", "../a");
	check_refused(&scene, "the name \"../a\" leads out of the image");
	begin(&scene), hard(&scene, "b", "/etc/shadow");
	check_refused(&scene, "the name \"/etc/shadow\" is absolute");
	begin(&scene), hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"b\" names \"a\", which is no file of this layer");
	begin(&scene), hard(&scene, "a", "b"), hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"a\" names \"b\", which is no file of this layer");
	begin(&scene), folder(&scene, "a"), hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"b\" names \"a\", which is no file of this layer");
	begin(&scene), soft(&scene, "a", "/etc"), file(&scene, "a/passwd", "");
	check_refused(&scene, "\"a/passwd\" lies below \"a\", which is a link");
	begin(&scene), file(&scene, "a", ""), file(&scene, "a/.wh.b", "");
	check_refused(&scene, "\"a/b\" lies below \"a\", which is a file");
}

TEST(devices_pipes_and_odd_entries_are_refused)
{
	struct scene scene = {0};
	struct archive_entry *entry;

	begin(&scene), put(&scene, entry_of("dev/null", AE_IFCHR, 0), NULL);
	check_refused(&scene,
		"it is a character device; only files, folders and links are accepted");
	begin(&scene), put(&scene, entry_of("dev/sda", AE_IFBLK, 0), NULL);
	check_refused(&scene, "it is a block device; only files, folders and links are accepted");
	begin(&scene), put(&scene, entry_of("run/pipe", AE_IFIFO, 0), NULL);
	check_refused(&scene, "it is a pipe; only files, folders and links are accepted");
	begin(&scene), soft(&scene, ".", "/");
	check_refused(&scene, "the root is no folder");

	entry = entry_of("ping", AE_IFREG, 0);
	archive_entry_xattr_add_entry(entry, "security.capability", "cap", 3);
	begin(&scene), put(&scene, entry, NULL);
	check_refused(&scene, "a file capability of 3 bytes makes no sense");

	char *content = memory_new((1 << 20) + 1);
	memset(content, 'x', 1 << 20);
	entry = entry_of("sparse", AE_IFREG, 1 << 20);
	archive_entry_sparse_add_entry(entry, 4096, 10);
	begin(&scene), put(&scene, entry, content);
	free(content);
	check_refused(&scene, "it is stored as a sparse file");

	entry = entry_of("owner", AE_IFREG, 0);
	archive_entry_set_uid(entry, INT64_C(1) << 40);
	begin(&scene), put(&scene, entry, NULL);
	check_refused(&scene, "its owner 1099511627776:8 makes no sense");
}

TEST(names_that_are_not_text_or_too_long_are_refused)
{
	struct scene scene = {0};
	char longer[4100];
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct error err = {0};

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene), file(&scene, longer, "");
	CHECK(!finish(&scene, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	begin(&scene), file(&scene, "latin-\xe4", "");
	CHECK(!finish(&scene, &spool, &tree, &err));
	CHECK_TEXT(err.message, "an entry's name is not UTF-8");
	error_free(&err);
	foreign_spool_close(&spool);
}

TEST(bombs_end_at_the_limits)
{
	struct foreign_tree tree = {0};
	struct scene scene = {0};

	for (int i = 0; i < 3; i++) {
		struct foreign_spool spool = {0};
		struct error err = {0};

		CHECK_OK(foreign_spool_open(&spool, &err));
		spool.size_limit = i == 0 ? 7 : 1000;
		spool.text_limit = i == 1 ? 15 : 1000;
		spool.entry_limit = i == 2 ? 1 : 1000;
		begin(&scene), file(&scene, "one.text", "four"), file(&scene, "two.text", "four");
		CHECK(!finish(&scene, &spool, &tree, &err));
		CHECK_INT(err.kind, ERROR_LIMIT);
		error_free(&err);
		foreign_spool_close(&spool);
	}
}

TEST(a_compressed_bomb_ends_at_the_limit_too)
{
	/* A megabyte of zeros behind the archive's end, packed into some kilobytes. */
	struct archive *gzip = archive_write_new();
	scoped(buf_free) struct buf bytes = {0};
	scoped(buf_free) struct buf zeros = {0};
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct archive_entry *entry = archive_entry_new();
	struct error err = {0};

	memset(buf_reserve(&zeros, 1 << 20), 0, 1 << 20);
	zeros.size = 1 << 20;
	archive_write_set_format_raw(gzip);
	archive_write_add_filter_gzip(gzip);
	archive_write_open(gzip, &bytes, NULL, keep, NULL);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(gzip, entry);
	archive_write_data(gzip, zeros.data, zeros.size);
	archive_entry_free(entry);
	archive_write_close(gzip);
	archive_write_free(gzip);
	CHECK_OK(foreign_spool_open(&spool, &err));
	spool.size_limit = spool.text_limit = 1000;
	spool.entry_limit = 100; /* 3 blocks of 512 each: 153,600 bytes of headers and padding */
	CHECK(bytes.size < 20000);
	CHECK(!read_bytes(buf_str(&bytes), &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_LIMIT);
	error_free(&err);
	foreign_spool_close(&spool);
}

TEST(truncated_archives_and_what_is_none_are_refused)
{
	scoped(buf_free) struct buf whole = {0};
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct scene scene = {0};
	struct error err = {0};

	begin(&scene), file(&scene, "a", "content");
	archive_write_close(scene.archive);
	archive_write_free(scene.archive);
	CHECK_OK(foreign_spool_open(&spool, &err));
	/* The header says 7 bytes; in the header, in the content. */
	for (size_t size = 100; size < 519; size += 416) {
		CHECK(!read_bytes((struct str){scene.bytes.data, size}, &spool, &tree, &err));
		CHECK_INT(err.kind, ERROR_INVALID);
		error_free(&err);
	}
	CHECK(!read_bytes(str_of("this is no archive at all, only some text that somebody wrote"),
		&spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	CHECK(!read_bytes((struct str){0}, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	foreign_spool_close(&spool);
	buf_free(&scene.bytes);
}

TEST(merged_layers_look_as_if_laid_one_over_the_other)
{
	struct foreign_spool spool = {0};
	struct foreign_tree lower = {0}, upper = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene);
	folder(&scene, "gone");
	file(&scene, "gone/deep", "1");
	file(&scene, "gone-not", "2");
	folder(&scene, "opaque");
	file(&scene, "opaque/old", "3");
	folder(&scene, "was-folder");
	file(&scene, "was-folder/below", "4");
	soft(&scene, "was-link", "kept");
	file(&scene, "kept", "5");
	file(&scene, "pair/a", "6");
	hard(&scene, "pair/b", "pair/a");
	file(&scene, ".wh.nothing", "");
	CHECK_OK(finish(&scene, &spool, &lower, &err));
	begin(&scene);
	file(&scene, ".wh.gone", "");
	file(&scene, "opaque/.wh..wh..opq", "");
	file(&scene, "opaque/new", "7");
	file(&scene, "was-folder", "8");
	folder(&scene, "was-link");
	file(&scene, "was-link/in", "9");
	file(&scene, "pair/.wh.a", "");
	file(&scene, "pair/c", "10");
	CHECK_OK(finish(&scene, &spool, &upper, &err));
	CHECK_OK(foreign_tree_merge(&lower, &upper, &err));
	scoped(text_free) char *text = list_and_free(&lower, &spool);
	CHECK_TEXT(text, "640 7:8 3 gone-not=2\n640 7:8 3 kept=5\n750 7:8 3 opaque/\n640 7:8 3 "
			 "opaque/new=7\n"
			 "640 7:8 3 pair/b=6\n640 7:8 3 pair/c=10\n"
			 "640 7:8 3 was-folder=8\n750 7:8 3 was-link/\n640 7:8 3 was-link/in=9\n");
}

TEST(a_whiteout_hides_only_what_lies_below_its_layer)
{
	struct foreign_spool spool = {0};
	struct foreign_tree lower = {0}, upper = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene);
	file(&scene, "a/x", "old");
	file(&scene, "a/y", "old");
	CHECK_OK(finish(&scene, &spool, &lower, &err));
	begin(&scene);
	file(&scene, "a/x", "new");
	file(&scene, ".wh.a", "");
	CHECK_OK(finish(&scene, &spool, &upper, &err));
	CHECK_OK(foreign_tree_merge(&lower, &upper, &err));
	scoped(text_free) char *text = list_and_free(&lower, &spool);
	CHECK_TEXT(text, "640 7:8 3 a/x=new\n");
}

TEST(a_merge_that_would_write_through_a_link_is_refused)
{
	struct foreign_spool spool = {0};
	struct foreign_tree lower = {0}, upper = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	begin(&scene), soft(&scene, "lib", "usr/lib");
	CHECK_OK(finish(&scene, &spool, &lower, &err));
	begin(&scene), file(&scene, "lib/x", "");
	CHECK_OK(finish(&scene, &spool, &upper, &err));
	CHECK(!foreign_tree_merge(&lower, &upper, &err));
	CHECK_TEXT(err.message, "\"lib/x\" lies below \"lib\", which is a link");
	error_free(&err);
	foreign_tree_free(&lower);
	foreign_tree_free(&upper);
	foreign_spool_close(&spool);
}

TEST_MAIN()
