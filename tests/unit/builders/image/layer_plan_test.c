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

/* Of that many bytes, as far as a plan can tell. */
static bool add_large(struct tree *tree, const char *path, int64_t size, enum layer_kind layer)
{
	if (!add(tree, path, 0, layer, NULL))
		return false;
	tree->entries[tree->count - 1].size_bytes = size;
	return true;
}

TEST(large_files_of_the_user_are_several_layers_by_path)
{
	enum { MIB = 1 << 20 };
	scoped(tree_free) struct tree tree = {0};
	scoped(buf_free) struct buf text = {0};

	/* by path: a and b are 70 MiB, c and d 64, e what is left; libraries stay whole */
	REQUIRE(add_large(&tree, "data/e", 1, LAYER_CONFIGURATION) &&
		add_large(&tree, "data/b", 40 * MIB, LAYER_CONFIGURATION) &&
		add_large(&tree, "data/d", 63 * MIB, LAYER_CONFIGURATION) &&
		add_large(&tree, "data/a", 30 * MIB, LAYER_CONFIGURATION) &&
		add_large(&tree, "data/c", MIB, LAYER_CONFIGURATION) &&
		add_large(&tree, "app/x", 64 * MIB, LAYER_PROGRAM) &&
		add_large(&tree, "usr/lib/a", 200 * (int64_t)MIB, LAYER_LIBRARIES) &&
		add_large(&tree, "usr/lib/b", 200 * (int64_t)MIB, LAYER_LIBRARIES));
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&tree);
	describe(&plan, &text);
	CHECK_TEXT(buf_text(&text),
		"libraries(2) configuration(2) configuration(2) configuration(1) program(1)");
	REQUIRE(plan.count == 5);
	CHECK_TEXT(tree.entries[plan.parts[1].entries[0]].path, "data/a");
	CHECK_TEXT(tree.entries[plan.parts[1].entries[1]].path, "data/b");
	CHECK_TEXT(tree.entries[plan.parts[3].entries[0]].path, "data/e");
}

TEST(there_are_at_most_sixteen_large_layers_of_a_kind)
{
	scoped(tree_free) struct tree tree = {0};
	char path[16];

	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "data/%02d", i);
		REQUIRE(add_large(&tree, path, (int64_t)1 << 30, LAYER_CONFIGURATION));
	}
	scoped(layer_plan_free) struct layer_plan plan = layer_plan_of(&tree);
	/* 100 GiB: a layer is full from 6.25 GiB on, which is seven files; 15 of them, the last has two */
	CHECK_INT(plan.count, 15);
	CHECK_INT(plan.parts[0].count, 7);
	CHECK_INT(plan.parts[14].count, 2);
}

TEST_MAIN()
