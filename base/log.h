/*
 * log.h - what a long-running program says, and traces for us.
 *
 * Two shapes: plain lines for people on a terminal, one JSON object a line (time, level, message
 * and the fields given) for services and daemons.
 *
 * Traces are off by default, by component: log_trace_enable("registry,ecs") or "all".
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attributes.h"

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
};

enum log_shape {
	LOG_PLAIN,
	LOG_JSON,
};

void log_setup(enum log_shape shape, enum log_level least, int fd); /* default: plain, info, 2 */
/* Adds a field to every later line of this process, e.g. "service", "rooms". */
void log_set_field(const char *key, const char *value);

/* Fields are alternating keys and texts, ended by NULL: log_write(LOG_INFO, "listening", "port",
 * "8080", NULL). A line is written with one write(), so lines of several processes do not mix. */
void log_write(enum log_level level, const char *message, ...) __attribute__((sentinel));

void log_trace_enable(const char *components);
bool log_traces(const char *component);
void log_trace(const char *component, const char *format, ...) printf_like(2, 3);

#endif
