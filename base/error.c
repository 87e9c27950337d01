#include "base/error.h"

#include "base/buf.h"
#include "base/memory.h"
#include "base/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kind_row {
	const char *name;
	int exit_status;
};

static const struct kind_row kinds[] = {
	[ERROR_NONE] = {"none", 0},
	[ERROR_FAILED] = {"failed", 1},
	[ERROR_USAGE] = {"usage", 2},
	[ERROR_INVALID] = {"invalid", 2},
	[ERROR_NOT_FOUND] = {"not_found", 3},
	[ERROR_CONFLICT] = {"conflict", 3},
	[ERROR_DENIED] = {"denied", 3},
	[ERROR_UNAVAILABLE] = {"unavailable", 3},
	[ERROR_PROTOCOL] = {"protocol", 3},
	[ERROR_LIMIT] = {"limit", 3},
	[ERROR_SYSTEM] = {"system", 3},
	[ERROR_ROLLED_BACK] = {"rolled_back", 4},
	[ERROR_CANCELLED] = {"cancelled", 5},
	[ERROR_TIMED_OUT] = {"timed_out", 6},
	[ERROR_UNKNOWN] = {"unknown", 7},
};

static enum error_kind kind_of_errno(int number)
{
	switch (number) {
	case ENOENT:
		return ERROR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERROR_DENIED;
	case EEXIST:
	case EADDRINUSE:
		return ERROR_CONFLICT;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
		return ERROR_UNAVAILABLE;
	case ETIMEDOUT:
		return ERROR_TIMED_OUT;
	default:
		return ERROR_SYSTEM;
	}
}

static void set(struct error *err, enum error_kind kind, int number, const char *file, int line,
	char *message)
{
	error_free(err);
	err->kind = kind;
	err->system_errno = number;
	err->message = message;
	err->file = file;
	err->line = line;
}

bool error_raise_at(struct error *err, enum error_kind kind, const char *file, int line,
	const char *format, ...)
{
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	char *message = memory_format_list(format, args);
	va_end(args);
	set(err, kind, 0, file, line, message);
	return false;
}

bool error_raise_errno_at(struct error *err, const char *file, int line, const char *format, ...)
{
	int number = errno;
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	char *action = memory_format_list(format, args);
	va_end(args);
	set(err, kind_of_errno(number), number, file, line,
		memory_format("%s: %s", action, strerror(number)));
	free(action);
	if (number == ENOSPC)
		error_next(err, "free some space on that file system and try again");
	return false;
}

bool error_while(struct error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	err->contexts =
		memory_resize(err->contexts, (err->context_count + 1) * sizeof(*err->contexts));
	err->contexts[err->context_count++] = memory_format_list(format, args);
	va_end(args);
	return false;
}

bool error_next(struct error *err, const char *format, ...)
{
	va_list args;

	if (!err || err->next)
		return false;
	va_start(args, format);
	err->next = memory_format_list(format, args);
	va_end(args);
	return false;
}

static const char *advice(int reason)
{
	switch (reason) {
	case ENOSPC:
	case EDQUOT:
		return "free some space on its file system (df -h) and try again";
	case EROFS:
		return "its file system is mounted for reading only: choose another folder";
	case EACCES:
	case EPERM:
		return "see who may do that (ls -ld), and who you are (id)";
	case EMFILE:
	case ENFILE:
		return "allow more open files (ulimit -n) and try again";
	case ENOMEM:
	case EAGAIN:
		return "the machine has too little memory or too many processes: see free -h and "
		       "ulimit -a";
	case EIO:
		return "the disk has a fault: see dmesg";
	default:
		return NULL;
	}
}

bool error_is_full(const struct error *err)
{
	return err->system_errno == ENOSPC || err->system_errno == EDQUOT;
}

void error_next_by_reason(struct error *err)
{
	const char *next = advice(err->system_errno);

	if (next)
		error_next(err, "%s", next);
}

void error_free(struct error *err)
{
	if (!err)
		return;
	free(err->message);
	free(err->next);
	for (size_t i = 0; i < err->context_count; i++)
		free(err->contexts[i]);
	free(err->contexts);
	*err = (struct error){0};
}

void error_ignore(struct error *err, const char *why)
{
	(void)why;
	error_free(err);
}

void error_move(struct error *to, struct error *from)
{
	if (to) {
		error_free(to);
		*to = *from;
		*from = (struct error){0};
	} else {
		error_free(from);
	}
}

const char *error_kind_name(enum error_kind kind)
{
	return kinds[kind].name;
}

int error_exit_status(enum error_kind kind)
{
	return kinds[kind].exit_status;
}

enum error_kind error_kind_of_http(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERROR_DENIED;
	case 404:
		return ERROR_NOT_FOUND;
	case 408:
	case 429:
		return ERROR_UNAVAILABLE;
	case 409:
		return ERROR_CONFLICT;
	case 413:
	case 507: /* Insufficient Storage: it stays full however often one asks */
		return ERROR_LIMIT;
	default:
		if (status >= 500 && status <= 599)
			return ERROR_UNAVAILABLE;
		return status >= 400 && status <= 499 ? ERROR_INVALID : ERROR_PROTOCOL;
	}
}

/* Names from outside get into errors. */
static void print_lines(FILE *out, const char *before, const char *text)
{
	struct str rest = str_of(text);

	fputs(before, out);
	for (bool more = true; more; more = rest.data != NULL) {
		terminal_print(out, str_cut(&rest, '\n'));
		fputc('\n', out);
	}
}

void error_print(FILE *out, const struct error *err, bool where)
{
	print_lines(out, "error: ", err->message ? err->message : error_kind_name(err->kind));
	for (size_t i = 0; i < err->context_count; i++)
		print_lines(out, "  while: ", err->contexts[i]);
	if (err->next)
		print_lines(out, "  next:  ", err->next);
	if (where && err->file)
		fprintf(out, "  where: %s:%d\n", err->file, err->line);
}
