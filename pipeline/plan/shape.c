#include "pipeline/plan/shape.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/path.h"

#include <ctype.h>
#include <string.h>

/* Every list a shape fills has this layout. */
struct list {
	void *items;
	size_t count;
};

struct pair {
	const char *name, *value;
};

static struct finding *complain(struct shape_reader *reader, const struct yaml *node,
	const char *key, const char *expected)
{
	static const char *const kinds[] = {[YAML_SCALAR] = "a value",
		[YAML_SEQUENCE] = "a list",
		[YAML_MAPPING] = "a mapping"};
	bool nothing = node->kind == YAML_SCALAR && node->is_null;

	if (node->kind == YAML_SCALAR && !nothing)
		return findings_add(reader->findings, reader->file, node->line, node->column,
			"\"%s\" must be %s, not \"%.*s\"", key, expected, str_args(node->text));
	return findings_add(reader->findings, reader->file, node->line, node->column,
		"\"%s\" must be %s, not %s", key, expected, nothing ? "empty" : kinds[node->kind]);
}

static bool is_scalar(const struct yaml *node)
{
	return node->kind == YAML_SCALAR && !node->is_null;
}

static bool has_nul(const struct yaml *node)
{
	return memchr(node->text.data, '\0', node->text.size) != NULL;
}

static const char *read_text(struct shape_reader *reader, const struct yaml *node, const char *key)
{
	if (!is_scalar(node) || has_nul(node)) {
		complain(reader, node, key, "a text");
		return NULL;
	}
	return node->text.data;
}

static const char *read_path(struct shape_reader *reader, const struct yaml *node, const char *key)
{
	if (!is_scalar(node) || !node->text.size || has_nul(node)) {
		complain(reader, node, key, "a path");
		return NULL;
	}
	if (!path_is_inside(node->text.data)) {
		complain(reader, node, key,
			"a path inside the repository, without a leading \"/\"");
		return NULL;
	}
	scoped(text_free) char *normal = path_normalise(node->text.data);

	return arena_copy_text(reader->arena, *normal ? normal : ".");
}

static void read_int(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, int64_t *out)
{
	int64_t value = 0;

	if (!is_scalar(node) || !node->plain || !str_to_int(node->text, &value)) {
		complain(reader, node, row->name, "a whole number");
	} else if (value < row->least || value > row->most) {
		findings_add(reader->findings, reader->file, node->line, node->column,
			"\"%s\" must be from %lld to %lld, not %lld", row->name,
			(long long)row->least, (long long)row->most, (long long)value);
	} else {
		*out = value;
	}
}

static void read_bool(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, bool *out)
{
	bool yes = is_scalar(node) && node->plain && str_equal_text(node->text, "true");

	if (yes || (is_scalar(node) && node->plain && str_equal_text(node->text, "false")))
		*out = yes;
	else
		complain(reader, node, row->name, "true or false");
}

static void read_duration(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, int64_t *out)
{
	int64_t number = 0;

	if (is_scalar(node) && duration_parse(node->text, out))
		return;
	struct finding *finding =
		complain(reader, node, row->name, "a duration like 500ms, 30s, 10m, 2h or 7d");

	if (finding && is_scalar(node) && str_to_int(node->text, &number) && number > 0)
		finding->next = memory_format("a number needs its unit: %llds?", (long long)number);
}

static void read_size(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, int64_t *out)
{
	int64_t number = 0;

	if (is_scalar(node) && size_parse(node->text, out))
		return;
	struct finding *finding =
		complain(reader, node, row->name, "a size like 512MiB, 4GiB or 1TiB");

	if (finding && is_scalar(node) && str_to_int(node->text, &number) && number > 0)
		finding->next =
			memory_format("a number needs its unit: %lldMiB?", (long long)number);
}

/* Splits "a|b|c" into candidates; returns how many. */
enum { CHOICES_MAX = 16 };
static size_t choices_of(struct shape_reader *reader, const char *choices,
	const char *out[CHOICES_MAX])
{
	struct str rest = str_of(choices);
	size_t count = 0;

	while (rest.data && count < CHOICES_MAX) {
		struct str one = str_cut(&rest, '|');

		out[count++] = arena_copy(reader->arena, one.data, one.size);
	}
	return count;
}

