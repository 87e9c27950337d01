#include "services/kit/config.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdlib.h>

static const char *check_range(const struct config_row *row, int64_t value)
{
	bool any = row->least == 0 && row->most == 0;

	if (value < row->least)
		return "is too small";
	return !any && value > row->most ? "is too large" : NULL;
}

static const char *read_number(const struct config_row *row, const char *text, int64_t *out)
{
	int64_t value;

	if (row->kind == CONFIG_DURATION) {
		if (!duration_parse(str_of(text), &value))
			return "is no duration such as 500ms, 30s or 10m";
	} else if (!str_to_int(str_of(text), &value)) {
		return "is no number";
	}
	*out = value;
	return check_range(row, value);
}

static const char *read_text(const struct config_row *row, const char *text, const char **out)
{
	if (!text[0])
		return "is empty";
	if (row->kind == CONFIG_URL &&
		!(text_starts_with(text, "http://") || text_starts_with(text, "https://")))
		return "is no http or https URL";
	if (row->kind == CONFIG_URL && text_ends_with(text, "/"))
		return "ends with a slash";
	*out = text;
	return NULL;
}

/* NULL, or what is wrong with the row's value. */
static const char *read_row(const struct config_row *row, const char *text, void *settings)
{
	void *field = (char *)settings + row->offset;

	switch (row->kind) {
	case CONFIG_NUMBER:
	case CONFIG_DURATION:
		return read_number(row, text, field);
	case CONFIG_TEXT:
	case CONFIG_URL:
		return read_text(row, text, field);
	}
	return NULL;
}

bool config_read(const struct config_row *rows, size_t count, void *settings, struct error *err)
{
	scoped(buf_free) struct buf wrong = {0};

	for (size_t i = 0; i < count; i++) {
		const struct config_row *row = &rows[i];
		const char *set = getenv(row->name), *text = set ? set : row->fallback;
		const char *why = text ? read_row(row, text, settings) : "is not set";

		if (why)
			buf_printf(&wrong, "%s%s (%s) %s", wrong.size ? "; " : "", row->name,
				row->about, why);
	}
	if (!wrong.size)
		return true;
	error_raise(err, ERROR_USAGE, "configuration: %s", buf_text(&wrong));
	return error_next(err, "set them in the environment of the task definition");
}
