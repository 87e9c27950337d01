#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/source/git.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Files are written straight from Git's blobs: no index, no filters. The commit's content is not
 * trusted: names that would lead elsewhere are refused, folders are opened without following links
 * and files are made with O_EXCL, so a link in the tree cannot redirect what is written after it.
 */

enum { DEPTH_MAX = 256 };

struct checkout {
	git_repository *git;
	const char *commit;
	struct buf path; /* for errors */
	int64_t files;
	int depth;
};

static bool name_is_safe(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

static void blob_free(git_blob **blob)
{
	git_blob_free(*blob);
	*blob = NULL;
}

static void tree_free(git_tree **tree)
{
	git_tree_free(*tree);
	*tree = NULL;
}

static bool write_blob(struct checkout *checkout, const git_oid *id, int folder, const char *name,
	git_filemode_t mode, struct error *err)
{
	scoped(blob_free) git_blob *blob = NULL;
	scoped(descriptor_close) int fd = -1;
	const char *path = buf_text(&checkout->path);
	int code = git_blob_lookup(&blob, checkout->git, id);

	if (code < 0)
		return git_raise(err, code, "read \"%s\" of commit %s", path, checkout->commit);
	checkout->files++;
	if (mode == GIT_FILEMODE_LINK) {
		scoped(text_free) char *target =
			memory_copy(git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));

		return symlinkat(target, folder, name) == 0 ||
		       error_raise_errno(err, "make the link \"%s\"", path);
	}
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644);
	if (fd < 0)
		return error_raise_errno(err, "make the file \"%s\"", path);
	return descriptor_write_all(fd, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob),
		path, err);
}

/* Makes the folder name (which may be there) and opens it. */
static bool enter(int parent, const char *name, const char *path, int *out_fd, struct error *err)
{
	if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
		return error_raise_errno(err, "make the folder \"%s\"", path);
	*out_fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *out_fd >= 0 || error_raise_errno(err, "open the folder \"%s\"", path);
}

static bool write_tree(struct checkout *checkout, const git_oid *id, int folder, struct error *err);

static bool write_entry(struct checkout *checkout, const git_tree_entry *entry, int folder,
	struct error *err)
{
	const char *name = git_tree_entry_name(entry);
	git_filemode_t mode = git_tree_entry_filemode(entry);
	size_t size = checkout->path.size;
	bool done = true;

	buf_printf(&checkout->path, "%s%s", size ? "/" : "", name);
	if (!name_is_safe(name)) {
		done = error_raise(err, ERROR_INVALID,
			"commit %s has a file with the unsafe name \"%s\"", checkout->commit,
			buf_text(&checkout->path));
	} else if (mode == GIT_FILEMODE_TREE || mode == GIT_FILEMODE_COMMIT) {
		scoped(descriptor_close) int below = -1;

		/* A submodule is an empty folder, as in a clone that does not fetch them. */
		done = enter(folder, name, buf_text(&checkout->path), &below, err) &&
		       (mode == GIT_FILEMODE_COMMIT ||
			       write_tree(checkout, git_tree_entry_id(entry), below, err));
	} else {
		done = write_blob(checkout, git_tree_entry_id(entry), folder, name, mode, err);
	}
	checkout->path.size = size;
	return done;
}

static bool write_tree(struct checkout *checkout, const git_oid *id, int folder, struct error *err)
{
	scoped(tree_free) git_tree *tree = NULL;
	int code = git_tree_lookup(&tree, checkout->git, id);

	if (code < 0)
		return git_raise(err, code, "read the folder \"%s\" of commit %s",
			buf_text(&checkout->path), checkout->commit);
	if (++checkout->depth > DEPTH_MAX)
		return error_raise(err, ERROR_LIMIT, "folders lie deeper than %d at \"%.200s\"",
			DEPTH_MAX, buf_text(&checkout->path));
	size_t count = git_tree_entrycount(tree);

	for (size_t i = 0; i < count; i++)
		if (!write_entry(checkout, git_tree_entry_byindex(tree, i), folder, err))
			return false;
	checkout->depth--;
	return true;
}

