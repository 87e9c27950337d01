/* The expected results are those of the examples in AWS's documentation of lifecycle policies, by hand. */
#include "tests/test.h"

#include "base/memory.h"
#include "deployers/local/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t day = (int64_t)24 * 3600 * 1000, now = (int64_t)20000 * 24 * 3600 * 1000;

/* Images are written "name:days ago:tag,tag…" between spaces; what is expired comes out as
 * "name/priority …" in that order. */
static char *decide(const char *policy, const char *written)
{
	struct lifecycle_image images[20] = {{0}};
	struct strings names = {0}, tags[20] = {{0}};
	struct lifecycle *lifecycle = NULL;
	struct str rest = str_of(written);
	struct buf result = {0};
	struct error err = {0};
	size_t count = 0;

	if (!lifecycle_parse(str_of(policy), &lifecycle, &err)) {
		error_print(stderr, &err, true);
		abort();
	}
	while (rest.size) {
		struct str list = str_cut(&rest, ' '), name = str_cut(&list, ':'),
			   days = str_cut(&list, ':');
		int64_t ago = 0;

		strings_printf(&names, "%.*s", str_args(name));
		while (list.size) {
			struct str tag = str_cut(&list, ',');

			strings_printf(&tags[count], "%.*s", str_args(tag));
		}
		if (!str_to_int(days, &ago))
			abort();
		images[count++].pushed_ms = now - ago * day - 1;
	}
	for (size_t i = 0; i < count; i++) {
		images[i].digest = names.items[i];
		images[i].tags = &tags[i];
	}
	lifecycle_decide(lifecycle, images, count, now);
	for (size_t i = 0; i < count; i++)
		if (images[i].expired_by)
			buf_printf(&result, "%s%s/%lld", result.size ? " " : "", images[i].digest,
				(long long)images[i].expired_by);
	for (size_t i = 0; i < count; i++)
		strings_free(&tags[i]);
	strings_free(&names);
	lifecycle_free(&lifecycle);
	return buf_take(&result);
}

static void check(const char *policy, const char *images, const char *expected)
{
	scoped(text_free) char *got = decide(policy, images);

	CHECK_TEXT(got, expected);
}

#define RULE(priority, selection)                                                                  \
	"{\"rulePriority\":" #priority ",\"selection\":{" selection                                \
	"},\"action\":{\"type\":\"expire\"}}"
#define POLICY(rules) "{\"rules\":[" rules "]}"
#define COUNT(n) ",\"countType\":\"imageCountMoreThan\",\"countNumber\":" #n
#define DAYS(n) ",\"countType\":\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":" #n
#define PREFIX(text) "\"tagStatus\":\"tagged\",\"tagPrefixList\":[" text "]"
#define PATTERN(text) "\"tagStatus\":\"tagged\",\"tagPatternList\":[" text "]"
#define UNTAGGED "\"tagStatus\":\"untagged\""
#define ANY "\"tagStatus\":\"any\""

TEST(images_older_than_some_days_expire)
{
	check(POLICY(RULE(1, UNTAGGED DAYS(14))), "a:15: b:14: c:13: d:20:v1", "a/1 b/1");
	check(POLICY(RULE(1, ANY DAYS(1))), "a:0: b:1:x c:2:y", "b/1 c/1");
	check(POLICY(RULE(1, ANY DAYS(9223372036854775807))), "a:5: b:4:", "");
}

TEST(images_beyond_a_count_expire_oldest_first)
{
	check(POLICY(RULE(1, ANY COUNT(2))), "a:1: b:4:x c:2: d:3:", "b/1 d/1");
	check(POLICY(RULE(1, UNTAGGED COUNT(1))), "a:1:x b:4:x c:2: d:3:", "d/1");
	check(POLICY(RULE(1, ANY COUNT(4))), "a:1: b:4:x c:2: d:3:", "");
	check(POLICY(RULE(7, PREFIX("\"prod\"") COUNT(1))), "a:3:prod1 b:2:dev1 c:1:prod2", "a/7");
}

/* "Filtering on multiple rules": A and B have tags of both, C of one. */
TEST(a_later_rule_spares_what_an_earlier_one_selects)
{
	const char *images = "A:10:beta-1,prod-1 B:9:beta-2,prod-2 C:8:beta-3";

	check(POLICY(RULE(1, PREFIX("\"prod\"") COUNT(1)) "," RULE(2, PREFIX("\"beta\"") COUNT(1))),
		images, "A/1");
	check(POLICY(RULE(1, PREFIX("\"beta\"") COUNT(1)) "," RULE(2, PREFIX("\"prod\"") COUNT(1))),
		images, "A/1 B/1");
	/* the order of writing does not count */
	check(POLICY(RULE(20, PREFIX("\"beta\"") COUNT(1)) "," RULE(10,
		      PREFIX("\"prod\"") COUNT(1))),
		images, "A/10");
}

