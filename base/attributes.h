/*
 * attributes.h - the three attributes our code is written with.
 *
 * scoped(f)   calls f(&variable) when the variable's scope ends (see code style: ownership).
 * must_use    the caller may not drop the result.
 * printf_like the compiler checks format string n against the arguments from m on.
 */
#ifndef BASE_ATTRIBUTES_H
#define BASE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* unused: a variable may exist for nothing but its clean-up; clang warns of those. */
#define scoped(release) __attribute__((cleanup(release), unused))
#define must_use __attribute__((warn_unused_result))
#define printf_like(format_index, first_argument)                                                  \
	__attribute__((format(printf, format_index, first_argument)))

#define countof(array) (sizeof(array) / sizeof((array)[0]))

#endif
