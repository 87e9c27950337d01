#include "tests/test.h"

#include "base/yaml.h"

/* Parses text into the arena; NULL (and a failed check) when that fails. */
static struct yaml *parse(struct arena *arena, const char *text)
{
	struct error err = {0};
	struct yaml *root = NULL;

	CHECK_OK(yaml_parse(str_of(text), "test.yml", arena, &root, &err));
	error_free(&err);
	return root;
}

static const char *text_at(const struct yaml *mapping, const char *key)
{
	const struct yaml *value = yaml_get(mapping, key);

	return value && value->kind == YAML_SCALAR ? value->text.data : NULL;
}

TEST(values_keep_their_spelling_and_place)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "app: booking\n"
						"services:\n"
						"  rooms:\n"
						"    port: 8080\n"
						"    version: 1.10\n"
						"    quoted: \"8080\"\n");
	const struct yaml *rooms = yaml_get(yaml_get(root, "services"), "rooms");

	REQUIRE(rooms);
	CHECK_TEXT(text_at(root, "app"), "booking");
	CHECK_TEXT(text_at(rooms, "version"), "1.10");
	CHECK(yaml_get(rooms, "port")->plain);
	CHECK(!yaml_get(rooms, "quoted")->plain);
	CHECK_INT(yaml_get(rooms, "port")->line, 4);
	CHECK_INT(yaml_get(rooms, "port")->column, 11);
	CHECK_INT(yaml_get_pair(rooms, "port")->line, 4);
	CHECK_INT(yaml_get_pair(rooms, "port")->column, 5);
	CHECK(!yaml_get(rooms, "prot"));
	CHECK(!yaml_get(NULL, "prot"));
}

TEST(null_is_plain_and_empty)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "a:\nb: ~\nc: null\nd: \"\"\ne: 'null'\nf: no\n");

	CHECK(yaml_get(root, "a")->is_null);
	CHECK(yaml_get(root, "b")->is_null);
	CHECK(yaml_get(root, "c")->is_null);
	CHECK(!yaml_get(root, "d")->is_null);
	CHECK(!yaml_get(root, "e")->is_null);
	CHECK(!yaml_get(root, "f")->is_null);
}

TEST(an_empty_document_is_null)
{
	static const char *const texts[] = {"", "# only a comment\n", "---\n", "\xEF\xBB\xBF"};

	for (size_t i = 0; i < countof(texts); i++) {
		scoped(arena_free) struct arena arena = {0};
		const struct yaml *root = parse(&arena, texts[i]);

		REQUIRE(root);
		CHECK(root->is_null);
		CHECK_INT(root->line, 1 + (i == 2));
	}
}

TEST(a_byte_order_mark_is_no_content)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "\xEF\xBB\xBFversion: 0.2\n");

	CHECK_TEXT(text_at(root, "version"), "0.2");
	CHECK_INT(root->column, 1);
}

TEST(sequences_and_blocks)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "list:\n- a\n- [b, {c: d}]\n"
						"text: |\n  one\n  two\n"
						"folded: >-\n  one\n  two\n");
	const struct yaml *list = yaml_get(root, "list");

	REQUIRE(list && list->kind == YAML_SEQUENCE);
	CHECK_INT(list->count, 2);
	CHECK_TEXT(list->items[0]->text.data, "a");
	CHECK_TEXT(text_at(list->items[1]->items[1], "c"), "d");
	CHECK_TEXT(text_at(root, "text"), "one\ntwo\n");
	CHECK_TEXT(text_at(root, "folded"), "one two");
	CHECK(!yaml_get(root, "text")->plain);
}

TEST(aliases_stand_for_their_anchor)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "a: &x {k: 1}\nb: *x\nc: &x 2\nd: *x\n");

	CHECK_TEXT(text_at(yaml_get(root, "b"), "k"), "1");
	CHECK_TEXT(text_at(root, "d"), "2"); /* the newest anchor of a name counts */
}

