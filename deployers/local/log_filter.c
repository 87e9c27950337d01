#include "deployers/local/log_filter.h"

#include "base/memory.h"

/* Reads one term at the start of *rest: a quoted text or a word. */
static bool read_term(struct str *rest, struct buf *out)
{
	size_t i = 0;

	if (rest->data[0] != '"') {
		while (i < rest->size && rest->data[i] != ' ')
			i++;
		buf_append(out, rest->data, i);
		*rest = (struct str){rest->data + i, rest->size - i};
		return i > 0;
	}
	for (i = 1; i < rest->size && rest->data[i] != '"'; i++) {
		i += rest->data[i] == '\\' && i + 1 < rest->size;
		buf_append_char(out, rest->data[i]);
	}
	if (i >= rest->size)
		return false;
	*rest = (struct str){rest->data + i + 1, rest->size - i - 1};
	return true;
}

bool log_filter_parse(struct str pattern, struct log_filter *out_filter, struct error *err)
{
	scoped(log_filter_free) struct log_filter filter = {0};
	struct str rest = str_trim(pattern);

	if (rest.size && (rest.data[0] == '{' || rest.data[0] == '[' || rest.data[0] == '%'))
		return error_raise(err, ERROR_INVALID,
			"filter patterns for JSON, columns and regular expressions are not known "
			"here: \"%.*s\"",
			str_args(rest));
	while (rest.size) {
		scoped(buf_free) struct buf term = {0};
		struct strings *list = &filter.all;

		if (rest.size > 1 && (rest.data[0] == '?' || rest.data[0] == '-')) {
			list = rest.data[0] == '?' ? &filter.any : &filter.none;
			rest = (struct str){rest.data + 1, rest.size - 1};
		}
		if (!read_term(&rest, &term))
			return error_raise(err, ERROR_INVALID, "invalid filter pattern: \"%.*s\"",
				str_args(pattern));
		strings_add(list, buf_text(&term));
		rest = str_trim(rest);
	}
	*out_filter = filter;
	filter = (struct log_filter){0};
	return true;
}

static bool contains(struct str text, const char *term)
{
	size_t size = strlen(term);

	return size == 0 || (text.size && memmem(text.data, text.size, term, size));
}

bool log_filter_matches(const struct log_filter *filter, struct str text)
{
	bool any = filter->any.count == 0;

	for (size_t i = 0; i < filter->all.count; i++)
		if (!contains(text, filter->all.items[i]))
			return false;
	for (size_t i = 0; i < filter->none.count; i++)
		if (contains(text, filter->none.items[i]))
			return false;
	for (size_t i = 0; !any && i < filter->any.count; i++)
		any = contains(text, filter->any.items[i]);
	return any;
}

void log_filter_free(struct log_filter *filter)
{
	strings_free(&filter->all);
	strings_free(&filter->any);
	strings_free(&filter->none);
}
