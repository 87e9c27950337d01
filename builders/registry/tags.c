#include "builders/registry/tags.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>

enum { PAGES = 1000, PAGE_LIMIT = 4 << 20, TAGS_LIMIT = 1000 * 1000, REDIRECTS = 5 };

/* Adds what a page names. */
static bool read_page(const struct exchange *x, struct strings *tags, size_t *out_count,
	struct error *err)
{
	scoped(json_free) struct json *page = NULL;

	if (!json_parse(buf_str(&x->response.body), "the list of tags",
		    &(struct json_limits){.size_bytes = PAGE_LIMIT}, &page, err)) {
		err->kind = ERROR_PROTOCOL;
		return error_while(err, "reading the answer to GET %s", x->url);
	}
	/* A repository without tags has null. */
	const struct json *list = json_get(page, "tags");
	*out_count = json_is_array(list) ? json_count(list) : 0;
	/* Once a page: a resize for each of a million tags would take minutes where it copies. */
	tags->items =
		memory_resize(tags->items, (tags->count + *out_count + 1) * sizeof(*tags->items));
	for (size_t i = 0; i < *out_count; i++) {
		struct str tag = json_str(json_at(list, i));

		if (reference_tag_valid(tag))
			tags->items[tags->count++] = str_copy(tag);
	}
	tags->items[tags->count] = NULL;
	return true;
}

/* Where the list goes on; *out_url NULL: nowhere. */
static bool find_next(struct session *session, const struct exchange *x, size_t count,
	const struct strings *tags, char **out_url, struct error *err)
{
	if (!session_next_page(x, out_url, err))
		return false;
	/* A page of nothing but what is no tag says nothing of where to go on. */
	if (*out_url || count < TAGS_PAGE || tags->count == 0 ||
		http_response_header(&x->response, "Link"))
		return true;
	scoped(buf_free) struct buf last = {0};
	percent_append(&last, str_of(tags->items[tags->count - 1]), false);
	*out_url = session_url(session, "tags/list?n=%d&last=%s", TAGS_PAGE, buf_text(&last));
	return true;
}

static void sort(struct strings *tags)
{
	size_t left = 0;

	strings_sort(tags);
	for (size_t i = 0; i < tags->count; i++) {
		if (left > 0 && text_equal(tags->items[left - 1], tags->items[i]))
			free(tags->items[i]);
		else
			tags->items[left++] = tags->items[i];
	}
	tags->count = left;
	if (tags->items)
		tags->items[left] = NULL;
}

bool tags_list(struct session *session, struct strings *out_tags, struct error *err)
{
	scoped(text_free) char *url = session_url(session, "tags/list?n=%d", TAGS_PAGE);

	for (int pages = 0; url; pages++) {
		scoped(exchange_free) struct exchange x = {.method = "GET",
			.url = url,
			.accept = "application/json",
			.redirect_limit = REDIRECTS,
			.body_limit_bytes = PAGE_LIMIT};
		char *next = NULL;
		size_t count = 0;

		if (pages == PAGES)
			return error_raise(err, ERROR_LIMIT,
				"the list of tags of %s/%s has more than %d pages",
				session_host(session), session_repository(session), PAGES);
		if (!session_perform(session, &x, 1, 1, err))
			return false;
		if (x.response.status != 200)
			return session_refuse(session, &x, "200", err);
		if (!read_page(&x, out_tags, &count, err) ||
			!find_next(session, &x, count, out_tags, &next, err))
			return false;
		if (out_tags->count > TAGS_LIMIT) {
			free(next);
			return error_raise(err, ERROR_LIMIT,
				"the list of tags of %s/%s has more than %d", session_host(session),
				session_repository(session), TAGS_LIMIT);
		}
		if (next && text_equal(next, url)) {
			free(next);
			error_raise(err, ERROR_PROTOCOL,
				"the list of tags of %s/%s leads back to itself",
				session_host(session), session_repository(session));
			return error_next(err, "is there a proxy before the registry?");
		}
		text_free(&url);
		url = next;
	}
	sort(out_tags);
	return true;
}
