/*
 * shape.h - a YAML mapping described as a table of keys, and what follows from the table: filling a
 *           struct, findings for what does not fit, and a JSON Schema.
 */
#ifndef PIPELINE_PLAN_SHAPE_H
#define PIPELINE_PLAN_SHAPE_H

#include "base/memory.h"
#include "base/yaml.h"
#include "pipeline/plan/findings.h"

enum shape_kind {
	SHAPE_TEXT,     /* const char * */
	SHAPE_PATH,     /* const char *: relative, stays inside the repository; normalised */
	SHAPE_INT,      /* int64_t within least…most */
	SHAPE_BOOL,     /* bool */
	SHAPE_NOT,      /* bool, the other way round: what is not given counts as true */
	SHAPE_DURATION, /* int64_t milliseconds */
	SHAPE_SIZE,     /* int64_t bytes */
	SHAPE_CHOICE,   /* const char *: one of choices, "a|b" */
	SHAPE_TEXTS,    /* {const char **items; size_t count}: a list, or one text */
	SHAPE_PATHS,    /* the same, of paths */
	SHAPE_PAIRS,    /* {struct {const char *name, *value;} *items; size_t count} */
	SHAPE_OBJECT,   /* a struct in place, whose first member is `bool given` */
	SHAPE_OBJECTS,  /* {struct *items; size_t count}: a list of mappings */
	SHAPE_NAMED, /* the same as a mapping; each struct's first member is `const char *name` */
};

struct shape;

struct shape_row {
	const char *name;
	enum shape_kind kind;
	size_t offset;
	const char *about;
	bool required;
	const char *choices;
	const struct shape *shape; /* SHAPE_OBJECT, _OBJECTS, _NAMED */
	int64_t least, most;       /* SHAPE_INT */
};

struct shape {
	const char *noun; /* "service", for errors */
	const struct shape_row *rows;
	size_t count;
	size_t size;                    /* of the struct */
	const char *const *exactly_one; /* names of rows, ends with NULL; NULL: no such rule */
};

struct shape_reader {
	const char *file;
	struct arena *arena;
	struct findings *findings;
};

/* Fills *out from node; what does not fit is a finding and stays zero. */
void shape_read(struct shape_reader *reader, const struct shape *shape, const struct yaml *node,
	const char *what, void *out);

/* Appends the JSON Schema of the shape as one object's members, without "$schema". */
void shape_schema(const struct shape *shape, struct json_writer *w);

#endif
