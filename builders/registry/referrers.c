#include "builders/registry/referrers.h"

#include "base/log.h"
#include "base/memory.h"
#include "builders/image/plain_artifact.h"
#include "builders/image/signature_image.h"
#include "builders/registry/answer.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 100, TRIES = 10, REDIRECTS = 5 };

/* What the repository says about a subject. */
struct state {
	bool api;                  /* the registry keeps the list */
	struct artifact_list list; /* owned */
	struct json *index;        /* owned: the fallback tag's document; NULL when there is none */
	char *etag;                /* owned; NULL when the registry gives none */
	struct artifact_list plain; /* what was pushed in its plain form */
};

static void state_free(struct state *state)
{
	artifact_list_free(&state->list);
	artifact_list_free(&state->plain);
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

/* Where the blobs of one manifest come from: the source, but for a document made here. */
struct blobs {
	const struct image_source *source;
	struct digest own;
	struct str own_text; /* data NULL: there is none */
};

static bool open_own(struct str text, int *out_fd, struct error *err)
{
	int fd = memfd_create("a document", MFD_CLOEXEC);

	if (fd < 0)
		return error_raise_errno(err, "make a temporary file in memory");
	if (!descriptor_write_all(fd, text.data, text.size, "a document", err)) {
		close(fd);
		return false;
	}
	*out_fd = fd;
	return true;
}

/* Made here, in no layout and no repository. */
static bool is_own(const struct blobs *blobs, const struct digest *digest)
{
	return blobs->own_text.data && digest_equal(digest, &blobs->own);
}

static bool open_blob(void *context, const struct upload *upload, int *out_fd, struct error *err)
{
	const struct blobs *blobs = context;

	if (is_own(blobs, &upload->digest))
		return open_own(blobs->own_text, out_fd, err);
	return blobs->source->blob(blobs->source->self, &upload->digest, upload->size_bytes, out_fd,
		err);
}

static bool push_blobs(struct session *session, struct blobs *blobs,
	const struct manifest *manifest, struct error *err)
{
	struct upload *uploads = memory_new_array(manifest->count + 1, sizeof(*uploads));
	size_t count = 0;
	bool missing;

	for (size_t i = 0; i <= manifest->count; i++) {
		const struct blob_name *blob =
			i == manifest->count ? &manifest->config : &manifest->items[i];
		bool twice = false;

		for (size_t j = 0; j < count; j++)
			twice = twice || digest_equal(&uploads[j].digest, &blob->digest);
		if (!twice)
			uploads[count++] = (struct upload){.digest = blob->digest,
				.size_bytes = blob->size_bytes,
				.mount_from = blobs->source->mount_from,
				.open = open_blob,
				.stream_from = is_own(blobs, &blob->digest)
						       ? NULL
						       : blobs->source->stream_from,
				.context = blobs};
	}
	bool ok = registry_upload(session, uploads, count, &missing, err);
	for (size_t i = 0; i < count; i++)
		upload_free(&uploads[i]);
	free(uploads);
	return ok;
}

/* What the registry says to a manifest whose blobs are there; false: refused, or no answer. */
static bool put(struct session *session, struct str body, const char *media_type, const char *key,
	bool *out_unsupported, struct error *err)
{
	struct digest digest = digest_of_str(body);
	scoped(put_result_free) struct put_result result = {0};

	*out_unsupported = false;
	if (!registry_put_manifest(session, key, media_type, body, &digest, true, &result, err))
		return false;
	*out_unsupported = result.unsupported;
	if (result.kind == PUT_REFUSED) {
		error_move(err, &result.why);
		return false;
	}
	return result.kind == PUT_DONE ||
	       error_raise(err, ERROR_PROTOCOL,
		       "%s says that it lacks blobs of %s, which it has just accepted",
		       session_host(session), key);
}

/*
 * The plain form under its own digest; its blobs are those of the manifest.
 *
 * Returns false without an error when there is none, or it is refused as well.
 */
static bool put_plainly(struct session *session, struct str body, struct artifact_list *plain)
{
	scoped(buf_free) struct buf other = {0};
	struct artifact_entry entry;
	struct digest digest, subject;
	struct error ignored = {0};
	char key[DIGEST_TEXT_SIZE];
	bool unsupported;

	if (!plain_artifact_write(body, &other))
		return false;
	digest = digest_of_str(buf_str(&other));
	digest_to_text(&digest, key);
	if (!put(session, buf_str(&other), MEDIA_TYPE_MANIFEST, key, &unsupported, &ignored) ||
		!artifact_parse(buf_str(&other), "a plain form", &subject, &entry, &ignored)) {
		error_ignore(&ignored, "what the registry says to the manifest itself counts");
		return false;
	}
	log_trace("registry", "the registry takes no such manifest; it has its plain form %s", key);
	artifact_look_inside(&entry);
	artifact_list_add(plain, &entry);
	return true;
}

/*
 * One manifest with its blobs, under key.
 *
 * plain  gets its plain form when the registry takes no other; NULL: that would not do
 */
static bool push_manifest(struct session *session, struct blobs *blobs, struct str body,
	const char *media_type, const char *key, struct artifact_list *plain, struct error *err)
{
	scoped(manifest_free) struct manifest manifest = {0};
	bool unsupported;

	if (!manifest_parse(body, media_type, "a referrer", &manifest, err))
		return false;
	if (manifest.is_index)
		return error_raise(err, ERROR_INVALID, "the referrer %s is an index", key);
	if (!push_blobs(session, blobs, &manifest, err))
		return false;
	if (put(session, body, manifest.media_type, key, &unsupported, err))
		return true;
	if (!unsupported || !plain || !put_plainly(session, body, plain))
		return false;
	error_ignore(err, "the registry has it in another form");
	return true;
}

/*
 * Signatures of others under the same tag stay: ours are put behind them. Two that sign at the same
 * moment can still lose one, as cosign's own do.
 */
static bool push_signatures(struct session *session, struct blobs *blobs,
	const struct artifact_entry *entry, struct str body, bool *out_pushed, struct error *err)
{
	scoped(remote_manifest_free) struct remote_manifest there = {0};
	scoped(signature_image_free) struct signature_image all = {0}, ours = {0};
	scoped(buf_free) struct buf config = {0}, manifest = {0};

	*out_pushed = false;
	if (!registry_get_manifest(session, entry->tag, &there, err))
		return false;
	*out_pushed = !there.found || !digest_equal(&there.digest, &entry->manifest.digest);
	if (!there.found)
		return push_manifest(session, blobs, body, NULL, entry->tag, NULL, err);
	if (!*out_pushed)
		return true;
	if (!signature_image_parse(buf_str(&there.body), entry->tag, &all, err) ||
		!signature_image_parse(body, entry->tag, &ours, err))
		return false;
	size_t before = all.count;
	for (size_t i = 0; i < ours.count; i++)
		signature_image_add(&all, &ours.items[i].document, ours.items[i].size_bytes,
			ours.items[i].signature);
	*out_pushed = all.count > before;
	if (!*out_pushed)
		return true;
	signature_image_write(&all, &config, &manifest);
	blobs->own_text = buf_str(&config);
	blobs->own = digest_of_str(blobs->own_text);
	return push_manifest(session, blobs, buf_str(&manifest), NULL, entry->tag, NULL, err);
}

static bool push_entry(struct session *session, const struct image_source *source,
	const struct artifact_entry *entry, struct artifact_list *plain, bool *out_pushed,
	struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	scoped(text_free) char *media_type = NULL;
	struct blobs blobs = {.source = source};
	char digest[DIGEST_TEXT_SIZE];

	if (!source->manifest(source->self, &entry->manifest.digest, &body, &media_type, err))
		return false;
	if (entry->tag)
		return push_signatures(session, &blobs, entry, buf_str(&body), out_pushed, err);
	digest_to_text(&entry->manifest.digest, digest);
	*out_pushed = true;
	return push_manifest(session, &blobs, buf_str(&body), media_type, digest, plain, err);
}

/* Does the repository list it, whole or in its plain form? */
static bool is_listed(const struct state *state, const struct artifact_entry *entry)
{
	return artifact_list_find(&state->list, &entry->manifest.digest) ||
	       (entry->inner && artifact_list_find(&state->list, &entry->inner_digest));
}

/* The fallback's document with the entries of list that it lacks; without *gone. */
static struct json *changed_index(const struct state *state, const struct artifact_list *list,
	const struct digest *gone, bool *out_changed)
{
	struct json *index = state->index ? json_copy(state->index)
					  : json_object_of("schemaVersion", json_int_new(2),
						    "mediaType", json_text_new(MEDIA_TYPE_INDEX),
						    "manifests", json_array_new(), NULL);
	struct json *manifests = json_get(index, "manifests");

	*out_changed = false;
	for (size_t i = 0; list && i < list->count; i++) {
		const struct artifact_entry *entry = &list->items[i], *plain;

		if (entry->tag || is_listed(state, entry))
			continue;
		plain = artifact_list_find(&state->plain, &entry->manifest.digest);
		json_append(manifests, artifact_descriptor(plain ? plain : entry));
		*out_changed = true;
	}
	for (size_t i = json_count(manifests); gone && i-- > 0;) {
		struct digest digest;

		if (!digest_parse(json_str(json_get(json_at(manifests, i), "digest")), &digest) ||
			!digest_equal(&digest, gone))
			continue;
		json_remove_at(manifests, i);
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
	struct state *state, const struct artifact_list *list, const struct digest *gone,
	struct error *err)
{
	char tag[ARTIFACT_TAG_SIZE];

	artifact_tag(subject, "", tag);
	for (int tries = 0; tries < TRIES; tries++) {
		bool changed, raced;
		scoped(json_free) struct json *index = changed_index(state, list, gone, &changed);

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
	index = changed_index(state, list, gone, &changed);
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
		if (!push_entry(session, source, entry, &state->plain, &sent, err))
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
		  (state.api || change_fallback(session, subject, &state, list, NULL, err));
	out_pushed->plain = (int64_t)state.plain.count;
	return ok || error_while(err, "pushing what is known about the image");
}

bool referrers_remove(struct session *session, const struct digest *subject,
	const struct digest *referrer, struct error *err)
{
	scoped(state_free) struct state state = {0};
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(referrer, digest);
	if (!read_state(session, subject, &state, err) ||
		(!state.api && !change_fallback(session, subject, &state, NULL, referrer, err)))
		return error_while(err, "removing %s", digest);
	scoped(text_free) char *url = session_url(session, "manifests/%s", digest);
	scoped(exchange_free) struct exchange x = {.method = "DELETE", .url = url};
	if (!session_perform(session, &x, 1, 1, err))
		return false;
	return x.response.status == 202 || x.response.status == 200 || x.response.status == 204 ||
	       x.response.status == 404 || session_refuse(session, &x, "202", err);
}
