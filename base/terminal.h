/*
 * terminal.h - bytes of others made harmless for a terminal: what commands printed may hold anything.
 *
 * Passed on    text in UTF-8, tab, newline, carriage return (progress bars), colours and other
 *              attributes of text (CSI … m) and "erase the rest of the line" (CSI K).
 * Taken out    every other escape sequence: moving the cursor, titles, clipboard, answers that the
 *              terminal would type (ECMA-48, 5.4 and 5.6).
 * Spelled out  other control characters and bytes that are no UTF-8 as \x07; what turns the direction
 *              of writing (U+202A to U+202E, U+2066 to U+2069) as \u202e.
 */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include "base/buf.h"

#include <stdio.h>

enum { TERMINAL_SEQUENCE = 64 }; /* a longer sequence of colours is taken out */

/* All-zero at the beginning; wherever pieces end makes no difference. */
struct terminal_filter {
	int state;
	char held[TERMINAL_SEQUENCE];
	size_t held_size;
};

/* Appends to out what may be shown of the piece. */
void terminal_filter_feed(struct terminal_filter *filter, struct str piece, struct buf *out);
/* At the end of the stream. */
void terminal_filter_flush(struct terminal_filter *filter, struct buf *out);

/* Prints a name or value of others: in one line, and every control character spelled out. */
void terminal_print(FILE *out, struct str text);

#endif
