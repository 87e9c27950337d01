#include "deployers/local/operation.h"

#include "base/memory.h"

#include <stdlib.h>

bool refuse(struct refusal *refusal, int status, const char *code, const char *format, ...)
{
	va_list args;

	refusal_free(refusal);
	va_start(args, format);
	refusal->message = memory_format_list(format, args);
	va_end(args);
	refusal->status = status ? status : 400;
	refusal->code = memory_copy_text(code);
	return false;
}

bool refuse_error(struct refusal *refusal, struct error *err)
{
	const char *message = err->message ? err->message : error_kind_name(err->kind);

	/* 507 is the one that clients do not try again. */
	if (error_is_full(err))
		refuse(refusal, 507, "InsufficientStorage",
			"%s (the local cloud goes on when there is space again)", message);
	else if (err->kind == ERROR_UNAVAILABLE)
		refuse(refusal, 503, "ServiceUnavailable", "%s", message);
	else
		refuse(refusal, 500, "InternalFailure", "%s", message);
	error_free(err);
	return false;
}

void refusal_free(struct refusal *refusal)
{
	free(refusal->code);
	free(refusal->message);
	*refusal = (struct refusal){0};
}