static const char *read_choice(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node)
{
	const char *known[CHOICES_MAX];
	size_t count = choices_of(reader, row->choices, known);
	scoped(buf_free) struct buf expected = {0};

	for (size_t i = 0; is_scalar(node) && i < count; i++)
		if (str_equal_text(node->text, known[i]))
			return known[i];
	for (size_t i = 0; i < count; i++)
		buf_printf(&expected, "%s%s",
			i == 0           ? ""
			: i + 1 == count ? " or "
					 : ", ",
			known[i]);
	struct finding *finding = complain(reader, node, row->name, buf_text(&expected));

	if (is_scalar(node))
		finding_suggest(finding, text_nearest(node->text.data, known, count));
	return NULL;
}

static void read_texts(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, struct list *out)
{
	size_t count = node->kind == YAML_SEQUENCE ? node->count : is_scalar(node) ? 1 : 0;
	const char **items = arena_new(reader->arena, (count + 1) * sizeof(*items));

	if (node->kind == YAML_MAPPING || (node->kind == YAML_SCALAR && node->is_null)) {
		complain(reader, node, row->name,
			row->kind == SHAPE_PATHS ? "a list of paths" : "a list of texts");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct yaml *item = node->kind == YAML_SEQUENCE ? node->items[i] : node;
		const char *text = row->kind == SHAPE_PATHS ? read_path(reader, item, row->name)
							    : read_text(reader, item, row->name);

		if (text)
			items[out->count++] = text;
	}
	out->items = items;
}

/* A mapping's keys must be there once; returns false for one that came before. */
static bool key_is_new(struct shape_reader *reader, const struct yaml_pair *pair)
{
	if (pair->duplicate)
		findings_add(reader->findings, reader->file, pair->line, pair->column,
			"\"%.*s\" is there twice", str_args(pair->key));
	return !pair->duplicate;
}

static void read_pairs(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, struct list *out)
{
	if (node->kind != YAML_MAPPING) {
		complain(reader, node, row->name, "a mapping of names to texts");
		return;
	}
	struct pair *items = arena_new(reader->arena, (node->count + 1) * sizeof(*items));

	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_pair *pair = &node->pairs[i];

		if (!key_is_new(reader, pair))
			continue;
		bool empty = pair->value->kind == YAML_SCALAR && pair->value->is_null;
		const char *value = empty ? "" : read_text(reader, pair->value, pair->key.data);

		if (value)
			items[out->count++] = (struct pair){pair->key.data, value};
	}
	out->items = items;
}

static bool name_is_good(struct str name)
{
	if (name.size == 0 || name.size > 63 || name.data[0] == '-' || name.data[0] == '_')
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (!islower((unsigned char)name.data[i]) &&
			!isdigit((unsigned char)name.data[i]) && name.data[i] != '-' &&
			name.data[i] != '_')
			return false;
	return true;
}

static void read_named(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, struct list *out)
{
	if (node->kind != YAML_MAPPING) {
		complain(reader, node, row->name, "a mapping, one block for each name");
		return;
	}
	char *items = arena_new(reader->arena, (node->count + 1) * row->shape->size);

	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_pair *pair = &node->pairs[i];

		if (!key_is_new(reader, pair))
			continue;
		if (!name_is_good(pair->key)) {
			findings_add(reader->findings, reader->file, pair->line, pair->column,
				"\"%.*s\" is no name for a %s: up to 63 of a-z, 0-9, \"-\" and "
				"\"_\", "
				"starting with a letter or digit",
				str_args(pair->key), row->shape->noun);
			continue;
		}
		char *item = items + out->count++ * row->shape->size;

		shape_read(reader, row->shape, pair->value, pair->key.data, item);
		memcpy(item, &pair->key.data, sizeof(pair->key.data));
	}
	out->items = items;
}

