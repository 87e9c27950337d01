#include "builders/image/loader_root.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

/* When what is listed or how it is compared changes, what was listed before does not count. */
#define KEY_VERSION "loader check 1"

char *loader_root_resolve(const struct tree *tree, const char *path)
{
	scoped(text_free) char *at = memory_copy_text(path);
	struct error err = {0};

	for (int links = 0; links < 40; links++) {
		char *resolved = NULL;
		if (!tree_resolve(tree, at, &resolved, &err)) {
			error_ignore(&err, "the caller finds it is not there");
			return NULL;
		}
		const struct tree_entry *entry = tree_find(tree, resolved);
		if (!entry || entry->kind != ENTRY_LINK)
			return resolved;
		text_free(&at);
		if (entry->target[0] == '/') {
			at = memory_copy_text(entry->target);
		} else {
			scoped(text_free) char *absolute = memory_format("/%s", resolved);
			scoped(text_free) char *folder = path_parent(absolute);
			at = path_join(folder, entry->target);
		}
		free(resolved);
	}
	return NULL;
}

static bool is_like_a_library(const char *path)
{
	const char *mark = strstr(path_base(path), ".so");

	return mark && (mark[3] == 0 || mark[3] == '.');
}

static bool is_of_closure(const struct closure *closure, const struct tree_entry *entry)
{
	for (size_t i = 0; i < closure_count(closure); i++)
		if (text_equal(closure_at(closure, i)->image_path + 1, entry->path))
			return true;
	return false;
}

static bool is_seen(const struct closure *closure, const struct tree_entry *entry)
{
	return entry->source &&
	       (is_like_a_library(entry->path) || text_starts_with(entry->path, "etc/ld") ||
		       is_of_closure(closure, entry));
}

static void add_text(struct hasher *hasher, struct str text)
{
	uint64_t size = text.size;

	hasher_add(hasher, &size, sizeof(size));
	hasher_add(hasher, text.data ? text.data : "", text.size);
}

/* What the loader reads of a library. */
static void add_elf(struct hasher *hasher, const struct elf *elf)
{
	const uint64_t numbers[] = {elf->is_64, elf->big_endian, (uint64_t)elf->type,
		(uint64_t)elf->machine, elf->no_default_folders, elf->needed_count,
		elf->version_need_count, elf->version_count};

	hasher_add(hasher, numbers, sizeof(numbers));
	add_text(hasher, elf->interpreter);
	add_text(hasher, elf->soname);
	add_text(hasher, elf->rpath);
	add_text(hasher, elf->runpath);
	for (size_t i = 0; i < elf->needed_count; i++)
		add_text(hasher, elf->needed[i]);
	for (size_t i = 0; i < elf->version_need_count; i++) {
		add_text(hasher, elf->version_needs[i].file);
		add_text(hasher, elf->version_needs[i].version);
	}
	for (size_t i = 0; i < elf->version_count; i++)
		add_text(hasher, elf->versions[i]);
}

/* The loader itself counts with all its bytes, and so does what is no program or library. */
static void add_file(struct hasher *hasher, const struct closure *closure,
	const struct tree_entry *entry)
{
	const struct library *library = NULL;

	for (size_t i = 0; !library && i < closure_count(closure); i++) {
		const struct library *l = closure_at(closure, i);
		if (text_equal(l->path, entry->source) ||
			text_equal(l->image_path + 1, entry->path))
			library = l;
	}
	add_text(hasher, str_of(entry->path));
	if (library)
		add_elf(hasher, &library->file->elf);
	if (!library || library->role == LIBRARY_LOADER)
		hasher_add(hasher, &entry->identity, sizeof(entry->identity));
}

static void add_roles(struct hasher *hasher, const struct closure *closure)
{
	for (size_t i = 0; i < closure_count(closure); i++) {
		const struct library *l = closure_at(closure, i);
		const uint64_t numbers[] = {(uint64_t)l->role, l->opener != NULL};
		hasher_add(hasher, numbers, sizeof(numbers));
		add_text(hasher, str_of(l->image_path));
		add_text(hasher, str_of(l->asked));
	}
}

static const char *keep(struct loader_root *root, char *text)
{
	strings_add_owned(&root->texts, text);
	return text;
}

static void add_bind(struct loader_root *root, const struct tree_entry *entry)
{
	root->binds = memory_resize(root->binds, (root->bind_count + 1) * sizeof(root->binds[0]));
	root->binds[root->bind_count++] =
		(struct sandbox_bind){.from = keep(root, memory_copy_text(entry->source)),
			.to = keep(root, memory_format("/%s", entry->path))};
}

/* A link to a folder matters when something lies there that the loader looks at. */
static bool leads_to_seen(const struct loader_root *root, const struct tree *tree,
	const struct tree_entry *entry)
{
	scoped(text_free) char *path = loader_root_resolve(tree, entry->path);
	size_t size = path ? strlen(path) : 0;

	for (size_t i = 0; path && i < root->bind_count; i++)
		if (strncmp(root->binds[i].to + 1, path, size) == 0 &&
			root->binds[i].to[size + 1] == '/')
			return true;
	for (size_t i = 0; path && i < root->link_count; i++)
		if (strncmp(root->links[i].path + 1, path, size) == 0 &&
			root->links[i].path[size + 1] == '/')
			return true;
	return false;
}

static void add_link(struct loader_root *root, struct hasher *hasher,
	const struct tree_entry *entry)
{
	root->links = memory_resize(root->links, (root->link_count + 1) * sizeof(root->links[0]));
	root->links[root->link_count++] =
		(struct sandbox_link){.target = keep(root, memory_copy_text(entry->target)),
			.path = keep(root, memory_format("/%s", entry->path))};
	add_text(hasher, str_of(entry->path));
	add_text(hasher, str_of(entry->target));
}

/* Links with a library's name first: a folder counts for what it holds. */
static void add_links(struct loader_root *root, struct hasher *hasher, const struct tree *tree)
{
	for (int folders = 0; folders < 2; folders++)
		for (size_t i = 0; i < tree->count; i++) {
			const struct tree_entry *entry = &tree->entries[i];
			if (entry->kind != ENTRY_LINK || is_like_a_library(entry->path) != !folders)
				continue;
			if (!folders || leads_to_seen(root, tree, entry))
				add_link(root, hasher, entry);
		}
}

struct loader_root loader_root_of(const struct closure *closure, const struct tree *tree)
{
	struct loader_root root = {0};
	struct hasher *hasher = hasher_new();

	add_text(hasher, str_of(KEY_VERSION));
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		if (entry->kind != ENTRY_FILE || !is_seen(closure, entry))
			continue;
		add_bind(&root, entry);
		add_file(hasher, closure, entry);
	}
	add_links(&root, hasher, tree);
	add_roles(hasher, closure);
	root.key = hasher_finish(hasher);
	hasher_free(&hasher);
	return root;
}

void loader_root_free(struct loader_root *root)
{
	free(root->binds);
	free(root->links);
	strings_free(&root->texts);
	*root = (struct loader_root){0};
}
