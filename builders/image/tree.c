#include "builders/image/tree.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	ENTRY_LIMIT = 500000,
	LINK_LIMIT = 40,
	PATH_LIMIT = 4096,
};

static const char *const layer_kind_names[LAYER_KINDS] = {
	[LAYER_BASE] = "base",
	[LAYER_LIBRARIES] = "libraries",
	[LAYER_CERTIFICATES] = "certificates",
	[LAYER_CONFIGURATION] = "configuration",
	[LAYER_PROGRAM] = "program",
	[LAYER_DOCKERFILE] = "dockerfile",
};

static const char *const entry_kind_names[] = {
	[ENTRY_FOLDER] = "a folder",
	[ENTRY_FILE] = "a file",
	[ENTRY_LINK] = "a link",
};

const char *layer_kind_name(enum layer_kind kind)
{
	return kind < LAYER_KINDS ? layer_kind_names[kind] : "unknown";
}

static void entry_free(struct tree_entry *entry)
{
	free(entry->path);
	free(entry->source);
	free(entry->content);
	free(entry->target);
	free(entry->why);
	*entry = (struct tree_entry){0};
}

void tree_free(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		entry_free(&tree->entries[i]);
	free(tree->entries);
	free(tree->slots);
	*tree = (struct tree){0};
}

/* FNV-1a. */
static size_t hash(const char *path)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *path; path++)
		value = (value ^ (unsigned char)*path) * 0x100000001b3;
	return (size_t)value;
}

/* The slot that holds path, or the free one where it belongs. */
static uint32_t *slot_of(const struct tree *tree, const char *path)
{
	size_t at = hash(path) & (tree->slot_count - 1);

	while (tree->slots[at] && strcmp(tree->entries[tree->slots[at] - 1].path, path) != 0)
		at = (at + 1) & (tree->slot_count - 1);
	return &tree->slots[at];
}

const struct tree_entry *tree_find(const struct tree *tree, const char *path)
{
	if (tree->slot_count == 0)
		return NULL;
	uint32_t *slot = slot_of(tree, path);
	return *slot ? &tree->entries[*slot - 1] : NULL;
}

/* Keeps the table at most half full. */
static void grow_slots(struct tree *tree)
{
	if (tree->slot_count >= 2 * (tree->count + 1))
		return;
	free(tree->slots);
	tree->slot_count = tree->slot_count ? tree->slot_count * 2 : 64;
	tree->slots = memory_new_array(tree->slot_count, sizeof(tree->slots[0]));
	for (size_t i = 0; i < tree->count; i++)
		*slot_of(tree, tree->entries[i].path) = (uint32_t)(i + 1);
}

/* Takes *entry. */
static bool add(struct tree *tree, struct tree_entry *entry, struct error *err)
{
	grow_slots(tree);
	uint32_t *slot = slot_of(tree, entry->path);

	if (*slot) {
		struct tree_entry *old = &tree->entries[*slot - 1];
		if (old->kind != entry->kind) {
			error_raise(err, ERROR_CONFLICT, "/%s would be both %s and %s", entry->path,
				entry_kind_names[old->kind], entry_kind_names[entry->kind]);
			error_while(err, "adding what is there because %s; before: %s", entry->why,
				old->why);
			entry_free(entry);
			return false;
		}
		entry_free(old);
		*old = *entry;
		return true;
	}
	if (tree->count == ENTRY_LIMIT) {
		entry_free(entry);
		return error_raise(err, ERROR_LIMIT,
			"an image may hold at most %d files and folders", ENTRY_LIMIT);
	}
	if (tree->count == tree->capacity) {
		tree->capacity = tree->capacity ? tree->capacity * 2 : 32;
		tree->entries =
			memory_resize(tree->entries, tree->capacity * sizeof(tree->entries[0]));
	}
	tree->entries[tree->count++] = *entry;
	*slot = (uint32_t)tree->count;
	return true;
}

static bool check_parents(const struct tree *tree, const struct tree_entry *entry,
	struct error *err)
{
	scoped(text_free) char *path = memory_copy_text(entry->path);

