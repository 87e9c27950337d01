#include "tests/test.h"

#include "builders/image/loader_folders.h"
#include "tests/unit/builders/image/closure_place.h"

#include <fcntl.h>
#include <unistd.h>

TEST(libraries_come_along_breadth_first_and_once)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *a = put(&place, "usr/lib/liba.so.1",
		&(struct elf_recipe){.soname = "liba.so.1", .needed = {"libb.so.1"}});
	scoped(text_free) char *b = put(&place, "usr/lib/libb.so.1",
		&(struct elf_recipe){.soname = "libb.so.1", .needed = {"liba.so.1"}});
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"liba.so.1", "libb.so.1"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	CHECK(holds(&place, place.lib, "liba.so.1"));
	CHECK(holds(&place, place.lib, "libb.so.1"));
	CHECK_INT(place.tree.count, 2);
	CHECK_TEXT(place.tree.entries[0].why, "rooms needs it");
	CHECK(place.tree.entries[0].layer == LAYER_LIBRARIES);
}

TEST(a_missing_library_names_who_needs_it_where_we_searched_and_its_package)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *a = put(&place, "usr/lib/liba.so.1",
		&(struct elf_recipe){.soname = "liba.so.1", .needed = {"libgone.so.7"}});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "libgone.so.7, needed by liba.so.1, was not found; searched");
	CHECK_CONTAINS(err.message, place.lib);
	REQUIRE(err.context_count > 0);
	CHECK_CONTAINS(err.contexts[0], "liba.so.1, needed by rooms");
	CHECK_CONTAINS(err.next, "libgone7");
	error_free(&err);
}

TEST(a_library_for_another_machine_is_passed_over_and_said)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *a = put(&place, "usr/lib/liba.so.1",
		&(struct elf_recipe){.machine = EM_AARCH64, .soname = "liba.so.1"});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "made for another machine");
	error_free(&err);
}

TEST(a_program_for_another_machine_is_refused)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.machine = EM_AARCH64, .type = ET_EXEC});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_CONTAINS(err.message, "made for AArch64 (64-bit), the image is for linux/amd64");
	CHECK_CONTAINS(err.next, "--platform linux/arm64");
	error_free(&err);
}

TEST(origin_means_the_programs_folder_here_and_in_the_image)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *own = put(&place, "build/lib/libown.so", &(struct elf_recipe){0});
	scoped(text_free) char *program = put(&place, "build/bin/rooms",
		&(struct elf_recipe){.needed = {"libown.so"}, .runpath = "${ORIGIN}/../lib"});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	/* "/app/../lib" */
	REQUIRE(place.tree.count == 1);
	CHECK_TEXT(place.tree.entries[0].path, "lib/libown.so");
}

TEST(rpath_is_inherited_runpath_is_not)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *a = put(&place, "opt/liba.so",
		&(struct elf_recipe){.soname = "liba.so", .needed = {"libb.so"}});
	scoped(text_free) char *b =
		put(&place, "opt/libb.so", &(struct elf_recipe){.soname = "libb.so"});
	scoped(text_free) char *opt = path_join(place.root, "opt");
	scoped(text_free) char *with_rpath = put(&place, "build/rpath",
		&(struct elf_recipe){.needed = {"liba.so"}, .rpath = opt});
	scoped(text_free) char *with_runpath = put(&place, "build/runpath",
		&(struct elf_recipe){.needed = {"liba.so"}, .runpath = opt});

	CHECK_OK(closure_add(place.closure, with_rpath, "/app/rpath", &err));
	CHECK_INT(place.tree.count, 2);

	scoped(close_place) struct place other = {0};
	REQUIRE(open_place(&other));
	CHECK(!closure_add(other.closure, with_runpath, "/app/runpath", &err));
	CHECK_CONTAINS(err.message, "libb.so, needed by liba.so");
	error_free(&err);
}

/* gABI, DT_RUNPATH: who has one, has no DT_RPATH, for itself and for those below it. */
TEST(rpath_beside_runpath_does_not_count)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *a =
		put(&place, "one/liba.so", &(struct elf_recipe){.needed = {"libb.so"}});
	scoped(text_free) char *b = put(&place, "two/libb.so", &(struct elf_recipe){0});
	scoped(text_free) char *one = path_join(place.root, "one");
	scoped(text_free) char *two = path_join(place.root, "two");
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"liba.so"}, .rpath = two, .runpath = one});

	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_CONTAINS(err.message, "libb.so, needed by liba.so, was not found");
	error_free(&err);
}

