/*
 * error.h - why something failed, while doing what, and what to do next.
 *
 * A function that can fail returns bool, takes `struct error *err` last and is must_use:
 *
 *     error_raise(err, KIND, "GET %s answered %d, expected 200", url, status)   at the place it arose
 *     error_while(err, "replacing task %d of %d", i, n)                         on the way up
 *     error_next(err, "read the task's own log: dogshore logs rooms")           advice that is true
 *
 * All of them return false, so `return error_raise(...)` reads well. Only cli and api code prints
 * an error, once. Secrets never enter an error.
 *
 * Ownership  an error owns its texts; all-zero is "no error"; error_free() empties it again.
 * Null       every function accepts err == NULL (the caller does not want to know why).
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/attributes.h"

#include <stdarg.h>
#include <stdio.h>

/* What code decides by: retry? exit status? HTTP status? */
enum error_kind {
	ERROR_NONE,
	ERROR_FAILED,    /* the user's work failed: a build, a test, a check            (exit 1) */
	ERROR_USAGE,     /* wrong command line or configuration                         (exit 2) */
	ERROR_INVALID,   /* bytes from outside that do not make sense                   (exit 2) */
	ERROR_NOT_FOUND, /* the thing named does not exist                              (exit 3) */
	ERROR_CONFLICT,  /* it exists already, or somebody else changed it              (exit 3) */
	ERROR_DENIED,    /* not allowed: permission, credentials                        (exit 3) */
	ERROR_UNAVAILABLE, /* cannot be reached now; trying again may help                (exit 3) */
	ERROR_PROTOCOL, /* the peer does not keep to its protocol                      (exit 3) */
	ERROR_LIMIT,    /* larger than we accept                                       (exit 3) */
	ERROR_SYSTEM,   /* a system call failed; system_errno says which way           (exit 3) */
	ERROR_ROLLED_BACK, /* the deployment was undone                                   (exit 4) */
	ERROR_CANCELLED, /* cancelled or superseded                                     (exit 5) */
	ERROR_TIMED_OUT, /* time ran out                                                (exit 6) */
	ERROR_UNKNOWN,   /* the outcome could not be learned                            (exit 7) */
};

struct error {
	enum error_kind kind;
	int system_errno; /* 0, or the errno behind ERROR_SYSTEM and its relatives */
	char *message;    /* owned */
	char *next;       /* owned; NULL when there is no advice */
	char **contexts;  /* owned; innermost first */
	size_t context_count;
	const char *file; /* static */
	int line;
};

#define error_raise(err, kind, ...) error_raise_at(err, kind, __FILE__, __LINE__, __VA_ARGS__)

/* Puts the system's reason (errno) behind an action and an object: "open layer \"a.tar\": …".
 * ENOENT becomes ERROR_NOT_FOUND, EACCES/EPERM ERROR_DENIED, EEXIST ERROR_CONFLICT,
 * ECONNREFUSED and its relatives ERROR_UNAVAILABLE, the rest ERROR_SYSTEM. */
#define error_raise_errno(err, ...) error_raise_errno_at(err, __FILE__, __LINE__, __VA_ARGS__)

bool error_raise_at(struct error *err, enum error_kind kind, const char *file, int line,
	const char *format, ...) printf_like(5, 6);
bool error_raise_errno_at(struct error *err, const char *file, int line, const char *format, ...)
	printf_like(4, 5);

/* Adds what the caller was doing. */
bool error_while(struct error *err, const char *format, ...) printf_like(2, 3);

/* Sets the advice, unless one is set: the place nearest to the cause knows best. */
bool error_next(struct error *err, const char *format, ...) printf_like(2, 3);

/* Sets what helps against the system's reason (a full disk, a missing permission …) when there is a
 * reason and no advice yet. For the one place that prints: nearer ones know better. */
void error_next_by_reason(struct error *err);
/* The disk is full, or our share of it. */
bool error_is_full(const struct error *err);

void error_free(struct error *err);

/* Drops an error on purpose; why is read by people only. */
void error_ignore(struct error *err, const char *why);

/* Hands the content of from to to (which is emptied first) and leaves from empty. */
void error_move(struct error *to, struct error *from);

/* The name in JSON results and logs, e.g. "not_found". */
const char *error_kind_name(enum error_kind kind);

/* The exit status of interfaces.md for this kind, 0 for ERROR_NONE. */
int error_exit_status(enum error_kind kind);

/* The kind that an HTTP status from a server means: 401/403 DENIED, 404 NOT_FOUND, 409 CONFLICT,
 * 413 and 507 LIMIT, 429 and other 5xx UNAVAILABLE, other 4xx INVALID, anything else PROTOCOL. */
enum error_kind error_kind_of_http(int status);

/* Prints "error: …", "  while: …" (innermost first), "  next:  …" and, when where is true,
 * "  where: file:line". */
void error_print(FILE *out, const struct error *err, bool where);

#endif
