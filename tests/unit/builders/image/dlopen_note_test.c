#include "tests/test.h"

#include "builders/image/dlopen_note.h"

/* The example of systemd.io/ELF_DLOPEN_METADATA has these members. */
TEST(features_tell_their_libraries_and_how_much_they_matter)
{
	scoped(dlopen_note_free) struct dlopen_note note = {0};
	struct error err = {0};
	const char *text = "[{\"feature\":\"lz4\",\"description\":\"journal compression\","
			   "\"priority\":\"suggested\",\"soname\":[\"liblz4.so.1\"]},"
			   "{\"feature\":\"db\",\"priority\":\"required\","
			   "\"soname\":[\"libdb.so.6\",\"libdb.so.5\"]},"
			   "{\"soname\":[\"libx.so\"],\"later\":true}]";

	REQUIRE_OK(dlopen_note_parse(str_of(text), "rooms", &note, &err));
	REQUIRE(note.count == 3);
	CHECK_TEXT(note.features[0].name, "journal compression");
	CHECK_INT(note.features[0].priority, DLOPEN_SUGGESTED);
	CHECK_TEXT(note.features[1].name, "db");
	CHECK_INT(note.features[1].priority, DLOPEN_REQUIRED);
	REQUIRE(note.features[1].sonames.count == 2);
	CHECK_TEXT(note.features[1].sonames.items[1], "libdb.so.5");
	CHECK_TEXT(note.features[2].name, "");
	CHECK_INT(note.features[2].priority, DLOPEN_RECOMMENDED);
}

TEST(what_makes_no_sense_is_refused)
{
	static const char *const texts[] = {"", "{}", "[1]", "[{}]", "[{\"soname\":[]}]",
		"[{\"soname\":\"liba.so\"}]", "[{\"soname\":[1]}]", "[{\"soname\":[\"\"]}]",
		"[{\"soname\":[\"a\"],\"priority\":\"maybe\"}]", "[{\"soname\":[\"a\"]}"};

	for (size_t i = 0; i < countof(texts); i++) {
		scoped(dlopen_note_free) struct dlopen_note note = {0};
		struct error err = {0};
		CHECK_FAILS(dlopen_note_parse(str_of(texts[i]), "rooms", &note, &err),
			ERROR_INVALID);
	}
}

TEST_MAIN()
