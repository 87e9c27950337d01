#include "deployers/local/store.h"

#include "base/db.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>
#include <sys/statvfs.h>

enum { VALUE_LIMIT = 16 << 20, FIRST_BUCKETS = 64, SPACE_NEEDED = 512 * 1024 };

/* One document. A kind's documents are a list in order of first put; all of them are in the hash. */
struct document {
	char *id;           /* owned */
	struct json *value; /* owned */
	int64_t number;     /* order of first put, over all kinds */
	struct kind *kind;
	struct document *earlier, *later; /* within the kind */
	struct document *chain;           /* within the hash bucket */
};

struct kind {
	char *name; /* owned */
	struct document *first, *last;
	struct kind *following;
};

/* What a transaction changed, so that it can be undone in memory too. */
struct change {
	struct kind *kind;
	char *id;           /* owned */
	struct json *value; /* owned: before the change; NULL: there was none */
	int64_t number;
};

struct sequence {
	char *name; /* owned */
	int64_t value;
	struct sequence *following;
};

struct store {
	struct db *db;      /* owned */
	char *folder;       /* owned */
	char *full_message; /* owned; what the last write said when the disk was full */
	struct kind *kinds;
	struct document **buckets; /* owned */
	size_t bucket_count, document_count;
	int64_t last_number;
	struct sequence *sequences;
	struct change *changes; /* owned; of the open transaction */
	size_t change_count, change_capacity;
	bool open; /* between store_begin and store_commit */
};

static const char *const migrations[] = {
	"CREATE TABLE document (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL,"
	" value TEXT NOT NULL, UNIQUE (kind, id));"
	"CREATE TABLE sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
};

static struct kind *kind_of(struct store *store, const char *name)
{
	for (struct kind *kind = store->kinds; kind; kind = kind->following)
		if (text_equal(kind->name, name))
			return kind;
	struct kind *kind = memory_new(sizeof(*kind));

	kind->name = memory_copy_text(name);
	kind->following = store->kinds;
	store->kinds = kind;
	return kind;
}

/* FNV-1a over the id, the kind's address as its start value. */
static size_t hash_of(const struct kind *kind, const char *id)
{
	uint64_t hash = 14695981039346656037u ^ (uint64_t)(uintptr_t)kind;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 1099511628211u;
	return (size_t)(hash ^ (hash >> 32));
}

static struct document **place_of(struct store *store, const struct kind *kind, const char *id)
{
	struct document **place = &store->buckets[hash_of(kind, id) % store->bucket_count];

	while (*place && ((*place)->kind != kind || !text_equal((*place)->id, id)))
		place = &(*place)->chain;
	return place;
}

static void grow(struct store *store)
{
	size_t old_count = store->bucket_count;
	struct document **old = store->buckets;

	store->bucket_count = old_count ? old_count * 2 : FIRST_BUCKETS;
	store->buckets = memory_new_array(store->bucket_count, sizeof(struct document *));
	for (size_t i = 0; i < old_count; i++)
		for (struct document *next, *document = old[i]; document; document = next) {
			struct document **place =
				&store->buckets[hash_of(document->kind, document->id) %
						store->bucket_count];

			next = document->chain;
			document->chain = *place;
			*place = document;
		}
	free(old);
}

/* Puts a document into memory; keeps its number when it was there. Takes value. */
static void remember(struct store *store, struct kind *kind, const char *id, struct json *value,
	int64_t number)
{
	struct document **place = place_of(store, kind, id);

	if (*place) {
		json_free(&(*place)->value);
		(*place)->value = value;
		return;
	}
	if (store->document_count >= store->bucket_count) {
		grow(store);
		place = place_of(store, kind, id);
	}
	struct document *document = memory_new(sizeof(*document));
	struct document *before = kind->last;

	document->id = memory_copy_text(id);
	document->value = value;
	document->number = number;
	document->kind = kind;
	*place = document;
	store->document_count++;
	/* Nearly always the end; an undone removal goes back to where it was. */
	while (before && before->number > number)
		before = before->earlier;
	document->earlier = before;
	document->later = before ? before->later : kind->first;
	*(document->later ? &document->later->earlier : &kind->last) = document;
	*(before ? &before->later : &kind->first) = document;
}

static void document_free(struct document *document)
{
	free(document->id);
	json_free(&document->value);
	free(document);
}

