#include "builders/registry/upload_course.h"

#include "builders/registry/retry.h"

int64_t upload_range_size(struct str range)
{
	static const char *const prefixes[] = {"bytes=", "bytes "};
	struct str last = str_trim(range), first;
	int64_t from, to;

	for (size_t i = 0; i < countof(prefixes); i++)
		if (str_starts_with(last, prefixes[i]))
			last = (struct str){last.data + strlen(prefixes[i]),
				last.size - strlen(prefixes[i])};
	first = str_cut(&last, '-');
	if (!str_to_int(first, &from) || !str_to_int(last, &to) || from != 0 || to <= 0 ||
		to == INT64_MAX)
		return 0;
	return to + 1;
}

int64_t upload_course_piece(const struct upload_course *course)
{
	int64_t left = course->size_bytes - course->offset;

	switch (course->step) {
	case UPLOAD_WHOLE:
	case UPLOAD_REST:
		return left;
	case UPLOAD_CHUNK:
		return left < course->chunk_bytes ? left : course->chunk_bytes;
	case UPLOAD_BEGIN:
	case UPLOAD_ASK:
	case UPLOAD_CLOSE:
	case UPLOAD_DONE:
		break;
	}
	return 0;
}

static bool is_success(const struct upload_answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

static bool is_refusal(const struct upload_answer *answer)
{
	return answer->status >= 400 && answer->status < 500;
}

/* A failure: on to step, unless there were enough of them. */
static bool fall_back(struct upload_course *c, enum upload_step step, bool *again)
{
	if (++c->tries >= RETRY_TRIES)
		return false;
	c->step = step;
	if (step == UPLOAD_BEGIN)
		c->offset = 0;
	*again = true;
	return true;
}

static void have(struct upload_course *c, int64_t offset)
{
	c->offset = offset;
	if (offset < c->progress + RESUME_LEAST)
		return;
	c->progress = offset;
	c->tries = 0;
}

static void note_floor(struct upload_course *c, const struct upload_answer *answer)
{
	if (answer->chunk_floor > 0)
		c->chunk_floor = answer->chunk_floor;
	if (c->chunk_bytes > 0 && c->chunk_bytes < c->chunk_floor)
		c->chunk_bytes = c->chunk_floor;
}

static bool after_begin(struct upload_course *c, const struct upload_answer *answer)
{
	if (answer->status == 201) {
		c->step = UPLOAD_DONE;
		return true;
	}
	if (answer->status == 202) {
		note_floor(c, answer);
		c->offset = 0;
		c->step = c->chunk_bytes > 0 ? UPLOAD_CHUNK : UPLOAD_WHOLE;
		return true;
	}
	/* Harbor, GitLab, Quay, Docker Hub and others refuse a mount where the specification says 202. */
	if (c->mount_refused || (answer->status != 0 && !is_refusal(answer)))
		return false;
	c->mount_refused = true;
	return true;
}

static bool is_lost(const struct upload_answer *answer)
{
	return answer->status == 0 || answer->passing;
}

static bool after_whole(struct upload_course *c, const struct upload_answer *answer, bool *again)
{
	if (answer->status == 413 && c->step == UPLOAD_WHOLE) {
		c->chunk_bytes = CHUNK_FIRST > c->chunk_floor ? CHUNK_FIRST : c->chunk_floor;
		return fall_back(c, UPLOAD_BEGIN, again);
	}
	if (answer->passing) {
		bool ask = !c->resume_refused && answer->sent_bytes >= RESUME_LEAST;
		return fall_back(c, ask ? UPLOAD_ASK : UPLOAD_BEGIN, again);
	}
	if (c->step == UPLOAD_REST && is_refusal(answer)) {
		/* ECR: "the first byte of the layer part is 0 instead of …". */
		c->resume_refused = true;
		return fall_back(c, UPLOAD_BEGIN, again);
	}
	/* The session is gone; or the token ended, and there is a new one by now. */
	if (answer->status == 404 || answer->status == 416 || answer->status == 401)
		return fall_back(c, UPLOAD_BEGIN, again);
	return false;
}

static bool after_ask(struct upload_course *c, const struct upload_answer *answer, bool *again)
{
	int64_t has = is_success(answer) ? upload_range_size(answer->range) : 0;

	if (has <= 0 || has > c->size_bytes) {
		/* In chunks a session without data is a new one like any other. */
		c->resume_refused = c->resume_refused || !is_success(answer);
		c->step = UPLOAD_BEGIN;
		c->offset = 0;
		*again = true;
		return true;
	}
	have(c, has);
	c->step = has == c->size_bytes ? UPLOAD_CLOSE
		  : c->chunk_bytes > 0 ? UPLOAD_CHUNK
				       : UPLOAD_REST;
	return true;
}

static bool smaller_chunks(struct upload_course *c, bool *again)
{
	int64_t smaller = c->chunk_bytes > CHUNK_SMALL ? CHUNK_SMALL : c->chunk_bytes / 2;

	if (smaller < CHUNK_LEAST || smaller < c->chunk_floor)
		return false;
	c->chunk_bytes = smaller;
	c->step = c->offset > 0 && !c->resume_refused ? UPLOAD_ASK : UPLOAD_BEGIN;
	c->offset = c->step == UPLOAD_BEGIN ? 0 : c->offset;
	*again = true;
	return true;
}

static bool after_chunk(struct upload_course *c, const struct upload_answer *answer, bool *again)
{
	int64_t end = c->offset + upload_course_piece(c);

	if (is_success(answer)) {
		int64_t has = upload_range_size(answer->range);
		/* ECR's range stays that of the first chunk though it keeps the others. */
		have(c, has > c->offset && has < end ? has : end);
		c->step = c->offset == c->size_bytes ? UPLOAD_CLOSE : UPLOAD_CHUNK;
		return true;
	}
	if (answer->too_large)
		return smaller_chunks(c, again);
	if (is_lost(answer) || answer->status == 416)
		return fall_back(c, c->resume_refused ? UPLOAD_BEGIN : UPLOAD_ASK, again);
	if (answer->status == 400 || answer->status == 404) {
		c->resume_refused = true;
		return fall_back(c, UPLOAD_BEGIN, again);
	}
	return false;
}

static bool after_close(struct upload_course *c, const struct upload_answer *answer, bool *again)
{
	if (is_lost(answer))
		return fall_back(c, UPLOAD_CLOSE, again);
	if (!is_refusal(answer) || c->resume_refused)
		return false;
	/* Gone, or put together wrongly: once more in one piece. */
	c->resume_refused = true;
	return fall_back(c, UPLOAD_BEGIN, again);
}

bool upload_course_next(struct upload_course *c, const struct upload_answer *answer, bool *again)
{
	*again = false;
	switch (c->step) {
	case UPLOAD_BEGIN:
		return after_begin(c, answer);
	case UPLOAD_ASK:
		return after_ask(c, answer, again);
	case UPLOAD_CHUNK:
		return after_chunk(c, answer, again);
	case UPLOAD_WHOLE:
	case UPLOAD_REST:
	case UPLOAD_CLOSE:
		if (is_success(answer)) {
			c->step = UPLOAD_DONE;
			return true;
		}
		return c->step == UPLOAD_CLOSE ? after_close(c, answer, again)
					       : after_whole(c, answer, again);
	case UPLOAD_DONE:
		break;
	}
	return true;
}