/* The working folder of a build is none that the image has. */
TEST(relative_paths_do_not_count)
{
	static const char *const paths[] = {"own", "./own", ":own:"};
	scoped(descriptor_close) int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < countof(paths); i++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		scoped(text_free) char *own = put(&place, "own/libown.so", &(struct elf_recipe){0});
		scoped(text_free) char *program = put(&place, "build/rooms",
			&(struct elf_recipe){.needed = {"libown.so"}, .runpath = paths[i]});
		REQUIRE(chdir(place.root) == 0);
		CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
		CHECK_CONTAINS(err.message, "libown.so, needed by rooms, was not found");
		error_free(&err);
		REQUIRE(fchdir(before) == 0);
	}
}

/* gABI, DT_FILTER: the loader maps it, and the program does not start without. */
TEST(a_filter_brings_the_library_that_it_stands_for)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *real = put(&place, "usr/lib/libreal.so", &(struct elf_recipe){0});
	scoped(text_free) char *filter =
		put(&place, "usr/lib/libfilter.so", &(struct elf_recipe){.filter = "libreal.so"});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"libfilter.so"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	CHECK(holds(&place, place.lib, "libreal.so"));
}

TEST(a_library_that_is_a_link_keeps_its_link)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *real =
		put(&place, "usr/lib/liba.so.1.2.3", &(struct elf_recipe){.soname = "liba.so.1"});
	scoped(text_free) char *link = path_join(place.lib, "liba.so.1");
	REQUIRE(symlink("liba.so.1.2.3", link) == 0);
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	const struct tree_entry *entry = tree_find(&place.tree, link + 1);
	REQUIRE(entry != NULL);
	CHECK_TEXT(entry->target, "liba.so.1.2.3");
	CHECK(holds(&place, place.lib, "liba.so.1.2.3"));
}

TEST(a_loader_that_is_not_here_is_named)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.interpreter = "/nonexistent/ld.so.9",
			.needed = {"libc.so.6"}});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_CONTAINS(err.message, "the loader \"/nonexistent/ld.so.9\", which rooms asks for");
	error_free(&err);
}

TEST(libc_brings_libgcc_and_tls_brings_certificates_or_a_warning)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *libc = put(&place, "usr/lib/libc.so.6",
		&(struct elf_recipe){.soname = "libc.so.6",
			.versions = {"libc.so.6", "GLIBC_2.34"}});
	scoped(text_free) char *gcc = put(&place, "usr/lib/libgcc_s.so.1",
		&(struct elf_recipe){.soname = "libgcc_s.so.1"});
	scoped(text_free) char *tls =
		put(&place, "usr/lib/libssl.so.3", &(struct elf_recipe){.soname = "libssl.so.3"});
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"libssl.so.3", "libc.so.6"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	REQUIRE_OK(closure_finish(place.closure, &err));
	CHECK(holds(&place, place.lib, "libgcc_s.so.1"));
	CHECK(closure_has(place.closure, "libssl.so"));
	REQUIRE(place.warnings.count == 1);
	CHECK_CONTAINS(place.warnings.items[0], "ca-certificates");
}

TEST(who_speaks_tls_gets_the_certificate_authorities)
{
	static const char *const libraries[] = {"libssl.so.3", "libgnutls.so.30"};

	for (size_t i = 0; i < countof(libraries); i++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place(&place));
		scoped(text_free) char *bundle = put(&place, "ca.crt", &(struct elf_recipe){0});
		scoped(text_free) char *name = memory_format("usr/lib/%s", libraries[i]);
		scoped(text_free) char *tls = put(&place, name, &(struct elf_recipe){0});
		scoped(text_free) char *program =
			put(&place, "build/rooms", &(struct elf_recipe){.needed = {libraries[i]}});
		place.options.certificates = bundle;
		closure_free(&place.closure);
		place.closure = closure_new(&place.options, &place.tree, &place.warnings);
		REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
		REQUIRE_OK(closure_finish(place.closure, &err));
		CHECK(tree_find(&place.tree, "etc/ssl/certs/ca-certificates.crt") != NULL);
	}
}

