#include "builders/image/foreign_tree.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINK_LIMIT = 40, ENTRY_LIMIT = 1000000, TEXT_LIMIT = 256 << 20 };
static const int64_t size_limit = INT64_C(20) << 30;

bool foreign_spool_open(struct foreign_spool *out_spool, struct error *err)
{
	const char *folder = getenv("TMPDIR");

	folder = folder && *folder ? folder : "/tmp";
	*out_spool =
		(struct foreign_spool){.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
			.size_limit = size_limit,
			.text_limit = TEXT_LIMIT,
			.entry_limit = ENTRY_LIMIT};
	if (out_spool->fd >= 0)
		return true;
	out_spool->fd = 0;
	return error_raise_errno(err, "make a temporary file in \"%s\"", folder);
}

void foreign_spool_close(struct foreign_spool *spool)
{
	if (spool->fd > 0)
		close(spool->fd);
	*spool = (struct foreign_spool){0};
}

void foreign_tree_free(struct foreign_tree *tree)
{
	free(tree->entries);
	free(tree->nodes);
	arena_free(&tree->arena);
	*tree = (struct foreign_tree){0};
}

static void push_entry(struct foreign_tree *tree, const struct foreign_entry *entry)
{
	if (tree->count == tree->capacity) {
		tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
		tree->entries =
			memory_resize(tree->entries, tree->capacity * sizeof(tree->entries[0]));
	}
	tree->entries[tree->count++] = *entry;
}

static uint32_t push_node(struct foreign_tree *tree, const struct foreign_node *node)
{
	if (tree->node_count == tree->node_capacity) {
		tree->node_capacity = tree->node_capacity ? tree->node_capacity * 2 : 64;
		tree->nodes =
			memory_resize(tree->nodes, tree->node_capacity * sizeof(tree->nodes[0]));
	}
	tree->nodes[tree->node_count] = *node;
	return (uint32_t)tree->node_count++;
}

static struct str keep(struct arena *arena, struct str text)
{
	return (struct str){arena_copy(arena, text.data ? text.data : "", text.size), text.size};
}

void foreign_tree_add(struct foreign_tree *tree, enum foreign_kind kind, struct str path,
	const char *target, const struct foreign_node *node)
{
	struct foreign_node own = *node;

	if (own.capability.size > 0)
		own.capability = keep(&tree->arena, own.capability);
	push_entry(tree, &(struct foreign_entry){.path = keep(&tree->arena, path),
				 .target = target ? arena_copy_text(&tree->arena, target) : NULL,
				 .kind = kind,
				 .node = push_node(tree, &own),
				 .order = (uint32_t)tree->count});
}

/* Bytewise, but a slash comes before everything: what lies in a folder follows it directly. */
static int compare_paths(struct str a, struct str b)
{
	size_t size = a.size < b.size ? a.size : b.size, at = 0;

	while (at < size && a.data[at] == b.data[at])
		at++;
	if (at == size)
		return (a.size > b.size) - (a.size < b.size);
	if (a.data[at] == '/' || b.data[at] == '/')
		return a.data[at] == '/' ? -1 : 1;
	return (unsigned char)a.data[at] < (unsigned char)b.data[at] ? -1 : 1;
}

static bool is_below(struct str path, struct str folder)
{
	return folder.size == 0 ? path.size > 0
				: path.size > folder.size && path.data[folder.size] == '/' &&
					  memcmp(path.data, folder.data, folder.size) == 0;
}

static struct str parent_of(struct str path)
{
	while (path.size > 0 && path.data[path.size - 1] != '/')
		path.size--;
	return (struct str){path.data, path.size ? path.size - 1 : 0};
}

/* Where an entry stands: whiteouts directly behind their folder. */
static struct str place_of(const struct foreign_entry *entry)
{
	return entry->kind == FOREIGN_WHITEOUT ? parent_of(entry->path) : entry->path;
}

