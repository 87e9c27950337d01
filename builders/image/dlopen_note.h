/*
 * dlopen_note.h - what a file says about libraries that it opens by name at run time.
 *
 *     [{"feature":"lz4","description":"compression","priority":"recommended","soname":["liblz4.so.1"]}]
 *
 * Limits  256 features a note, 32 names a feature, 64 KiB.
 * Source  systemd.io/ELF_DLOPEN_METADATA. Without a priority a feature is "recommended".
 */
#ifndef BUILDERS_IMAGE_DLOPEN_NOTE_H
#define BUILDERS_IMAGE_DLOPEN_NOTE_H

#include "base/buf.h"
#include "base/error.h"

enum dlopen_priority {
	DLOPEN_REQUIRED,    /* the file does not work without */
	DLOPEN_RECOMMENDED, /* most uses want it */
	DLOPEN_SUGGESTED,   /* few do */
};

struct dlopen_feature {
	char *name; /* owned: the description, else the feature's name; "" when it has neither */
	enum dlopen_priority priority;
	struct strings sonames; /* one of them is enough; the best first */
};

struct dlopen_note {
	struct dlopen_feature *features; /* owned */
	size_t count;
};
void dlopen_note_free(struct dlopen_note *note);

/* Appends what the note's text says. ERROR_INVALID, ERROR_LIMIT when it makes no sense. */
bool dlopen_note_parse(struct str text, const char *what, struct dlopen_note *out_note,
	struct error *err) must_use;

#endif