	for (char *slash; (slash = strrchr(path, '/'));) {
		*slash = 0;
		const struct tree_entry *above = tree_find(tree, path);
		if (!above || above->kind == ENTRY_FOLDER)
			continue;
		error_raise(err, ERROR_CONFLICT, "/%s would be both %s and the folder of /%s", path,
			entry_kind_names[above->kind], entry->path);
		error_while(err, "adding the first because %s; the second: %s", above->why,
			entry->why);
		return error_next(err, "give one of the two another path");
	}
	return true;
}

bool tree_check(const struct tree *tree, struct error *err)
{
	for (size_t i = 0; i < tree->count; i++)
		if (!check_parents(tree, &tree->entries[i], err))
			return false;
	return true;
}

bool tree_entry_is_unchanged(const struct tree_entry *entry, int fd)
{
	const struct file_identity *old = &entry->identity;
	struct stat now;

	return fstat(fd, &now) == 0 && old->device == (int64_t)now.st_dev &&
	       old->inode == (int64_t)now.st_ino && old->size_bytes == now.st_size &&
	       old->modified_ns == (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec &&
	       old->changed_ns == (int64_t)now.st_ctim.tv_sec * 1000000000 + now.st_ctim.tv_nsec;
}

void tree_set_package(struct tree *tree, const char *path, const struct package *package)
{
	if (tree_find(tree, path))
		tree->entries[*slot_of(tree, path) - 1].package = package;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned follow = *at < 0x80                  ? 0
				  : *at >= 0xc2 && *at < 0xe0 ? 1
				  : *at >= 0xe0 && *at < 0xf0 ? 2
				  : *at >= 0xf0 && *at < 0xf5 ? 3
							      : 4;
		unsigned char first = *at++;

		if (follow == 4)
			return false;
		/* Overlong forms, surrogates and what lies beyond U+10FFFF. */
		if ((first == 0xe0 && *at < 0xa0) || (first == 0xed && *at > 0x9f) ||
			(first == 0xf0 && *at < 0x90) || (first == 0xf4 && *at > 0x8f))
			return false;
		for (; follow > 0; follow--, at++)
			if ((*at & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static void drop_last_component(struct buf *path)
{
	while (path->size > 0 && path->data[path->size - 1] != '/')
		path->data[--path->size] = 0;
	if (path->size > 0)
		path->data[--path->size] = 0;
}

/* Makes the rest of the way begin with a link's target. */
static void prepend_target(struct buf *rest, const char *target)
{
	char *behind = buf_take(rest);

	buf_printf(rest, "%s/%s", target, behind ? behind : "");
	free(behind);
}

/* Cuts the next component off the front of rest; false at the end. */
static bool next_component(struct buf *rest, struct buf *out_name)
{
	size_t start = 0, end;

	while (start < rest->size && rest->data[start] == '/')
		start++;
	for (end = start; end < rest->size && rest->data[end] != '/'; end++)
		;
	buf_clear(out_name);
	buf_append(out_name, rest->data ? rest->data + start : "", end - start);
	buf_remove_front(rest, end);
	return end > start;
}

static bool is_last(const struct buf *rest)
{
	for (size_t i = 0; i < rest->size; i++)
		if (rest->data[i] != '/')
			return false;
	return true;
}

bool tree_resolve(const struct tree *tree, const char *path, char **out_path, struct error *err)
{
	scoped(buf_free) struct buf rest = {0}, done = {0}, name = {0};
	int links = 0;

	if (strlen(path) > PATH_LIMIT)
		return error_raise(err, ERROR_INVALID,
			"the path \"%.64s…\" is longer than %d bytes", path, PATH_LIMIT);
	if (!is_utf8(path)) {
		error_raise(err, ERROR_INVALID, "the path \"%s\" is not UTF-8", path);
		return error_next(err, "rename it: tar readers do not agree what such bytes mean");
	}
	buf_append_text(&rest, path);
	while (next_component(&rest, &name)) {
		size_t before = done.size;

		if (text_equal(buf_text(&name), "."))
			continue;
		if (text_equal(buf_text(&name), "..")) {
			if (done.size == 0)
				return error_raise(err, ERROR_INVALID,
					"the path \"%s\" leaves the image", path);
			drop_last_component(&done);
			continue;
		}
		buf_printf(&done, "%s%s", done.size ? "/" : "", buf_text(&name));

		const struct tree_entry *entry = tree_find(tree, buf_text(&done));
		if (!entry || entry->kind != ENTRY_LINK || is_last(&rest))
			continue;
		if (++links > LINK_LIMIT)
			return error_raise(err, ERROR_INVALID,
				"more than %d links on the way to \"%s\"", LINK_LIMIT, path);
		while (done.size > (entry->target[0] == '/' ? 0 : before))
			done.data[--done.size] = 0;
		prepend_target(&rest, entry->target);
	}
	*out_path = done.size ? buf_take(&done) : memory_copy_text("");
	return true;
}

/* An entry at the resolved path; a path that ends at the root itself is refused. */
static bool new_entry(const struct tree *tree, const char *path, enum layer_kind layer,
	const char *why, struct tree_entry *out_entry, struct error *err)
{
	char *resolved;

	if (!tree_resolve(tree, path, &resolved, err))
		return false;
	if (resolved[0] == 0) {
		free(resolved);
		return error_raise(err, ERROR_INVALID,
			"\"%s\" names the root folder, not a file in it", path);
	}
	const char *name = path_base(resolved);
	if (text_starts_with(name, ".wh.")) {
		error_raise(err, ERROR_INVALID,
			"\"%s\": image layers read names that start with \".wh.\" as removals",
			path);
		free(resolved);
		return error_next(err, "rename the file");
	}
	*out_entry = (struct tree_entry){.path = resolved,
		.layer = layer,
		.mode = 0644,
		.why = memory_copy_text(why)};
	return true;
}

static int64_t nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool check_file(const char *source, const struct stat *status, struct error *err)
{
	if (!S_ISREG(status->st_mode))
		return error_raise(err, ERROR_INVALID,
			"\"%s\" is %s; only files, folders and links go into an image", source,
			S_ISDIR(status->st_mode)    ? "a folder"
			: S_ISFIFO(status->st_mode) ? "a pipe"
			: S_ISSOCK(status->st_mode) ? "a socket"
						    : "a device");
	if (status->st_mode & (S_ISUID | S_ISGID)) {
		error_raise(err, ERROR_INVALID,
			"\"%s\" is setuid or setgid: whoever runs it gets its owner's rights",
			source);
		return error_next(err, "chmod ug-s \"%s\", or leave it out", source);
	}
	return true;
}

static bool add_file_of(struct tree *tree, const char *path, const char *source,
	const struct stat *status, enum layer_kind layer, const char *why, struct error *err)
{
	struct tree_entry entry;

	if (!check_file(source, status, err) || !new_entry(tree, path, layer, why, &entry, err))
		return false;
	entry.kind = ENTRY_FILE;
	entry.mode = status->st_mode & S_IXUSR ? 0755 : 0644;
	entry.source = memory_copy_text(source);
	entry.size_bytes = status->st_size;
	entry.identity = (struct file_identity){.device = (int64_t)status->st_dev,
		.inode = (int64_t)status->st_ino,
		.size_bytes = status->st_size,
		.modified_ns = nanoseconds(status->st_mtim),
		.changed_ns = nanoseconds(status->st_ctim)};
	return add(tree, &entry, err);
}

bool tree_add_file(struct tree *tree, const char *path, const char *source, enum layer_kind layer,
	const char *why, struct error *err)
{
	struct stat status;

	if (stat(source, &status) < 0)
		return error_raise_errno(err, "read \"%s\"", source);
	return add_file_of(tree, path, source, &status, layer, why, err);
}

bool tree_add_content(struct tree *tree, const char *path, struct str content,
	enum layer_kind layer, const char *why, struct error *err)
{
	struct tree_entry entry;

	if (!new_entry(tree, path, layer, why, &entry, err))
		return false;
	entry.kind = ENTRY_FILE;
	entry.content = str_copy(content);
	entry.size_bytes = (int64_t)content.size;
	return add(tree, &entry, err);
}

bool tree_add_link(struct tree *tree, const char *path, const char *target, enum layer_kind layer,
	const char *why, struct error *err)
{
	struct tree_entry entry;

	if (target[0] == 0 || !is_utf8(target) || strlen(target) > PATH_LIMIT)
		return error_raise(err, ERROR_INVALID,
			"the link \"%s\" has a target that makes no sense", path);
	if (!new_entry(tree, path, layer, why, &entry, err))
		return false;
	entry.kind = ENTRY_LINK;
	entry.mode = 0777;
	entry.target = memory_copy_text(target);
	return add(tree, &entry, err);
}

bool tree_add_folder(struct tree *tree, const char *path, unsigned mode, enum layer_kind layer,
	const char *why, struct error *err)
{
	struct tree_entry entry;

	if (!new_entry(tree, path, layer, why, &entry, err))
		return false;
	entry.kind = ENTRY_FOLDER;
	entry.mode = mode;
	return add(tree, &entry, err);
}

/* The target of the link at path; owned, NULL when path is no link. */
static bool read_link(const char *path, char **out_target, struct error *err)
{
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target));

	*out_target = NULL;
	if (size < 0 && errno == EINVAL)
		return true;
	if (size < 0)
		return error_raise_errno(err, "read \"%s\"", path);
	if ((size_t)size == sizeof(target))
		return error_raise(err, ERROR_INVALID, "the link \"%s\" is too long", path);
	*out_target = memory_copy(target, (size_t)size);
	return true;
}

bool tree_add_host_file(struct tree *tree, const char *path, enum layer_kind layer, const char *why,
	struct error *err)
{
	scoped(buf_free) struct buf rest = {0}, done = {0}, name = {0};
	int links = 0;

	buf_append_text(&rest, path);
	while (next_component(&rest, &name)) {
		scoped(text_free) char *target = NULL;
		size_t before = done.size;

		if (text_equal(buf_text(&name), "."))
			continue;
		if (text_equal(buf_text(&name), "..")) {
			drop_last_component(&done);
			continue;
		}
		buf_printf(&done, "/%s", buf_text(&name));
		if (!read_link(buf_text(&done), &target, err))
			return false;
		if (!target)
			continue;
		if (++links > LINK_LIMIT)
			return error_raise(err, ERROR_INVALID,
				"more than %d links on the way to \"%s\"", LINK_LIMIT, path);
		bool last = is_last(&rest);
		if (!tree_add_link(tree, buf_text(&done), target, last ? layer : LAYER_BASE,
			    last ? why : "the folder has this second name here", err))
			return false;
		while (done.size > (target[0] == '/' ? 0 : before))
			done.data[--done.size] = 0;
		prepend_target(&rest, target);
	}
	return tree_add_file(tree, buf_text(&done), buf_text(&done), layer, why, err);
}

struct walk {
	struct tree *tree;
	const char *path, *source, *why;
	enum layer_kind layer;
};

static bool add_walked(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct walk *walk = context;
	scoped(text_free) char *path = memory_format("%s/%s", walk->path, relative);
	scoped(text_free) char *source = path_join(walk->source, relative);
	scoped(text_free) char *target = NULL;

	if (S_ISDIR(status->st_mode))
		return tree_add_folder(walk->tree, path, 0755, walk->layer, walk->why, err);
	if (!S_ISLNK(status->st_mode))
		return add_file_of(walk->tree, path, source, status, walk->layer, walk->why, err);
	if (!read_link(source, &target, err))
		return false;
	return tree_add_link(walk->tree, path, target ? target : "", walk->layer, walk->why, err);
}

bool tree_add_all(struct tree *tree, const char *path, const char *source, enum layer_kind layer,
	const char *why, struct error *err)
{
	struct walk walk = {tree, path, source, why, layer};
	struct stat status;

	if (stat(source, &status) < 0)
		return error_raise_errno(err, "read \"%s\"", source);
	if (!S_ISDIR(status.st_mode))
		return add_file_of(tree, path, source, &status, layer, why, err);
	return folder_walk(source, add_walked, &walk, err);
}