static int rank_of(const struct foreign_entry *entry)
{
	return entry->kind == FOREIGN_WHITEOUT ? 2 : entry->kind == FOREIGN_OPAQUE ? 1 : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct foreign_entry *x = a, *y = b;
	int order = compare_paths(place_of(x), place_of(y));

	if (order == 0)
		order = rank_of(x) - rank_of(y);
	if (order == 0)
		order = compare_paths(x->path, y->path);
	/* The last of one name first, so that it is the one that is kept. */
	return order ? order : (x->order < y->order) - (x->order > y->order);
}

static bool is_same_place(const struct foreign_entry *a, const struct foreign_entry *b)
{
	return rank_of(a) == rank_of(b) && str_equal(a->path, b->path);
}

static void sort(struct foreign_tree *tree)
{
	size_t kept = 0;

	if (tree->count > 0)
		qsort(tree->entries, tree->count, sizeof(tree->entries[0]), by_place);
	for (size_t i = 0; i < tree->count; i++)
		if (kept == 0 || !is_same_place(&tree->entries[kept - 1], &tree->entries[i]))
			tree->entries[kept++] = tree->entries[i];
	tree->count = kept;
}

static const struct foreign_entry *find(const struct foreign_tree *tree, struct str path)
{
	const struct foreign_entry key = {.path = path, .kind = FOREIGN_FILE};
	size_t low = 0, high = tree->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct foreign_entry *entry = &tree->entries[middle];
		int order = compare_paths(place_of(entry), path);

		if (order == 0)
			order = rank_of(entry) - rank_of(&key);
		if (order == 0)
			return entry;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* What a hard link, or a chain of them, names in the end. */
static bool tie(const struct foreign_tree *tree, struct foreign_entry *entry, struct error *err)
{
	const struct foreign_entry *named = entry;

	for (int i = 0; named && named->kind == FOREIGN_HARD_LINK; i++)
		named = i < LINK_LIMIT ? find(tree, str_of(named->target)) : NULL;
	if (!named || (named->kind != FOREIGN_FILE && named->kind != FOREIGN_LINK))
		return error_raise(err, ERROR_INVALID,
			"the hard link \"%.*s\" names \"%s\", which is no file of this layer",
			str_args(entry->path), entry->target);
	entry->node = named->node;
	entry->target = named->target;
	entry->kind = named->kind;
	return true;
}

static const char *kind_name(enum foreign_kind kind)
{
	return kind == FOREIGN_LINK ? "a link" : "a file";
}

/* Nothing may lie below what is no folder: an unpacker would follow a link there, out of the image. */
static bool check_parents(const struct foreign_tree *tree, struct error *err)
{
	const struct foreign_entry *leaf = NULL;

	for (size_t i = 0; i < tree->count; i++) {
		const struct foreign_entry *entry = &tree->entries[i];

		if (leaf && (is_below(entry->path, leaf->path) ||
				    (entry->kind == FOREIGN_OPAQUE &&
					    str_equal(entry->path, leaf->path))))
			return error_raise(err, ERROR_INVALID,
				"\"%.*s\" lies below \"%.*s\", which is %s", str_args(entry->path),
				str_args(leaf->path), kind_name(leaf->kind));
		if (entry->kind == FOREIGN_FILE || entry->kind == FOREIGN_LINK)
			leaf = entry;
	}
	return true;
}

bool foreign_tree_settle(struct foreign_tree *tree, struct error *err)
{
	sort(tree);
	for (size_t i = 0; i < tree->count; i++)
		if (tree->entries[i].kind == FOREIGN_HARD_LINK &&
			!tie(tree, &tree->entries[i], err))
			return false;
	return check_parents(tree, err);
}

static int by_path(const void *a, const void *b)
{
	return compare_paths(((const struct foreign_entry *)a)->path,
		((const struct foreign_entry *)b)->path);
}

/* The whiteouts of upper, by the path that they hide; returns their number. */
static size_t whiteouts_of(const struct foreign_tree *upper, struct foreign_entry **out_list)
{
	struct foreign_entry *list = memory_new_array(upper->count + 1, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < upper->count; i++)
		if (rank_of(&upper->entries[i]) > 0)
			list[count++] = upper->entries[i];
	if (count > 0)
		qsort(list, count, sizeof(*list), by_path);
	*out_list = list;
	return count;
}

static bool hides(const struct foreign_entry *whiteout, struct str path)
{
	return is_below(path, whiteout->path) ||
	       (whiteout->kind == FOREIGN_WHITEOUT && str_equal(path, whiteout->path));
}

/* Both lists stand by path, so one walk finds all. What is already hidden by a whiteout of a folder
 * above needs no look; of two for one path the one that hides more counts. */
static void hide(struct foreign_tree *lower, const struct foreign_entry *list, size_t count)
{
	const struct foreign_entry *last = NULL;
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < lower->count; i++) {
		struct str path = lower->entries[i].path;

		for (; at < count && compare_paths(list[at].path, path) <= 0; at++) {
			bool hidden = last && is_below(list[at].path, last->path);
			bool weaker = last && list[at].kind == FOREIGN_OPAQUE &&
				      str_equal(list[at].path, last->path);
			if (!hidden && !weaker)
				last = &list[at];
		}
		if (!last || !hides(last, path))
			lower->entries[kept++] = lower->entries[i];
	}
	lower->count = kept;
}

