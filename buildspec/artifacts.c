#include "buildspec/artifacts.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "buildspec/pattern.h"
#include "buildspec/steady_copy.h"

#include <stdlib.h>

void artifact_free(struct artifact *artifact)
{
	free(artifact->identifier);
	free(artifact->name);
	free(artifact->folder);
	strings_free(&artifact->files);
	*artifact = (struct artifact){0};
}

struct collecting {
	const struct artifact_spec *spec;
	const struct artifact_place *place;
	void (*say)(void *self, const char *line);
	void *self;
	struct artifact *out;
	char *unsteady; /* owned; which file never rested, NULL: none */
};

static void printf_like(2, 3) say(const struct collecting *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	scoped(text_free) char *line = memory_format_list(format, args);
	va_end(args);
	c->say(c->self, line);
}

/* The rest of a path that begins with this folder; NULL: it does not. */
static const char *behind(const char *folder, const char *path)
{
	size_t size = strlen(folder);

	if (!text_starts_with(path, folder) || (path[size] && path[size] != '/'))
		return NULL;
	return path + size + strspn(path + size, "/");
}

/* However the source is called; NULL: it is another path. */
static const char *behind_source(const struct artifact_place *place, const char *path)
{
	if (path[0] == '/')
		return behind(place->inside, path);
	/* Asked of every pattern for every file, and few begin so. */
	if (path[0] != '$')
		return NULL;
	scoped(text_free) char *plain = memory_format("$CODEBUILD_SRC_DIR%s%s",
		place->id ? "_" : "", place->id ? place->id : "");
	scoped(text_free) char *braced = memory_format("${%s}", plain + 1);
	const char *rest = behind(plain, path);

	return rest ? rest : behind(braced, path);
}

const char *artifact_relative_pattern(const struct artifact_place *place, const char *pattern)
{
	const char *behind = behind_source(place, pattern);

	return behind ? behind : pattern;
}

struct artifact_place artifact_place_of(const struct artifact_place *place,
	const char *base_directory)
{
	for (size_t i = 0; base_directory && place->secondary && i < place->secondary->count; i++) {
		const struct secondary_source *source = &place->secondary->items[i];
		struct artifact_place there = *place;

		there.id = source->id;
		there.source = source->folder;
		there.inside = source->inside;
		if (behind_source(&there, base_directory))
			return there;
	}
	return *place;
}

static bool is_excluded(const struct collecting *c, const char *path)
{
	for (size_t i = 0; i < c->spec->exclude_paths.count; i++) {
		scoped(text_free) char *pattern = path_normalise(
			artifact_relative_pattern(c->place, c->spec->exclude_paths.items[i]));

		if (pattern_matches(pattern, path))
			return true;
	}
	return false;
}

/* Sorts the names; one that came twice stays once. */
static void settle_names(struct collecting *c)
{
	struct strings *files = &c->out->files;
	size_t kept = 0;

	strings_sort(files);
	for (size_t i = 0; i < files->count; i++) {
		char *name = files->items[i];

		if (!kept || !text_equal(files->items[kept - 1], name)) {
			files->items[kept++] = name;
			continue;
		}
		if (c->spec->discard_paths)
			say(c, "Two artifacts are called %s, the last one counts", name);
		free(name);
	}
	files->count = kept;
}

/* Commands in the background may still be writing. */
static bool copy_one(struct collecting *c, const char *base, const char *path, struct error *err)
{
	const char *name = c->spec->discard_paths ? path_base(path) : path;
	scoped(text_free) char *whole = path_join(base, path);
	scoped(text_free) char *from = path_normalise(whole);
	scoped(text_free) char *folder = path_join(c->place->output, c->place->folder);
	scoped(text_free) char *to = path_join(folder, name);
	scoped(text_free) char *parent = path_parent(to);
	const struct steady_source source = {c->place->source, from, NULL, NULL};
	enum steady result;

	if (!folder_make(parent, 0755, err) || !steady_copy(&source, to, &result, NULL, err))
		return false;
	if (result == STEADY_COPIED)
		strings_add(&c->out->files, name);
	else if (result == STEADY_GONE)
		say(c, "Skipping %s: it is gone", from);
	else if (!c->unsteady)
		c->unsteady = memory_format("%s changed each time it was copied: a command still "
					    "writes it",
			from);
	return true;
}

