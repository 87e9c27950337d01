#include "pipeline/plan/findings.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct finding *findings_add(struct findings *findings, const char *file, int line, int column,
	const char *format, ...)
{
	va_list args;

	if (findings->count == FINDINGS_MAX) {
		findings->dropped++;
		return NULL;
	}
	findings->items =
		memory_resize(findings->items, (findings->count + 1) * sizeof(*findings->items));
	struct finding *finding = &findings->items[findings->count++];

	va_start(args, format);
	*finding = (struct finding){
		.file = memory_copy_text(file),
		.line = line,
		.column = column,
		.message = memory_format_list(format, args),
	};
	va_end(args);
	return finding;
}

void finding_suggest(struct finding *finding, const char *nearest)
{
	if (finding && nearest)
		finding->next = memory_format("did you mean \"%s\"?", nearest);
}

/* Reads "12:" at *text and moves behind it. */
static bool number_before_colon(const char **text, int *out)
{
	char *end = NULL;
	long value = isdigit((unsigned char)**text) ? strtol(*text, &end, 10) : -1;

	if (value < 0 || value > 1000000000 || *end != ':')
		return false;
	*out = (int)value;
	*text = end + 1;
	return true;
}

void findings_add_error(struct findings *findings, const char *file, const struct error *err)
{
	const char *message = err->message ? err->message : error_kind_name(err->kind);
	const char *rest = message;
	size_t name = strlen(file);
	int line = 0, column = 0;

	if (strncmp(message, file, name) == 0 && message[name] == ':') {
		rest = message + name + 1;
		if (number_before_colon(&rest, &line))
			(void)number_before_colon(&rest, &column);
		rest += *rest == ' ';
	}
	struct finding *finding = findings_add(findings, file, line, column, "%s", rest);

	if (finding)
		finding->next = memory_copy_text(err->next);
}

size_t findings_errors(const struct findings *findings)
{
	size_t count = findings->dropped;

	for (size_t i = 0; i < findings->count; i++)
		count += !findings->items[i].warning;
	return count;
}

static int compare(const void *a, const void *b)
{
	const struct finding *left = a, *right = b;
	int order = strcmp(left->file, right->file);

	if (order == 0)
		order = (left->line > right->line) - (left->line < right->line);
	if (order == 0)
		order = (left->column > right->column) - (left->column < right->column);
	return order ? order : strcmp(left->message, right->message);
}

void findings_sort(struct findings *findings)
{
	if (findings->count)
		qsort(findings->items, findings->count, sizeof(*findings->items), compare);
}

static void append(struct buf *out, const struct finding *finding)
{
	buf_append_text(out, finding->file);
	if (finding->line)
		buf_printf(out, ":%d", finding->line);
	if (finding->line && finding->column)
		buf_printf(out, ":%d", finding->column);
	buf_printf(out, ": %s%s", finding->warning ? "warning: " : "", finding->message);
}

void findings_print(FILE *out, const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		scoped(buf_free) struct buf line = {0};

		append(&line, finding);
		fprintf(out, "%s%s%s\n", buf_text(&line), finding->next ? "; " : "",
			finding->next ? finding->next : "");
	}
	if (findings->dropped)
		fprintf(out, "and %zu more\n", findings->dropped);
}

void findings_write(struct json_writer *w, const struct findings *findings)
{
	json_array_begin(w);
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];

		json_object_begin(w);
		json_put_text(w, "file", finding->file);
		json_put_int(w, "line", finding->line);
		json_put_int(w, "column", finding->column);
		json_put_text(w, "message", finding->message);
		json_put_text(w, "next", finding->next);
		json_put_bool(w, "warning", finding->warning);
		json_object_end(w);
	}
	json_array_end(w);
}

bool findings_raise(const struct findings *findings, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	size_t more = findings->count + findings->dropped;

	if (!findings->count)
		return error_raise(err, ERROR_INVALID, "the files are not valid");
	append(&text, &findings->items[0]);
	if (more > 1)
		buf_printf(&text, " (and %zu more)", more - 1);
	error_raise(err, ERROR_INVALID, "%s", buf_text(&text));
	if (findings->items[0].next)
		error_next(err, "%s", findings->items[0].next);
	return error_next(err, "\"dogshore check\" lists all of them");
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].file);
		free(findings->items[i].message);
		free(findings->items[i].next);
	}
	free(findings->items);
	*findings = (struct findings){0};
}
