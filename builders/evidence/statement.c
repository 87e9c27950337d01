#include "builders/evidence/statement.h"

#include "base/memory.h"

#include <stdlib.h>

enum { SIZE_LIMIT = 32 << 20, SUBJECT_LIMIT = 10000 };

void statement_free(struct statement *statement)
{
	for (size_t i = 0; i < statement->subject_count; i++)
		free(statement->subjects[i].name);
	free(statement->subjects);
	free(statement->predicate_type);
	json_free(&statement->predicate);
	*statement = (struct statement){0};
}

void statement_add_subject(struct statement *statement, const struct digest *digest,
	const char *name)
{
	statement->subjects = memory_resize(statement->subjects,
		(statement->subject_count + 1) * sizeof(statement->subjects[0]));
	statement->subjects[statement->subject_count++] =
		(struct statement_subject){.digest = *digest,
			.name = name && *name ? memory_copy_text(name) : NULL};
}

const struct statement_subject *statement_find(const struct statement *statement,
	const struct digest *digest)
{
	for (size_t i = 0; i < statement->subject_count; i++)
		if (digest_equal(&statement->subjects[i].digest, digest))
			return &statement->subjects[i];
	return NULL;
}

void statement_write(const struct statement *statement, struct buf *out)
{
	struct json_writer w = json_writer_start(out);

	json_object_begin(&w);
	json_put_text(&w, "_type", STATEMENT_TYPE);
	json_key(&w, "subject");
	json_array_begin(&w);
	for (size_t i = 0; i < statement->subject_count; i++) {
		const struct statement_subject *subject = &statement->subjects[i];
		char hex[DIGEST_HEX_SIZE];

		digest_to_hex(&subject->digest, hex);
		json_object_begin(&w);
		if (subject->name)
			json_put_text(&w, "name", subject->name);
		json_key(&w, "digest");
		json_object_begin(&w);
		json_put_text(&w, "sha256", hex);
		json_object_end(&w);
		json_object_end(&w);
	}
	json_array_end(&w);
	json_put_text(&w, "predicateType", statement->predicate_type);
	json_key(&w, "predicate");
	if (statement->predicate) {
		json_write_value(&w, statement->predicate);
	} else {
		json_object_begin(&w);
		json_object_end(&w);
	}
	json_object_end(&w);
}

static bool parse_subject(const struct json *value, size_t number, const char *what,
	struct statement *statement, struct error *err)
{
	const char *hex = json_get_text(json_get(value, "digest"), "sha256", NULL);
	struct digest digest;

	if (!hex)
		return true;
	scoped(text_free) char *text = memory_format("sha256:%.80s", hex);
	if (!digest_parse(str_of(text), &digest))
		return error_raise(err, ERROR_INVALID,
			"%s: the sha256 of subject %zu is \"%.80s\", which is none", what, number,
			hex);
	statement_add_subject(statement, &digest, json_get_text(value, "name", NULL));
	return true;
}

bool statement_parse(struct str text, const char *what, struct statement *out_statement,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	scoped(statement_free) struct statement statement = {0};

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = SIZE_LIMIT}, &value, err))
		return false;
	const char *type = json_get_text(value, "_type", "");
	if (!text_equal(type, STATEMENT_TYPE))
		return error_raise(err, ERROR_INVALID,
			"%s is no in-toto statement: its _type is \"%.80s\", expected \"%s\"", what,
			type, STATEMENT_TYPE);
	const struct json *subjects = json_get(value, "subject");
	if (!json_is_array(subjects))
		return error_raise(err, ERROR_INVALID, "%s has no list \"subject\"", what);
	if (json_count(subjects) > SUBJECT_LIMIT)
		return error_raise(err, ERROR_LIMIT, "%s has more than %d subjects", what,
			SUBJECT_LIMIT);
	for (size_t i = 0; i < json_count(subjects); i++)
		if (!parse_subject(json_at(subjects, i), i + 1, what, &statement, err))
			return false;
	if (statement.subject_count == 0)
		return error_raise(err, ERROR_INVALID, "%s names no subject by sha256", what);
	const char *predicate_type = json_get_text(value, "predicateType", "");
	if (!*predicate_type)
		return error_raise(err, ERROR_INVALID, "%s has no predicateType", what);
	statement.predicate_type = memory_copy_text(predicate_type);
	const struct json *predicate = json_get(value, "predicate");
	if (json_is_object(predicate))
		statement.predicate = json_keep(predicate);
	*out_statement = statement;
	statement = (struct statement){0};
	return true;
}
