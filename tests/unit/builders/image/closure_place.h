/*
 * closure_place.h - a folder of a test's own with ELF files in it, and a closure that looks nowhere
 *                   else.
 */
#ifndef TESTS_UNIT_BUILDERS_IMAGE_CLOSURE_PLACE_H
#define TESTS_UNIT_BUILDERS_IMAGE_CLOSURE_PLACE_H

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/closure.h"
#include "tests/unit/builders/image/elf_maker.h"

struct place {
	char *root; /* owned */
	char *lib;  /* owned: the only default folder */
	const char *folders[2];
	struct closure_options options;
	struct tree tree;
	struct strings warnings;
	struct closure *closure;
};

/* change: options of the closure beside these; NULL: none. */
static bool open_place_with(struct place *place, const struct closure_options *change)
{
	struct error err = {0};

	if (!folder_make_temporary(NULL, "closure-", &place->root, &err))
		return false;
	place->lib = path_join(place->root, "usr/lib");
	place->folders[0] = place->lib;
	bool ok = folder_make(place->lib, 0755, &err);
	error_free(&err);
	if (change)
		place->options = *change;
	if (!place->options.architecture)
		place->options.architecture = "amd64";
	place->options.loader_cache = "/nonexistent/ld.so.cache";
	place->options.folders = place->folders;
	if (!place->options.certificates)
		place->options.certificates = "/nonexistent/ca.crt";
	place->closure = closure_new(&place->options, &place->tree, &place->warnings);
	return ok;
}

static inline bool open_place(struct place *place)
{
	return open_place_with(place, NULL);
}

static void close_place(struct place *place)
{
	struct error err = {0};

	closure_free(&place->closure);
	tree_free(&place->tree);
	strings_free(&place->warnings);
	if (place->root && !folder_remove(place->root, &err))
		error_free(&err);
	text_free(&place->root);
	text_free(&place->lib);
}

/* Writes an ELF file below the place's root and gives its path, owned. */
static char *put(struct place *place, const char *name, const struct elf_recipe *recipe)
{
	scoped(buf_free) struct buf file = {0};
	char *path = path_join(place->root, name);
	scoped(text_free) char *folder = path_parent(path);
	struct error err = {0};

	elf_make(recipe, &file);
	if (!folder_make(folder, 0755, &err) ||
		!file_write(path, buf_str(&file), 0755, false, &err))
		error_free(&err);
	return path;
}

static inline bool holds(const struct place *place, const char *folder, const char *name)
{
	scoped(text_free) char *path = memory_format("%s/%s", folder, name);

	return tree_find(&place->tree, path + (path[0] == '/')) != NULL;
}

/* Is there a warning with this piece? */
static inline bool warns(const struct place *place, const char *piece)
{
	for (size_t i = 0; i < place->warnings.count; i++)
		if (strstr(place->warnings.items[i], piece))
			return true;
	return false;
}

/* Why the file at this path (without leading slash, or below the place's root) is in the tree. */
static inline const char *why(const struct place *place, const char *folder, const char *name)
{
	scoped(text_free) char *path = memory_format("%s/%s", folder, name);
	const struct tree_entry *entry = tree_find(&place->tree, path + (path[0] == '/'));

	return entry ? entry->why : "(not there)";
}

#endif
