#include "tests/test.h"

#include "builders/image/loader_cache.h"
#include "tests/unit/builders/image/closure_place.h"

struct entry {
	const char *name, *path;
	uint64_t hwcap; /* 0: runs on any processor */
};

static void put_number(struct buf *out, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		buf_append_char(out, (char)(value >> 8 * i));
}

/* glibc-ld.so.cache1.1: header of 48 bytes, entries of 24, strings. */
static void make_cache(const struct entry *entries, size_t count, struct buf *out)
{
	size_t at = 48 + count * 24, strings = 0;

	for (size_t i = 0; i < count; i++)
		strings += strlen(entries[i].name) + strlen(entries[i].path) + 2;
	buf_append_text(out, "glibc-ld.so.cache1.1");
	put_number(out, count, 4);
	put_number(out, strings, 4);
	while (out->size < 48)
		buf_append_char(out, 0);
	for (size_t i = 0; i < count; i++) {
		put_number(out, 0x0303, 4); /* libc6, x86-64 */
		put_number(out, at, 4);
		at += strlen(entries[i].name) + 1;
		put_number(out, at, 4);
		at += strlen(entries[i].path) + 1;
		put_number(out, 0, 4);
		put_number(out, entries[i].hwcap, 8);
	}
	for (size_t i = 0; i < count; i++) {
		buf_append(out, entries[i].name, strlen(entries[i].name) + 1);
		buf_append(out, entries[i].path, strlen(entries[i].path) + 1);
	}
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

	make_cache((struct entry[]){{"libz.so.1", "/opt/fast/libz.so.1",
					    .hwcap = (uint64_t)1 << 62},
			   {"libz.so.1", "/usr/lib/libz.so.1"}},
		2, &cache);
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

/* They are in the image already; this machine's may be of another version, also the one that its
 * ld.so.cache names. */
TEST(libraries_of_packages_come_before_this_machines)
{
	scoped(close_place) struct place place = {0};
	scoped(buf_free) struct buf cache = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	scoped(text_free) char *here = put(&place, "usr/lib/liba.so.1",
		&(struct elf_recipe){.soname = "liba.so.1", .needed = {"libgone.so.1"}});
	scoped(text_free) char *root = path_join(place.root, "packages");
	scoped(text_free) char *name = memory_format("packages%s/liba.so.1", place.lib);
	scoped(text_free) char *theirs =
		put(&place, name, &(struct elf_recipe){.soname = "liba.so.1"});
	scoped(text_free) char *program =
		put(&place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});

	make_cache(&(struct entry){"liba.so.1", here}, 1, &cache);
	scoped(text_free) char *cache_path = path_join(place.root, "ld.so.cache");
	REQUIRE_OK(file_write(cache_path, buf_str(&cache), 0644, false, &err));

	place.options.loader_cache = cache_path;
	for (int kind = 0; kind < 2; kind++) {
		place.options.root = kind ? root : NULL;
		closure_free(&place.closure);
		place.closure = closure_new(&place.options, &place.tree, &place.warnings);
		CHECK(closure_add(place.closure, program, "/app/rooms", &err) == (kind == 1));
		error_free(&err);
	}
	CHECK_INT(place.tree.count, 0);
}

TEST_MAIN()
