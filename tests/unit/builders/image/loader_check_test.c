#include "tests/test.h"

#include "builders/image/loader_check.h"
#include "builders/image/loader_list.h"
#include "builders/image/loader_root.h"
#include "tests/unit/builders/image/closure_place.h"

/* Lines as glibc 2.36's `ld.so --list` and musl 1.2.3's print them. */
TEST(lines_of_both_loaders_are_read)
{
	static const struct {
		const char *line, *name, *path;
	} cases[] = {
		{"\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f0b1c3a0000)", "libz.so.1",
			"/lib/x86_64-linux-gnu/libz.so.1"},
		{"\t/lib64/ld-linux-x86-64.so.2 (0x00007f0b1c5e0000)", "",
			"/lib64/ld-linux-x86-64.so.2"},
		{"\tlibgone.so.7 => not found", "libgone.so.7", ""},
		{"\tlibc.so => /lib/ld-musl-x86_64.so.1 (0x7f0b1c5e0000)", "libc.so",
			"/lib/ld-musl-x86_64.so.1"},
		{"\tlibx.so => /opt/a b/libx.so (0x00007f0b1c3a0000)", "libx.so",
			"/opt/a b/libx.so"},
	};
	static const char *const others[] = {"", "\tlinux-vdso.so.1 (0x00007ffd5a5f2000)",
		"\tstatically linked", "/app/x: error while loading shared libraries: y", "/x )"};
	struct loader_line line;

	for (size_t i = 0; i < countof(cases); i++) {
		REQUIRE(loader_line_parse(str_of(cases[i].line), &line));
		CHECK(str_equal_text(line.name, cases[i].name));
		CHECK(str_equal_text(line.path, cases[i].path));
	}
	for (size_t i = 0; i < countof(others); i++)
		CHECK(!loader_line_parse(str_of(others[i]), &line));
}

/* rooms needs liba, which needs libb; liba opens libc by name. */
static bool set_up(struct place *place, struct error *err)
{
	scoped(text_free) char *a = put(place, "usr/lib/liba.so",
		&(struct elf_recipe){.needed = {"libb.so"},
			.dlopen_notes = {"[{\"soname\":[\"libc.so\"]}]"}});
	scoped(text_free) char *b = put(place, "usr/lib/libb.so", &(struct elf_recipe){0});
	scoped(text_free) char *c = put(place, "usr/lib/libc.so", &(struct elf_recipe){0});
	scoped(text_free) char *loader = put(place, "ld.so", &(struct elf_recipe){0});
	scoped(text_free) char *rooms = put(place, "build/rooms",
		&(struct elf_recipe){.interpreter = loader, .needed = {"liba.so"}});

	return closure_add(place->closure, rooms, "/app/rooms", err) &&
	       tree_add_file(&place->tree, "/app/rooms", rooms, LAYER_PROGRAM, "test", err);
}

static bool compare(struct place *place, const char *list, struct error *err)
{
	return loader_list_compare(place->closure, &place->tree, 0, false, str_of(list), err);
}

TEST(a_list_agrees_when_it_has_the_same_files)
{
	scoped(close_place) struct place place = {0};
	scoped(text_free) char *list = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	REQUIRE_OK(set_up(&place, &err));
	/* What is opened by name is not loaded at the start. */
	list = memory_format("\tlinux-vdso.so.1 (0x1)\n\tliba.so => %s/liba.so (0x1)\n"
			     "\tlibb.so => %s/libb.so (0x1)\n\t%s/ld.so (0x1)\n",
		place.lib, place.lib, place.root);
	CHECK_OK(compare(&place, list, &err));
}

TEST(every_difference_is_named)
{
	scoped(close_place) struct place place = {0};
	scoped(text_free) char *list = NULL;
	struct error err = {0};

	REQUIRE(open_place(&place));
	REQUIRE_OK(set_up(&place, &err));
	list = memory_format("\tliba.so => %s/liba.so (0x1)\n\tlibb.so => /other/libb.so (0x1)\n"
			     "\tlibd.so => not found\n",
		place.lib);
	CHECK(!compare(&place, list, &err));
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK_CONTAINS(err.message, "in the image, rooms would not be loaded with the libraries");
	CHECK_CONTAINS(err.message, "libb.so is loaded from /other/libb.so");
	CHECK_CONTAINS(err.message, "libd.so is not found by the loader");
	CHECK_CONTAINS(err.message, "libb.so is not loaded from ");
	error_free(&err);
}

