/*
 * reader.h - for the parser's own files: takes values out of YAML and notes what is wrong with them.
 *
 * A NULL node is "not there" for all of these: they give the empty value and note nothing.
 */
#ifndef BUILDSPEC_READER_H
#define BUILDSPEC_READER_H

#include "base/yaml.h"
#include "buildspec/buildspec.h"

struct reader {
	struct arena *arena;
	struct buildspec_findings *findings;
	struct buildspec *out;
};

/* Where in the file, counted from 1. */
struct place {
	int line, column;
};
/* Of a struct yaml (its value) or a struct yaml_pair (its key). */
#define place_of(node) ((struct place){(node)->line, (node)->column})
#define PLACE_OF_START ((struct place){1, 1})

void read_error(struct reader *r, struct place place, const char *path, const char *format, ...)
	printf_like(4, 5);
void read_warning(struct reader *r, struct place place, const char *path, const char *format, ...)
	printf_like(4, 5);

/* "; did you mean \"NEAREST\"?" in the arena, or "" when none of the known is near. */
const char *read_advice(struct reader *r, const char *word, const char *const *known, size_t count);

/* "parent.key", or "key" when parent is empty */
const char *read_path(struct reader *r, const char *parent, struct str key);

/* The mapping under key; NULL when it is missing, null, or (noted) something else. */
struct yaml *read_mapping(struct reader *r, const struct yaml *parent, const char *key,
	const char *path);
/* The scalar's text; NULL when it is missing, null or (noted) no scalar. */
const char *read_text(struct reader *r, const struct yaml *parent, const char *key,
	const char *path);
/* yes, no, true, false, on, off in any case; false when missing. */
bool read_switch(struct reader *r, const struct yaml *parent, const char *key, const char *path);
/* A list of scalars; one scalar counts as a list of one. */
struct texts read_texts(struct reader *r, const struct yaml *parent, const char *key,
	const char *path);
/* A mapping of names to scalars; a null value is the empty text. */
struct variables read_variables(struct reader *r, const struct yaml *parent, const char *key,
	const char *path);

/* Warns about keys that stand twice and about keys that are not in known (ends with NULL). */
void read_check_keys(struct reader *r, const struct yaml *mapping, const char *path,
	const char *const *known);

/* The sections; each in a file of its own. */
void read_env(struct reader *r, const struct yaml *root);
void read_phases(struct reader *r, const struct yaml *root);
void read_artifacts(struct reader *r, const struct yaml *root);
void read_reports(struct reader *r, const struct yaml *root);
void read_cache(struct reader *r, const struct yaml *root);
void read_batch(struct reader *r, const struct yaml *root);

#endif
