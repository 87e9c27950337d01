#include "builders/registry/referrers.h"

#include "base/memory.h"
#include "builders/registry/referrer_push.h"

enum { PAGES = 100, TRIES = 10, REDIRECTS = 5 };

/* What the repository says about a subject. */
struct state {
	bool api;                  /* the registry keeps the list */
	struct artifact_list list; /* owned */
	struct json *index;        /* owned: the fallback tag's document; NULL when there is none */
	char *etag;                /* owned; NULL when the registry gives none */
	struct artifact_list forms; /* what was pushed in another form than the source has it */
};

static void state_free(struct state *state)
{
	artifact_list_free(&state->list);
	artifact_list_free(&state->forms);
	json_free(&state->index);
	text_free(&state->etag);
}

static bool is_unsupported(int status)
{
	return status == 404 || status == 400 || status == 405 || status == 501;
}

static bool ask_api(struct session *session, const struct digest *subject, struct state *state,
	struct error *err)
{
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(subject, digest);
	scoped(text_free) char *url = session_url(session, "referrers/%s", digest);
	for (int page = 0; url; page++) {
		scoped(exchange_free) struct exchange x = {.method = "GET",
			.url = url,
			.accept = MEDIA_TYPE_INDEX,
			.redirect_limit = REDIRECTS,
			.body_limit_bytes = MANIFEST_LIMIT};
		char *next;

		if (page == PAGES)
			return error_raise(err, ERROR_LIMIT,
				"the list of referrers of %s has more than %d pages", digest,
				PAGES);
		if (!session_perform(session, &x, 1, 1, err))
			return false;
		if (page == 0 && is_unsupported(x.response.status))
			return true;
		if (x.response.status != 200)
			return session_refuse(session, &x, "200", err);
		state->api = true;
		if (!artifact_list_parse(buf_str(&x.response.body), "the list of referrers",
			    &state->list, err) ||
			!session_next_page(&x, &next, err))
			return false;
		text_free(&url);
		url = next;
	}
	return true;
}

/* The index under the fallback tag. None is no error. */
static bool read_fallback(struct session *session, const struct digest *subject,
	struct state *state, struct error *err)
{
	char tag[ARTIFACT_TAG_SIZE];

	artifact_list_free(&state->list);
	json_free(&state->index);
	text_free(&state->etag);
	artifact_tag(subject, "", tag);
	scoped(text_free) char *url = session_url(session, "manifests/%s", tag);
	scoped(exchange_free) struct exchange x = {.method = "GET",
		.url = url,
		.accept = MEDIA_TYPE_INDEX,
		.redirect_limit = REDIRECTS,
		.body_limit_bytes = MANIFEST_LIMIT};
	if (!session_perform(session, &x, 1, 1, err))
		return false;
	int status = x.response.status;
	if (status == 404 || (status == 403 && session_pushes(session)))
		return true;
	if (status != 200)
		return session_refuse(session, &x, "200", err);
	state->etag = memory_copy_text(http_response_header(&x.response, "ETag"));
	return json_parse(buf_str(&x.response.body), tag,
		       &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &state->index, err) &&
	       artifact_list_parse(buf_str(&x.response.body), tag, &state->list, err);
}

static bool read_state(struct session *session, const struct digest *subject, struct state *state,
	struct error *err)
{
	return ask_api(session, subject, state, err) &&
	       (state->api || read_fallback(session, subject, state, err));
}

/* cosign's signatures are an image under a tag of their own, in no list. */
static bool add_signature_tag(struct session *session, const struct digest *subject,
	struct artifact_list *list, struct error *err)
{
	scoped(remote_manifest_free) struct remote_manifest manifest = {0};
	char tag[ARTIFACT_TAG_SIZE];

	artifact_tag(subject, ".sig", tag);
	if (!registry_get_manifest(session, tag, &manifest, err))
		return false;
	if (!manifest.found)
		return true;
	struct artifact_entry entry = {.manifest = {.digest = manifest.digest,
					       .size_bytes = (int64_t)manifest.body.size},
		.artifact_type = memory_copy_text(""),
		.tag = memory_copy_text(tag)};
	snprintf(entry.manifest.media_type, sizeof(entry.manifest.media_type), "%s",
		manifest.media_type);
	artifact_list_add(list, &entry);
	return true;
}

bool referrers_list(struct session *session, const struct digest *subject,
	struct artifact_list *out_list, struct error *err)
{
	scoped(state_free) struct state state = {0};
	char digest[DIGEST_TEXT_SIZE];

