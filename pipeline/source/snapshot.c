#include "base/memory.h"
#include "base/path.h"
#include "pipeline/source/git.h"

#include <stdlib.h>
#include <string.h>

/* Folders on the way to what was asked for, so that thousands of lookups in one folder read it
 * once. Few and searched in order; what does not fit is looked up again each time. */
enum { FOLDERS_KEPT = 64, DEPTH_MAX = 256 };

struct kept_folder {
	char *path;     /* owned */
	git_tree *tree; /* owned */
};

struct snapshot {
	struct repository *repository; /* borrowed */
	char commit[GIT_ID_SIZE];
	git_tree *root; /* owned */
	struct kept_folder kept[FOLDERS_KEPT];
	size_t kept_count;
};

static void tree_free(git_tree **tree)
{
	git_tree_free(*tree);
	*tree = NULL;
}

static void git_commit_release(git_commit **commit)
{
	git_commit_free(*commit);
	*commit = NULL;
}

bool snapshot_open(struct repository *repository, const char *commit,
	struct snapshot **out_snapshot, struct error *err)
{
	scoped(git_commit_release) git_commit *found = NULL;
	git_tree *root = NULL;
	git_oid id;
	int code = git_oid_fromstr(&id, commit);

	if (code >= 0)
		code = git_commit_lookup(&found, repository->git, &id);
	if (code >= 0)
		code = git_commit_tree(&root, found);
	if (code < 0)
		return git_raise(err, code, "open the commit %s", commit);
	struct snapshot *snapshot = memory_new(sizeof(*snapshot));

	snapshot->repository = repository;
	snapshot->root = root;
	git_oid_tostr(snapshot->commit, sizeof(snapshot->commit), &id);
	*out_snapshot = snapshot;
	return true;
}

void snapshot_free(struct snapshot **snapshot)
{
	if (!*snapshot)
		return;
	for (size_t i = 0; i < (*snapshot)->kept_count; i++) {
		free((*snapshot)->kept[i].path);
		git_tree_free((*snapshot)->kept[i].tree);
	}
	git_tree_free((*snapshot)->root);
	free(*snapshot);
	*snapshot = NULL;
}

const char *snapshot_commit(const struct snapshot *snapshot)
{
	return snapshot->commit;
}

struct repository *snapshot_repository(struct snapshot *snapshot)
{
	return snapshot->repository;
}

static enum entry_kind kind_of(const git_tree_entry *entry)
{
	switch (git_tree_entry_filemode(entry)) {
	case GIT_FILEMODE_TREE:
		return ENTRY_FOLDER;
	case GIT_FILEMODE_BLOB:
		return ENTRY_FILE;
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		return ENTRY_PROGRAM;
	case GIT_FILEMODE_LINK:
		return ENTRY_LINK;
	case GIT_FILEMODE_COMMIT:
		return ENTRY_MODULE;
	case GIT_FILEMODE_UNREADABLE:
	default:
		return ENTRY_NONE;
	}
}

static bool lookup_tree(struct snapshot *snapshot, const git_oid *id, const char *path,
	git_tree **out_tree, struct error *err)
{
	int code = git_tree_lookup(out_tree, snapshot->repository->git, id);

	if (code < 0)
		return git_raise(err, code, "read the folder \"%s\" of commit %s", path,
			snapshot->commit);
	return true;
}

/* The tree at the first size bytes of path; *out_tree NULL when there is none. Borrowed when it was
 * kept, else *out_owned holds it. */
static bool find_folder(struct snapshot *snapshot, const char *path, size_t size,
	git_tree **out_tree, git_tree **out_owned, struct error *err)
{
	git_tree *tree = snapshot->root;
	size_t from = 0;

	*out_tree = NULL;
	for (size_t i = 0; i < snapshot->kept_count; i++)
		if (strncmp(snapshot->kept[i].path, path, size) == 0 &&
			!snapshot->kept[i].path[size]) {
			*out_tree = snapshot->kept[i].tree;
			return true;
		}
	while (from < size) {
		size_t length = strcspn(path + from, "/");
		scoped(text_free) char *name = memory_copy(path + from, length);
		const git_tree_entry *entry = git_tree_entry_byname(tree, name);
		git_tree *below = NULL;

		if (!entry || kind_of(entry) != ENTRY_FOLDER)
			return true;
		if (!lookup_tree(snapshot, git_tree_entry_id(entry), path, &below, err))
			return false;
		tree_free(out_owned);
		tree = *out_owned = below;
		from += length + 1;
	}
	*out_tree = tree;
	if (*out_owned && snapshot->kept_count < FOLDERS_KEPT) {
		snapshot->kept[snapshot->kept_count++] =
			(struct kept_folder){memory_copy(path, size), *out_owned};
		*out_owned = NULL;
	}
	return true;
}

bool snapshot_find(struct snapshot *snapshot, const char *path, enum entry_kind *out_kind,
	char out_id[GIT_ID_SIZE], struct error *err)
{
	scoped(tree_free) git_tree *owned = NULL;
	git_tree *folder = NULL;
	const char *slash = strrchr(path, '/');

	*out_kind = ENTRY_NONE;
	if (strcmp(path, ".") == 0) {
		*out_kind = ENTRY_FOLDER;
		if (out_id)
			git_oid_tostr(out_id, GIT_ID_SIZE, git_tree_id(snapshot->root));
		return true;
	}
	if (!find_folder(snapshot, path, slash ? (size_t)(slash - path) : 0, &folder, &owned, err))
		return false;
	const git_tree_entry *entry =
		folder ? git_tree_entry_byname(folder, slash ? slash + 1 : path) : NULL;

	if (!entry)
		return true;
	*out_kind = kind_of(entry);
	if (out_id)
		git_oid_tostr(out_id, GIT_ID_SIZE, git_tree_entry_id(entry));
	return true;
}