static void read_objects(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, struct list *out)
{
	if (node->kind != YAML_SEQUENCE) {
		complain(reader, node, row->name, "a list");
		return;
	}
	char *items = arena_new(reader->arena, (node->count + 1) * row->shape->size);

	for (size_t i = 0; i < node->count; i++)
		shape_read(reader, row->shape, node->items[i], row->name,
			items + out->count++ * row->shape->size);
	out->items = items;
}

static void read_row(struct shape_reader *reader, const struct shape_row *row,
	const struct yaml *node, void *at)
{
	switch (row->kind) {
	case SHAPE_TEXT:
		*(const char **)at = read_text(reader, node, row->name);
		break;
	case SHAPE_PATH:
		*(const char **)at = read_path(reader, node, row->name);
		break;
	case SHAPE_INT:
		read_int(reader, row, node, at);
		break;
	case SHAPE_BOOL:
		read_bool(reader, row, node, at);
		break;
	case SHAPE_NOT:
		*(bool *)at = true;
		read_bool(reader, row, node, at);
		*(bool *)at = !*(bool *)at;
		break;
	case SHAPE_SIZE:
		read_size(reader, row, node, at);
		break;
	case SHAPE_DURATION:
		read_duration(reader, row, node, at);
		break;
	case SHAPE_CHOICE:
		*(const char **)at = read_choice(reader, row, node);
		break;
	case SHAPE_TEXTS:
	case SHAPE_PATHS:
		read_texts(reader, row, node, at);
		break;
	case SHAPE_PAIRS:
		read_pairs(reader, row, node, at);
		break;
	case SHAPE_OBJECT:
		*(bool *)at = true;
		shape_read(reader, row->shape, node, row->name, at);
		break;
	case SHAPE_OBJECTS:
		read_objects(reader, row, node, at);
		break;
	case SHAPE_NAMED:
		read_named(reader, row, node, at);
		break;
	}
}

static const struct shape_row *row_named(const struct shape *shape, struct str name)
{
	for (size_t i = 0; i < shape->count; i++)
		if (str_equal_text(name, shape->rows[i].name))
			return &shape->rows[i];
	return NULL;
}

static void complain_unknown(struct shape_reader *reader, const struct shape *shape,
	const struct yaml_pair *pair)
{
	const char *known[32] = {0};
	size_t count = shape->count < countof(known) ? shape->count : countof(known);

	for (size_t i = 0; i < count; i++)
		known[i] = shape->rows[i].name;
	finding_suggest(findings_add(reader->findings, reader->file, pair->line, pair->column,
				"unknown key \"%.*s\" in %s", str_args(pair->key), shape->noun),
		text_nearest(pair->key.data, known, count));
}

static void check_exactly_one(struct shape_reader *reader, const struct shape *shape,
	const struct yaml *node, const char *what)
{
	scoped(buf_free) struct buf names = {0};
	int given = 0;

	for (size_t i = 0; shape->exactly_one && shape->exactly_one[i]; i++) {
		given += yaml_get(node, shape->exactly_one[i]) != NULL;
		buf_printf(&names, "%s\"%s\"", i ? " or " : "", shape->exactly_one[i]);
	}
	if (shape->exactly_one && given != 1)
		findings_add(reader->findings, reader->file, node->line, node->column,
			"\"%s\" must have %s, %s", what, buf_text(&names),
			given ? "not both" : "but has neither");
}

void shape_read(struct shape_reader *reader, const struct shape *shape, const struct yaml *node,
	const char *what, void *out)
{
	if (node->kind != YAML_MAPPING) {
		complain(reader, node, what, "a mapping");
		return;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_pair *pair = &node->pairs[i];
		const struct shape_row *row = row_named(shape, pair->key);

		if (!key_is_new(reader, pair))
			continue;
		if (row)
			read_row(reader, row, pair->value, (char *)out + row->offset);
		else
			complain_unknown(reader, shape, pair);
	}
	for (size_t i = 0; i < shape->count; i++)
		if (shape->rows[i].required && !yaml_get(node, shape->rows[i].name))
			findings_add(reader->findings, reader->file, node->line, node->column,
				"\"%s\" needs the key \"%s\": %s", what, shape->rows[i].name,
				shape->rows[i].about);
	check_exactly_one(reader, shape, node, what);
}
