#include "builders/image/reasons.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/image/loader_root.h"
#include "builders/image/package_database.h"

#include <stdlib.h>

enum {
	SIZE_LIMIT = 64 << 20,
	FILE_LIMIT = 500000,
	STEP_LIMIT = 64,
};

/* Which entry of the tree is the cause of which: libraries of the closure. by[i]: place + 1. */
static void find_causes(const struct tree *tree, const struct closure *closure, uint32_t *by)
{
	for (size_t i = 0; closure && i < closure_count(closure); i++) {
		const struct library *l = closure_at(closure, i);
		struct error ignored = {0};
		char *link = NULL;

		if (!l->asker)
			continue;
		scoped(text_free) char *cause = loader_root_resolve(tree, l->asker->image_path);
		scoped(text_free) char *file = loader_root_resolve(tree, l->image_path);
		const struct tree_entry *from = cause ? tree_find(tree, cause) : NULL;
		if (!tree_resolve(tree, l->image_path, &link, &ignored))
			error_ignore(&ignored, "then it has no cause");
		const char *const paths[] = {file, link};
		for (size_t k = 0; from && k < countof(paths); k++) {
			const struct tree_entry *to = paths[k] ? tree_find(tree, paths[k]) : NULL;
			if (to && to != from && !by[to - tree->entries])
				by[to - tree->entries] = (uint32_t)(from - tree->entries) + 1;
		}
		free(link);
	}
}

static void put_path(struct json_writer *w, const char *key, const char *path)
{
	json_key(w, key);
	json_write_format(w, "/%s", path);
}

static int by_path(const void *a, const void *b)
{
	const struct tree_entry *const *one = a, *const *other = b;

	return strcmp((*one)->path, (*other)->path);
}

/* Sorted, as a folder of the user's is not read in the same order on every machine. */
void reasons_write(const struct tree *tree, const struct closure *closure, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	uint32_t *by = memory_new_array(tree->count + 1, sizeof(by[0]));
	const struct tree_entry **sorted = memory_new_array(tree->count + 1, sizeof(sorted[0]));

	find_causes(tree, closure, by);
	for (size_t i = 0; i < tree->count; i++)
		sorted[i] = &tree->entries[i];
	qsort(sorted, tree->count, sizeof(sorted[0]), by_path);
	json_object_begin(&w);
	json_put_int(&w, "version", 1);
	json_key(&w, "files");
	json_array_begin(&w);
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *entry = sorted[i];
		uint32_t cause = by[entry - tree->entries];
		json_object_begin(&w);
		put_path(&w, "path", entry->path);
		json_put_text(&w, "layer", layer_kind_name(entry->layer));
		if (entry->package)
			json_put_text(&w, "package", entry->package->name);
		if (entry->kind == ENTRY_LINK)
			json_put_text(&w, "target", entry->target);
		json_put_text(&w, "why", entry->why);
		if (cause)
			put_path(&w, "by", tree->entries[cause - 1].path);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_object_end(&w);
	free(sorted);
	free(by);
}

void reasons_free(struct reasons *reasons)
{
	for (size_t i = 0; i < reasons->count; i++) {
		struct reason *r = &reasons->items[i];
		free(r->path);
		free(r->why);
		free(r->layer);
		free(r->package);
		free(r->target);
		free(r->by);
	}
	free(reasons->items);
	tree_free(&reasons->links);
	*reasons = (struct reasons){0};
}

static char *text_of(const struct json *file, const char *key)
{
	return memory_copy_text(json_get_text(file, key, ""));
}

static bool add_file(struct reasons *reasons, const struct json *file, const char *what,
	struct error *err)
{
	const char *path = json_get_text(file, "path", "");

	if (path[0] != '/')
		return error_raise(err, ERROR_INVALID,
			"%s: a file in the list of reasons has no path", what);
	struct reason *r = &reasons->items[reasons->count++];
	*r = (struct reason){.path = memory_copy_text(path),
		.why = text_of(file, "why"),
		.layer = text_of(file, "layer"),
		.package = text_of(file, "package"),
		.target = text_of(file, "target"),
		.by = text_of(file, "by")};
	return !*r->target || tree_add_link(&reasons->links, path, r->target, LAYER_BASE, "", err);
}

bool reasons_parse(struct str text, const char *what, struct reasons *out_reasons,
	struct error *err)
{
	static const struct json_limits limits = {.size_bytes = SIZE_LIMIT, .depth = 8};
	scoped(reasons_free) struct reasons reasons = {0};
	scoped(json_free) struct json *value = NULL;

