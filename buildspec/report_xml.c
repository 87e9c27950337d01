#include "buildspec/report_xml.h"

#include "buildspec/report_text.h"

void report_want_text(struct report_reader *r)
{
	if (r->text_depth)
		return;
	buf_clear(&r->text);
	r->text_depth = r->depth;
}

void report_suite_begin(struct report_reader *r, const char *name)
{
	if (r->suite_count < REPORT_SUITES_MAX) {
		struct str piece = str_of(name);

		r->suite_starts[r->suite_count] = r->suites.size;
		buf_append(&r->suites, piece.data,
			piece.size < REPORT_NAME_BYTES ? piece.size : REPORT_NAME_BYTES);
		buf_append_char(&r->suites, '\0');
	}
	r->suite_count++;
}

void report_suite_end(struct report_reader *r)
{
	if (r->suite_count && --r->suite_count < REPORT_SUITES_MAX)
		r->suites.size = r->suite_starts[r->suite_count];
}

/* The innermost that is open. */
static const char *suite_of(const struct report_reader *r)
{
	if (!r->suite_count)
		return "";
	size_t at = r->suite_count < REPORT_SUITES_MAX ? r->suite_count : REPORT_SUITES_MAX;

	return r->suites.data + r->suite_starts[at - 1];
}

void report_case_begin(struct report_reader *r, const char *class_name, const char *name)
{
	r->current = (struct report_case){0};
	r->in_case = true;
	report_cut(&r->class_name, class_name, REPORT_NAME_BYTES);
	report_cut(&r->name, name, REPORT_NAME_BYTES);
	buf_clear(&r->message);
	buf_clear(&r->details);
	buf_clear(&r->file);
}

void report_case_outcome(struct report_reader *r, enum report_status status, const char *message)
{
	if (status > r->current.status) {
		/* Why it was to be skipped does not matter any more. */
		if (r->current.status < REPORT_FAILED) {
			buf_clear(&r->message);
			buf_clear(&r->details);
		}
		r->current.status = status;
	}
	if (!r->message.size)
		report_cut(&r->message, message, REPORT_MESSAGE_BYTES);
}

void report_case_take_text(struct report_reader *r)
{
	struct str text = str_trim(buf_str(&r->text));

	if (!text.size || r->details.size)
		return;
	buf_append_str(&r->details, text);
	if (r->message.size)
		return;
	scoped(buf_free) struct buf line = {0};

	buf_append_str(&line, report_first_line(text));
	report_cut(&r->message, buf_text(&line), REPORT_MESSAGE_BYTES);
}

void report_case_end(struct report_reader *r)
{
	if (!r->in_case)
		return;
	r->in_case = false;
	r->current.suite = suite_of(r);
	r->current.class_name = buf_text(&r->class_name);
	r->current.name = buf_text(&r->name);
	r->current.message = buf_text(&r->message);
	r->current.details = buf_text(&r->details);
	r->current.file = buf_text(&r->file);
	r->sink->take_case(r->sink->self, &r->current);
}

void report_file_begin(struct report_reader *r, const char *path)
{
	r->coverage = (struct report_coverage){0};
	r->file_depth = r->depth;
	report_cut(&r->path, path, REPORT_NAME_BYTES);
}

void report_file_end(struct report_reader *r)
{
	if (!r->file_depth)
		return;
	r->file_depth = 0;
	r->coverage.file = buf_text(&r->path);
	r->sink->take_coverage(r->sink->self, &r->coverage);
}

static void note_root(struct report_reader *r, const char *name)
{
	for (size_t i = 0; r->elements->roots[i]; i++)
		if (strcmp(r->elements->roots[i], name) == 0)
			return;
	report_cut(&r->wrong_root, name, REPORT_NAME_BYTES);
}

static void open_element(void *self, const char *name, const char *const *attributes)
{
	struct report_reader *r = self;
	const char *local = xml_local_name(name);

	r->depth++;
	if (r->depth == 1)
		note_root(r, local);
	if (!r->wrong_root.size)
		r->elements->open(r, local, attributes);
}

static void take_text(void *self, struct str piece)
{
	struct report_reader *r = self;

	if (r->text_depth && r->text.size < REPORT_DETAILS_BYTES)
		buf_append(&r->text, piece.data,
			piece.size < REPORT_DETAILS_BYTES - r->text.size
				? piece.size
				: REPORT_DETAILS_BYTES - r->text.size);
}

static void close_element(void *self, const char *name)
{
	struct report_reader *r = self;

	if (!r->wrong_root.size)
		r->elements->close(r, xml_local_name(name));
	if (r->text_depth == r->depth) {
		r->text_depth = 0;
		buf_clear(&r->text);
	}
	r->depth--;
}

static void reader_free(struct report_reader *r)
{
	if (r->elements->end)
		r->elements->end(r);
	buf_free(&r->wrong_root);
	buf_free(&r->text);
	buf_free(&r->suites);
	buf_free(&r->class_name);
	buf_free(&r->name);
	buf_free(&r->message);
	buf_free(&r->details);
	buf_free(&r->file);
	buf_free(&r->package);
	buf_free(&r->path);
}

/* Forgets where the last pass was. */
static void begin_pass(struct report_reader *r, int pass)
{
	r->pass = pass;
	r->depth = r->text_depth = r->suite_count = r->file_depth = 0;
	r->in_case = r->aside = false;
	buf_clear(&r->suites);
}

bool report_read_xml(const struct report_elements *elements, const char *path, struct str text,
	const struct report_sink *sink, struct error *err)
{
	static const struct xml_events events = {open_element, take_text, close_element};
	static const struct xml_limits limits = {.size_bytes = REPORT_XML_BYTES_MAX,
		.depth = 128,
		.document_types = true};
	scoped(reader_free) struct report_reader r = {.sink = sink, .elements = elements};

	for (int pass = 1; pass <= elements->passes; pass++) {
		begin_pass(&r, pass);
		if (!(path ? xml_read_file(path, &limits, &events, &r, err)
			   : xml_read(text, &limits, &events, &r, err)))
			return false;
		if (r.wrong_root.size)
			return error_raise(err, ERROR_INVALID,
				"its outermost element is <%s>, expected <%s>",
				buf_text(&r.wrong_root), elements->roots[0]);
	}
	return true;
}