static void blob_free(git_blob **blob)
{
	git_blob_free(*blob);
	*blob = NULL;
}

bool snapshot_read(struct snapshot *snapshot, const char *path, size_t limit_bytes, struct buf *out,
	struct error *err)
{
	scoped(blob_free) git_blob *blob = NULL;
	enum entry_kind kind = ENTRY_NONE;
	char text[GIT_ID_SIZE];
	git_oid id;

	if (!snapshot_find(snapshot, path, &kind, text, err))
		return false;
	if (kind != ENTRY_FILE && kind != ENTRY_PROGRAM)
		return error_raise(err, ERROR_NOT_FOUND, "commit %.12s has no file \"%s\"",
			snapshot->commit, path);
	int code = git_oid_fromstr(&id, text);

	if (code >= 0)
		code = git_blob_lookup(&blob, snapshot->repository->git, &id);
	if (code < 0)
		return git_raise(err, code, "read \"%s\" of commit %s", path, snapshot->commit);
	git_object_size_t size = git_blob_rawsize(blob);

	if (size > limit_bytes)
		return error_raise(err, ERROR_LIMIT,
			"\"%s\" has %llu bytes, more than the %zu that are accepted", path,
			(unsigned long long)size, limit_bytes);
	buf_append(out, git_blob_rawcontent(blob), (size_t)size);
	return true;
}

/* One comparison of two trees under way. */
struct comparing {
	struct snapshot *from, *to;
	struct buf path; /* of the folder, with a final slash */
	struct strings *out;
	int depth;
};

/* The order of entries in a Git tree: as if a folder's name ended with "/". */
static int compare_entries(const git_tree_entry *a, const git_tree_entry *b)
{
	const char *left = git_tree_entry_name(a), *right = git_tree_entry_name(b);
	size_t i = 0;

	while (left[i] && left[i] == right[i])
		i++;
	unsigned char x = (unsigned char)left[i], y = (unsigned char)right[i];

	if (!x && git_tree_entry_filemode(a) == GIT_FILEMODE_TREE)
		x = '/';
	if (!y && git_tree_entry_filemode(b) == GIT_FILEMODE_TREE)
		y = '/';
	return (x > y) - (x < y);
}

static bool compare_trees(struct comparing *comparing, git_tree *from, git_tree *to,
	struct error *err);

/* Compares what stands under one name; either side may be missing. */
static bool compare_pair(struct comparing *comparing, const git_tree_entry *from,
	const git_tree_entry *to, struct error *err)
{
	const char *name = git_tree_entry_name(to ? to : from);
	bool folder = git_tree_entry_filemode(to ? to : from) == GIT_FILEMODE_TREE;
	size_t size = comparing->path.size;
	bool done = true;

	if (from && to && git_oid_equal(git_tree_entry_id(from), git_tree_entry_id(to)) &&
		git_tree_entry_filemode(from) == git_tree_entry_filemode(to))
		return true;
	buf_append_text(&comparing->path, name);
	if (folder) {
		scoped(tree_free) git_tree *below_from = NULL, *below_to = NULL;
		const char *path = buf_text(&comparing->path);

		done = (!from || lookup_tree(comparing->from, git_tree_entry_id(from), path,
					 &below_from, err)) &&
		       (!to || lookup_tree(comparing->to, git_tree_entry_id(to), path, &below_to,
				       err));
		buf_append_char(&comparing->path, '/');
		done = done && compare_trees(comparing, below_from, below_to, err);
	} else {
		strings_add(comparing->out, buf_text(&comparing->path));
	}
	comparing->path.size = size;
	return done;
}

/* Merges two sorted lists; either may be NULL, an empty tree. */
static bool compare_trees(struct comparing *comparing, git_tree *from, git_tree *to,
	struct error *err)
{
	size_t i = 0, j = 0, from_count = from ? git_tree_entrycount(from) : 0;
	size_t to_count = to ? git_tree_entrycount(to) : 0;

	if (++comparing->depth > DEPTH_MAX)
		return error_raise(err, ERROR_LIMIT, "folders lie deeper than %d at \"%.200s\"",
			DEPTH_MAX, buf_text(&comparing->path));
	while (i < from_count || j < to_count) {
		const git_tree_entry *a = i < from_count ? git_tree_entry_byindex(from, i) : NULL;
		const git_tree_entry *b = j < to_count ? git_tree_entry_byindex(to, j) : NULL;
		int order = !a ? 1 : !b ? -1 : compare_entries(a, b);

		if (!compare_pair(comparing, order <= 0 ? a : NULL, order >= 0 ? b : NULL, err))
			return false;
		i += order <= 0;
		j += order >= 0;
	}
	comparing->depth--;
	return true;
}

bool snapshot_changes(struct snapshot *from, struct snapshot *to, struct strings *out_paths,
	struct error *err)
{
	scoped(strings_free) struct strings paths = {0};
	struct comparing comparing = {.from = from, .to = to, .out = &paths};
	bool same = from && git_oid_equal(git_tree_id(from->root), git_tree_id(to->root));
	bool done = same || compare_trees(&comparing, from ? from->root : NULL, to->root, err);

	buf_free(&comparing.path);
	if (!done)
		return error_while(err, "comparing the commits %s and %s",
			from ? from->commit : "(none)", to->commit);
	*out_paths = paths;
	paths = (struct strings){0};
	return true;
}