/* Walks down to path's parent in both the commit and the folder, then writes what stands there. */
static bool write_path(struct checkout *checkout, const git_tree *root, const char *path,
	int folder, struct error *err)
{
	scoped(descriptor_close) int here = dup(folder);
	scoped(tree_free) git_tree *tree = NULL;
	struct str rest = str_of(path);

	if (here < 0)
		return error_raise_errno(err, "open the folder \"%s\" again", path);
	checkout->path.size = 0;
	for (;;) {
		struct str part = str_cut(&rest, '/');
		scoped(text_free) char *name = str_copy(part);
		const git_tree_entry *entry = git_tree_entry_byname(tree ? tree : root, name);

		if (!entry)
			return error_raise(err, ERROR_NOT_FOUND, "commit %.12s has no \"%s\"",
				checkout->commit, path);
		if (!rest.data)
			return write_entry(checkout, entry, here, err);
		git_tree *below = NULL;
		int fd = -1, code = git_tree_entry_filemode(entry) == GIT_FILEMODE_TREE
					    ? git_tree_lookup(&below, checkout->git,
						      git_tree_entry_id(entry))
					    : GIT_ENOTFOUND;

		if (code < 0)
			return error_raise(err, ERROR_NOT_FOUND, "commit %.12s has no \"%s\"",
				checkout->commit, path);
		tree_free(&tree);
		tree = below;
		buf_printf(&checkout->path, "%s%s", checkout->path.size ? "/" : "", name);
		if (!name_is_safe(name) || !enter(here, name, path, &fd, err))
			return false;
		descriptor_close(&here);
		here = fd;
	}
}

/* Is paths[at] covered by another one: itself earlier, or a folder above it? */
static bool is_covered(const char *const *paths, size_t count, size_t at)
{
	for (size_t i = 0; i < count; i++) {
		bool same = strcmp(paths[i], paths[at]) == 0;

		if (i != at &&
			(same ? i < at
			      : strcmp(paths[i], ".") == 0 || path_is_below(paths[at], paths[i])))
			return true;
	}
	return false;
}

static void commit_release(git_commit **commit)
{
	git_commit_free(*commit);
	*commit = NULL;
}

static bool write_paths(struct checkout *checkout, const git_oid *commit, const char *const *paths,
	size_t count, int folder, struct error *err)
{
	scoped(commit_release) git_commit *found = NULL;
	scoped(tree_free) git_tree *root = NULL;
	int code = git_commit_lookup(&found, checkout->git, commit);

	if (code >= 0)
		code = git_commit_tree(&root, found);
	if (code < 0)
		return git_raise(err, code, "open the commit %s", checkout->commit);
	for (size_t i = 0; i < count; i++) {
		checkout->path.size = 0;
		checkout->depth = 0;
		if (is_covered(paths, count, i))
			continue;
		bool done = strcmp(paths[i], ".") == 0
				    ? write_tree(checkout, git_tree_id(root), folder, err)
				    : write_path(checkout, root, paths[i], folder, err);

		if (!done)
			return false;
	}
	return true;
}

bool snapshot_checkout(struct snapshot *snapshot, const char *const *paths, size_t count,
	const char *folder, int64_t *out_files, struct error *err)
{
	scoped(descriptor_close) int fd = -1;
	struct checkout checkout = {
		.git = snapshot_repository(snapshot)->git,
		.commit = snapshot_commit(snapshot),
	};
	git_oid id;

	if (!folder_make(folder, 0755, err))
		return false;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_raise_errno(err, "open the folder \"%s\"", folder);
	/* The modes of a checkout are Git's, whatever the user's umask: they end up in images. */
	mode_t before = umask(022);
	bool done = git_oid_fromstr(&id, checkout.commit) >= 0 &&
		    write_paths(&checkout, &id, paths, count, fd, err);

	umask(before);
	buf_free(&checkout.path);
	if (!done)
		return error_while(err, "checking out commit %.12s into \"%s\"", checkout.commit,
			folder);
	if (out_files)
		*out_files = checkout.files;
	return true;
}
