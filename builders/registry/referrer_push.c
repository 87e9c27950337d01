#include "builders/registry/referrer_push.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "builders/image/plain_artifact.h"
#include "builders/image/signature_image.h"

#include <stdlib.h>

/* Where the blobs of one manifest come from: the source, but for a document made here. */
struct blobs {
	const struct image_source *source;
	struct digest own;
	struct str own_text; /* data NULL: there is none */
};

/* Made here, in no layout and no repository. */
static bool is_own(const struct blobs *blobs, const struct digest *digest)
{
	return blobs->own_text.data && digest_equal(digest, &blobs->own);
}

static bool open_blob(void *context, const struct upload *upload, int *out_fd, struct error *err)
{
	const struct blobs *blobs = context;

	if (is_own(blobs, &upload->digest))
		return file_in_memory("a configuration", blobs->own_text, out_fd, err);
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
static bool put_plainly(struct session *session, struct str body, struct artifact_list *forms)
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
	artifact_list_add(forms, &entry);
	return true;
}

/*
 * One manifest with its blobs, under key.
 *
 * forms  gets its plain form when the registry takes no other; NULL: that would not do
 */
static bool push_manifest(struct session *session, struct blobs *blobs, struct str body,
	const char *media_type, const char *key, struct artifact_list *forms, struct error *err)
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
	if (!unsupported || !forms || !put_plainly(session, body, forms))
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

/* What the source has but in its plain form goes whole where that is taken. */
static bool push_inner(struct session *session, struct blobs *blobs,
	const struct artifact_entry *entry, struct artifact_list *forms, struct error *err)
{
	struct artifact_entry whole;
	char key[DIGEST_TEXT_SIZE];
	size_t before = forms->count;

	digest_to_text(&entry->inner_digest, key);
	if (!push_manifest(session, blobs, str_of(entry->inner), NULL, key, forms, err))
		return false;
	if (forms->count > before)
		return true;
	if (!artifact_restore(entry, &whole, err))
		return false;
	artifact_list_add(forms, &whole);
	return true;
}

bool referrer_push(struct session *session, const struct image_source *source,
	const struct artifact_entry *entry, struct artifact_list *forms, bool *out_pushed,
	struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	scoped(text_free) char *media_type = NULL;
	struct blobs blobs = {.source = source};
	char digest[DIGEST_TEXT_SIZE];

	*out_pushed = true;
	if (entry->inner)
		return push_inner(session, &blobs, entry, forms, err);
	if (!source->manifest(source->self, &entry->manifest.digest, &body, &media_type, err))
		return false;
	if (entry->tag)
		return push_signatures(session, &blobs, entry, buf_str(&body), out_pushed, err);
	digest_to_text(&entry->manifest.digest, digest);
	return push_manifest(session, &blobs, buf_str(&body), media_type, digest, forms, err);
}
