#include "base/yaml.h"

#include <stdlib.h>
#include <yaml.h>

enum {
	SIZE_LIMIT = 1 << 20,
	DEPTH_LIMIT = 64,
	NODE_LIMIT = 200000,
	ANCHOR_LIMIT = 1000, /* aliases look through all of them */
};

/* A node that "*name" stands for. Open while its own content is still being read. */
struct anchor {
	const char *name;
	struct yaml *node;
	size_t nodes; /* what one more use of it counts against NODE_LIMIT */
	bool open;
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned while has_event */
	bool has_event;
	struct str text; /* without a byte order mark */
	const char *what;
	struct arena *arena;
	struct anchor *anchors; /* owned */
	size_t anchor_count;
	size_t nodes; /* read so far, aliases counted with everything below them */
};

static void reader_free(struct reader *reader)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
	free(reader->anchors);
}

/* libyaml's reader knows only the offset of bytes that no YAML may hold. */
static bool raise_odd_byte(struct reader *reader, struct error *err)
{
	const yaml_parser_t *p = &reader->parser;
	size_t offset =
		p->problem_offset < reader->text.size ? p->problem_offset : reader->text.size;
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		bool ends = reader->text.data[i] == '\n';

		line += ends;
		/* Bytes 10xxxxxx continue a character. */
		column = ends ? 1 : column + ((reader->text.data[i] & 0xC0) != 0x80);
	}
	bool is_nul = offset < reader->text.size && !reader->text.data[offset];

	return error_raise(err, ERROR_INVALID, "%s:%zu:%zu: %s", reader->what, line, column,
		is_nul       ? "a NUL byte: is this a text file?"
		: p->problem ? p->problem
			     : "not UTF-8");
}

/* libyaml counts from 0 and gives the context (where the construct began) beside the problem. */
static bool raise_syntax(struct reader *reader, struct error *err)
{
	const yaml_parser_t *p = &reader->parser;

	if (p->error == YAML_READER_ERROR)
		return raise_odd_byte(reader, err);
	error_raise(err, ERROR_INVALID, "%s:%zu:%zu: %s", reader->what, p->problem_mark.line + 1,
		p->problem_mark.column + 1, p->problem ? p->problem : "not YAML");
	if (p->context)
		error_while(err, "%s that began at line %zu, column %zu", p->context,
			p->context_mark.line + 1, p->context_mark.column + 1);
	return false;
}

static bool advance(struct reader *reader, struct error *err)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	reader->has_event = yaml_parser_parse(&reader->parser, &reader->event) != 0;
	return reader->has_event || raise_syntax(reader, err);
}

static bool raise_here(struct reader *reader, enum error_kind kind, const char *problem,
	struct error *err)
{
	return error_raise(err, kind, "%s:%zu:%zu: %s", reader->what,
		reader->event.start_mark.line + 1, reader->event.start_mark.column + 1, problem);
}

static bool count_nodes(struct reader *reader, size_t nodes, struct error *err)
{
	reader->nodes += nodes;
	if (reader->nodes > NODE_LIMIT)
		return raise_here(reader, ERROR_LIMIT,
			"more than 200,000 values once aliases are resolved", err);
	return true;
}

static struct yaml *node_new(struct reader *reader, enum yaml_kind kind)
{
	struct yaml *node = arena_new(reader->arena, sizeof(*node));

	node->kind = kind;
	node->line = (int)reader->event.start_mark.line + 1;
	node->column = (int)reader->event.start_mark.column + 1;
	return node;
}

/* Index of the anchor just added, or SIZE_MAX when the node has none. */
static size_t anchor_open(struct reader *reader, const yaml_char_t *name, struct yaml *node)
{
	if (!name)
		return SIZE_MAX;
	reader->anchors = memory_resize(reader->anchors,
		(reader->anchor_count + 1) * sizeof(*reader->anchors));
	reader->anchors[reader->anchor_count] = (struct anchor){
		.name = arena_copy_text(reader->arena, (const char *)name),
		.node = node,
		.open = true,
	};
	return reader->anchor_count++;
}

