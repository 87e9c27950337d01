/*
 * companions.h - what programs and libraries open at run time by a name that no ELF table tells:
 *                certificates, character sets, locales, time zones, modules.
 *
 * One table (companions.c): what sets a row off, which files it adds, and why. A row is set off by a
 * library, by an imported function, by the image's environment, or by request (`--with NAME`). A row
 * that waits for a request tells, in a warning, that it could have been asked for.
 */
#ifndef BUILDERS_IMAGE_COMPANIONS_H
#define BUILDERS_IMAGE_COMPANIONS_H

#include "builders/image/closure.h"

/* "gconv, locale, …": what can be asked for. Static. */
#define COMPANION_REQUESTS "gconv|gconv-all|locale|openssl-modules|suggested|tzdata"

/* Was this asked for? */
bool companions_requested(const struct closure_options *options, const char *request);

#endif