	if (!json_parse(text, what, &limits, &value, err))
		return false;
	const struct json *files = json_get(value, "files");
	size_t count = json_count(files);
	if (json_get_int(value, "version", 0) != 1 || !json_is_array(files))
		return error_raise(err, ERROR_INVALID, "%s is no list of reasons that we know",
			what);
	if (count > FILE_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s has more than %d files", what, FILE_LIMIT);
	reasons.items = memory_new_array(count + 1, sizeof(reasons.items[0]));
	for (size_t i = 0; i < count; i++)
		if (!add_file(&reasons, json_at(files, i), what, err))
			return false;
	*out_reasons = reasons;
	reasons = (struct reasons){0};
	return true;
}

bool reasons_read(const struct layout *layout, const char *tag, struct reasons *out_reasons,
	struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct digest digest;

	if (!layout_find_reasons(layout, tag, &digest, err))
		return false;
	if (digest_is_zero(&digest)) {
		error_raise(err, ERROR_NOT_FOUND,
			"the image \"%s:%s\" has no list of reasons with it", layout->path, tag);
		return error_next(err, "it is kept in the layout that image build --binary wrote, "
				       "and is not pushed: "
				       "build the image again, or look into that layout");
	}
	return layout_read_blob(layout, &digest, SIZE_LIMIT, &text, err) &&
	       reasons_parse(buf_str(&text), "the list of reasons", out_reasons, err);
}

static bool find_path(const struct reasons *reasons, const char *path, size_t *out_index)
{
	for (size_t i = 0; i < reasons->count; i++)
		if (text_equal(reasons->items[i].path, path)) {
			*out_index = i;
			return true;
		}
	return false;
}

/* By its path, then by its name alone; the file comes before links to it. */
static bool find_start(const struct reasons *reasons, const char *path, size_t *out_index)
{
	struct error ignored = {0};
	char *resolved = NULL;

	if (strchr(path, '/')) {
		if (!tree_resolve(&reasons->links, path, &resolved, &ignored)) {
			error_ignore(&ignored, "it is not there");
			return false;
		}
		scoped(text_free) char *absolute = memory_format("/%s", resolved);
		free(resolved);
		return find_path(reasons, absolute, out_index);
	}
	for (int links = 0; links < 2; links++)
		for (size_t i = 0; i < reasons->count; i++)
			if (text_equal(path_base(reasons->items[i].path), path) &&
				!*reasons->items[i].target == !links) {
				*out_index = i;
				return true;
			}
	return false;
}

static bool refuse(const struct reasons *reasons, const char *path, struct error *err)
{
	const char **names = memory_new_array(reasons->count + 1, sizeof(names[0]));
	size_t below = 0, size = strlen(path);

	for (size_t i = 0; i < reasons->count; i++) {
		const char *other = reasons->items[i].path;
		names[i] = strchr(path, '/') ? other : path_base(other);
		below += strncmp(other, path, size) == 0 && other[size] == '/';
	}
	const char *near = text_nearest(path, names, reasons->count);
	if (below > 0)
		error_raise(err, ERROR_NOT_FOUND,
			"\"%s\" is a folder that %zu files of the image lie in", path, below);
	else
		error_raise(err, ERROR_NOT_FOUND,
			"\"%s\" is not among the files that image build put into the image", path);
	if (near)
		error_next(err, "is it %s?", near);
	else
		error_next(err,
			"image build --explain lists all files; a base image's own are not listed");
	free(names);
	return false;
}

/* Where a step leads: a link to its target, a file to its cause. */
static bool next_step(const struct reasons *reasons, size_t at, size_t *out_next)
{
	const struct reason *r = &reasons->items[at];

	if (*r->target) {
		scoped(text_free) char *final = loader_root_resolve(&reasons->links, r->path);
		scoped(text_free) char *absolute = final ? memory_format("/%s", final) : NULL;
		return absolute && find_path(reasons, absolute, out_next);
	}
	return *r->by && find_path(reasons, r->by, out_next);
}

bool reasons_find(const struct reasons *reasons, const char *path, size_t **out_steps,
	size_t *out_count, struct error *err)
{
	size_t at;

	if (!find_start(reasons, path, &at))
		return refuse(reasons, path, err);
	size_t *steps = memory_new_array(STEP_LIMIT, sizeof(steps[0])), count = 0;
	for (bool more = true; more && count < STEP_LIMIT; more = next_step(reasons, at, &at))
		steps[count++] = at;
	*out_steps = steps;
	*out_count = count;
	return true;
}
