#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/closure.h"
#include "builders/image/library_search.h"
#include "builders/image/loader_cache.h"
#include "tests/unit/builders/image/elf_maker.h"

#include <unistd.h>

/* A folder of our own with libraries in it, and a closure that looks nowhere else. */
struct place {
	char *root; /* owned */
	char *lib;  /* owned: the only default folder */
	const char *folders[2];
	struct tree tree;
	struct strings warnings;
	struct closure *closure;
};

static bool open_place(struct place *place)
{
	struct error err = {0};

	if (!folder_make_temporary(NULL, "closure-", &place->root, &err))
		return false;
	place->lib = path_join(place->root, "usr/lib");
	place->folders[0] = place->lib;
	bool ok = folder_make(place->lib, 0755, &err);
	error_free(&err);
	place->closure = closure_new(&(struct closure_options){.architecture = "amd64",
					     .loader_cache = "/nonexistent/ld.so.cache",
					     .folders = place->folders,
					     .certificates = "/nonexistent/ca.crt"},
		&place->tree, &place->warnings);
	return ok;
}

static void close_place(struct place *place)
{
	struct error err = {0};

	closure_free(&place->closure);
	tree_free(&place->tree);
	strings_free(&place->warnings);
	if (place->root && !folder_remove(place->root, &err))
		error_free(&err);
	text_free(&place->root);
	text_free(&place->lib);
}

/* Writes an ELF file below the place's root and gives its path, owned. */
static char *put(struct place *place, const char *name, const struct elf_recipe *recipe)
{
	scoped(buf_free) struct buf file = {0};
	char *path = path_join(place->root, name);
	scoped(text_free) char *folder = path_parent(path);
	struct error err = {0};

	elf_make(recipe, &file);
	if (!folder_make(folder, 0755, &err) ||
		!file_write(path, buf_str(&file), 0755, false, &err))
		error_free(&err);
	return path;
}

static bool holds(const struct place *place, const char *folder, const char *name)
{
	scoped(text_free) char *path = memory_format("%s/%s", folder, name);

	return tree_find(&place->tree, path + (path[0] == '/')) != NULL;
}

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
	scoped(text_free) char *libc =
		put(&place, "usr/lib/libc.so.6", &(struct elf_recipe){.soname = "libc.so.6"});
	scoped(text_free) char *gcc = put(&place, "usr/lib/libgcc_s.so.1",
		&(struct elf_recipe){.soname = "libgcc_s.so.1"});
	scoped(text_free) char *tls =
		put(&place, "usr/lib/libssl.so.3", &(struct elf_recipe){.soname = "libssl.so.3"});
	scoped(text_free) char *program = put(&place, "build/rooms",
		&(struct elf_recipe){.needed = {"libssl.so.3", "libc.so.6"}});
	REQUIRE_OK(closure_add(place.closure, program, "/app/rooms", &err));
	CHECK(holds(&place, place.lib, "libgcc_s.so.1"));
	CHECK(closure_has(place.closure, "libssl.so"));
	REQUIRE(place.warnings.count == 1);
	CHECK_CONTAINS(place.warnings.items[0], "ca-certificates");
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

static void put_number(struct buf *out, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		buf_append_char(out, (char)(value >> 8 * i));
}

/* glibc-ld.so.cache1.1: header of 48 bytes, entries of 24, strings. */
static void make_cache(struct buf *out)
{
	static const char texts[] = "libz.so.1\0/opt/fast/libz.so.1\0/usr/lib/libz.so.1";
	uint32_t at = 48 + 2 * 24;

	buf_append_text(out, "glibc-ld.so.cache1.1");
	put_number(out, 2, 4);
	put_number(out, sizeof(texts), 4);
	while (out->size < 48)
		buf_append_char(out, 0);
	for (int i = 0; i < 2; i++) {
		put_number(out, 0x0303, 4);
		put_number(out, at, 4);
		put_number(out, at + (i ? 30 : 10), 4);
		put_number(out, 0, 4);
		put_number(out, i ? 0 : (uint64_t)1 << 62, 8); /* the first needs hwcaps */
	}
	buf_append(out, texts, sizeof(texts));
}

static bool remember(void *context, struct str path)
{
	struct strings *list = context;

	strings_add_owned(list, str_copy(path));
	return false;
}

TEST(the_loader_cache_gives_the_file_that_runs_on_any_processor)
{
	scoped(buf_free) struct buf cache = {0};
	scoped(strings_free) struct strings found = {0};

	make_cache(&cache);
	CHECK(!loader_cache_find(buf_str(&cache), str_of("libz.so.1"), remember, &found));
	REQUIRE(found.count == 1);
	CHECK_TEXT(found.items[0], "/usr/lib/libz.so.1");
	for (size_t size = 0; size < cache.size; size++) {
		scoped(strings_free) struct strings none = {0};
		char *cut = memory_copy(cache.data, size);
		CHECK(!loader_cache_find((struct str){cut, size}, str_of("libz.so.1"), remember,
			&none));
		free(cut);
	}
}

TEST_MAIN()
