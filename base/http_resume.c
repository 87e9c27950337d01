#include "base/http_resume.h"

/* "bytes 100-199/200": the rest from its first byte on. Source  RFC 9110, 14.4. */
static bool is_rest(struct str range, int64_t from)
{
	struct str last, total = str_trim(range), first;
	int64_t a, b, size;

	if (!str_equal_ignoring_case(str_cut(&total, ' '), str_literal("bytes")))
		return false;
	last = str_cut(&total, '/');
	first = str_cut(&last, '-');
	if (!str_to_int(str_trim(first), &a) || !str_to_int(last, &b) || a != from || b < a)
		return false;
	/* "*": it does not know yet. */
	return str_equal_text(total, "*") || (str_to_int(total, &size) && b == size - 1);
}

bool http_resume_begin(struct http_resume *resume, int status, struct str content_range)
{
	resume->begun = true;
	resume->unseen = 0;
	if (resume->passed == 0 || (status == 206 && is_rest(content_range, resume->passed)))
		return true;
	resume->misfit = status != 200;
	resume->unseen = resume->passed;
	return !resume->misfit;
}

size_t http_resume_unseen(const struct http_resume *resume, size_t size)
{
	return resume->unseen < (int64_t)size ? (size_t)resume->unseen : size;
}

void http_resume_pass(struct http_resume *resume, size_t size)
{
	size_t unseen = http_resume_unseen(resume, size);

	resume->unseen -= (int64_t)unseen;
	resume->passed += (int64_t)(size - unseen);
}

int http_resume_fail(struct http_resume *resume)
{
	if (resume->passed - resume->earned >= HTTP_RESUME_PROGRESS) {
		resume->earned = resume->passed;
		resume->tries = 0;
	}
	resume->no_range = resume->no_range || resume->misfit;
	resume->begun = resume->misfit = false;
	resume->unseen = 0;
	return ++resume->tries;
}
