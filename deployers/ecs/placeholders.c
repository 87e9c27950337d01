#include "deployers/ecs/placeholders.h"

#include "base/json.h"
#include "base/memory.h"

struct filler {
	struct str text;
	const char *file;
	const struct placeholders *values;
	struct buf *out;
	bool image;
	size_t at;
};

static bool raise_here(const struct filler *filler, struct str placeholder, const char *problem,
	struct error *err)
{
	int line = 1, column = 1;

	for (size_t i = 0; i < filler->at; i++) {
		column = filler->text.data[i] == '\n' ? 1 : column + 1;
		line += filler->text.data[i] == '\n';
	}
	return error_raise(err, ERROR_USAGE, "%s:%d:%d: %.*s %s", filler->file, line, column,
		(int)(placeholder.size < 200 ? placeholder.size : 200), placeholder.data, problem);
}

static void append_inside(struct buf *out, const char *value)
{
	scoped(buf_free) struct buf quoted = {0};

	json_quote(str_of(value), &quoted);
	buf_append(out, quoted.data + 1, quoted.size - 2);
}

/* placeholder is the whole of it, "${env:NAME}"; inside is "env:NAME". */
static bool fill_one(struct filler *filler, struct str placeholder, struct str inside,
	struct error *err)
{
	struct str rest = inside, kind_piece = str_cut(&rest, ':');
	scoped(text_free) char *kind = str_copy(kind_piece), *name = str_copy(rest);
	scoped(text_free) char *value = NULL;

	if (!filler->values->look_up(filler->values->context, kind, name, &value, err))
		return error_while(err, "filling in %.*s of %s", str_args(placeholder),
			filler->file);
	if (!value)
		return raise_here(filler, placeholder, "is not known, or has no value here", err);
	filler->image = filler->image || text_equal(kind, "image");
	append_inside(filler->out, value);
	filler->at += placeholder.size;
	return true;
}

static bool fill_dollar(struct filler *filler, struct str rest, struct error *err)
{
	const char *end = memchr(rest.data, '}', rest.size);
	const char *line = memchr(rest.data, '\n', rest.size);

	if (!end || (line && line < end))
		return raise_here(filler, (struct str){rest.data, 2}, "has no closing brace", err);
	struct str placeholder = {rest.data, (size_t)(end + 1 - rest.data)};

	return fill_one(filler, placeholder, (struct str){rest.data + 2, placeholder.size - 3},
		err);
}

/* CodePipeline's "<IMAGE1_NAME>": there is one image here. */
static bool is_image_name(struct str rest, size_t *out_size)
{
	const char *end = memchr(rest.data, '>', rest.size);

	if (!str_starts_with(rest, "<IMAGE") || !end)
		return false;
	*out_size = (size_t)(end + 1 - rest.data);
	return str_ends_with((struct str){rest.data, *out_size}, "_NAME>");
}

static bool fill_name(struct filler *filler, struct str placeholder, struct error *err)
{
	if (!str_equal_text(placeholder, "<IMAGE1_NAME>"))
		return raise_here(filler, placeholder,
			"is not known: a service has one image, <IMAGE1_NAME>", err);
	return fill_one(filler, placeholder, str_literal("image"), err);
}

bool placeholders_fill(struct str text, const char *file, const struct placeholders *values,
	struct buf *out, bool *out_image, struct error *err)
{
	struct filler filler = {.text = text, .file = file, .values = values, .out = out};

	while (filler.at < text.size) {
		struct str rest = {text.data + filler.at, text.size - filler.at};
		size_t size = 0;

		if (str_starts_with(rest, "$${")) {
			buf_append_text(out, "${");
			filler.at += 3;
		} else if (str_starts_with(rest, "${")) {
			if (!fill_dollar(&filler, rest, err))
				return false;
		} else if (is_image_name(rest, &size)) {
			if (!fill_name(&filler, (struct str){rest.data, size}, err))
				return false;
		} else {
			buf_append_char(out, rest.data[0]);
			filler.at++;
		}
	}
	*out_image = filler.image;
	return true;
}
