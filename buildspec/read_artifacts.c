#include "buildspec/reader.h"

#include <strings.h>

static const char *const artifact_keys[] = {"files", "name", "discard-paths", "base-directory",
	"exclude-paths", "secondary-artifacts", "enable-symlinks", "s3-prefix", "type", NULL};

/* A definition whose files are missing is noted at place. */
static bool read_definition(struct reader *r, const struct yaml *node, struct place place,
	const char *path, struct artifact_spec *out)
{
	read_check_keys(r, node, path, artifact_keys);
	out->files = read_texts(r, node, "files", path);
	if (!out->files.count)
		read_error(r, place, read_path(r, path, str_of("files")),
			"The files of the artifact are missing");
	out->base_directory = read_text(r, node, "base-directory", path);
	out->exclude_paths = read_texts(r, node, "exclude-paths", path);
	out->name = read_text(r, node, "name", path);
	out->discard_paths = read_switch(r, node, "discard-paths", path);
	out->enable_symlinks = read_switch(r, node, "enable-symlinks", path);
	out->s3_prefix = read_text(r, node, "s3-prefix", path);
	return out->files.count > 0;
}

/* It becomes the name of a folder. */
static bool is_identifier(struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-' || (c == '.' && i > 0)))
			return false;
	}
	return text.size > 0;
}

static void read_secondary(struct reader *r, const struct yaml_pair *pair, const char *parent)
{
	const char *path = read_path(r, parent, pair->key);

	if (!is_identifier(pair->key)) {
		read_error(r, place_of(pair), path,
			"An artifact identifier is made of letters, digits, \"-\", \"_\" and "
			"\".\"");
		return;
	}
	if (pair->value->kind != YAML_MAPPING) {
		read_error(r, place_of(pair), read_path(r, path, str_of("files")),
			"The files of the artifact are missing");
		return;
	}
	struct artifact_spec *artifact = &r->out->artifacts[r->out->artifact_count];

	if (pair->duplicate)
		read_warning(r, place_of(pair), path, "%s stands here twice", pair->key.data);
	if (!read_definition(r, pair->value, place_of(pair), path, artifact))
		return;
	artifact->identifier = pair->key.data;
	r->out->artifact_count++;
}

void read_artifacts(struct reader *r, const struct yaml *root)
{
	const struct yaml_pair *pair = yaml_get_pair(root, "artifacts");
	struct yaml *node = read_mapping(r, root, "artifacts", "");

	if (!node)
		return;
	struct yaml *secondary = read_mapping(r, node, "secondary-artifacts", "artifacts");
	size_t room = 1 + (secondary ? secondary->count : 0);

	r->out->artifacts = arena_new(r->arena, room * sizeof(*r->out->artifacts));
	if (read_definition(r, node, place_of(pair), "artifacts", &r->out->artifacts[0]))
		r->out->artifact_count = 1;
	for (size_t i = 0; secondary && i < secondary->count; i++)
		read_secondary(r, &secondary->pairs[i], "artifacts.secondary-artifacts");
}

void read_cache(struct reader *r, const struct yaml *root)
{
	static const char *const keys[] = {"paths", "key", "fallback-keys", "action", NULL};
	static const char *const actions[] = {"restore", "save"};
	enum { FALLBACK_MAX = 5 };
	struct yaml *cache = read_mapping(r, root, "cache", "");
	struct cache_spec *out = &r->out->cache;

	if (!cache)
		return;
	read_check_keys(r, cache, "cache", keys);
	*out = (struct cache_spec){.paths = read_texts(r, cache, "paths", "cache"),
		.key = read_text(r, cache, "key", "cache"),
		.fallback_keys = read_texts(r, cache, "fallback-keys", "cache"),
		.restores = true,
		.saves = true};
	const struct yaml_pair *fallback = yaml_get_pair(cache, "fallback-keys");

	if (out->fallback_keys.count > FALLBACK_MAX)
		read_error(r, place_of(fallback), "cache.fallback-keys",
			"At most %d fallback keys are allowed", FALLBACK_MAX);
	else if (fallback && !out->key)
		read_warning(r, place_of(fallback), "cache.fallback-keys",
			"Without a key the fallback keys are ignored");
	if (!out->paths.count)
		read_warning(r, place_of(yaml_get_pair(root, "cache")), "cache.paths",
			"The cache has no paths, so nothing is kept");
	const char *action = read_text(r, cache, "action", "cache");

	if (!action)
		return;
	out->restores = strcasecmp(action, "restore") == 0;
	out->saves = strcasecmp(action, "save") == 0;
	if (!out->restores && !out->saves)
		read_error(r, place_of(yaml_get(cache, "action")), "cache.action",
			"The action must be restore or save, not \"%s\"%s", action,
			read_advice(r, action, actions, countof(actions)));
}
