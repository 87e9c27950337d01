#include "builders/evidence/sbom_licence.h"

#include "base/memory.h"
#include "builders/evidence/sbom_licence_name.h"
#include "builders/image/package_status.h"

#include <ctype.h>
#include <stdlib.h>

enum {
	COPYRIGHT_LIMIT = 4 << 20,
	EXPRESSION_LIMIT = 16 << 10,
	LICENCE_LIMIT = 500,
};

void sbom_licence_free(struct sbom_licence *licence)
{
	for (size_t i = 0; i < licence->reference_count; i++) {
		free(licence->references[i].id);
		free(licence->references[i].name);
		free(licence->references[i].text);
	}
	free(licence->references);
	free(licence->expression);
	*licence = (struct sbom_licence){0};
}

struct reading {
	struct str copyright;
	struct sbom_licence *licence;
};

/* The first line of a License field names it; the text follows. */
static struct str text_behind(struct str field)
{
	struct str rest = field;

	str_cut(&rest, '\n');
	return rest;
}

static struct str first_line(struct str field)
{
	struct str rest = field;

	return str_trim(str_cut(&rest, '\n'));
}

/* The text of a licence: where it is named, or in the paragraph that only says what it is. */
static struct str find_text(struct str copyright, struct str name)
{
	struct str stanza;

	while (stanza_next(&copyright, &stanza)) {
		struct str field = stanza_field(stanza, "License"), text = text_behind(field);
		if (text.size > 0 && str_equal_ignoring_case(first_line(field), name))
			return text;
	}
	return (struct str){0};
}