static void anchor_close(struct reader *reader, size_t index, size_t nodes)
{
	if (index == SIZE_MAX)
		return;
	reader->anchors[index].nodes = nodes;
	reader->anchors[index].open = false;
}

/* The newest anchor of that name counts (YAML 1.2, 3.2.2.2). */
static bool read_alias(struct reader *reader, struct yaml **out_node, struct error *err)
{
	const char *name = (const char *)reader->event.data.alias.anchor;

	for (size_t i = reader->anchor_count; i-- > 0;) {
		const struct anchor *anchor = &reader->anchors[i];

		if (strcmp(anchor->name, name) != 0)
			continue;
		if (anchor->open)
			return raise_here(reader, ERROR_INVALID, "an alias inside of what it names",
				err);
		*out_node = anchor->node;
		return count_nodes(reader, anchor->nodes, err);
	}
	scoped(text_free) char *problem = memory_format("the alias *%s names no anchor", name);

	return raise_here(reader, ERROR_INVALID, problem, err);
}

static bool spells_null(struct str text)
{
	static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < countof(spellings); i++)
		if (str_equal_text(text, spellings[i]))
			return true;
	return false;
}

static bool read_scalar(struct reader *reader, struct yaml **out_node, struct error *err)
{
	struct yaml *node = node_new(reader, YAML_SCALAR);
	const yaml_event_t *event = &reader->event;

	node->text = (struct str){arena_copy(reader->arena, event->data.scalar.value,
					  event->data.scalar.length),
		event->data.scalar.length};
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->is_null = node->plain && spells_null(node->text);
	anchor_close(reader, anchor_open(reader, event->data.scalar.anchor, node), 1);
	*out_node = node;
	return count_nodes(reader, 1, err);
}

static bool read_node(struct reader *reader, unsigned depth, struct yaml **out_node,
	struct error *err);

static bool read_items(struct reader *reader, unsigned depth, struct yaml ***items, size_t *count,
	struct error *err)
{
	size_t room = 0;

	for (;;) {
		struct yaml *item = NULL;

		if (!advance(reader, err))
			return false;
		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (!read_node(reader, depth, &item, err))
			return false;
		if (*count == room) {
			room = room ? room * 2 : 8;
			*items = memory_resize(*items, room * sizeof(struct yaml *));
		}
		(*items)[(*count)++] = item;
	}
}

static bool read_sequence(struct reader *reader, unsigned depth, struct yaml **out_node,
	struct error *err)
{
	struct yaml *node = node_new(reader, YAML_SEQUENCE);
	size_t before = reader->nodes;
	size_t anchor = anchor_open(reader, reader->event.data.sequence_start.anchor, node);
	struct yaml **items = NULL;
	bool ok =
		count_nodes(reader, 1, err) && read_items(reader, depth, &items, &node->count, err);

	node->items = arena_new(reader->arena, node->count * sizeof(*items));
	if (node->count)
		memcpy(node->items, items, node->count * sizeof(*items));
	free(items);
	anchor_close(reader, anchor, reader->nodes - before);
	*out_node = node;
	return ok;
}

/* The pairs of a mapping while it is read: plain members, and what "<<" merges in. */
struct pairs {
	struct yaml_pair *rows; /* owned */
	size_t count, room;
};

static void pairs_add(struct pairs *pairs, struct yaml_pair pair)
{
	if (pairs->count == pairs->room) {
		pairs->room = pairs->room ? pairs->room * 2 : 8;
		pairs->rows = memory_resize(pairs->rows, pairs->room * sizeof(*pairs->rows));
	}
	pairs->rows[pairs->count++] = pair;
}

static void pairs_free(struct pairs *pairs)
{
	free(pairs->rows);
	*pairs = (struct pairs){0};
}

static void merge_mapping(struct pairs *merged, const struct yaml *from)
{
	for (size_t i = 0; i < from->count; i++)
		pairs_add(merged, from->pairs[i]);
}