static void forget(struct store *store, struct kind *kind, const char *id)
{
	struct document **place = place_of(store, kind, id);
	struct document *document = *place;

	if (!document)
		return;
	*place = document->chain;
	*(document->earlier ? &document->earlier->later : &kind->first) = document->later;
	*(document->later ? &document->later->earlier : &kind->last) = document->earlier;
	store->document_count--;
	document_free(document);
}

static bool load(struct store *store, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	bool more;

	if (!db_query(store->db, "SELECT number, kind, id, value FROM document ORDER BY number",
		    db_no_values, &rows, err))
		return false;
	for (;;) {
		struct json *value = NULL;

		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			return true;
		if (!json_parse(db_str(&rows, 3), db_text(&rows, 2),
			    &(struct json_limits){.size_bytes = VALUE_LIMIT}, &value, err))
			return false;
		store->last_number = db_int(&rows, 0);
		remember(store, kind_of(store, db_text(&rows, 1)), db_text(&rows, 2), value,
			store->last_number);
	}
}

static struct sequence *sequence_of(struct store *store, const char *name)
{
	for (struct sequence *s = store->sequences; s; s = s->following)
		if (text_equal(s->name, name))
			return s;
	struct sequence *s = memory_new(sizeof(*s));

	s->name = memory_copy_text(name);
	s->following = store->sequences;
	store->sequences = s;
	return s;
}

static bool load_sequences(struct store *store, struct error *err)
{
	scoped(db_rows_free) struct db_rows rows = {0};
	bool more;

	if (!db_query(store->db, "SELECT name, value FROM sequence", db_no_values, &rows, err))
		return false;
	for (;;) {
		if (!db_next(&rows, &more, err))
			return false;
		if (!more)
			return true;
		sequence_of(store, db_text(&rows, 0))->value = db_int(&rows, 1);
	}
}

bool store_open(const char *path, struct store **out_store, struct error *err)
{
	scoped(store_close) struct store *store = memory_new(sizeof(*store));
	scoped(text_free) char *url = memory_format("sqlite:%s", path);

	grow(store);
	store->folder = path_parent(path);
	if (!db_open(url, NULL, &store->db, err) ||
		!db_migrate(store->db, migrations, countof(migrations), err) || !load(store, err) ||
		!load_sequences(store, err)) {
		/* A database by itself would be moved away; here containers depend on it. */
		if (err && err->kind == ERROR_INVALID) {
			text_free(&err->next);
			error_next(err, "start anew with: dogshore local reset");
		}
		return error_while(err, "opening the local cloud's store \"%s\"", path);
	}
	*out_store = store;
	store = NULL;
	return true;
}

static void drop_changes(struct store *store)
{
	for (size_t i = 0; i < store->change_count; i++) {
		free(store->changes[i].id);
		json_free(&store->changes[i].value);
	}
	store->change_count = 0;
	store->open = false;
}

void store_close(struct store **address)
{
	struct store *store = *address;

	if (!store)
		return;
	store_rollback(address);
	while (store->kinds) {
		struct kind *kind = store->kinds;

		store->kinds = kind->following;
		while (kind->first) {
			struct document *document = kind->first;

			kind->first = document->later;
			document_free(document);
		}
		free(kind->name);
		free(kind);
	}
	while (store->sequences) {
		struct sequence *s = store->sequences;

		store->sequences = s->following;
		free(s->name);
		free(s);
	}
	free(store->folder);
	free(store->full_message);
	free(store->buckets);
	free(store->changes);
	db_close(&store->db);
	free(store);
	*address = NULL;
}

/* Remembers why, so that whoever waits for a change can be told. Always returns false. */
static bool note_failure(struct store *store, const struct error *err)
{
	if (err && error_is_full(err)) {
		free(store->full_message);
		store->full_message = memory_copy_text(err->message);
	}
	return false;
}

bool store_is_full(struct store *store, const char **out_message)
{
	struct statvfs space;

	if (!store->full_message)
		return false;
	if (statvfs(store->folder, &space) == 0 &&
		(uint64_t)space.f_bavail * space.f_frsize >= SPACE_NEEDED) {
		free(store->full_message);
		store->full_message = NULL;
		return false;
	}
	*out_message = store->full_message;
	return true;
}

