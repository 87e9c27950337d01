/*
 * store.h - what exists in the local cloud: JSON documents by kind and id, in memory and on disk.
 *
 * A document is in the shape of the AWS API plus members of our own whose names start with "_"
 * (answers leave those out: store_public()). Each put and remove is one committed transaction before
 * it returns, so what an answer says has happened survives kill -9.
 *
 * Ownership  store_put takes the value; store_get and store_each borrow: to change a document, copy
 *            it (json_copy), change the copy, put it back.
 */
#ifndef DEPLOYERS_LOCAL_STORE_H
#define DEPLOYERS_LOCAL_STORE_H

#include "base/error.h"
#include "base/json.h"

struct store;

bool store_open(const char *path, struct store **out_store, struct error *err) must_use;
void store_close(struct store **store);

/* kind: "ecs.service", "elbv2.rule", …; id: the ARN or the name, unique within the kind. */
bool store_put(struct store *store, const char *kind, const char *id, struct json *value,
	struct error *err) must_use;
const struct json *store_get(struct store *store, const char *kind, const char *id);
bool store_remove(struct store *store, const char *kind, const char *id, struct error *err)
	must_use;
/* In order of first put. The callback may not put or remove documents of this kind; returning false
 * stops. */
void store_each(struct store *store, const char *kind,
	bool (*each)(void *context, const char *id, const struct json *value), void *context);
/* Several changes that are durable together: begin … commit; nesting is not allowed. */
bool store_begin(struct store *store, struct error *err) must_use;
bool store_commit(struct store *store, struct error *err) must_use;
/* For scoped(store_rollback) struct store *open = store: undoes what was not committed, in memory
 * too; without an open transaction it does nothing. */
void store_rollback(struct store **store);

/* The disk was full at the last write and has no space yet: what should happen next cannot be
 * written down, so nothing happens. *out_message is the store's own, what the write said. */
bool store_is_full(struct store *store, const char **out_message);

/* A number that was never given before in this cloud, from 1. */
int64_t store_next_number(struct store *store, const char *sequence);
/* A deep copy without members whose names start with "_", at any depth. */
struct json *store_public(const struct json *value) must_use;

#endif
