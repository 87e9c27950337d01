#include "tests/test.h"

#include "base/memory.h"
#include "tests/unit/builders/image/archive_scene.h"

TEST(the_order_times_and_names_of_owners_of_the_input_do_not_matter)
{
	struct foreign_spool spool = {0}, other_spool = {0};
	struct foreign_tree tree = {0}, other = {0};
	scoped(buf_free) struct buf first = {0}, second = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	CHECK_OK(foreign_spool_open(&other_spool, &err));
	scene_begin(&scene);
	scene_folder(&scene, "etc/");
	scene_file(&scene, "etc/a", "one");
	scene_file(&scene, "etc-b", "two");
	scene_soft(&scene, "etc/link", "../up/and/../away");
	CHECK_OK(scene_finish(&scene, &spool, &tree, &err));

	scene_now = 2000;
	scene_begin(&scene);
	scene_file(&scene, "./etc-b", "two");
	scene_soft(&scene, "etc//link", "../up/and/../away");
	scene_file(&scene, "./etc/./a", "one");
	scene_folder(&scene, "./");
	scene_folder(&scene, "./etc");
	CHECK_OK(scene_finish(&scene, &other_spool, &other, &err));
	scene_now = 1000;

	scene_pack(&tree, &spool, &first);
	scene_pack(&other, &other_spool, &second);
	CHECK(str_equal(buf_str(&first), buf_str(&second)));
	scoped(text_free) char *text = scene_list(&tree, &spool);
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
	scene_begin(&scene);
	scene_file(&scene, "var/+first", "x");
	scene_file(&scene, "var/.wh.old", "this is no content");
	scene_file(&scene, "var/lib/.wh..wh..opq", "");
	scene_file(&scene, "var/lib/new", "y");
	scene_file(&scene, "var/.wh..wh.plnk", ""); /* a mark of aufs */
	scene_folder(&scene, "var");
	CHECK_OK(scene_finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = scene_list(&tree, &spool);
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
	scene_begin(&scene);
	scene_file(&scene, "bin/perl", "perl");
	scene_hard(&scene, "bin/a", "bin/perl");
	scene_hard(&scene, "bin/z", "./bin/a");
	scene_soft(&scene, "bin/s", "perl");
	scene_hard(&scene, "bin/t", "bin/s");
	CHECK_OK(scene_finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = scene_list(&tree, &spool);
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
	scene_begin(&scene);
	scene_file(&scene, "a", "first");
	scene_soft(&scene, "b", "a");
	scene_file(&scene, "a", "second");
	scene_file(&scene, "b", "third");
	CHECK_OK(scene_finish(&scene, &spool, &tree, &err));
	scoped(text_free) char *text = scene_list(&tree, &spool);
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
		struct archive_entry *entry = scene_entry("ping", AE_IFREG, 0);

		CHECK_OK(foreign_spool_open(&spool, &err));
		archive_entry_xattr_add_entry(entry, "security.capability", i ? three : two,
			i ? 24 : 20);
		archive_entry_xattr_add_entry(entry, i ? "user.mime" : "trusted.overlay.opaque",
			"y", 1);
		scene_begin(&scene);
		scene_put(&scene, entry, NULL);
		CHECK_OK(scene_finish(&scene, &spool, &tree, &err));
		scene_pack(&tree, &spool, &packed[i]);
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

TEST_MAIN()