	if (!read_state(session, subject, &state, err) ||
		!add_signature_tag(session, subject, &state.list, err)) {
		digest_to_text(subject, digest);
		return error_while(err, "listing the referrers of %s", digest);
	}
	*out_list = state.list;
	state.list = (struct artifact_list){0};
	return true;
}

/* Does the repository list it, whole or in its plain form? */
static bool is_listed(const struct state *state, const struct artifact_entry *entry)
{
	return artifact_list_find(&state->list, &entry->manifest.digest) ||
	       (entry->inner && artifact_list_find(&state->list, &entry->inner_digest));
}

/* The fallback's document with the entries of list that it lacks. */
static struct json *changed_index(const struct state *state, const struct artifact_list *list,
	bool *out_changed)
{
	struct json *index = state->index ? json_copy(state->index)
					  : json_object_of("schemaVersion", json_int_new(2),
						    "mediaType", json_text_new(MEDIA_TYPE_INDEX),
						    "manifests", json_array_new(), NULL);
	struct json *manifests = json_get(index, "manifests");

	*out_changed = false;
	for (size_t i = 0; i < list->count; i++) {
		const struct artifact_entry *entry = &list->items[i], *form;

		if (entry->tag || is_listed(state, entry))
			continue;
		form = artifact_list_find(&state->forms,
			entry->inner ? &entry->inner_digest : &entry->manifest.digest);
		json_append(manifests, artifact_descriptor(form ? form : entry));
		*out_changed = true;
	}
	return index;
}

static bool put_index(struct session *session, const char *tag, const struct state *state,
	const struct json *index, bool *out_raced, struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	scoped(text_free) char *url = session_url(session, "manifests/%s", tag);

	json_write(index, &body);
	scoped(exchange_free) struct exchange x = {.method = "PUT",
		.url = url,
		.content_type = MEDIA_TYPE_INDEX,
		.if_match = state->etag,
		.body = buf_str(&body)};
	if (!session_perform(session, &x, 1, 1, err))
		return false;
	*out_raced = x.response.status == 412;
	return *out_raced || (x.response.status >= 200 && x.response.status < 300) ||
	       session_refuse(session, &x, "201", err);
}

/*
 * Changes the fallback's index until it reads as wanted. A registry that minds If-Match answers 412
 * to the slower of two writers; with any other the slower one finds what is missing when it reads
 * the index once more.
 */
static bool change_fallback(struct session *session, const struct digest *subject,
	struct state *state, const struct artifact_list *list, struct error *err)
{
	char tag[ARTIFACT_TAG_SIZE];

	artifact_tag(subject, "", tag);
	for (int tries = 0; tries < TRIES; tries++) {
		bool changed, raced;
		scoped(json_free) struct json *index = changed_index(state, list, &changed);

		if (!changed)
			return true;
		if (!put_index(session, tag, state, index, &raced, err) ||
			!read_fallback(session, subject, state, err))
			return error_while(err, "changing the list of referrers \"%s\"", tag);
		if (raced)
			session_count_retry(session);
	}
	scoped(json_free) struct json *index = NULL;
	bool changed;
	index = changed_index(state, list, &changed);
	if (!changed)
		return true;
	error_raise(err, ERROR_CONFLICT,
		"the list of referrers \"%s\" on %s did not keep our change in %d tries", tag,
		session_host(session), TRIES);
	return error_next(err, "others write to it at the same time: try again");
}

static bool push_all(struct session *session, const struct image_source *source,
	const struct artifact_list *list, struct state *state, int64_t *pushed, struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct artifact_entry *entry = &list->items[i];
		bool sent;

		if (is_listed(state, entry))
			continue;
		if (!referrer_push(session, source, entry, &state->forms, &sent, err))
			return error_while(err, "pushing %s",
				entry->tag ? entry->tag : entry->artifact_type);
		*pushed += sent;
	}
	return true;
}

bool referrers_push(struct session *session, const struct image_source *source,
	const struct digest *subject, const struct artifact_list *list,
	struct referrers_pushed *out_pushed, struct error *err)
{
	scoped(state_free) struct state state = {0};

	*out_pushed = (struct referrers_pushed){0};
	if (list->count == 0)
		return true;
	bool ok = read_state(session, subject, &state, err) &&
		  push_all(session, source, list, &state, &out_pushed->count, err) &&
		  (state.api || change_fallback(session, subject, &state, list, err));
	for (size_t i = 0; i < state.forms.count; i++)
		out_pushed->plain += state.forms.items[i].inner != NULL;
	return ok || error_while(err, "pushing what is known about the image");
}