TEST(each_program_finds_its_libraries_for_itself)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *one = put(&place, "one/libx.so", &(struct elf_recipe){0});
	scoped(text_free) char *other = put(&place, "other/libx.so", &(struct elf_recipe){0});
	scoped(text_free) char *first = put(&place, "one/first",
		&(struct elf_recipe){.type = ET_EXEC, .needed = {"libx.so"}, .runpath = "$ORIGIN"});
	scoped(text_free) char *second = put(&place, "other/second",
		&(struct elf_recipe){.interpreter = "/nonexistent/ld.so",
			.needed = {"libx.so"},
			.runpath = "$ORIGIN"});
	scoped(text_free) char *loader = put(&place, "ld.so", &(struct elf_recipe){0});
	scoped(text_free) char *third = put(&place, "other/third",
		&(struct elf_recipe){.interpreter = loader,
			.needed = {"libx.so"},
			.runpath = "$ORIGIN"});
	REQUIRE_OK(closure_add(place.closure, first, "/one/first", &err));
	/* A program that fails leaves nothing behind. */
	CHECK_FAILS(closure_add(place.closure, second, "/other/second", &err), ERROR_NOT_FOUND);
	CHECK(tree_find(&place.tree, "other/libx.so") == NULL);
	REQUIRE_OK(closure_add(place.closure, third, "/other/third", &err));
	CHECK(tree_find(&place.tree, "one/libx.so") != NULL);
	CHECK(tree_find(&place.tree, "other/libx.so") != NULL);
}

TEST(a_plug_in_finds_what_the_program_has_loaded)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *library = put(&place, "opt/libx.so", &(struct elf_recipe){0});
	scoped(text_free) char *opt = path_join(place.root, "opt");
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"libx.so"}, .runpath = opt});
	scoped(text_free) char *plug_in =
		put(&place, "build/plug.so", &(struct elf_recipe){.needed = {"libx.so"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_OK(closure_add(place.closure, plug_in, "/app/plug.so", &err));
	CHECK_INT(place.tree.count, 1);
}

TEST(a_folders_programs_and_plug_ins_bring_their_libraries)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *library = put(&place, "usr/lib/libx.so", &(struct elf_recipe){0});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.type = ET_EXEC});
	scoped(text_free) char *good =
		put(&place, "plugs/deep/good.so.1", &(struct elf_recipe){.needed = {"libx.so"}});
	scoped(text_free) char *bad =
		put(&place, "plugs/bad.so", &(struct elf_recipe){.needed = {"libgone.so"}});
	scoped(text_free) char *foreign =
		put(&place, "plugs/foreign.so", &(struct elf_recipe){.machine = EM_AARCH64});
	scoped(text_free) char *plugs = path_join(place.root, "plugs");
	scoped(text_free) char *text = path_join(plugs, "notes.so");
	REQUIRE_OK(file_write(text, str_of("no ELF file"), 0644, false, &err));
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	REQUIRE_OK(closure_add_folder(place.closure, plugs, "/plugs", &err));
	CHECK(holds(&place, place.lib, "libx.so"));
	CHECK_INT(place.warnings.count, 2);
	CHECK(warns(&place, "/plugs/bad.so cannot be used in the image: the library libgone.so"));
	CHECK(warns(&place, "/plugs/foreign.so cannot be used in the image"));
}

TEST(nodeflib_means_no_default_folder)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *library = put(&place, "usr/lib/liba.so", &(struct elf_recipe){0});
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"liba.so"}, .flags_1 = DF_1_NODEFLIB});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_CONTAINS(err.message, "DF_1_NODEFLIB");
	CHECK_CONTAINS(err.next, "-z nodefaultlib");
	error_free(&err);
	scoped(text_free) char *with_path = put(&place, "build/with-path",
		&(struct elf_recipe){.needed = {"liba.so"},
			.runpath = place.lib,
			.flags_1 = DF_1_NODEFLIB});
	CHECK_OK(closure_add(place.closure, with_path, "/app/rooms", &err));
}

/* ld.so(8), "Dynamic string tokens"; without a loader that says otherwise $LIB is "lib". */
TEST(lib_and_platform_are_expanded)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *one = put(&place, "opt/lib/liba.so", &(struct elf_recipe){0});
	scoped(text_free) char *other = put(&place, "opt/x86_64/libb.so", &(struct elf_recipe){0});
	scoped(text_free) char *program = put(&place, "opt/bin/rooms",
		&(struct elf_recipe){.needed = {"liba.so", "libb.so"},
			.runpath = "$ORIGIN/../$LIB:${ORIGIN}/../${PLATFORM}"});
	REQUIRE_OK(closure_add(place.closure, program, "/opt/bin/rooms", &err));
	CHECK(tree_find(&place.tree, "opt/lib/liba.so") != NULL);
	CHECK(tree_find(&place.tree, "opt/x86_64/libb.so") != NULL);
	CHECK(warns(&place, "through $PLATFORM"));
}