/* Patterns are relative to the base; one that was given from the source's own path leads there, too. */
static const char *below_base(const struct collecting *c, const char *base, const char *pattern)
{
	const char *relative = artifact_relative_pattern(c->place, pattern);
	size_t size = strlen(base);

	if (relative != pattern && text_starts_with(relative, base) && relative[size] == '/')
		return relative + size + 1;
	return relative;
}

static bool copy_matches(struct collecting *c, const char *base, const char *pattern,
	bool *out_matched, struct error *err)
{
	scoped(strings_free) struct strings paths = {0}, refused = {0};
	scoped(text_free) char *root = path_join(c->place->source, base);

	if (!pattern_find_bounded(c->place->source, root, below_base(c, base, pattern), &paths,
		    &refused, err))
		return false;
	for (size_t i = 0; i < refused.count; i++)
		if (!is_excluded(c, refused.items[i]))
			say(c, "Skipping %s: the link leads out of the source or nowhere",
				refused.items[i]);
	for (size_t i = 0; i < paths.count && !c->unsteady; i++) {
		if (is_excluded(c, paths.items[i]))
			continue;
		*out_matched = true;
		if (!copy_one(c, base, paths.items[i], err))
			return false;
	}
	return true;
}

static bool copy_all(struct collecting *c, const struct strings *bases, struct error *err)
{
	for (size_t i = 0; i < c->spec->files.count; i++) {
		const char *pattern = c->spec->files.items[i];
		bool matched = false;

		for (size_t b = 0; b < bases->count; b++) {
			if (!copy_matches(c, bases->items[b], pattern, &matched, err))
				return false;
		}
		if (!matched)
			say(c, "Skipping invalid file path %s", pattern);
	}
	settle_names(c);
	return true;
}

bool artifact_find_bases(const struct artifact_place *place, const char *base_directory,
	struct strings *out_bases, struct error *err)
{
	const char *base = base_directory;

	if (base && base[0])
		base = artifact_relative_pattern(place, base);
	if (base && base[0])
		return pattern_find_folders(place->source, base, out_bases, err);
	strings_add(out_bases, ".");
	return true;
}

/* What was copied so far goes, too. */
static bool drop(const char *folder, struct error *err)
{
	struct error ignored = {0};

	if (!folder_remove(folder, &ignored))
		error_ignore(&ignored, "the first failure is the one to tell");
	return error_while(err, "collecting the artifacts");
}

bool artifact_collect(const struct artifact_spec *spec, const struct artifact_place *given,
	void (*take_line)(void *self, const char *line), void *self, struct artifact *out,
	char **out_missing, struct error *err)
{
	scoped(strings_free) struct strings bases = {0};
	scoped(artifact_free) struct artifact artifact = {0};
	const struct artifact_place place = artifact_place_of(given, spec->base_directory);
	struct collecting c = {spec, &place, take_line, self, &artifact, NULL};
	scoped(text_free) char *folder = path_join(place.output, place.folder);

	*out_missing = NULL;
	if (!artifact_find_bases(&place, spec->base_directory, &bases, err))
		return false;
	if (!bases.count) {
		*out_missing = memory_format("no matching base directory path found for %s",
			spec->base_directory);
		return true;
	}
	if (!copy_all(&c, &bases, err)) {
		text_free(&c.unsteady);
		return drop(folder, err);
	}
	if (c.unsteady) {
		*out_missing = c.unsteady;
		return folder_remove(folder, err);
	}
	if (!artifact.files.count) {
		*out_missing = memory_copy_text("no matching artifact paths found");
		return true;
	}
	artifact.identifier = memory_copy_text(spec->identifier);
	artifact.folder = memory_copy_text(place.folder);
	*out = artifact;
	artifact = (struct artifact){0};
	return true;
}
