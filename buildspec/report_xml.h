/*
 * report_xml.h - for the files of XML formats: a report is read element by element, and this is what
 *                the formats share on the way: the suites that are open, the case under way, the text
 *                of an element.
 */
#ifndef BUILDSPEC_REPORT_XML_H
#define BUILDSPEC_REPORT_XML_H

#include "base/xml.h"
#include "buildspec/report.h"

enum { REPORT_SUITES_MAX = 64 };

struct report_reader {
	const struct report_sink *sink;
	const struct report_elements *elements;
	int pass;       /* from 1 */
	unsigned depth; /* of the element that is being opened or closed; the outermost is 1 */
	struct buf wrong_root;

	unsigned text_depth; /* of the element whose text is collected; 0: none */
	struct buf text;     /* in close: the text of the element that asked for it */

	struct buf suites; /* names of the open suites, one behind the other */
	size_t suite_starts[REPORT_SUITES_MAX];
	unsigned suite_count;

	bool in_case;
	struct report_case current; /* its texts are those below */
	struct buf class_name, name, message, details, file;

	unsigned file_depth; /* of the element that stands for a source file; 0: none is open */
	struct report_coverage coverage;
	struct buf package, path;
	bool aside; /* inside something that counts elsewhere */

	struct report_classes *classes; /* report_trx.c's */
};

struct report_elements {
	const char *roots[3]; /* names that the outermost element may have; ends with NULL */
	int passes;           /* how often the report is read */
	void (*open)(struct report_reader *r, const char *name, const char *const *attributes);
	void (*close)(struct report_reader *r, const char *name);
	void (*end)(struct report_reader *r); /* after all passes, also when they failed; or NULL */
};

enum { REPORT_XML_BYTES_MAX = 256 << 20 };
/* The file at path, or the text when path is NULL. */
bool report_read_xml(const struct report_elements *elements, const char *path, struct str text,
	const struct report_sink *sink, struct error *err) must_use;

extern const struct report_elements report_junit, report_nunit, report_testng, report_trx;
extern const struct report_elements report_cobertura, report_clover, report_jacoco;

/* Collects the text of the element being opened. */
void report_want_text(struct report_reader *r);

void report_suite_begin(struct report_reader *r, const char *name);
void report_suite_end(struct report_reader *r);

/* Passed until something else is said. Texts may be NULL. */
void report_case_begin(struct report_reader *r, const char *class_name, const char *name);
/* The worst outcome counts, and the message of the first of them. */
void report_case_outcome(struct report_reader *r, enum report_status status, const char *message);
/* The text just collected says more about the outcome: details, and a message if there is none. */
void report_case_take_text(struct report_reader *r);
void report_case_end(struct report_reader *r);

void report_file_begin(struct report_reader *r, const char *path);
/* Gives it to the sink; nothing when no file is open. */
void report_file_end(struct report_reader *r);

#endif