/* "<<: *base" or "<<: [*first, *second]"; earlier ones win (yaml.org/type/merge). */
static bool read_merge(struct reader *reader, const struct yaml *value, struct pairs *merged,
	struct error *err)
{
	if (value->kind == YAML_MAPPING) {
		merge_mapping(merged, value);
		return true;
	}
	for (size_t i = 0; value->kind == YAML_SEQUENCE && i < value->count; i++) {
		if (value->items[i]->kind != YAML_MAPPING)
			return error_raise(err, ERROR_INVALID,
				"%s:%d:%d: \"<<\" merges mappings, this is none", reader->what,
				value->items[i]->line, value->items[i]->column);
		merge_mapping(merged, value->items[i]);
	}
	if (value->kind == YAML_SEQUENCE)
		return true;
	return error_raise(err, ERROR_INVALID,
		"%s:%d:%d: \"<<\" needs a mapping or a list of mappings", reader->what, value->line,
		value->column);
}

static bool read_pair(struct reader *reader, unsigned depth, struct pairs *own,
	struct pairs *merged, struct error *err)
{
	struct yaml *key = NULL, *value = NULL;

	if (!read_node(reader, depth, &key, err))
		return false;
	if (key->kind != YAML_SCALAR)
		return error_raise(err, ERROR_INVALID, "%s:%d:%d: a key must be a plain text",
			reader->what, key->line, key->column);
	if (!advance(reader, err) || !read_node(reader, depth, &value, err))
		return false;
	if (key->plain && str_equal_text(key->text, "<<"))
		return read_merge(reader, value, merged, err);
	pairs_add(own, (struct yaml_pair){
			       .key = key->text,
			       .line = key->line,
			       .column = key->column,
			       .value = value,
		       });
	return true;
}

static int by_key_then_place(const void *a, const void *b)
{
	const struct yaml_pair *x = *(struct yaml_pair *const *)a;
	const struct yaml_pair *y = *(struct yaml_pair *const *)b;
	size_t size = x->key.size < y->key.size ? x->key.size : y->key.size;
	int order = size ? memcmp(x->key.data, y->key.data, size) : 0;

	if (order)
		return order;
	if (x->key.size != y->key.size)
		return x->key.size < y->key.size ? -1 : 1;
	return x < y ? -1 : x > y;
}

/*
 * Marks keys that stand twice and drops merged pairs whose key is there already: own_count own pairs
 * come first in rows, behind them what was merged in. Sorted, because comparing each with each
 * takes minutes for a file of 100,000 keys.
 */
static void settle_duplicates(struct pairs *pairs, size_t own_count)
{
	struct yaml_pair **order = memory_new_array(pairs->count, sizeof(struct yaml_pair *));
	size_t kept = 0;

	for (size_t i = 0; i < pairs->count; i++) {
		order[i] = &pairs->rows[i];
		order[i]->duplicate = false;
	}
	qsort(order, pairs->count, sizeof(struct yaml_pair *), by_key_then_place);
	for (size_t i = 1; i < pairs->count; i++)
		order[i]->duplicate = str_equal(order[i]->key, order[i - 1]->key);
	free(order);
	for (size_t i = 0; i < pairs->count; i++)
		if (i < own_count || !pairs->rows[i].duplicate)
			pairs->rows[kept++] = pairs->rows[i];
	pairs->count = kept;
}

