#include "base/xml.h"

#include "base/file.h"

#include <errno.h>
#include <expat.h>
#include <fcntl.h>
#include <unistd.h>

enum {
	DEFAULT_DEPTH = 64,
	DEFAULT_SIZE_BYTES = 64 << 20,
	PIECE_BYTES = 128 << 10,
	TOKEN_BYTES_MAX = 4 << 20,
};

struct reading {
	XML_Parser parser;
	const struct xml_events *events;
	void *self;
	unsigned depth, depth_max;
	int64_t fed, size_max;
	const char *problem; /* why it was stopped; NULL */
};

static void reading_free(struct reading *reading)
{
	if (reading->parser)
		XML_ParserFree(reading->parser);
}

static void stop(struct reading *reading, const char *problem)
{
	if (!reading->problem)
		reading->problem = problem;
	XML_StopParser(reading->parser, XML_FALSE);
}

static void XMLCALL open_element(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *reading = context;

	if (reading->problem)
		return;
	if (reading->depth == reading->depth_max)
		stop(reading, "its elements nest too deeply");
	reading->depth++;
	if (!reading->problem && reading->events->open)
		reading->events->open(reading->self, name, (const char *const *)attributes);
}

static void XMLCALL take_text(void *context, const XML_Char *text, int size)
{
	struct reading *reading = context;

	if (!reading->problem && reading->events->text)
		reading->events->text(reading->self, (struct str){text, (size_t)size});
}

static void XMLCALL close_element(void *context, const XML_Char *name)
{
	struct reading *reading = context;

	if (reading->problem)
		return;
	reading->depth--;
	if (reading->events->close)
		reading->events->close(reading->self, name);
}

static void XMLCALL refuse_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
	const XML_Char *public_id, int has_internal_subset)
{
	(void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
	stop(context, "it has a document type");
}

static void XMLCALL refuse_entity(void *context, const XML_Char *name, int is_parameter,
	const XML_Char *value, int size, const XML_Char *base, const XML_Char *system_id,
	const XML_Char *public_id, const XML_Char *notation)
{
	(void)name, (void)is_parameter, (void)value, (void)size;
	(void)base, (void)system_id, (void)public_id, (void)notation;
	stop(context, "it declares an entity");
}

static bool begin(struct reading *reading, const struct xml_limits *limits,
	const struct xml_events *events, void *self, struct error *err)
{
	static const struct xml_limits defaults;

	if (!limits)
		limits = &defaults;
	*reading = (struct reading){.parser = XML_ParserCreate(NULL),
		.events = events,
		.self = self,
		.depth_max = limits->depth ? limits->depth : DEFAULT_DEPTH,
		.size_max = limits->size_bytes ? limits->size_bytes : DEFAULT_SIZE_BYTES};
	if (!reading->parser)
		return error_raise(err, ERROR_SYSTEM, "no memory for an XML parser");
	XML_SetUserData(reading->parser, reading);
	XML_SetElementHandler(reading->parser, open_element, close_element);
	XML_SetCharacterDataHandler(reading->parser, take_text);
	XML_SetEntityDeclHandler(reading->parser, refuse_entity);
	if (!limits->document_types)
		XML_SetStartDoctypeDeclHandler(reading->parser, refuse_doctype);
	return true;
}

static bool fail(struct reading *reading, struct error *err)
{
	XML_Parser parser = reading->parser;

	return error_raise(err, ERROR_INVALID, "line %lu, column %lu: %s",
		(unsigned long)XML_GetCurrentLineNumber(parser),
		(unsigned long)XML_GetCurrentColumnNumber(parser) + 1,
		reading->problem ? reading->problem : XML_ErrorString(XML_GetErrorCode(parser)));
}

/* After a piece: what expat has not understood yet is one token, which it reads again with each
 * further piece. */
static bool check_sizes(struct reading *reading, struct error *err)
{
	if (reading->fed > reading->size_max)
		return error_raise(err, ERROR_LIMIT, "it is larger than %lld bytes",
			(long long)reading->size_max);
	if (reading->fed - XML_GetCurrentByteIndex(reading->parser) > TOKEN_BYTES_MAX)
		return error_raise(err, ERROR_LIMIT, "line %lu: a tag or comment is too large",
			(unsigned long)XML_GetCurrentLineNumber(reading->parser));
	return true;
}

bool xml_read(struct str text, const struct xml_limits *limits, const struct xml_events *events,
	void *self, struct error *err)
{
	scoped(reading_free) struct reading reading = {0};

	if (!begin(&reading, limits, events, self, err))
		return false;
	for (;;) {
		size_t size = text.size < PIECE_BYTES ? text.size : PIECE_BYTES;
		bool last = size == text.size;

		reading.fed += (int64_t)size;
		if (XML_Parse(reading.parser, size ? text.data : "", (int)size, last) !=
			XML_STATUS_OK)
			return fail(&reading, err);
		if (last)
			return true;
		if (!check_sizes(&reading, err))
			return false;
		text = (struct str){text.data + size, text.size - size};
	}
}

static bool read_descriptor(struct reading *reading, int fd, const char *path, struct error *err)
{
	for (;;) {
		void *piece = XML_GetBuffer(reading->parser, PIECE_BYTES);
		ssize_t size = piece ? read(fd, piece, PIECE_BYTES) : 0;

		if (!piece)
			return error_raise(err, ERROR_SYSTEM, "no memory for an XML parser");
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return error_raise_errno(err, "read \"%s\"", path);
		reading->fed += size;
		if (XML_ParseBuffer(reading->parser, (int)size, size == 0) != XML_STATUS_OK)
			return fail(reading, err);
		if (size == 0)
			return true;
		if (!check_sizes(reading, err))
			return false;
	}
}

bool xml_read_file(const char *path, const struct xml_limits *limits,
	const struct xml_events *events, void *self, struct error *err)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(descriptor_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	return begin(&reading, limits, events, self, err) &&
	       read_descriptor(&reading, fd, path, err);
}

const char *xml_attribute(const char *const *attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return NULL;
}

const char *xml_local_name(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon ? colon + 1 : name;
}
