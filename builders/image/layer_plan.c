#include "builders/image/layer_plan.h"

#include "base/memory.h"
#include "builders/image/package_database.h"

#include <stdlib.h>

void layer_plan_free(struct layer_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->parts[i].entries);
		strings_free(&plan->parts[i].packages);
	}
	free(plan->parts);
	*plan = (struct layer_plan){0};
}

/* What a package has in the layers of libraries. */
struct share {
	const struct package *package;
	int64_t size_bytes;
	bool alone; /* gets a layer of its own */
};

struct shares {
	struct share *items; /* owned */
	size_t count;
};

static void shares_free(struct shares *shares)
{
	free(shares->items);
}

/* Files of one package stand together mostly, so the search starts at the end. */
static struct share *share_of(struct shares *shares, const struct package *package)
{
	for (size_t i = shares->count; i-- > 0;)
		if (shares->items[i].package == package)
			return &shares->items[i];
	return NULL;
}

static void count_shares(const struct tree *tree, struct shares *shares)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		if (entry->layer != LAYER_LIBRARIES || !entry->package)
			continue;
		struct share *share = share_of(shares, entry->package);
		if (!share) {
			shares->items = memory_resize(shares->items,
				(shares->count + 1) * sizeof(shares->items[0]));
			share = &shares->items[shares->count++];
			*share = (struct share){.package = entry->package};
		}
		share->size_bytes += entry->size_bytes;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct package *x = ((const struct share *)a)->package;
	const struct package *y = ((const struct share *)b)->package;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->architecture, y->architecture);
}

static int by_size(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->size_bytes != y->size_bytes ? (x->size_bytes < y->size_bytes ? 1 : -1)
					      : by_name(a, b);
}

/* Marks those that get a layer of their own, and leaves all sorted by name. */
static void choose(struct shares *shares)
{
	if (shares->count == 0)
		return;
	qsort(shares->items, shares->count, sizeof(shares->items[0]), by_size);
	for (size_t i = 0; i < shares->count && i < LAYER_PLAN_PACKAGES; i++)
		shares->items[i].alone = shares->items[i].size_bytes >= LAYER_PLAN_SMALL_BYTES;
	qsort(shares->items, shares->count, sizeof(shares->items[0]), by_name);
}

static void add_entry(struct layer_part *part, const struct tree *tree, size_t number)
{
	const struct package *package = tree->entries[number].package;

	if (part->count == part->capacity) {
		part->capacity = part->capacity ? part->capacity * 2 : 16;
		part->entries =
			memory_resize(part->entries, part->capacity * sizeof(part->entries[0]));
	}
	part->entries[part->count++] = (uint32_t)number;
	if (package && !strings_contain(&part->packages, package->name))
		strings_add(&part->packages, package->name);
}

/* Where entries go: a part for each kind, and for libraries one for each package alone (in front of
 * the kind's), one for the other packages, and one for the rest. */
struct slots {
	size_t alone, others, kinds[LAYER_KINDS], count;
};

static struct slots slots_of(const struct shares *shares)
{
	struct slots slots = {0};
	size_t alone = 0;

	for (size_t i = 0; i < shares->count; i++)
		alone += shares->items[i].alone;
	for (int kind = 0; kind < LAYER_KINDS; kind++) {
		if (kind == LAYER_LIBRARIES) {
			slots.alone = slots.count;
			slots.others = slots.alone + alone;
			slots.count = slots.others + 1;
		}
		slots.kinds[kind] = slots.count++;
	}
	return slots;
}

static size_t slot_of(const struct slots *slots, struct shares *shares,
	const struct tree_entry *entry)
{
	size_t before = 0;

	if (entry->layer != LAYER_LIBRARIES || !entry->package)
		return slots->kinds[entry->layer];
	const struct share *share = share_of(shares, entry->package);
	if (!share->alone)
		return slots->others;
	for (const struct share *other = shares->items; other < share; other++)
		before += other->alone;
	return slots->alone + before;
}

struct sized_entry {
	const char *path;
	int64_t size_bytes;
	uint32_t number;
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct sized_entry *)a)->path, ((const struct sized_entry *)b)->path);
}

static int64_t bytes_of(const struct layer_part *part, const struct tree *tree)
{
	int64_t sum = 0;

	for (size_t i = 0; i < part->count; i++)
		sum += tree->entries[part->entries[i]].size_bytes;
	return sum;
}

/* Appends the pieces of a large part to the plan: each is cut behind the file that makes it large. */
static void append_pieces(struct layer_plan *plan, const struct tree *tree,
	const struct layer_part *part, int64_t sum)
{
	struct sized_entry *entries = memory_new_array(part->count, sizeof(entries[0]));
	int64_t piece = sum / LAYER_PLAN_PIECES, left = 0;

	piece = piece > LAYER_PLAN_LARGE_BYTES ? piece : LAYER_PLAN_LARGE_BYTES;
	for (size_t i = 0; i < part->count; i++) {
		const struct tree_entry *entry = &tree->entries[part->entries[i]];
		entries[i] = (struct sized_entry){entry->path, entry->size_bytes, part->entries[i]};
	}
	qsort(entries, part->count, sizeof(entries[0]), by_path);
	for (size_t i = 0; i < part->count; i++) {
		if (left <= 0) {
			plan->parts[plan->count++] = (struct layer_part){.kind = part->kind};
			left = piece;
		}
		add_entry(&plan->parts[plan->count - 1], tree, entries[i].number);
		left -= entries[i].size_bytes;
	}
	free(entries);
}

/* Takes the part. Packages stay whole: other images have the same layer. */
static void append_part(struct layer_plan *plan, const struct tree *tree, struct layer_part *part)
{
	bool divisible = part->kind == LAYER_CONFIGURATION || part->kind == LAYER_PROGRAM;
	int64_t sum = divisible ? bytes_of(part, tree) : 0;

	if (part->count == 0)
		return;
	if (sum <= LAYER_PLAN_LARGE_BYTES) {
		strings_sort(&part->packages);
		plan->parts[plan->count++] = *part;
		return;
	}
	size_t first = plan->count;
	append_pieces(plan, tree, part, sum);
	for (size_t i = first; i < plan->count; i++)
		strings_sort(&plan->parts[i].packages);
	free(part->entries);
	strings_free(&part->packages);
}

struct layer_plan layer_plan_of(const struct tree *tree)
{
	scoped(shares_free) struct shares shares = {0};
	struct layer_plan plan = {0};

	count_shares(tree, &shares);
	choose(&shares);
	struct slots slots = slots_of(&shares);
	struct layer_part *parts = memory_new_array(slots.count, sizeof(parts[0]));
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		struct layer_part *part = &parts[slot_of(&slots, &shares, entry)];
		part->kind = entry->layer;
		add_entry(part, tree, i);
	}
	plan.parts =
		memory_new_array(slots.count + 2 * (LAYER_PLAN_PIECES + 1), sizeof(plan.parts[0]));
	for (size_t i = 0; i < slots.count; i++)
		append_part(&plan, tree, &parts[i]);
	free(parts);
	return plan;
}