/* "Filtering on multiple tags in a single rule": an image must have them all. */
TEST(several_prefixes_are_all_needed)
{
	const char *images = "A:12:alpha-1 B:11:beta-1 C:10:alpha-2,beta-2 D:4:alpha-3 E:3:beta-3 "
			     "F:2:alpha-4,beta-4";

	check(POLICY(RULE(1, PREFIX("\"alpha\",\"beta\"") DAYS(5))), images, "C/1");
	check(POLICY(RULE(1, PREFIX("\"alpha\",\"beta\"") COUNT(1))), images, "C/1");
}

/* "Filtering on all images": untagged, then a prefix, then all; each spares the ones before. */
TEST(a_rule_for_any_image_comes_last_and_spares_the_others)
{
	check(POLICY(RULE(1, PREFIX("\"alpha\"") COUNT(1)) "," RULE(2, UNTAGGED DAYS(1)) "," RULE(3,
		      ANY COUNT(1))),
		"A:10:alpha-1 B:9:alpha-2 C:8: D:7:git-hash E:6:alpha-3,x F:5: G:0:",
		"A/1 B/1 C/2 D/3 F/2");
}

TEST(patterns_match_anywhere_in_a_tag)
{
	check(POLICY(RULE(1, PATTERN("\"*-dev-*\"") COUNT(1))),
		"a:3:api-dev-1 b:2:api-dev-2 c:1:api-prod d:4:dev-1", "a/1");
	check(POLICY(RULE(1, PATTERN("\"v1\"") DAYS(1))), "a:3:v1 b:3:v11", "a/1");
}

TEST(an_image_stays_with_its_index_and_goes_with_it)
{
	struct strings none = {0}, tagged = {0}, parts = {0}, inner = {0};
	struct lifecycle *lifecycle = NULL;
	struct error err = {0};

	strings_add(&tagged, "v1");
	strings_add(&parts, "inner");
	strings_add(&inner, "image");
	struct lifecycle_image images[] = {
		{"image", &none, NULL, now - 5 * day, 0},
		{"inner", &none, &inner, now - 5 * day, 0},
		{"outer", &tagged, &parts, now - 5 * day, 0},
		{"stray", &none, NULL, now - 5 * day, 0},
	};

	REQUIRE_OK(lifecycle_parse(str_of(POLICY(RULE(1, UNTAGGED DAYS(1)))), &lifecycle, &err));
	lifecycle_decide(lifecycle, images, 4, now);
	CHECK_INT(images[0].expired_by, 0);
	CHECK_INT(images[1].expired_by, 0);
	CHECK_INT(images[2].expired_by, 0);
	CHECK_INT(images[3].expired_by, 1);
	images[2].tags = &none;
	lifecycle_decide(lifecycle, images, 4, now);
	for (size_t i = 0; i < 4; i++)
		CHECK_INT(images[i].expired_by, 1);
	lifecycle_free(&lifecycle);
	strings_free(&tagged);
	strings_free(&parts);
	strings_free(&inner);
}

TEST(policies_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"rules\":[]}",
		"{\"rules\":[1]}",
		"{\"rules\":[{}]}",
		POLICY(RULE(0, ANY COUNT(1))),
		POLICY(RULE(1, ANY COUNT(0))),
		POLICY(RULE(1, ANY)),
		POLICY(RULE(1, "\"tagStatus\":\"some\"" COUNT(1))),
		POLICY(RULE(1, "\"tagStatus\":\"tagged\"" COUNT(1))),
		POLICY(RULE(1, PREFIX("\"a\"") ",\"tagPatternList\":[\"b\"]" COUNT(1))),
		POLICY(RULE(1, ANY ",\"tagPrefixList\":[\"a\"]" COUNT(1))),
		POLICY(RULE(1, PREFIX("\"a*\"") COUNT(1))),
		POLICY(RULE(1, PATTERN("\"*a*b*c*d*\"") COUNT(1))),
		POLICY(RULE(1, PATTERN("1") COUNT(1))),
		POLICY(RULE(1, ANY COUNT(1) ",\"countUnit\":\"days\"")),
		POLICY(RULE(1, ANY ",\"countType\":\"sinceImagePushed\",\"countNumber\":1")),
		POLICY(RULE(1, ANY ",\"countType\":\"sinceImagePulled\",\"countUnit\":\"days\","
				   "\"countNumber\":1")),
		POLICY(RULE(1, ANY COUNT(1) ",\"more\":1")),
		POLICY(RULE(1, UNTAGGED COUNT(1)) "," RULE(1, ANY COUNT(1))),
		POLICY(RULE(1, ANY COUNT(1)) "," RULE(2, UNTAGGED COUNT(1))),
		POLICY(RULE(1, UNTAGGED COUNT(1)) "," RULE(2, UNTAGGED COUNT(1))),
		"{\"rules\":[{\"rulePriority\":1,\"selection\":{" ANY COUNT(
			1) "},\"action\":{\"type\":\"keep\"}}]}",
	};
	struct lifecycle *lifecycle = NULL;
	struct error err = {0};

	for (size_t i = 0; i < countof(bad); i++)
		CHECK_FAILS(lifecycle_parse(str_of(bad[i]), &lifecycle, &err), ERROR_INVALID);
}

TEST_MAIN()
