#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/layer_plan.h"
#include "builders/image/package_database.h"

static char letters[26][8];
static struct package packages[26];

/* package_of(0) is "liba", and so on. */
static const struct package *package_of(int number)
{
	static char architecture[] = "amd64";

	snprintf(letters[number], sizeof(letters[number]), "lib%c", 'a' + number);
	packages[number] = (struct package){.name = letters[number], .architecture = architecture};
	return &packages[number];
}

static bool add(struct tree *tree, const char *path, size_t size, enum layer_kind layer,
	const struct package *package)
{
	scoped(text_free) char *content = memory_new(size + 1);
	struct error err = {0};
	bool ok = tree_add_content(tree, path, (struct str){content, size}, layer, "test", &err);

	error_free(&err);
	tree_set_package(tree, path, package);
	return ok;
}

/* "base(1) libraries(2: liba) …": kind, entries, packages. */
static void describe(const struct layer_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct layer_part *part = &plan->parts[i];
		buf_printf(out, "%s%s(%zu", i ? " " : "", layer_kind_name(part->kind), part->count);
		for (size_t j = 0; j < part->packages.count; j++)
			buf_printf(out, "%s%s", j ? " " : ": ", part->packages.items[j]);
		buf_append_char(out, ')');
	}
}

TEST(without_packages_there_is_one_layer_a_kind)
{
	scoped(tree_free) struct tree tree = {0};
	scoped(buf_free) struct buf text = {0};

	REQUIRE(add(&tree, "app/x", 1, LAYER_PROGRAM, NULL) &&
		add(&tree, "usr/lib/a", 100000, LAYER_LIBRARIES, NULL) &&
		add(&tree, "usr/lib/b", 100000, LAYER_LIBRARIES, NULL) &&
		add(&tree, "usr/lib/c", 1, LAYER_BASE, NULL));
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&tree);
	describe(&plan, &text);
	CHECK_TEXT(buf_text(&text), "base(1) libraries(2) program(1)");
	CHECK_INT(plan.parts[1].entries[0], 1);
	CHECK_INT(plan.parts[1].entries[1], 2);
}

TEST(large_packages_stand_alone_small_ones_and_strays_together)
{
	scoped(tree_free) struct tree tree = {0};
	scoped(buf_free) struct buf text = {0};

	/* 65,536 bytes are enough to stand alone, also when two files make them up */
	REQUIRE(add(&tree, "l/c", 65536, LAYER_LIBRARIES, package_of(2)) &&
		add(&tree, "l/d", 65535, LAYER_LIBRARIES, package_of(3)) &&
		add(&tree, "l/stray", 99999, LAYER_LIBRARIES, NULL) &&
		add(&tree, "l/a1", 65535, LAYER_LIBRARIES, package_of(0)) &&
		add(&tree, "l/b", 3, LAYER_LIBRARIES, package_of(1)) &&
		add(&tree, "l/a2", 1, LAYER_LIBRARIES, package_of(0)) &&
		add(&tree, "l/libc", 99999, LAYER_BASE, package_of(4)));
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&tree);
	describe(&plan, &text);
	CHECK_TEXT(buf_text(&text), "base(1: libe) libraries(2: liba) libraries(1: libc) "
				    "libraries(2: libb libd) libraries(1)");
}

TEST(at_most_24_packages_stand_alone_and_the_largest_do)
{
	scoped(tree_free) struct tree tree = {0};

	for (int i = 0; i < 26; i++) {
		scoped(text_free) char *path = memory_format("l/%c", 'a' + i);
		/* f and k are the smallest, and all are large enough */
		REQUIRE(add(&tree, path, i == 5 || i == 10 ? 70000 : 80000, LAYER_LIBRARIES,
			package_of(i)));
	}
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&tree);
	REQUIRE(plan.count == 25);
	CHECK_TEXT(plan.parts[0].packages.items[0], "liba");
	CHECK_TEXT(plan.parts[23].packages.items[0], "libz");
	CHECK_INT(plan.parts[24].packages.count, 2);
	CHECK_TEXT(plan.parts[24].packages.items[0], "libf");
	CHECK_TEXT(plan.parts[24].packages.items[1], "libk");
}

TEST_MAIN()
