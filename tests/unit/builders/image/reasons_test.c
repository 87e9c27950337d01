#include "tests/test.h"

#include "builders/image/reasons.h"
#include "tests/unit/builders/image/closure_place.h"

#include <unistd.h>

/* rooms needs liba.so.1, a link to liba.so.1.2, which needs libb.so. */
static bool write_list(struct place *place, struct buf *out, struct error *err)
{
	scoped(text_free) char *a = put(place, "usr/lib/liba.so.1.2",
		&(struct elf_recipe){.soname = "liba.so.1", .needed = {"libb.so"}});
	scoped(text_free) char *b = put(place, "usr/lib/libb.so", &(struct elf_recipe){0});
	scoped(text_free) char *link = path_join(place->lib, "liba.so.1");
	scoped(text_free) char *rooms =
		put(place, "build/rooms", &(struct elf_recipe){.needed = {"liba.so.1"}});

	if (symlink("liba.so.1.2", link) != 0 ||
		!closure_add(place->closure, rooms, "/app/rooms", err) ||
		!tree_add_file(&place->tree, "/app/rooms", rooms, LAYER_PROGRAM,
			"it is the program", err) ||
		!tree_add_link(&place->tree, "/second", place->lib, LAYER_BASE, "a second name",
			err))
		return false;
	reasons_write(&place->tree, place->closure, out);
	return true;
}

TEST(the_way_from_a_file_to_the_program_is_told)
{
	scoped(close_place) struct place place = {0};
	scoped(buf_free) struct buf list = {0};
	scoped(reasons_free) struct reasons reasons = {0};
	struct error err = {0};

	REQUIRE(open_place(&place));
	REQUIRE_OK(write_list(&place, &list, &err));
	REQUIRE_OK(reasons_parse(buf_str(&list), "list", &reasons, &err));
	scoped(text_free) char *b = path_join(place.lib, "libb.so");
	const char *const names[] = {"libb.so", b, "/second/libb.so"};
	for (size_t i = 0; i < countof(names); i++) {
		size_t *steps = NULL, count = 0;
		REQUIRE_OK(reasons_find(&reasons, names[i], &steps, &count, &err));
		REQUIRE(count == 3);
		CHECK_TEXT(reasons.items[steps[0]].path, b);
		CHECK_TEXT(reasons.items[steps[0]].why, "liba.so.1 needs it");
		CHECK_TEXT(reasons.items[steps[0]].layer, "libraries");
		CHECK(text_ends_with(reasons.items[steps[1]].path, "/liba.so.1.2"));
		CHECK_TEXT(reasons.items[steps[1]].why, "rooms needs it");
		CHECK_TEXT(reasons.items[steps[2]].path, "/app/rooms");
		CHECK_TEXT(reasons.items[steps[2]].why, "it is the program");
		free(steps);
	}
}

TEST(a_link_leads_to_its_file)
{
	scoped(close_place) struct place place = {0};
	scoped(buf_free) struct buf list = {0};
	scoped(reasons_free) struct reasons reasons = {0};
	struct error err = {0};
	size_t *steps = NULL, count = 0;

	REQUIRE(open_place(&place));
	REQUIRE_OK(write_list(&place, &list, &err));
	REQUIRE_OK(reasons_parse(buf_str(&list), "list", &reasons, &err));
	REQUIRE_OK(reasons_find(&reasons, "liba.so.1", &steps, &count, &err));
	REQUIRE(count == 3);
	CHECK_TEXT(reasons.items[steps[0]].target, "liba.so.1.2");
	CHECK(text_ends_with(reasons.items[steps[1]].path, "/liba.so.1.2"));
	CHECK_TEXT(reasons.items[steps[2]].path, "/app/rooms");
	free(steps);
}

TEST(what_is_not_there_is_said_with_what_is_near)
{
	scoped(close_place) struct place place = {0};
	scoped(buf_free) struct buf list = {0};
	scoped(reasons_free) struct reasons reasons = {0};
	struct error err = {0};
	size_t *steps, count;

	REQUIRE(open_place(&place));
	REQUIRE_OK(write_list(&place, &list, &err));
	REQUIRE_OK(reasons_parse(buf_str(&list), "list", &reasons, &err));
	CHECK(!reasons_find(&reasons, "libc.so", &steps, &count, &err));
	CHECK_INT(err.kind, ERROR_NOT_FOUND);
	CHECK_TEXT(err.next, "is it libb.so?");
	error_free(&err);
	CHECK(!reasons_find(&reasons, "/app", &steps, &count, &err));
	CHECK_CONTAINS(err.message, "\"/app\" is a folder that 1 files of the image lie in");
	error_free(&err);
}

TEST(what_is_no_list_is_refused)
{
	static const char *const texts[] = {"", "[]", "{}", "{\"version\":2,\"files\":[]}",
		"{\"version\":1}", "{\"version\":1,\"files\":[{}]}",
		"{\"version\":1,\"files\":[{\"path\":\"usr\"}]}",
		"{\"version\":1,\"files\":[{\"path\":\"/../x\",\"target\":\"y\"}]}"};

	for (size_t i = 0; i < countof(texts); i++) {
		scoped(reasons_free) struct reasons reasons = {0};
		struct error err = {0};
		CHECK_FAILS(reasons_parse(str_of(texts[i]), "list", &reasons, &err), ERROR_INVALID);
	}
}

TEST(causes_and_links_in_a_circle_end)
{
	scoped(reasons_free) struct reasons reasons = {0};
	struct error err = {0};
	size_t *steps = NULL, count = 0;

	REQUIRE_OK(reasons_parse(str_of("{\"version\":1,\"files\":[{\"path\":\"/a\",\"by\":\"/b\"},"
					"{\"path\":\"/b\",\"by\":\"/a\"},{\"path\":\"/"
					"l\",\"target\":\"l\"}]}"),
		"list", &reasons, &err));
	REQUIRE_OK(reasons_find(&reasons, "/a", &steps, &count, &err));
	CHECK(count < 100);
	free(steps);
	REQUIRE_OK(reasons_find(&reasons, "/l", &steps, &count, &err));
	CHECK_INT(count, 1);
	free(steps);
}

TEST_MAIN()