/* Each line of a field's text stands one space in; an empty one is written " .". */
static char *unfold(struct str text)
{
	struct buf out = {0};

	while (text.size > 0) {
		struct str line = str_cut(&text, '\n');

		if (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
			line = (struct str){line.data + 1, line.size - 1};
		if (!str_equal_text(line, "."))
			buf_append_str(&out, line);
		if (text.size > 0)
			buf_append_char(&out, '\n');
	}
	return out.size ? buf_take(&out) : memory_copy_text("");
}

/* "LicenseRef-debian-public-domain-1a2b3c4d": equal texts under one name are one licence. */
static char *reference_id(struct str name, const char *text)
{
	struct digest digest = digest_of(text, strlen(text));
	struct buf id = {0};

	buf_append_text(&id, "LicenseRef-debian-");
	for (size_t i = 0; i < name.size && i < 60; i++) {
		unsigned char c = (unsigned char)name.data[i];
		bool plain = (c < 0x80 && isalnum(c)) || c == '.';
		buf_append_char(&id, plain ? (char)c : '-');
	}
	buf_append_char(&id, '-');
	hex_append(&id, digest.bytes, 4);
	return buf_take(&id);
}

static void append_reference(struct reading *reading, struct str name, struct buf *out)
{
	struct sbom_licence *licence = reading->licence;
	struct str found = find_text(reading->copyright, name);
	char *text = found.size ? unfold(found)
				: memory_format("The copyright file calls it \"%.*s\" and has no "
						"text of it by that name.",
					  str_args(name));
	char *id = reference_id(name, text);

	buf_append_text(out, id);
	for (size_t i = 0; i < licence->reference_count; i++)
		if (text_equal(licence->references[i].id, id)) {
			free(id);
			free(text);
			return;
		}
	licence->references = memory_resize(licence->references,
		(licence->reference_count + 1) * sizeof(licence->references[0]));
	licence->references[licence->reference_count++] =
		(struct sbom_licence_reference){id, str_copy(name), text};
}

/* What joins parts of a synopsis, from what binds loosest. A comma makes "and" and "or" loose: "A or
 * B, and C" is "(A or B) and C". */
static const struct {
	const char *word, *spdx;
} joints[] = {
	{", and ", " AND "},
	{", or ", " OR "},
	{" or ", " OR "},
	{" and ", " AND "},
};

static void append_synopsis(struct reading *reading, struct str text, size_t joint,
	struct buf *out);

/* A part that is itself joined stands in parentheses unless it binds tighter anyway. */
static void append_part(struct reading *reading, struct str part, size_t joint, struct buf *out)
{
	struct buf inner = {0};

	append_synopsis(reading, str_trim(part), joint + 1, &inner);
	bool loose = memmem(inner.data, inner.size, " OR ", 4) != NULL ||
		     (joint < 2 && memmem(inner.data, inner.size, " AND ", 5) != NULL);
	buf_printf(out, loose ? "(%s)" : "%s", buf_text(&inner));
	buf_free(&inner);
}

static void append_synopsis(struct reading *reading, struct str text, size_t joint, struct buf *out)
{
	if (joint == countof(joints)) {
		if (!licence_name_to_spdx(text, out))
			append_reference(reading, text, out);
		return;
	}
	size_t word = strlen(joints[joint].word);
	const char *at = memmem(text.data, text.size, joints[joint].word, word);
	if (!at) {
		append_synopsis(reading, text, joint + 1, out);
		return;
	}
	for (; at; at = memmem(text.data, text.size, joints[joint].word, word)) {
		struct str part = {text.data, (size_t)(at - text.data)};

		append_part(reading, part, joint, out);
		buf_append_text(out, joints[joint].spdx);
		text = (struct str){at + word, text.size - part.size - word};
	}
	append_part(reading, text, joint, out);
}

static bool is_machine_readable(struct str stanza)
{
	struct str format = stanza_field(stanza, "Format");

	return format.size > 0 && (memmem(format.data, format.size, "copyright-format", 16) ||
					  memmem(format.data, format.size, "dep5", 4));
}

/* All are joined by AND in the end, so "A AND B" adds A and B, each once. */
static void add_expression(struct strings *expressions, struct str text)
{
	static const char and[] = " AND ";
	bool loose = memmem(text.data, text.size, " OR ", 4) != NULL;
	const char *at = loose ? NULL : memmem(text.data, text.size, and, sizeof(and) - 1);
	struct str first = {text.data, at ? (size_t)(at - text.data) : text.size};
	scoped(text_free) char *one = str_copy(first);

	if (!strings_contain(expressions, one))
		strings_add(expressions, one);
	if (at)
		add_expression(expressions, (struct str){at + sizeof(and) - 1,
						    text.size - first.size - (sizeof(and) - 1)});
}

/* Collects one expression for each distinct licence of a group of files. Many groups name the same one,
 * and looking up its text goes through all of the file. */
static bool read_groups(struct reading *reading, struct strings *expressions)
{
	struct str rest = reading->copyright, stanza;
	scoped(strings_free) struct strings known = {0};

	if (!stanza_next(&rest, &stanza) || !is_machine_readable(stanza))
		return false;
	while (stanza_next(&rest, &stanza)) {
		struct str name = first_line(stanza_field(stanza, "License"));
		struct buf expression = {0};

		if (stanza_field(stanza, "Files").size == 0 || name.size == 0)
			continue;
		if (name.size > 1024 || !str_is_utf8(name) || expressions->count == LICENCE_LIMIT)
			return false;
		scoped(text_free) char *synopsis = str_copy(name);
		if (strings_contain(&known, synopsis))
			continue;
		strings_add(&known, synopsis);
		append_synopsis(reading, name, 0, &expression);
		add_expression(expressions, buf_str(&expression));
		buf_free(&expression);
	}
	return expressions->count > 0;
}

static char *join(struct strings *expressions)
{
	struct buf out = {0};

	strings_sort(expressions);
	for (size_t i = 0; i < expressions->count; i++) {
		const char *one = expressions->items[i];
		bool loose = expressions->count > 1 && strstr(one, " OR ");
		buf_printf(&out, loose ? "%s(%s)" : "%s%s", i ? " AND " : "", one);
	}
	if (out.size <= EXPRESSION_LIMIT)
		return buf_take(&out);
	buf_free(&out);
	return NULL;
}

struct sbom_licence sbom_licence_parse(struct str copyright)
{
	struct sbom_licence licence = {.text = digest_of_str(copyright)};
	struct reading reading = {copyright, &licence};
	scoped(strings_free) struct strings expressions = {0};

	if (copyright.size <= COPYRIGHT_LIMIT && read_groups(&reading, &expressions))
		licence.expression = join(&expressions);
	if (!licence.expression) {
		struct digest text = licence.text;
		sbom_licence_free(&licence);
		licence.text = text;
	}
	return licence;
}
