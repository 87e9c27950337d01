/*
 * repository.h - a Git repository as we need it: commits, the tree of a commit, what changed between
 *                two, files of a commit in a folder. The only place that knows libgit2.
 *
 *     repository_open -> repository_resolve("main") -> snapshot_open(commit) -> snapshot_find, _read
 *
 * Ids are 40 hex digits. Paths are relative to the repository's root, normalised; "." is the root.
 *
 * Ownership  a snapshot belongs to its repository and must be freed before it.
 * Threads    a repository belongs to one thread.
 * Speed      nothing here looks at files that did not change: a comparison descends only where the
 *            ids of two folders differ (libgit2's own diff reads everything).
 */
#ifndef PIPELINE_SOURCE_REPOSITORY_H
#define PIPELINE_SOURCE_REPOSITORY_H

#include "base/buf.h"
#include "base/error.h"

enum { GIT_ID_SIZE = 41 }; /* 40 hex digits and a NUL */

struct repository;

/* Loads libgit2 now rather than when it is needed. */
void repository_warm_up(void);

/* path: a work tree, any folder below one, or a bare repository. */
bool repository_open(const char *path, struct repository **out_repository, struct error *err)
	must_use;
void repository_free(struct repository **repository);
/* The folder with refs and objects; and the work tree's root, NULL for a bare one. Borrowed. */
const char *repository_git_folder(const struct repository *repository);
const char *repository_work_folder(const struct repository *repository);

/* Where the repository comes from, for people and documents: the URL of its remote "origin" without
 * user and password, else "file://" and its folder. Owned. */
char *repository_origin(struct repository *repository) must_use;

struct commit {
	char id[GIT_ID_SIZE];
	char parent[GIT_ID_SIZE]; /* the first; "" when there is none */
	int64_t time_ms;          /* of the committer */
	char *author;             /* owned: "Name <mail>" */
	char *subject;            /* owned: the message's first line */
};
void commit_free(struct commit *commit);

/* rev: a branch, a tag, an id or its beginning, "HEAD~2", …
 * Fails with ERROR_NOT_FOUND that names it. */
bool repository_resolve(struct repository *repository, const char *rev, struct commit *out_commit,
	struct error *err) must_use;

/* The branch that HEAD names ("main"); NULL when it names none. Owned. */
bool repository_head_branch(struct repository *repository, char **out_branch, struct error *err)
	must_use;

/* The local branches and where they stand, sorted by name. */
struct branch {
	char *name; /* owned */
	char id[GIT_ID_SIZE];
};
struct branches {
	struct branch *items; /* owned */
	size_t count;
};
bool repository_branches(struct repository *repository, struct branches *out_branches,
	struct error *err) must_use;
void branches_free(struct branches *branches);

/* Is ancestor reachable from commit (or the same)? */
bool repository_is_ancestor(struct repository *repository, const char *ancestor, const char *commit,
	bool *out_is, struct error *err) must_use;

enum entry_kind {
	ENTRY_NONE,
	ENTRY_FILE,
	ENTRY_PROGRAM, /* a file with its x bit */
	ENTRY_LINK,
	ENTRY_FOLDER,
	ENTRY_MODULE, /* a submodule's commit */
};

/* The tree of one commit. */
struct snapshot;
bool snapshot_open(struct repository *repository, const char *commit,
	struct snapshot **out_snapshot, struct error *err) must_use;
void snapshot_free(struct snapshot **snapshot);
const char *snapshot_commit(const struct snapshot *snapshot);

/* What stands at path: *out_kind is ENTRY_NONE when nothing does. out_id (may be NULL) gets the id
 * of the blob or tree. */
bool snapshot_find(struct snapshot *snapshot, const char *path, enum entry_kind *out_kind,
	char out_id[GIT_ID_SIZE], struct error *err) must_use;

/* Appends the file's content. ERROR_NOT_FOUND, ERROR_LIMIT beyond limit_bytes. */
bool snapshot_read(struct snapshot *snapshot, const char *path, size_t limit_bytes, struct buf *out,
	struct error *err) must_use;

/*
 * The paths that differ between two commits, sorted bytewise. What was added or removed as a whole
 * folder is listed file by file.
 *
 * from   NULL: an empty tree, so everything in to is listed
 */
bool snapshot_changes(struct snapshot *from, struct snapshot *to, struct strings *out_paths,
	struct error *err) must_use;

enum tree_change {
	TREE_EDITED, /* a regular file before and after, with the same permissions */
	TREE_OTHER,  /* added, removed, or of another kind; what is below a folder is not listed */
};

/*
 * What differs between two objects, each a tree or a blob by its Git id.
 *
 * path   where they stand; the paths visited begin with it
 * visit  false ends the comparison: *out_all is false then
 * Fails with ERROR_NOT_FOUND when the repository has an object no more.
 */
bool tree_compare(struct repository *repository, const char *path, const char *from, const char *to,
	bool (*visit)(void *context, const char *path, enum tree_change change), void *context,
	bool *out_all, struct error *err) must_use;

/*
 * Writes the files below paths into folder (made when missing) under the names they have in the
 * repository. A path that is not in the commit is ERROR_NOT_FOUND. Nothing outside folder is ever
 * written: folder should be private and empty.
 *
 * out_files  how many files were written; may be NULL
 */
bool snapshot_checkout(struct snapshot *snapshot, const char *const *paths, size_t count,
	const char *folder, int64_t *out_files, struct error *err) must_use;

/*
 * Brings a bare mirror at folder (made when missing) up to date with url: file, https or ssh.
 * Credentials come from the URL, DOGSHORE_GIT_USERNAME and DOGSHORE_GIT_PASSWORD, the ssh agent or
 * ~/.ssh. *out_changed tells whether any branch moved. Repeating it is safe.
 */
bool repository_mirror(const char *url, const char *folder, bool *out_changed, struct error *err)
	must_use;

#endif
