#include "tests/test.h"

#include "base/memory.h"
#include "tests/unit/builders/image/archive_scene.h"

/* One entry that is refused, and what the error says. */
static void check_refused(struct scene *scene, const char *message)
{
	struct foreign_spool spool = {0};
	struct foreign_tree tree = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	CHECK(!scene_finish(scene, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_TEXT(err.message, message);
	error_free(&err);
	foreign_spool_close(&spool);
}

TEST(names_that_lead_out_are_refused)
{
	struct scene scene = {0};

	scene_begin(&scene), scene_file(&scene, "../x", "");
	check_refused(&scene, "the name \"../x\" leads out of the image");
	scene_begin(&scene), scene_file(&scene, "a/../x", "");
	check_refused(&scene, "the name \"a/../x\" leads out of the image");
	scene_begin(&scene), scene_file(&scene, "/etc/passwd", "");
	check_refused(&scene, "the name \"/etc/passwd\" is absolute");
	scene_begin(&scene), scene_file(&scene, "a", ""), scene_hard(&scene, "b", "../a");
	check_refused(&scene, "the name \"../a\" leads out of the image");
	scene_begin(&scene), scene_hard(&scene, "b", "/etc/shadow");
	check_refused(&scene, "the name \"/etc/shadow\" is absolute");
	scene_begin(&scene), scene_hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"b\" names \"a\", which is no file of this layer");
	scene_begin(&scene), scene_hard(&scene, "a", "b"), scene_hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"a\" names \"b\", which is no file of this layer");
	scene_begin(&scene), scene_folder(&scene, "a"), scene_hard(&scene, "b", "a");
	check_refused(&scene, "the hard link \"b\" names \"a\", which is no file of this layer");
	scene_begin(&scene), scene_soft(&scene, "a", "/etc"), scene_file(&scene, "a/passwd", "");
	check_refused(&scene, "\"a/passwd\" lies below \"a\", which is a link");
	scene_begin(&scene), scene_file(&scene, "a", ""), scene_file(&scene, "a/.wh.b", "");
	check_refused(&scene, "\"a/b\" lies below \"a\", which is a file");
}

TEST(devices_pipes_and_odd_entries_are_refused)
{
	struct scene scene = {0};
	struct archive_entry *entry;

	scene_begin(&scene), scene_put(&scene, scene_entry("dev/null", AE_IFCHR, 0), NULL);
	check_refused(&scene,
		"it is a character device; only files, folders and links are accepted");
	scene_begin(&scene), scene_put(&scene, scene_entry("dev/sda", AE_IFBLK, 0), NULL);
	check_refused(&scene, "it is a block device; only files, folders and links are accepted");
	scene_begin(&scene), scene_put(&scene, scene_entry("run/pipe", AE_IFIFO, 0), NULL);
	check_refused(&scene, "it is a pipe; only files, folders and links are accepted");
	scene_begin(&scene), scene_soft(&scene, ".", "/");
	check_refused(&scene, "the root is no folder");

	entry = scene_entry("ping", AE_IFREG, 0);
	archive_entry_xattr_add_entry(entry, "security.capability", "cap", 3);
	scene_begin(&scene), scene_put(&scene, entry, NULL);
	check_refused(&scene, "a file capability of 3 bytes makes no sense");

	char *content = memory_new((1 << 20) + 1);
	memset(content, 'x', 1 << 20);
	entry = scene_entry("sparse", AE_IFREG, 1 << 20);
	archive_entry_sparse_add_entry(entry, 4096, 10);
	scene_begin(&scene), scene_put(&scene, entry, content);
	free(content);
	check_refused(&scene, "it is stored as a sparse file");

	entry = scene_entry("owner", AE_IFREG, 0);
	archive_entry_set_uid(entry, INT64_C(1) << 40);
	scene_begin(&scene), scene_put(&scene, entry, NULL);
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
	scene_begin(&scene), scene_file(&scene, longer, "");
	CHECK(!scene_finish(&scene, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	scene_begin(&scene), scene_file(&scene, "latin-\xe4", "");
	CHECK(!scene_finish(&scene, &spool, &tree, &err));
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
		scene_begin(&scene), scene_file(&scene, "one.text", "four"),
			scene_file(&scene, "two.text", "four");
		CHECK(!scene_finish(&scene, &spool, &tree, &err));
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
	archive_write_open(gzip, &bytes, NULL, scene_keep, NULL);
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
	CHECK(!scene_read(buf_str(&bytes), &spool, &tree, &err));
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

	scene_begin(&scene), scene_file(&scene, "a", "content");
	archive_write_close(scene.archive);
	archive_write_free(scene.archive);
	CHECK_OK(foreign_spool_open(&spool, &err));
	/* The header says 7 bytes; in the header, in the content. */
	for (size_t size = 100; size < 519; size += 416) {
		CHECK(!scene_read((struct str){scene.bytes.data, size}, &spool, &tree, &err));
		CHECK_INT(err.kind, ERROR_INVALID);
		error_free(&err);
	}
	CHECK(!scene_read(str_of("this is no archive at all, only some text that somebody wrote"),
		&spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	CHECK(!scene_read((struct str){0}, &spool, &tree, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	error_free(&err);
	foreign_spool_close(&spool);
	buf_free(&scene.bytes);
}

TEST_MAIN()