static bool read_pairs(struct reader *reader, unsigned depth, struct pairs *own, struct error *err)
{
	scoped(pairs_free) struct pairs merged = {0};

	for (;;) {
		if (!advance(reader, err))
			return false;
		if (reader->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (!read_pair(reader, depth, own, &merged, err))
			return false;
	}
	size_t own_count = own->count;

	for (size_t i = 0; i < merged.count; i++)
		pairs_add(own, merged.rows[i]);
	settle_duplicates(own, own_count);
	return true;
}

static bool read_mapping(struct reader *reader, unsigned depth, struct yaml **out_node,
	struct error *err)
{
	scoped(pairs_free) struct pairs pairs = {0};
	struct yaml *node = node_new(reader, YAML_MAPPING);
	size_t before = reader->nodes;
	size_t anchor = anchor_open(reader, reader->event.data.mapping_start.anchor, node);

	if (!count_nodes(reader, 1, err) || !read_pairs(reader, depth, &pairs, err))
		return false;
	node->count = pairs.count;
	node->pairs = arena_new(reader->arena, pairs.count * sizeof(*pairs.rows));
	if (pairs.count)
		memcpy(node->pairs, pairs.rows, pairs.count * sizeof(*pairs.rows));
	anchor_close(reader, anchor, reader->nodes - before);
	*out_node = node;
	return true;
}

/* Reads the node that the current event begins. */
static bool read_node(struct reader *reader, unsigned depth, struct yaml **out_node,
	struct error *err)
{
	if (depth >= DEPTH_LIMIT)
		return raise_here(reader, ERROR_LIMIT, "nested deeper than 64 levels", err);
	if (reader->anchor_count > ANCHOR_LIMIT)
		return raise_here(reader, ERROR_LIMIT, "more than 1,000 anchors", err);
	/* libyaml's other events cannot stand where a node begins. */
	if (reader->event.type == YAML_ALIAS_EVENT)
		return read_alias(reader, out_node, err);
	if (reader->event.type == YAML_SCALAR_EVENT)
		return read_scalar(reader, out_node, err);
	if (reader->event.type == YAML_SEQUENCE_START_EVENT)
		return read_sequence(reader, depth + 1, out_node, err);
	if (reader->event.type == YAML_MAPPING_START_EVENT)
		return read_mapping(reader, depth + 1, out_node, err);
	return raise_here(reader, ERROR_INVALID, "expected a value", err);
}

static bool read_document(struct reader *reader, struct yaml **out_root, struct error *err)
{
	struct yaml *root = NULL;

	if (!advance(reader, err) || !advance(reader, err)) /* STREAM-START, then a document */
		return false;
	if (reader->event.type == YAML_STREAM_END_EVENT) {
		root = arena_new(reader->arena, sizeof(*root));
		*root = (struct yaml){.line = 1,
			.column = 1,
			.text = {arena_copy_text(reader->arena, ""), 0},
			.plain = true,
			.is_null = true};
		*out_root = root;
		return true;
	}
	if (!advance(reader, err) || !read_node(reader, 0, &root, err))
		return false;
	if (!advance(reader, err) || !advance(reader, err)) /* DOCUMENT-END, STREAM-END */
		return false;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return raise_here(reader, ERROR_INVALID,
			"a second document begins here, one is expected", err);
	*out_root = root;
	return true;
}

bool yaml_parse(struct str text, const char *what, struct arena *arena, struct yaml **out_root,
	struct error *err)
{
	scoped(reader_free) struct reader reader = {.what = what, .arena = arena};

	if (!yaml_parser_initialize(&reader.parser))
		return error_raise(err, ERROR_SYSTEM, "%s: out of memory for the YAML reader",
			what);
	if (text.size > SIZE_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s: %zu bytes of YAML, 1 MiB is accepted",
			what, text.size);
	if (str_starts_with(text, "\xEF\xBB\xBF"))
		text = (struct str){text.data + 3, text.size - 3};
	reader.text = text;
	yaml_parser_set_input_string(&reader.parser,
		(const unsigned char *)(text.data ? text.data : ""), text.size);
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	return read_document(&reader, out_root, err);
}

const struct yaml_pair *yaml_get_pair(const struct yaml *mapping, const char *key)
{
	for (size_t i = mapping && mapping->kind == YAML_MAPPING ? mapping->count : 0; i-- > 0;)
		if (str_equal_text(mapping->pairs[i].key, key))
			return &mapping->pairs[i];
	return NULL;
}

struct yaml *yaml_get(const struct yaml *mapping, const char *key)
{
	const struct yaml_pair *pair = yaml_get_pair(mapping, key);

	return pair ? pair->value : NULL;
}
