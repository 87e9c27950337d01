#include "pipeline/plan/shape_cache.h"

#include <string.h>

struct list {
	void *items;
	size_t count;
};

struct pair {
	const char *name, *value;
};

/* What the tables say, as one number: FNV-1a over every row. */
static uint64_t fingerprint(const struct shape *shape, uint64_t hash)
{
	const uint64_t prime = 1099511628211u;

	hash = (hash ^ shape->size) * prime;
	for (size_t i = 0; i < shape->count; i++) {
		const struct shape_row *row = &shape->rows[i];

		for (const char *at = row->name; *at; at++)
			hash = (hash ^ (unsigned char)*at) * prime;
		hash = (hash ^ row->offset) * prime;
		hash = (hash ^ (uint64_t)row->kind) * prime;
		if (row->shape)
			hash = fingerprint(row->shape, hash);
	}
	return hash;
}

static void put_number(struct buf *out, uint64_t value)
{
	buf_append(out, &value, sizeof(value));
}

/* 0 is NULL, else the size with its NUL. */
static void put_text(struct buf *out, const char *text)
{
	size_t size = text ? strlen(text) + 1 : 0;

	put_number(out, size);
	buf_append(out, text, size);
}

static void save_object(const struct shape *shape, const void *object, struct buf *out);

static void save_objects(const struct shape_row *row, const struct list *list, struct buf *out)
{
	put_number(out, list->count);
	for (size_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * row->shape->size;

		if (row->kind == SHAPE_NAMED)
			put_text(out, *(const char *const *)(const void *)item);
		save_object(row->shape, item, out);
	}
}

static void save_row(const struct shape_row *row, const void *at, struct buf *out)
{
	const struct list *list = at;

	switch (row->kind) {
	case SHAPE_TEXT:
	case SHAPE_PATH:
	case SHAPE_CHOICE:
		put_text(out, *(const char *const *)at);
		break;
	case SHAPE_INT:
	case SHAPE_DURATION:
	case SHAPE_SIZE:
		put_number(out, (uint64_t) * (const int64_t *)at);
		break;
	case SHAPE_BOOL:
	case SHAPE_NOT:
		put_number(out, *(const bool *)at);
		break;
	case SHAPE_TEXTS:
	case SHAPE_PATHS:
		put_number(out, list->count);
		for (size_t i = 0; i < list->count; i++)
			put_text(out, ((const char *const *)list->items)[i]);
		break;
	case SHAPE_PAIRS:
		put_number(out, list->count);
		for (size_t i = 0; i < list->count; i++) {
			put_text(out, ((const struct pair *)list->items)[i].name);
			put_text(out, ((const struct pair *)list->items)[i].value);
		}
		break;
	case SHAPE_OBJECT:
		put_number(out, *(const bool *)at);
		if (*(const bool *)at)
			save_object(row->shape, at, out);
		break;
	case SHAPE_OBJECTS:
	case SHAPE_NAMED:
		save_objects(row, list, out);
		break;
	}
}

static void save_object(const struct shape *shape, const void *object, struct buf *out)
{
	for (size_t i = 0; i < shape->count; i++)
		save_row(&shape->rows[i], (const char *)object + shape->rows[i].offset, out);
}

void shape_save(const struct shape *shape, const void *object, struct buf *out)
{
	put_number(out, fingerprint(shape, 14695981039346656037u));
	save_object(shape, object, out);
}

struct loading {
	struct str rest;
	struct arena *arena;
};

static bool get_number(struct loading *loading, uint64_t *out)
{
	if (loading->rest.size < sizeof(*out))
		return false;
	memcpy(out, loading->rest.data, sizeof(*out));
	loading->rest.data += sizeof(*out);
	loading->rest.size -= sizeof(*out);
	return true;
}

static bool get_text(struct loading *loading, const char **out)
{
	uint64_t size = 0;

	*out = NULL;
	if (!get_number(loading, &size) || size > loading->rest.size)
		return false;
	if (size == 0)
		return true;
	*out = loading->rest.data;
	loading->rest.data += size;
	loading->rest.size -= size;
	return (*out)[size - 1] == '\0';
}

/* A list of items that each take at least 8 bytes: more than that cannot be meant. */
static bool get_list(struct loading *loading, size_t item_size, struct list *out)
{
	uint64_t count = 0;

	if (!get_number(loading, &count) || count > loading->rest.size / sizeof(uint64_t))
		return false;
	out->count = count;
	out->items = arena_new(loading->arena, (count + 1) * item_size);
	return true;
}

static bool load_object(struct loading *loading, const struct shape *shape, void *object);

static bool load_objects(struct loading *loading, const struct shape_row *row, struct list *list)
{
	if (!get_list(loading, row->shape->size, list))
		return false;
	for (size_t i = 0; i < list->count; i++) {
		char *item = (char *)list->items + i * row->shape->size;

		if (row->kind == SHAPE_NAMED && !get_text(loading, (const char **)(void *)item))
			return false;
		if (!load_object(loading, row->shape, item))
			return false;
	}
	return true;
}

static bool load_texts(struct loading *loading, struct list *list, size_t each)
{
	if (!get_list(loading, each * sizeof(const char *), list))
		return false;
	for (size_t i = 0; i < list->count * each; i++)
		if (!get_text(loading, (const char **)list->items + i))
			return false;
	return true;
}

static bool load_row(struct loading *loading, const struct shape_row *row, void *at)
{
	uint64_t number = 0;

	switch (row->kind) {
	case SHAPE_TEXT:
	case SHAPE_PATH:
	case SHAPE_CHOICE:
		return get_text(loading, at);
	case SHAPE_INT:
	case SHAPE_DURATION:
	case SHAPE_SIZE:
		if (!get_number(loading, &number))
			return false;
		*(int64_t *)at = (int64_t)number;
		return true;
	case SHAPE_BOOL:
	case SHAPE_NOT:
		if (!get_number(loading, &number))
			return false;
		*(bool *)at = number != 0;
		return true;
	case SHAPE_TEXTS:
	case SHAPE_PATHS:
		return load_texts(loading, at, 1);
	case SHAPE_PAIRS:
		return load_texts(loading, at, 2);
	case SHAPE_OBJECT:
		if (!get_number(loading, &number))
			return false;
		*(bool *)at = number != 0;
		return number == 0 || load_object(loading, row->shape, at);
	case SHAPE_OBJECTS:
	case SHAPE_NAMED:
		return load_objects(loading, row, at);
	}
	return false;
}

static bool load_object(struct loading *loading, const struct shape *shape, void *object)
{
	for (size_t i = 0; i < shape->count; i++)
		if (!load_row(loading, &shape->rows[i], (char *)object + shape->rows[i].offset))
			return false;
	return true;
}

bool shape_load(const struct shape *shape, struct str bytes, struct arena *arena, void *out)
{
	struct loading loading = {bytes, arena};
	uint64_t made_for = 0;

	return get_number(&loading, &made_for) &&
	       made_for == fingerprint(shape, 14695981039346656037u) &&
	       load_object(&loading, shape, out) && loading.rest.size == 0;
}
