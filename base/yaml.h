/*
 * yaml.h - a YAML document as a tree that knows the line and column of everything.
 *
 * Scalars keep their source text (8080 stays "8080", 1.10 stays "1.10"): what they mean is the
 * reader's business. Merge keys (<<) and aliases are resolved. Comments are gone.
 *
 * Ownership  the tree lives in the arena given to yaml_parse().
 * Limits     1 MiB of text, depth 64, 200,000 nodes after aliases are resolved (an alias bomb ends
 *            as ERROR_LIMIT). One document.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

enum yaml_kind {
	YAML_SCALAR,
	YAML_SEQUENCE,
	YAML_MAPPING,
};

struct yaml_pair;

struct yaml {
	enum yaml_kind kind;
	int line, column;        /* counted from 1; where the value starts */
	struct str text;         /* scalar: its text; NUL-terminated in the arena */
	bool plain;              /* scalar: written without quotes and not as a block */
	bool is_null;            /* scalar: plain and one of "", ~, null, Null, NULL */
	struct yaml **items;     /* sequence */
	struct yaml_pair *pairs; /* mapping, in source order */
	size_t count;            /* items or pairs */
};

struct yaml_pair {
	struct str key;     /* NUL-terminated in the arena */
	int line, column;   /* of the key */
	bool duplicate;     /* the same key stands earlier in this mapping */
	struct yaml *value; /* never NULL */
};

/*
 * Parses the only document of text.
 *
 * what  the name in errors, usually the path
 * Fails with ERROR_INVALID ("dogshore.yml:3:7: …") and ERROR_LIMIT. An empty document gives a null
 * scalar at line 1. A leading byte order mark is skipped.
 */
bool yaml_parse(struct str text, const char *what, struct arena *arena, struct yaml **out_root,
	struct error *err) must_use;

/* The value under key (the last one when it is there twice), NULL when there is none or when the
 * node is no mapping. */
struct yaml *yaml_get(const struct yaml *mapping, const char *key);
const struct yaml_pair *yaml_get_pair(const struct yaml *mapping, const char *key);

#endif
