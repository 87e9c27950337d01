#include "pipeline/plan/narrow.h"

#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

enum { MOVES_MAX = 64 };

void narrow_records_free(struct narrow_records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		key_free(&records->items[i].key);
		strings_free(&records->items[i].files);
	}
	free(records->items);
	*records = (struct narrow_records){0};
}

bool narrow_is_source(const char *path)
{
	static const char *const ends[] = {".h", ".c", ".hpp", ".cpp", ".hh", ".cc", ".hxx", ".cxx",
		".inl"};

	for (size_t i = 0; i < countof(ends); i++)
		if (text_ends_with(path, ends[i]))
			return true;
	return false;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool was_read(const struct narrow_record *record, const char *path)
{
	return record->files.count && bsearch(&path, record->files.items, record->files.count,
					      sizeof(*record->files.items), compare_texts);
}

/* Later stages read it from the commit: the buildspec, a file of the image. */
static bool is_named(const struct project_service *service, const char *path)
{
	const struct project_pairs *files = &service->image.files;
	scoped(text_free) char *buildspec = project_service_file(service, service->buildspec);

	if (path_is_below(path, buildspec))
		return true;
	for (size_t i = 0; i < files->count; i++) {
		scoped(text_free) char *file = project_service_file(service, files->items[i].name);

		if (path_is_below(path, file))
			return true;
	}
	return false;
}

struct narrowing {
	const struct project_service *service;
	const struct narrow_record *record;
	struct strings *unread;
};

static bool visit(void *context, const char *path, enum tree_change change)
{
	struct narrowing *narrowing = context;

	if (change != TREE_EDITED || !narrow_is_source(path) || was_read(narrowing->record, path) ||
		is_named(narrowing->service, path))
		return false;
	/* Folders of `uses` may lie in each other. */
	if (!strings_contain(narrowing->unread, path))
		strings_add(narrowing->unread, path);
	return true;
}

bool narrow_same(struct repository *repository, const struct project_service *service,
	const struct narrow_record *record, const struct key *now, struct strings *out_unread)
{
	struct key_move moves[MOVES_MAX];
	size_t count = key_compare(&record->key, now, moves, MOVES_MAX);
	scoped(strings_free) struct strings unread = {0};
	struct narrowing narrowing = {service, record, &unread};

	if (!count || count > MOVES_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct key_part part = {.name = moves[i].name};
		const char *path = key_part_uses(&part);
		struct error err = {0};
		bool all = false;

		if (!path || !moves[i].before || !moves[i].after)
			return false;
		if (!tree_compare(repository, path, moves[i].before, moves[i].after, visit,
			    &narrowing, &all, &err)) {
			error_ignore(&err, "what cannot be compared is built");
			return false;
		}
		if (!all)
			return false;
	}
	strings_sort(&unread);
	*out_unread = unread;
	unread = (struct strings){0};
	return true;
}

char *narrow_text(const struct strings *unread)
{
	if (unread->count == 1)
		return memory_format("narrowed: %s changed, the last build did not read it",
			unread->items[0]);
	return memory_format("narrowed: %s and %zu more changed, the last build did not read them",
		unread->items[0], unread->count - 1);
}
