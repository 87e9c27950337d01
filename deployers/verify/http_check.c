#include "deployers/verify/http_check.h"

#include "base/clock.h"
#include "base/http_client.h"
#include "base/memory.h"

#include <string.h>

enum {
	DELAY_LEAST_MS = 20,
	DELAY_MOST_MS = 1000,
};

static int count_bits(unsigned bits)
{
	int count = 0;

	for (; bits; bits &= bits - 1)
		count++;
	return count;
}

static int expected(const struct http_check *check)
{
	return check->expect ? check->expect : 200;
}

static enum http_check_step judge_wrong(struct http_check_state *state, int64_t now_ms, int status)
{
	const unsigned in_a_row = (1U << HTTP_CHECK_IN_A_ROW) - 1;

	state->wrong_status = status;
	if (!state->holding) {
		state->wrong = state->answers;
		return now_ms - state->started_ms >= HTTP_CHECK_GRACE_MS ? HTTP_CHECK_FAILED
									 : HTTP_CHECK_GO_ON;
	}
	state->wrong = count_bits(state->last);
	return (state->last & in_a_row) == in_a_row || state->wrong >= HTTP_CHECK_OF_LAST
		       ? HTTP_CHECK_FAILED
		       : HTTP_CHECK_GO_ON;
}

enum http_check_step http_check_decide(const struct http_check *check,
	struct http_check_state *state, int64_t now_ms, int status)
{
	bool right = status == expected(check);

	state->answers++;
	if (right && !state->holding) {
		state->holding = true;
		state->holding_since_ms = now_ms;
		state->last = 0;
	}
	state->last = (state->last << 1 | !right) & ((1U << HTTP_CHECK_LAST) - 1);
	if (!right)
		return judge_wrong(state, now_ms, status);
	return now_ms - state->holding_since_ms >= check->for_ms ? HTTP_CHECK_PASSED
								 : HTTP_CHECK_GO_ON;
}

enum http_check_step http_check_decide_right(const struct http_check *check,
	struct http_check_state *state, int64_t now_ms, bool right)
{
	return http_check_decide(check, state, now_ms, right ? expected(check) : 0);
}

int64_t http_check_delay_ms(const struct http_check *check, const struct http_check_state *state,
	int64_t now_ms)
{
	int64_t since_ms = state->holding ? state->holding_since_ms : state->started_ms;
	int64_t end_ms = since_ms + (state->holding ? check->for_ms : HTTP_CHECK_GRACE_MS);
	int64_t delay_ms = (now_ms - since_ms) / 10;

	if (state->holding && (state->last & 1))
		return HTTP_CHECK_DOUBT_MS;
	if (delay_ms > DELAY_MOST_MS)
		delay_ms = DELAY_MOST_MS;
	if (delay_ms > end_ms - now_ms)
		delay_ms = end_ms - now_ms;
	return delay_ms < DELAY_LEAST_MS ? DELAY_LEAST_MS : delay_ms;
}

char *http_check_cause(const struct http_check *check, const struct http_check_state *state,
	const char *url, const char *trouble)
{
	scoped(buf_free) struct buf text = {0};
	char grace[TIME_TEXT_SIZE];

	duration_to_text(HTTP_CHECK_GRACE_MS, grace);
	if (state->wrong_status)
		buf_printf(&text, "GET %s answered %d", url, state->wrong_status);
	else
		buf_printf(&text, "GET %s got no answer", url);
	buf_printf(&text, ", expected %d (%lld time%s%s%s)", expected(check),
		(long long)state->wrong, state->wrong == 1 ? "" : "s", state->holding ? "" : " in ",
		state->holding ? "" : grace);
	if (!state->wrong_status && trouble)
		buf_printf(&text, ": %s", trouble);
	return memory_copy_text(buf_text(&text));
}

bool http_check_is_valid(const char *http, struct error *err)
{
	struct error why = {0};
	struct http_url parts;

	for (const char *at = http; *at; at++)
		if (*at == ' ' || (unsigned char)*at < 0x20 || *at == 0x7f)
			return error_raise(err, ERROR_USAGE,
				"\"%s\" holds a blank: in a URL that is %%20", http);
	if (*http == '/')
		return true;
	if (http_check_is_absolute(http)) {
		if (http_url_parse(http, &parts, &why))
			return true;
		/* The parser's words: they show no password that the URL may hold. */
		error_raise(err, ERROR_USAGE, "%s", why.message);
		error_free(&why);
		return false;
	}
	return error_raise(err, ERROR_USAGE,
		"\"%s\" is neither a path (/health) nor a URL (https://example.com/health)", http);
}

bool http_check_is_absolute(const char *http)
{
	return text_starts_with(http, "http://") || text_starts_with(http, "https://");
}

bool http_check_is_covered(const char *http, const char *path_pattern, const char *host_pattern)
{
	struct str rest = str_of(http), piece = str_cut(&rest, '?');
	scoped(text_free) char *path = str_copy(piece);

	if (host_pattern && strpbrk(host_pattern, "*?"))
		return false;
	return !path_pattern || text_matches(path, path_pattern);
}
