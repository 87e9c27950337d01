#include "base/json_writer.h"
#include "base/memory.h"
#include "deployers/local/registry_internal.h"

enum { PAGE = 1000 };

/* ?n= and ?last= of a list. */
struct page {
	int64_t most;     /* items to show */
	const char *last; /* show what comes after it; NULL: from the start */
};

/* Answers itself when n is no number. */
static bool page_of(struct registry_call *call, struct page *out_page)
{
	const char *n = http_exchange_query(call->exchange, "n");

	*out_page = (struct page){PAGE, http_exchange_query(call->exchange, "last")};
	if (n && (!str_to_int(str_of(n), &out_page->most) || out_page->most < 0)) {
		registry_fail(call->exchange, 400, "PAGINATION_NUMBER_INVALID",
			"n=%.40s is no number of items", n);
		return false;
	}
	if (out_page->most > PAGE)
		out_page->most = PAGE;
	return true;
}

/* Where the next page is: after the item that was shown last. more: "&name=value…" or "". */
static void answer_next(struct registry_call *call, const struct page *page, const char *last,
	const char *more)
{
	scoped(text_free) char *link = memory_format("<%s?n=%lld&last=%s%s>; rel=\"next\"",
		http_exchange_path(call->exchange), (long long)page->most, last, more);

	http_answer_header(call->exchange, "Link", link);
}

void registry_tags(struct registry_call *call)
{
	scoped(strings_free) struct strings tags = {0};
	scoped(buf_free) struct buf body = {0};
	struct json_writer w = json_writer_start(&body);
	const char *last = NULL;
	struct page page;
	int64_t shown = 0;

	if (!page_of(call, &page))
		return;
	content_tags(call->api->cloud->content, call->repository, NULL, &tags);
	json_object_begin(&w);
	json_put_text(&w, "name", call->repository);
	json_key(&w, "tags");
	json_array_begin(&w);
	for (size_t i = 0; i < tags.count && shown <= page.most; i++) {
		if (page.last && strcmp(tags.items[i], page.last) <= 0)
			continue;
		if (shown++ == page.most)
			break;
		last = tags.items[i];
		json_write_text(&w, last);
	}
	json_array_end(&w);
	json_object_end(&w);
	if (shown > page.most && last)
		answer_next(call, &page, last, "");
	http_answer_buf(call->exchange, 200, "application/json", &body);
}

/* Referrers in order of their first push, after page.last. */
struct referrers {
	struct json_writer *w;
	const char *subject, *artifact_type;
	struct page page;
	bool begun; /* page.last was met */
	int64_t shown;
	char last[DIGEST_NAME_SIZE];
	bool more;
};

static void show_referrer(struct referrers *list, const char *digest, const struct json *image)
{
	const char *type = json_get_text(image, "artifactMediaType", NULL);
	const struct json *annotations = json_get(image, "_annotations");

	json_object_begin(list->w);
	json_put_text(list->w, "mediaType", json_get_text(image, "imageManifestMediaType", ""));
	json_put_text(list->w, "digest", digest);
	json_put_int(list->w, "size", json_get_int(image, "_size", 0));
	if (type)
		json_put_text(list->w, "artifactType", type);
	if (annotations)
		json_put_value(list->w, "annotations", annotations);
	json_object_end(list->w);
}

static bool add_referrer(void *context, const char *digest, const struct json *image)
{
	struct referrers *list = context;
	const char *type = json_get_text(image, "artifactMediaType", NULL);
	bool begun = list->begun;

	list->begun = begun || text_equal(digest, list->page.last);
	if (!begun ||
		!text_equal(json_get_text(image, "subjectManifestDigest", NULL), list->subject) ||
		(list->artifact_type && !text_equal(type, list->artifact_type)))
		return true;
	if (list->shown == list->page.most) {
		list->more = true;
		return false;
	}
	list->shown++;
	snprintf(list->last, sizeof(list->last), "%s", digest);
	show_referrer(list, digest, image);
	return true;
}

void registry_referrers(struct registry_call *call)
{
	scoped(buf_free) struct buf body = {0}, more = {0};
	struct json_writer w = json_writer_start(&body);
	struct referrers list = {.w = &w,
		.subject = call->reference,
		.artifact_type = http_exchange_query(call->exchange, "artifactType")};

	if (!registry_is_digest(call) || !page_of(call, &list.page))
		return;
	/* A page that ends with one that is gone by now: from the start again, rather than none. */
	list.begun = !list.page.last ||
		     !content_image(call->api->cloud->content, call->repository, list.page.last);
	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", "application/vnd.oci.image.index.v1+json");
	json_key(&w, "manifests");
	json_array_begin(&w);
	content_each_image(call->api->cloud->content, call->repository, add_referrer, &list);
	json_array_end(&w);
	json_object_end(&w);
	if (list.artifact_type) {
		http_answer_header(call->exchange, "OCI-Filters-Applied", "artifactType");
		buf_append_text(&more, "&artifactType=");
		percent_append(&more, str_of(list.artifact_type), false);
	}
	if (list.more && list.shown)
		answer_next(call, &list.page, list.last, buf_text(&more));
	http_answer_buf(call->exchange, 200, "application/vnd.oci.image.index.v1+json", &body);
}
