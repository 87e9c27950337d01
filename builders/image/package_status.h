/*
 * package_status.h - stanzas of fields, as dpkg writes them: "Name: value" lines, a value goes on in
 *                    lines that start with a space, an empty line ends the stanza.
 *
 * Source  deb-control(5), Debian Policy 5.1.
 */
#ifndef BUILDERS_IMAGE_PACKAGE_STATUS_H
#define BUILDERS_IMAGE_PACKAGE_STATUS_H

#include "base/buf.h"

/* Cuts the next stanza off the front of rest, without the empty lines around it; false at the end. */
bool stanza_next(struct str *rest, struct str *out_stanza) must_use;

/* The value of a field, continuation lines included; the empty piece when there is none. Field names
 * are compared without case. */
struct str stanza_field(struct str stanza, const char *name);

#endif
