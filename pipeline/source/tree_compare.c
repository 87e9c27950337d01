#include "base/memory.h"
#include "pipeline/source/git.h"

#include <string.h>

enum { DEPTH_MAX = 256 };

struct comparing {
	git_repository *git;
	bool (*visit)(void *context, const char *path, enum tree_change change);
	void *context;
	struct buf path;
	bool ended; /* visit had enough */
	int depth;
};

static void object_free(git_object **object)
{
	git_object_free(*object);
	*object = NULL;
}

static bool compare(struct comparing *comparing, const git_oid *from, const git_oid *to,
	struct error *err);

static void tell(struct comparing *comparing, enum tree_change change)
{
	comparing->ended =
		!comparing->visit(comparing->context, buf_text(&comparing->path), change);
}

/* One name of two trees; either entry may be missing. */
static bool compare_entries(struct comparing *comparing, const git_tree_entry *from,
	const git_tree_entry *to, struct error *err)
{
	size_t size = comparing->path.size;
	bool done = true,
	     same_mode = from && to && git_tree_entry_filemode(from) == git_tree_entry_filemode(to);

	if (same_mode && git_oid_equal(git_tree_entry_id(from), git_tree_entry_id(to)))
		return true;
	git_filemode_t mode = git_tree_entry_filemode(to ? to : from);

	buf_printf(&comparing->path, "%s%s", size ? "/" : "", git_tree_entry_name(to ? to : from));
	if (same_mode && mode == GIT_FILEMODE_TREE)
		done = compare(comparing, git_tree_entry_id(from), git_tree_entry_id(to), err);
	else if (same_mode && (mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE))
		tell(comparing, TREE_EDITED);
	else
		tell(comparing, TREE_OTHER);
	comparing->path.size = size;
	comparing->path.data[size] = 0;
	return done;
}

/* By name: whatever stands in only one of them is told, in whichever order. */
static bool compare_trees(struct comparing *comparing, const git_tree *from, const git_tree *to,
	struct error *err)
{
	if (++comparing->depth > DEPTH_MAX)
		return error_raise(err, ERROR_LIMIT, "folders lie deeper than %d at \"%.200s\"",
			DEPTH_MAX, buf_text(&comparing->path));
	for (size_t i = 0; !comparing->ended && i < git_tree_entrycount(from); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(from, i);

		if (!compare_entries(comparing, entry,
			    git_tree_entry_byname(to, git_tree_entry_name(entry)), err))
			return false;
	}
	for (size_t i = 0; !comparing->ended && i < git_tree_entrycount(to); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(to, i);

		if (!git_tree_entry_byname(from, git_tree_entry_name(entry)) &&
			!compare_entries(comparing, NULL, entry, err))
			return false;
	}
	comparing->depth--;
	return true;
}

static bool look_up(struct comparing *comparing, const git_oid *id, git_object **out_object,
	struct error *err)
{
	int code = git_object_lookup(out_object, comparing->git, id, GIT_OBJECT_ANY);

	return code >= 0 || git_raise(err, code, "read \"%s\"", buf_text(&comparing->path));
}

static bool compare(struct comparing *comparing, const git_oid *from, const git_oid *to,
	struct error *err)
{
	scoped(object_free) git_object *before = NULL, *after = NULL;

	if (!look_up(comparing, from, &before, err) || !look_up(comparing, to, &after, err))
		return false;
	if (git_object_type(before) == GIT_OBJECT_TREE && git_object_type(after) == GIT_OBJECT_TREE)
		return compare_trees(comparing, (git_tree *)before, (git_tree *)after, err);
	tell(comparing, git_object_type(before) == GIT_OBJECT_BLOB &&
					git_object_type(after) == GIT_OBJECT_BLOB
				? TREE_EDITED
				: TREE_OTHER);
	return true;
}

bool tree_compare(struct repository *repository, const char *path, const char *from, const char *to,
	bool (*visit)(void *context, const char *path, enum tree_change change), void *context,
	bool *out_all, struct error *err)
{
	struct comparing comparing = {.git = repository->git, .visit = visit, .context = context};
	git_oid before, after;

	if (git_oid_fromstr(&before, from) < 0 || git_oid_fromstr(&after, to) < 0)
		return error_raise(err, ERROR_INVALID, "\"%s\" and \"%s\" are no two Git ids", from,
			to);
	buf_append_text(&comparing.path, strcmp(path, ".") == 0 ? "" : path);
	bool done = git_oid_equal(&before, &after) || compare(&comparing, &before, &after, err);

	buf_free(&comparing.path);
	*out_all = !comparing.ended;
	return done;
}