/* Notes how things were, for store_rollback(). */
static void note_change(struct store *store, struct kind *kind, const char *id)
{
	const struct document *document = *place_of(store, kind, id);

	if (!store->open)
		return;
	if (store->change_count == store->change_capacity) {
		store->change_capacity = store->change_capacity ? store->change_capacity * 2 : 16;
		store->changes = memory_resize(store->changes,
			store->change_capacity * sizeof(*store->changes));
	}
	store->changes[store->change_count++] = (struct change){
		.kind = kind,
		.id = memory_copy_text(id),
		.value = document ? json_keep(document->value) : NULL,
		.number = document ? document->number : 0,
	};
}

bool store_put(struct store *store, const char *kind_name, const char *id, struct json *value,
	struct error *err)
{
	scoped(json_free) struct json *owned = value;
	scoped(buf_free) struct buf text = {0};
	struct kind *kind = kind_of(store, kind_name);
	const struct document *document = *place_of(store, kind, id);
	int64_t number = document ? document->number : store->last_number + 1;

	json_write(value, &text);
	if (text.size > VALUE_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s \"%s\" is larger than %d MiB", kind_name,
			id, VALUE_LIMIT >> 20);
	if (!db_exec(store->db,
		    "INSERT INTO document (number, kind, id, value) VALUES ($1, $2, $3, $4)"
		    " ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value",
		    db_values(db_of_int(number), db_of_text(kind_name), db_of_text(id),
			    db_of_str(buf_str(&text))),
		    NULL, err))
		return note_failure(store, err) ||
		       error_while(err, "storing %s \"%s\"", kind_name, id);
	note_change(store, kind, id);
	if (!document)
		store->last_number = number;
	remember(store, kind, id, owned, number);
	owned = NULL;
	return true;
}

const struct json *store_get(struct store *store, const char *kind, const char *id)
{
	const struct document *document = id ? *place_of(store, kind_of(store, kind), id) : NULL;

	return document ? document->value : NULL;
}

bool store_remove(struct store *store, const char *kind_name, const char *id, struct error *err)
{
	struct kind *kind = kind_of(store, kind_name);

	if (!*place_of(store, kind, id))
		return true;
	if (!db_exec(store->db, "DELETE FROM document WHERE kind = $1 AND id = $2",
		    db_values(db_of_text(kind_name), db_of_text(id)), NULL, err))
		return note_failure(store, err) ||
		       error_while(err, "removing %s \"%s\"", kind_name, id);
	note_change(store, kind, id);
	forget(store, kind, id);
	return true;
}

void store_each(struct store *store, const char *kind,
	bool (*each)(void *context, const char *id, const struct json *value), void *context)
{
	for (struct document *document = kind_of(store, kind)->first; document;
		document = document->later)
		if (!each(context, document->id, document->value))
			return;
}

bool store_begin(struct store *store, struct error *err)
{
	if (!db_begin(store->db, err))
		return error_while(err, "beginning a change of the local cloud's store");
	store->open = true;
	return true;
}

bool store_commit(struct store *store, struct error *err)
{
	if (!db_commit(store->db, err)) {
		store_rollback(&(struct store *){store});
		note_failure(store, err);
		return error_while(err, "keeping a change of the local cloud's store");
	}
	drop_changes(store);
	return true;
}

void store_rollback(struct store **address)
{
	struct store *store = *address;

	if (!store || !store->open)
		return;
	struct db *db = store->db;

	db_rollback(&db);
	while (store->change_count) {
		struct change *change = &store->changes[--store->change_count];

		if (change->value)
			remember(store, change->kind, change->id, change->value, change->number);
		else
			forget(store, change->kind, change->id);
		free(change->id);
	}
	store->open = false;
}

int64_t store_next_number(struct store *store, const char *name)
{
	struct sequence *s = sequence_of(store, name);
	struct error err = {0};

	s->value++;
	if (!db_exec(store->db,
		    "INSERT INTO sequence (name, value) VALUES ($1, $2)"
		    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		    db_values(db_of_text(name), db_of_int(s->value)), NULL, &err))
		error_ignore(&err,
			"the put of what gets this number will fail for the same reason");
	return s->value;
}

static struct json *public_array(const struct json *array)
{
	struct json *copy = json_array_new();

	for (size_t i = 0; i < json_count(array); i++)
		json_append(copy, store_public(json_at(array, i)));
	return copy;
}

struct json *store_public(const struct json *value)
{
	if (json_is_array(value))
		return public_array(value);
	if (!json_is_object(value))
		return json_copy(value);
	struct json *copy = json_object_new();

	for (json_each(member, value))
		if (member.key[0] != '_')
			json_set(copy, member.key, store_public(member.value));
	return copy;
}