/* yaml.org/type/merge: own keys win, of several merged mappings the earlier ones. */
TEST(merge_keys_fill_in_what_is_missing)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "base: &base {a: base, b: base}\n"
						"more: &more {b: more, c: more}\n"
						"one:\n  <<: *base\n  a: own\n"
						"two:\n  c: own\n  <<: [*base, *more]\n");
	const struct yaml *one = yaml_get(root, "one"), *two = yaml_get(root, "two");

	CHECK_INT(one->count, 2);
	CHECK_TEXT(text_at(one, "a"), "own");
	CHECK_TEXT(text_at(one, "b"), "base");
	CHECK_INT(two->count, 3);
	CHECK_TEXT(text_at(two, "a"), "base");
	CHECK_TEXT(text_at(two, "b"), "base");
	CHECK_TEXT(text_at(two, "c"), "own");
	for (size_t i = 0; i < two->count; i++)
		CHECK(!two->pairs[i].duplicate);
}

TEST(a_key_that_stands_twice_is_marked)
{
	scoped(arena_free) struct arena arena = {0};
	const struct yaml *root = parse(&arena, "b: 1\na: 2\nb: 3\nbb: 4\n");

	REQUIRE(root->count == 4);
	CHECK(!root->pairs[0].duplicate);
	CHECK(!root->pairs[1].duplicate);
	CHECK(root->pairs[2].duplicate);
	CHECK(!root->pairs[3].duplicate);
	CHECK_TEXT(text_at(root, "b"), "3");
}

static void check_refused(const char *text, enum error_kind kind, const char *message)
{
	scoped(arena_free) struct arena arena = {0};
	struct error err = {0};
	struct yaml *root = NULL;

	if (yaml_parse(str_of(text), "t.yml", &arena, &root, &err)) {
		TEST_FAIL("\"%s\" was accepted", text);
		return;
	}
	CHECK_INT(err.kind, kind);
	CHECK_CONTAINS(err.message, message);
	error_free(&err);
}

TEST(what_is_no_yaml_is_refused_with_its_place)
{
	check_refused("a: [1, 2\nb: 3\n", ERROR_INVALID, "t.yml:2:");
	check_refused("a: 1\n\tb: 2\n", ERROR_INVALID, "t.yml:2:1");
	check_refused("a: *nobody\n", ERROR_INVALID, "t.yml:1:4: the alias *nobody");
	check_refused("a: &x [*x]\n", ERROR_INVALID, "t.yml:1:8: an alias inside");
	check_refused("? [a]\n: b\n", ERROR_INVALID, "t.yml:1:3: a key must be");
	check_refused("<<: text\n", ERROR_INVALID, "t.yml:1:5: \"<<\" needs");
	check_refused("<<: [a]\n", ERROR_INVALID, "t.yml:1:6: \"<<\" merges");
	check_refused("a: 1\n---\nb: 2\n", ERROR_INVALID, "t.yml:2:1: a second document");
	check_refused("a: \xff\n", ERROR_INVALID, "t.yml:1:4: ");
}

TEST(an_alias_bomb_has_no_effect)
{
	scoped(buf_free) struct buf text = {0};

	buf_append_text(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++)
		buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
			i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	check_refused(buf_text(&text), ERROR_LIMIT, "200,000 values");
}

TEST(depth_size_and_anchors_have_limits)
{
	scoped(buf_free) struct buf text = {0};

	for (int i = 0; i < 65; i++)
		buf_append_char(&text, '[');
	check_refused(buf_text(&text), ERROR_LIMIT, "deeper than 64");
	buf_clear(&text);
	for (int i = 0; i < 1002; i++)
		buf_printf(&text, "- &a%d x\n", i);
	check_refused(buf_text(&text), ERROR_LIMIT, "1,000 anchors");
	buf_clear(&text);
	for (int i = 0; i < (1 << 20) / 8 + 1; i++)
		buf_append_text(&text, "# filler");
	check_refused(buf_text(&text), ERROR_LIMIT, "1 MiB");
}

TEST_MAIN()
