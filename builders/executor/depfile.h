/*
 * depfile.h - the files that a compiler says it read, as gcc and clang write them with -MD and -MMD.
 *
 *     main.o: main.c ../base/text.h \
 *      odd\ name.h
 *
 *     ../base/text.h:
 *
 * Source  GNU make, "Rule Syntax", and how the compilers quote: "\ " is a space (backslashes before it
 *         are doubled), "\#" a "#", "$$" a "$", a backslash at the end of a line goes on. Rules without
 *         prerequisites are those of -MP.
 */
#ifndef BUILDERS_EXECUTOR_DEPFILE_H
#define BUILDERS_EXECUTOR_DEPFILE_H

#include "base/buf.h"

/* Appends the prerequisites of all rules, as they are written. False (and nothing appended): it is no
 * such file. */
bool depfile_parse(struct str text, struct strings *out_files) must_use;

#endif
