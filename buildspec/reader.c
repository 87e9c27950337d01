#include "buildspec/reader.h"

#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

/* Nobody reads more; and there is room for errors behind any number of warnings. */
enum { WARNINGS_MAX = 1000, FINDINGS_MAX = 2000 };

printf_like(5, 0) static void note(struct reader *r, bool warning, struct place place,
	const char *path, const char *format, va_list args)
{
	struct buildspec_findings *findings = r->findings;
	scoped(text_free) char *message = memory_format_list(format, args);

	if (findings->count >= (warning ? WARNINGS_MAX : FINDINGS_MAX))
		return;
	findings->items =
		memory_resize(findings->items, (findings->count + 1) * sizeof(*findings->items));
	findings->items[findings->count] =
		(struct buildspec_finding){warning, place.line, place.column, findings->count,
			arena_copy_text(r->arena, path), arena_copy_text(r->arena, message)};
	findings->count++;
}

void read_error(struct reader *r, struct place place, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(r, false, place, path, format, args);
	va_end(args);
}

void read_warning(struct reader *r, struct place place, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(r, true, place, path, format, args);
	va_end(args);
}

const char *read_advice(struct reader *r, const char *word, const char *const *known, size_t count)
{
	const char *nearest = text_nearest(word, known, count);

	return nearest ? arena_format(r->arena, "; did you mean \"%s\"?", nearest) : "";
}

const char *read_path(struct reader *r, const char *parent, struct str key)
{
	return arena_format(r->arena, "%s%s%.*s", parent, parent[0] ? "." : "", str_args(key));
}

static struct yaml *get(const struct yaml *parent, const char *key)
{
	struct yaml *node = parent ? yaml_get(parent, key) : NULL;

	return node && node->kind == YAML_SCALAR && node->is_null ? NULL : node;
}

struct yaml *read_mapping(struct reader *r, const struct yaml *parent, const char *key,
	const char *path)
{
	struct yaml *node = get(parent, key);

	if (!node || node->kind == YAML_MAPPING)
		return node;
	read_error(r, place_of(node), read_path(r, path, str_of(key)),
		"Expected %s to be a mapping of keys and values", key);
	return NULL;
}

const char *read_text(struct reader *r, const struct yaml *parent, const char *key,
	const char *path)
{
	struct yaml *node = get(parent, key);

	if (!node)
		return NULL;
	if (node->kind == YAML_SCALAR)
		return node->text.data;
	read_error(r, place_of(node), read_path(r, path, str_of(key)),
		"Expected %s to be of string type", key);
	return NULL;
}

bool read_switch(struct reader *r, const struct yaml *parent, const char *key, const char *path)
{
	static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false",
									"off"};
	struct yaml *node = get(parent, key);

	if (!node)
		return false;
	for (size_t i = 0; node->kind == YAML_SCALAR && i < countof(yes); i++) {
		if (strcasecmp(node->text.data, yes[i]) == 0)
			return true;
		if (strcasecmp(node->text.data, no[i]) == 0)
			return false;
	}
	read_error(r, place_of(node), read_path(r, path, str_of(key)),
		"Expected %s to be yes or no", key);
	return false;
}

static void add_text(struct reader *r, struct texts *list, size_t room, const struct yaml *node)
{
	if (!list->items)
		list->items = arena_new(r->arena, room * sizeof(*list->items));
	list->items[list->count++] = node->text.data;
}

struct texts read_texts(struct reader *r, const struct yaml *parent, const char *key,
	const char *path)
{
	struct yaml *node = get(parent, key);
	const char *whole = read_path(r, path, str_of(key));
	struct texts list = {0};

	if (!node)
		return list;
	if (node->kind == YAML_SCALAR) {
		add_text(r, &list, 1, node);
		return list;
	}
	if (node->kind == YAML_MAPPING) {
		read_error(r, place_of(node), whole, "Expected %s to be a list", key);
		return list;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml *item = node->items[i];

		if (item->kind != YAML_SCALAR)
			read_error(r, place_of(item), arena_format(r->arena, "%s[%zu]", whole, i),
				"Expected %s[%zu] to be of string type", key, i);
		else if (!item->is_null)
			add_text(r, &list, node->count, item);
	}
	return list;
}

struct variables read_variables(struct reader *r, const struct yaml *parent, const char *key,
	const char *path)
{
	struct yaml *node = read_mapping(r, parent, key, path);
	const char *whole = read_path(r, path, str_of(key));
	struct variables list = {0};

	if (!node)
		return list;
	list.items = arena_new(r->arena, (node->count + 1) * sizeof(*list.items));
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_pair *pair = &node->pairs[i];
		const char *at = read_path(r, whole, pair->key);

		if (pair->duplicate)
			read_warning(r, place_of(pair), at,
				"%s stands here twice; the last one counts", pair->key.data);
		if (str_starts_with(pair->key, "CODEBUILD_"))
			read_warning(r, place_of(pair), at,
				"names that start with CODEBUILD_ are reserved");
		if (pair->value->kind != YAML_SCALAR)
			read_error(r, place_of(pair->value), at, "Expected %s to be of string type",
				pair->key.data);
		else
			list.items[list.count++] = (struct variable_spec){pair->key.data,
				pair->value->is_null ? "" : pair->value->text.data};
	}
	return list;
}

void read_check_keys(struct reader *r, const struct yaml *mapping, const char *path,
	const char *const *known)
{
	size_t count = 0;

	while (known[count])
		count++;
	for (size_t i = 0; mapping && mapping->kind == YAML_MAPPING && i < mapping->count; i++) {
		const struct yaml_pair *pair = &mapping->pairs[i];
		const char *at = read_path(r, path, pair->key);
		bool found = false;

		for (size_t k = 0; k < count; k++)
			found = found || str_equal_text(pair->key, known[k]);
		if (pair->duplicate)
			read_warning(r, place_of(pair), at,
				"%s stands here twice; the last one counts", pair->key.data);
		if (found)
			continue;
		read_warning(r, place_of(pair), at, "there is no key \"%s\" here%s", pair->key.data,
			read_advice(r, pair->key.data, known, count));
	}
}

void buildspec_findings_free(struct buildspec_findings *findings)
{
	free(findings->items);
	*findings = (struct buildspec_findings){0};
}

const struct buildspec_finding *buildspec_first_error(const struct buildspec_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (!findings->items[i].warning)
			return &findings->items[i];
	return NULL;
}