/* Appends upper's nodes and entries (whiteouts left out) to lower, which is then sorted again. */
static void append(struct foreign_tree *lower, const struct foreign_tree *upper)
{
	uint32_t first_node = (uint32_t)lower->node_count, order = 0;

	for (size_t i = 0; i < upper->node_count; i++) {
		struct foreign_node node = upper->nodes[i];

		if (node.capability.size > 0)
			node.capability = keep(&lower->arena, node.capability);
		push_node(lower, &node);
	}
	for (size_t i = 0; i < lower->count; i++)
		lower->entries[i].order = order++;
	for (size_t i = 0; i < upper->count; i++) {
		struct foreign_entry entry = upper->entries[i];

		if (rank_of(&entry) > 0)
			continue;
		entry.path = keep(&lower->arena, entry.path);
		entry.target = entry.target ? arena_copy_text(&lower->arena, entry.target) : NULL;
		entry.node += first_node;
		entry.order = order++;
		push_entry(lower, &entry);
	}
}

/* A file or link of upper that stands where lower has a folder takes all below it away. */
static void replace_folders(struct foreign_tree *lower, const struct foreign_tree *upper)
{
	size_t kept = 0, at = 0;
	const struct foreign_entry *leaf = NULL;

	for (size_t i = 0; i < lower->count; i++) {
		struct str path = lower->entries[i].path;

		for (; at < upper->count && compare_paths(place_of(&upper->entries[at]), path) < 0;
			at++)
			if (upper->entries[at].kind == FOREIGN_FILE ||
				upper->entries[at].kind == FOREIGN_LINK)
				leaf = &upper->entries[at];
		if (!leaf || !is_below(path, leaf->path))
			lower->entries[kept++] = lower->entries[i];
	}
	lower->count = kept;
}

bool foreign_tree_merge(struct foreign_tree *lower, struct foreign_tree *upper, struct error *err)
{
	struct foreign_entry *list;
	size_t count = whiteouts_of(upper, &list);
	size_t kept = 0;

	/* The lowest layer's own whiteouts hide nothing. */
	for (size_t i = 0; i < lower->count; i++)
		if (rank_of(&lower->entries[i]) == 0)
			lower->entries[kept++] = lower->entries[i];
	lower->count = kept;
	hide(lower, list, count);
	free(list);
	replace_folders(lower, upper);
	append(lower, upper);
	foreign_tree_free(upper);
	sort(lower);
	return check_parents(lower, err);
}
