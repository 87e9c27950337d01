#include "pipeline/plan/shape.h"

static void schema_of_array(struct json_writer *w, const char *type)
{
	json_put_text(w, "type", "array");
	json_key(w, "items");
	json_object_begin(w);
	json_put_text(w, "type", type);
	json_object_end(w);
}

static void schema_of_choices(struct json_writer *w, const char *choices)
{
	struct str rest = str_of(choices);

	json_key(w, "enum");
	json_array_begin(w);
	while (rest.data)
		json_write_str(w, str_cut(&rest, '|'));
	json_array_end(w);
}

/* A list, or one text. */
static void schema_of_texts(struct json_writer *w)
{
	json_key(w, "oneOf");
	json_array_begin(w);
	json_object_begin(w);
	schema_of_array(w, "string");
	json_object_end(w);
	json_object_begin(w);
	json_put_text(w, "type", "string");
	json_object_end(w);
	json_array_end(w);
}

static void schema_of_pairs(struct json_writer *w)
{
	static const char *const scalars[] = {"string", "number", "boolean", "null"};

	json_put_text(w, "type", "object");
	json_key(w, "additionalProperties");
	json_object_begin(w);
	json_key(w, "type");
	json_array_begin(w);
	for (size_t i = 0; i < countof(scalars); i++)
		json_write_text(w, scalars[i]);
	json_array_end(w);
	json_object_end(w);
}

static void schema_of_object(const struct shape *shape, struct json_writer *w)
{
	json_object_begin(w);
	shape_schema(shape, w);
	json_object_end(w);
}

static void schema_of_named(const struct shape *shape, struct json_writer *w)
{
	json_put_text(w, "type", "object");
	json_key(w, "propertyNames");
	json_object_begin(w);
	json_put_text(w, "pattern", "^[a-z0-9][a-z0-9_-]{0,62}$");
	json_object_end(w);
	json_key(w, "additionalProperties");
	schema_of_object(shape, w);
}

static void schema_of_row(const struct shape_row *row, struct json_writer *w)
{
	json_object_begin(w);
	if (row->about)
		json_put_text(w, "description", row->about);
	switch (row->kind) {
	case SHAPE_TEXT:
	case SHAPE_PATH:
		json_put_text(w, "type", "string");
		break;
	case SHAPE_INT:
		json_put_text(w, "type", "integer");
		json_put_int(w, "minimum", row->least);
		json_put_int(w, "maximum", row->most);
		break;
	case SHAPE_BOOL:
	case SHAPE_NOT:
		json_put_text(w, "type", "boolean");
		break;
	case SHAPE_DURATION:
		json_put_text(w, "type", "string");
		json_put_text(w, "pattern", "^[0-9]+(ms|s|m|h|d)$");
		break;
	case SHAPE_SIZE:
		json_put_text(w, "type", "string");
		json_put_text(w, "pattern", "^[0-9]+(KiB|MiB|GiB|TiB)$");
		break;
	case SHAPE_CHOICE:
		schema_of_choices(w, row->choices);
		break;
	case SHAPE_TEXTS:
	case SHAPE_PATHS:
		schema_of_texts(w);
		break;
	case SHAPE_PAIRS:
		schema_of_pairs(w);
		break;
	case SHAPE_OBJECT:
		shape_schema(row->shape, w);
		break;
	case SHAPE_OBJECTS:
		json_put_text(w, "type", "array");
		json_key(w, "items");
		schema_of_object(row->shape, w);
		break;
	case SHAPE_NAMED:
		schema_of_named(row->shape, w);
		break;
	}
	json_object_end(w);
}

void shape_schema(const struct shape *shape, struct json_writer *w)
{
	json_put_text(w, "type", "object");
	json_put_bool(w, "additionalProperties", false);
	json_key(w, "properties");
	json_object_begin(w);
	for (size_t i = 0; i < shape->count; i++) {
		json_key(w, shape->rows[i].name);
		schema_of_row(&shape->rows[i], w);
	}
	json_object_end(w);
	json_key(w, "required");
	json_array_begin(w);
	for (size_t i = 0; i < shape->count; i++)
		if (shape->rows[i].required)
			json_write_text(w, shape->rows[i].name);
	json_array_end(w);
	if (!shape->exactly_one)
		return;
	json_key(w, "oneOf");
	json_array_begin(w);
	for (size_t i = 0; shape->exactly_one[i]; i++) {
		json_object_begin(w);
		json_key(w, "required");
		json_array_begin(w);
		json_write_text(w, shape->exactly_one[i]);
		json_array_end(w);
		json_object_end(w);
	}
	json_array_end(w);
}
