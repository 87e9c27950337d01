#include "tests/test.h"

#include "base/memory.h"
#include "tests/unit/builders/image/archive_scene.h"

TEST(merged_layers_look_as_if_laid_one_over_the_other)
{
	struct foreign_spool spool = {0};
	struct foreign_tree lower = {0}, upper = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	scene_begin(&scene);
	scene_folder(&scene, "gone");
	scene_file(&scene, "gone/deep", "1");
	scene_file(&scene, "gone-not", "2");
	scene_folder(&scene, "opaque");
	scene_file(&scene, "opaque/old", "3");
	scene_folder(&scene, "was-folder");
	scene_file(&scene, "was-folder/below", "4");
	scene_soft(&scene, "was-link", "kept");
	scene_file(&scene, "kept", "5");
	scene_file(&scene, "pair/a", "6");
	scene_hard(&scene, "pair/b", "pair/a");
	scene_file(&scene, ".wh.nothing", "");
	CHECK_OK(scene_finish(&scene, &spool, &lower, &err));
	scene_begin(&scene);
	scene_file(&scene, ".wh.gone", "");
	scene_file(&scene, "opaque/.wh..wh..opq", "");
	scene_file(&scene, "opaque/new", "7");
	scene_file(&scene, "was-folder", "8");
	scene_folder(&scene, "was-link");
	scene_file(&scene, "was-link/in", "9");
	scene_file(&scene, "pair/.wh.a", "");
	scene_file(&scene, "pair/c", "10");
	CHECK_OK(scene_finish(&scene, &spool, &upper, &err));
	CHECK_OK(foreign_tree_merge(&lower, &upper, &err));
	scoped(text_free) char *text = scene_list(&lower, &spool);
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
	scene_begin(&scene);
	scene_file(&scene, "a/x", "old");
	scene_file(&scene, "a/y", "old");
	CHECK_OK(scene_finish(&scene, &spool, &lower, &err));
	scene_begin(&scene);
	scene_file(&scene, "a/x", "new");
	scene_file(&scene, ".wh.a", "");
	CHECK_OK(scene_finish(&scene, &spool, &upper, &err));
	CHECK_OK(foreign_tree_merge(&lower, &upper, &err));
	scoped(text_free) char *text = scene_list(&lower, &spool);
	CHECK_TEXT(text, "640 7:8 3 a/x=new\n");
}

TEST(a_merge_that_would_write_through_a_link_is_refused)
{
	struct foreign_spool spool = {0};
	struct foreign_tree lower = {0}, upper = {0};
	struct scene scene = {0};
	struct error err = {0};

	CHECK_OK(foreign_spool_open(&spool, &err));
	scene_begin(&scene), scene_soft(&scene, "lib", "usr/lib");
	CHECK_OK(scene_finish(&scene, &spool, &lower, &err));
	scene_begin(&scene), scene_file(&scene, "lib/x", "");
	CHECK_OK(scene_finish(&scene, &spool, &upper, &err));
	CHECK(!foreign_tree_merge(&lower, &upper, &err));
	CHECK_TEXT(err.message, "\"lib/x\" lies below \"lib\", which is a link");
	error_free(&err);
	foreign_tree_free(&lower);
	foreign_tree_free(&upper);
	foreign_spool_close(&spool);
}

TEST_MAIN()
