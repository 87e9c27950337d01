/*
 * config.h - a service's configuration: environment variables, read through one typed table.
 *
 *     static const struct config_row rows[] = {
 *             {"PORT", CONFIG_NUMBER, offsetof(struct settings, port), "8080", "port to listen on",
 *                     .most = 65535},
 *
 * Everything that is wrong is reported at once, each line naming its variable.
 */
#ifndef SERVICES_KIT_CONFIG_H
#define SERVICES_KIT_CONFIG_H

#include "base/error.h"

enum config_kind {
	CONFIG_TEXT,     /* const char *: borrowed from the environment or the row */
	CONFIG_NUMBER,   /* int64_t between least and most */
	CONFIG_DURATION, /* int64_t milliseconds: "500ms", "30s", "10m" */
	CONFIG_URL,      /* const char *: http or https, without a slash at the end */
};

struct config_row {
	const char *name; /* of the variable */
	enum config_kind kind;
	size_t offset;        /* of the field in the settings */
	const char *fallback; /* when it is not set; NULL: it must be */
	const char *about;    /* for people */
	int64_t least, most;  /* CONFIG_NUMBER, CONFIG_DURATION (in ms); both 0: any from 0 */
};

/* Fails with ERROR_USAGE, naming every variable that is missing or wrong. */
bool config_read(const struct config_row *rows, size_t count, void *settings, struct error *err)
	must_use;

#endif
