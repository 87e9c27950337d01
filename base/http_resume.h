/*
 * http_resume.h - where the body of an answer goes on after it broke off. Private to http_client.c and
 *                 http_transfer.c, which act on it.
 *
 *     broken ──► GET with Range: bytes=N- ──206 from N──► the rest
 *                   │                     ──200─────────► the whole, whose first N bytes pass unseen
 *                   └──206 from elsewhere, 416──► GET without Range ──200──► …
 *
 * N is what was handed on, so nothing is handed on twice or left out. Whether the pieces are of one thing
 * only its digest tells.
 */
#ifndef BASE_HTTP_RESUME_H
#define BASE_HTTP_RESUME_H

#include "base/buf.h"

enum { HTTP_RESUME_PROGRESS = 1 << 20 }; /* so much more of the body earns new tries */

struct http_resume {
	int64_t passed; /* bytes of the body that were handed on */
	int64_t unseen; /* bytes of this answer that are still to come and passed before */
	int64_t earned; /* passed, when the tries were counted from 0 */
	int tries;      /* since then */
	bool begun;     /* this answer's body has */
	bool misfit;    /* this answer is no part that was asked for */
	bool no_range;  /* there was such a one: no other part is asked for */
};

/*
 * The body of a 2xx answer begins.
 *
 * Returns false when it is another part than was asked for. One that is not the whole rest counts as
 * that, too.
 */
bool http_resume_begin(struct http_resume *resume, int status, struct str content_range);

/* Of size bytes that came: how many passed before. */
size_t http_resume_unseen(const struct http_resume *resume, size_t size);
/* Those bytes were dealt with, the unseen ones among them. */
void http_resume_pass(struct http_resume *resume, size_t size);

/* A try has failed: counts it, and makes ready for the next answer. Gives the tries without progress. */
int http_resume_fail(struct http_resume *resume);

#endif