/* What Debian's, Fedora's and NixOS' loaders hold (their --list-diagnostics, path.system_dirs). */
TEST(the_loader_itself_tells_its_default_folders)
{
	static const char debian[] = "x\0/etc\0/usr\0~/lib/x86_64-linux-gnu/\0"
				     "/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0/var/tmp";
	static const char fedora[] = "\0/usr/lib\0/usr/lib/\0\1/lib64/\0/usr/lib64/\0:;";
	static const char none[] = "\0/usr/lib/\0/usr/libexec\0";
	scoped(strings_free) struct strings one = {0}, other = {0}, nothing = {0};

	CHECK(loader_folders_read(str_literal(debian), &one));
	REQUIRE(one.count == 4);
	CHECK_TEXT(one.items[0], "/lib/x86_64-linux-gnu");
	CHECK_TEXT(one.items[3], "/usr/lib");
	CHECK(loader_folders_read(str_literal(fedora), &other));
	REQUIRE(other.count == 2);
	CHECK_TEXT(other.items[1], "/usr/lib64");
	CHECK(!loader_folders_read(str_literal(none), &nothing));
	CHECK_INT(nothing.count, 0);
}

TEST(programs_of_32_bits_get_libraries_of_32_bits)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place_with(&place, &(struct closure_options){.architecture = "386"}));
	scoped(text_free) char *wide = put(&place, "opt/liba.so", &(struct elf_recipe){0});
	scoped(text_free) char *narrow = put(&place, "usr/lib/liba.so",
		&(struct elf_recipe){.is_32 = true, .machine = EM_386});
	scoped(text_free) char *opt = path_join(place.root, "opt");
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.is_32 = true,
			.machine = EM_386,
			.needed = {"liba.so"},
			.runpath = opt});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	CHECK(holds(&place, place.lib, "liba.so"));
	CHECK(!holds(&place, opt, "liba.so"));
}

TEST(the_library_for_any_processor_is_taken_and_levels_by_request)
{
	static char v3[] = "x86-64-v3";
	static char *levels[] = {v3, NULL};
	const struct strings hwcaps = {levels, 1};

	for (int requested = 0; requested < 2; requested++) {
		scoped(close_place) struct place place = {0};
		struct error err = {0};

		REQUIRE(open_place_with(&place,
			&(struct closure_options){.hwcaps = requested ? &hwcaps : NULL}));
		scoped(text_free) char *base =
			put(&place, "usr/lib/liba.so.1", &(struct elf_recipe){0});
		scoped(text_free) char *fast =
			put(&place, "usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1",
				&(struct elf_recipe){.needed = {"libfast.so"}});
		scoped(text_free) char *faster = put(&place,
			"usr/lib/glibc-hwcaps/x86-64-v4/liba.so.1", &(struct elf_recipe){0});
		scoped(text_free) char *more =
			put(&place, "usr/lib/libfast.so", &(struct elf_recipe){0});
		scoped(text_free) char *program =
			put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});
		REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
		CHECK(holds(&place, place.lib, "liba.so.1"));
		CHECK(holds(&place, place.lib, "glibc-hwcaps/x86-64-v3/liba.so.1") == requested);
		CHECK(holds(&place, place.lib, "libfast.so") == requested);
		CHECK(!holds(&place, place.lib, "glibc-hwcaps/x86-64-v4/liba.so.1"));
	}
}

TEST(a_library_for_newer_processors_only_is_not_enough)
{
	scoped(close_place) struct place place = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *fast =
		put(&place, "usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1", &(struct elf_recipe){0});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});
	CHECK(!closure_add(place.closure, program, "/app/rooms", &err));
	CHECK_CONTAINS(err.message, "glibc-hwcaps/x86-64-v3/liba.so.1 (for newer processors only)");
	error_free(&err);
}

TEST(packages_are_guessed_as_debian_names_them)
{
	/* Debian policy manual, 8.1, and packages.debian.org */
	static const char *const cases[][2] = {{"libcurl.so.4", "libcurl4"},
		{"libpsl.so.5", "libpsl5"}, {"libldap-2.5.so.0", "libldap-2.5-0"},
		{"libz.so.1", "zlib1g"}, {"libnghttp2.so.14", "libnghttp2-14"}};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(text_free) char *package = library_guess_package(str_of(cases[i][0]));
		CHECK_TEXT(package, cases[i][1]);
	}
	CHECK(library_guess_package(str_of("rooms")) == NULL);
}

TEST_MAIN()
