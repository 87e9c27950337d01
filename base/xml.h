/*
 * xml.h - XML that came from somewhere, read from one end to the other: what opens, what stands in it,
 *         what closes. No tree is made, so memory does not grow with the document.
 *
 *     static const struct xml_events events = {open, text, close};
 *     xml_read_file(path, &limits, &events, &mine, err)
 *
 * Entities    the five of XML and character references. A document that declares one is refused, so
 *             nothing expands; what lies outside (a DTD, an entity in a file) is never fetched.
 * Encodings   UTF-8, UTF-16, ISO-8859-1 and US-ASCII, as the document says; names and texts are UTF-8.
 * Limits      struct xml_limits; and a tag, comment or instruction has at most 4 MiB.
 * Ownership   names, attributes and texts are borrowed for the call of the event.
 */
#ifndef BASE_XML_H
#define BASE_XML_H

#include "base/buf.h"
#include "base/error.h"

struct xml_limits {
	int64_t size_bytes;  /* 0: 64 MiB */
	unsigned depth;      /* of elements in each other; 0: 64 */
	bool document_types; /* <!DOCTYPE> is allowed (without entities of its own) */
};

/* Each may be NULL. Names are as they stand, with their prefix. */
struct xml_events {
	/* attributes: name, value, name, value, …, NULL */
	void (*open)(void *self, const char *name, const char *const *attributes);
	/* A piece of the text of the element that was opened last; several may follow each other. */
	void (*text)(void *self, struct str piece);
	void (*close)(void *self, const char *name);
};

/*
 * Reads a document to its end.
 *
 * limits  NULL for the defaults
 *
 * Fails with ERROR_INVALID (no XML, with its line and column; too deep; refused declarations),
 * ERROR_LIMIT (too large). Events that came before a mistake have happened.
 */
bool xml_read(struct str text, const struct xml_limits *limits, const struct xml_events *events,
	void *self, struct error *err) must_use;
/* The same for a file; in pieces, so memory is flat in its size. */
bool xml_read_file(const char *path, const struct xml_limits *limits,
	const struct xml_events *events, void *self, struct error *err) must_use;

/* The value of an attribute; NULL when it is not there. */
const char *xml_attribute(const char *const *attributes, const char *name);
/* "b" of "a:b": the name without its prefix. */
const char *xml_local_name(const char *name);

#endif