TEST(the_key_changes_with_what_the_loader_looks_at_and_not_with_code)
{
	struct digest first = {0};

	for (int kind = 0; kind < 3; kind++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		scoped(text_free) char *own = put(&place, "build/libown.so",
			&(struct elf_recipe){.tail = kind == 1 ? "other code" : ""});
		scoped(text_free) char *rooms = put(&place, "build/rooms",
			&(struct elf_recipe){.needed = {"libown.so"},
				.runpath = kind == 2 ? "$ORIGIN:/opt" : "$ORIGIN"});
		REQUIRE_OK(closure_add(place.closure, rooms, "/app/rooms", &err));
		REQUIRE_OK(tree_add_file(&place.tree, "/app/rooms", rooms, LAYER_PROGRAM, "test",
			&err));
		struct loader_root seen = loader_root_of(place.closure, &place.tree);
		CHECK_INT(seen.bind_count, 2);
		if (kind == 0)
			first = seen.key;
		CHECK(digest_equal(&seen.key, &first) == (kind < 2));
		loader_root_free(&seen);
	}
}

/* Where a link of the image leads decides which file the loader maps. */
TEST(the_key_changes_with_where_a_link_leads)
{
	static const char *const targets[] = {"liba.so.1", "liba.so.2"};
	struct digest keys[2];

	for (size_t i = 0; i < countof(targets); i++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		scoped(text_free) char *rooms = put(&place, "build/rooms", &(struct elf_recipe){0});
		REQUIRE_OK(closure_add(place.closure, rooms, "/app/rooms", &err));
		REQUIRE_OK(tree_add_link(&place.tree, "/app/liba.so", targets[i], LAYER_PROGRAM,
			"test", &err));
		struct loader_root seen = loader_root_of(place.closure, &place.tree);
		keys[i] = seen.key;
		loader_root_free(&seen);
	}
	CHECK(!digest_equal(&keys[0], &keys[1]));
}

TEST(programs_of_another_machine_are_not_run)
{
	scoped(close_place) struct place place = {0};
	scoped(text_free) char *note = NULL, *loader = NULL, *rooms = NULL;
	enum loader_check_result result;
	struct error err = {0};
	const char *other = text_equal(elf_native_architecture(), "s390x") ? "riscv64" : "s390x";
	const bool big = text_equal(other, "s390x");
	const int machine = big ? EM_S390 : EM_RISCV;

	REQUIRE(open_place_with(&place, &(struct closure_options){.architecture = other}));
	loader = put(&place, "ld.so", &(struct elf_recipe){.machine = machine, .big_endian = big});
	rooms = put(&place, "build/rooms",
		&(struct elf_recipe){.machine = machine, .big_endian = big, .interpreter = loader});
	REQUIRE_OK(closure_add(place.closure, rooms, "/app/rooms", &err));
	struct loader_check *check = loader_check_start(place.closure, &place.tree, other, NULL);
	CHECK_OK(loader_check_finish(check, &result, &note, &err));
	CHECK_INT(result, LOADER_CHECK_SKIPPED);
	CHECK_CONTAINS(note, "this machine runs linux/");
	loader_check_free(&check);
}

TEST(a_static_program_has_nothing_to_list)
{
	scoped(close_place) struct place place = {0};
	scoped(text_free) char *note = NULL, *rooms = NULL;
	enum loader_check_result result;
	struct error err = {0};

	REQUIRE(open_place(&place));
	rooms = put(&place, "build/rooms", &(struct elf_recipe){.type = ET_EXEC});
	REQUIRE_OK(closure_add(place.closure, rooms, "/app/rooms", &err));
	struct loader_check *check = loader_check_start(place.closure, &place.tree, "amd64", NULL);
	CHECK_OK(loader_check_finish(check, &result, &note, &err));
	CHECK_INT(result, LOADER_CHECK_NOTHING);
	CHECK(note == NULL);
	loader_check_free(&check);
}

TEST_MAIN()
