#include "buildspec/secondary_source.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

/* As fixed as CODEBUILD_SRC_DIR, and for the same reason: programs come out the same everywhere. */
#define INSIDE "/codebuild/secondary"

void secondary_sources_free(struct secondary_sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		free(sources->items[i].id);
		free(sources->items[i].folder);
		free(sources->items[i].inside);
	}
	free(sources->items);
	*sources = (struct secondary_sources){0};
}

static void add(struct secondary_sources *sources, const char *id, const char *folder, bool sandbox)
{
	sources->items =
		memory_resize(sources->items, (sources->count + 1) * sizeof(*sources->items));
	sources->items[sources->count++] = (struct secondary_source){.id = memory_copy_text(id),
		.folder = memory_copy_text(folder),
		.inside = sandbox ? path_join(INSIDE, id) : memory_copy_text(folder)};
}

static bool is_id(struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_'))
			return false;
	}
	return text.size > 0 && text.size <= SECONDARY_SOURCE_ID_MAX;
}

static bool parse_one(const char *given, bool sandbox, struct secondary_sources *sources,
	struct error *err)
{
	struct str folder = str_of(given);
	struct str name = str_cut(&folder, '=');

	if (!folder.size)
		return error_raise(err, ERROR_USAGE, "the secondary source \"%s\" is not ID=DIR",
			given);
	if (!is_id(name))
		return error_raise(err, ERROR_USAGE,
			"the identifier of the secondary source \"%s\" must have 1 to %d letters, "
			"digits and \"_\"",
			given, SECONDARY_SOURCE_ID_MAX);
	scoped(text_free) char *id = str_copy(name);

	for (size_t i = 0; i < sources->count; i++)
		if (text_equal(sources->items[i].id, id))
			return error_raise(err, ERROR_USAGE,
				"the secondary source \"%s\" is given twice: \"%s\" and \"%s\"", id,
				sources->items[i].folder, folder.data);
	if (sources->count == SECONDARY_SOURCES_MAX)
		return error_raise(err, ERROR_USAGE,
			"a build has at most %d secondary sources, and \"%s\" is one more",
			SECONDARY_SOURCES_MAX, id);
	add(sources, id, folder.data, sandbox);
	return true;
}

bool secondary_sources_parse(const struct strings *given, bool sandbox,
	struct secondary_sources *out_sources, struct error *err)
{
	scoped(secondary_sources_free) struct secondary_sources sources = {0};

	for (size_t i = 0; i < given->count; i++)
		if (!parse_one(given->items[i], sandbox, &sources, err))
			return false;
	*out_sources = sources;
	sources = (struct secondary_sources){0};
	return true;
}

bool secondary_sources_copy(const struct secondary_sources *sources, const char *work, bool sandbox,
	struct secondary_sources *out_copies, struct error *err)
{
	scoped(secondary_sources_free) struct secondary_sources copies = {0};
	scoped(text_free) char *parent = path_join(work, "secondary");

	for (size_t i = 0; i < sources->count; i++) {
		const struct secondary_source *from = &sources->items[i];
		scoped(text_free) char *to = path_join(parent, from->id);

		if (!folder_make(parent, 0755, err) || !folder_copy(from->folder, to, err))
			return error_while(err, "copying the secondary source \"%s\"", from->id);
		add(&copies, from->id, to, sandbox);
	}
	*out_copies = copies;
	copies = (struct secondary_sources){0};
	return true;
}
