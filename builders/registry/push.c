#include "builders/registry/push.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/registry/ecr.h"
#include "builders/registry/pushed_note.h"
#include "builders/registry/referrers.h"

#include <stdlib.h>

enum { DEPTH_LIMIT = 3, KNOWN_LIMIT = 20000 };

struct pusher {
	const struct image_source *source;
	const struct reference *target;
	const struct push_options *options;
	struct push_result *result;
	struct session *session;
	struct digest *known; /* owned: blobs proven to be in the repository */
	size_t known_count;
};

static void pusher_free(struct pusher *pusher)
{
	session_close(&pusher->session);
	free(pusher->known);
}

static bool is_known(const struct pusher *p, const struct digest *digest)
{
	for (size_t i = 0; i < p->known_count; i++)
		if (memcmp(p->known[i].bytes, digest->bytes, DIGEST_SIZE) == 0)
			return true;
	return false;
}

static void learn(struct pusher *p, const struct digest *digest)
{
	if (p->known_count == KNOWN_LIMIT || is_known(p, digest))
		return;
	p->known = memory_resize(p->known, (p->known_count + 1) * sizeof(p->known[0]));
	p->known[p->known_count++] = *digest;
}

/* A manifest that the repository shows proves that it has the blobs it names. */
static void learn_manifest(struct pusher *p, const struct remote_manifest *remote)
{
	scoped(manifest_free) struct manifest manifest = {0};
	struct error ignored = {0};

	if (!manifest_parse(buf_str(&remote->body), remote->media_type, "the tag's manifest",
		    &manifest, &ignored)) {
		error_ignore(&ignored, "what cannot be read proves nothing");
		return;
	}
	if (manifest.is_index)
		return;
	learn(p, &manifest.config.digest);
	for (size_t i = 0; i < manifest.count; i++)
		learn(p, &manifest.items[i].digest);
}

static bool create_repository(struct pusher *p, struct error *err)
{
	const char *host = p->target->host, *repository = p->target->repository;

	if (p->options->create_repository && ecr_is_host(host))
		return ecr_create_repository(host, repository, err);
	error_raise(err, ERROR_NOT_FOUND, "%s has no repository \"%s\"", host, repository);
	if (ecr_is_host(host))
		return error_next(err,
			"give --create-repository, or: aws ecr create-repository --repository-name "
			"%s",
			repository);
	return error_next(err, "create it on the registry, or check its name");
}

static bool open_blob(void *context, const struct upload *upload, int *out_fd, struct error *err)
{
	struct pusher *p = context;

	return p->source->blob(p->source->self, &upload->digest, upload->size_bytes, out_fd, err);
}

static void add_upload(struct pusher *p, const struct blob_name *blob, struct upload *uploads,
	size_t *count)
{
	if (is_known(p, &blob->digest)) {
		p->result->existing++;
		return;
	}
	for (size_t i = 0; i < *count; i++)
		if (digest_equal(&uploads[i].digest, &blob->digest))
			return; /* an image may hold the same layer twice */
	uploads[(*count)++] = (struct upload){.digest = blob->digest,
		.size_bytes = blob->size_bytes,
		.mount_from = p->source->mount_from,
		.open = open_blob,
		.context = p};
}

static void count_upload(struct pusher *p, const struct upload *upload)
{
	learn(p, &upload->digest);
	p->result->uploaded += upload->state == UPLOAD_SENT;
	p->result->mounted += upload->state == UPLOAD_MOUNTED;
	p->result->existing += upload->state == UPLOAD_EXISTED;
}

static bool push_blobs(struct pusher *p, const struct manifest *manifest, struct error *err)
{
	struct upload *uploads = memory_new_array(manifest->count + 1, sizeof(*uploads));
	size_t count = 0;
	bool missing = false, ok;

	for (size_t i = 0; i < manifest->count; i++)
		add_upload(p, &manifest->items[i], uploads, &count);
	add_upload(p, &manifest->config, uploads, &count);
	ok = registry_upload(p->session, uploads, count, &missing, err);
	if (!ok && missing) {
		error_free(err);
		ok = create_repository(p, err) &&
		     registry_upload(p->session, uploads, count, &missing, err);
	}
	for (size_t i = 0; i < count; i++) {
		if (ok)
			count_upload(p, &uploads[i]);
		upload_free(&uploads[i]);
	}
	free(uploads);
	return ok;
}

static bool push_manifest(struct pusher *p, const struct digest *digest, const char *key, int depth,
	struct error *err);

static bool push_children(struct pusher *p, const struct manifest *index, int depth,
	struct error *err)
{
	for (size_t i = 0; i < index->count; i++) {
		char key[DIGEST_TEXT_SIZE];

		digest_to_text(&index->items[i].digest, key);
		if (!push_manifest(p, &index->items[i].digest, key, depth + 1, err))
			return error_while(err, "pushing part %zu of %zu of an index", i + 1,
				index->count);
	}
	return true;
}

static bool put(struct pusher *p, const struct manifest *manifest, struct str body,
	const struct digest *digest, const char *key, struct error *err)
{
	enum put_result result;

	if (!registry_put_manifest(p->session, key, manifest->media_type, body, digest, &result,
		    err))
		return false;
	if (result == PUT_BLOBS_MISSING && !manifest->is_index && p->known_count > 0) {
		/* The proof was out of date: the registry removed blobs meanwhile. */
		p->known_count = 0;
		if (!push_blobs(p, manifest, err) ||
			!registry_put_manifest(p->session, key, manifest->media_type, body, digest,
				&result, err))
			return false;
	}
	if (result == PUT_DONE)
		return true;
	error_raise(err, ERROR_PROTOCOL,
		"%s says that it lacks blobs of %s, which it has just accepted", p->target->host,
		key);
	return error_next(err, "push again; if it stays so, the registry's storage is damaged");
}

static bool push_manifest(struct pusher *p, const struct digest *digest, const char *key, int depth,
	struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	scoped(text_free) char *media_type = NULL;
	scoped(manifest_free) struct manifest manifest = {0};

	if (depth > DEPTH_LIMIT)
		return error_raise(err, ERROR_LIMIT, "indexes are nested more than %d deep",
			DEPTH_LIMIT);
	if (!p->source->manifest(p->source->self, digest, &body, &media_type, err) ||
		!manifest_parse(buf_str(&body), media_type, "the image's manifest", &manifest, err))
		return false;
	if (manifest.is_index ? !push_children(p, &manifest, depth, err)
			      : !push_blobs(p, &manifest, err))
		return false;
	return put(p, &manifest, buf_str(&body), digest, key, err);
}

static bool push_referrers(struct pusher *p, const struct digest *digest, bool moved,
	struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};
	const char *folder = p->options->note_folder;

	if (!p->source->referrers)
		return true;
	if (!p->source->referrers(p->source->self, digest, &list, err))
		return false;
	if (list.count == 0 || (!moved && pushed_note_find(folder, p->target, digest, &list)))
		return true;
	if (!referrers_push(p->session, p->source, digest, &list, &p->result->referrers, err))
		return false;
	pushed_note_write(folder, p->target, digest, &list);
	return true;
}

static bool push(struct pusher *p, const struct digest *digest, struct error *err)
{
	scoped(remote_manifest_free) struct remote_manifest current = {0};
	scoped(text_free) char *key =
		p->target->tag || !p->target->has_digest
			? memory_copy_text(p->target->tag ? p->target->tag : "latest")
			: reference_key(p->target);

	if (!registry_get_manifest(p->session, key, &current, err))
		return false;
	if (current.found) {
		if (digest_equal(&current.digest, digest))
			return push_referrers(p, digest, false, err);
		learn_manifest(p, &current);
	}
	if (current.repository_missing && ecr_is_host(p->target->host) &&
		!create_repository(p, err))
		return false;
	return push_manifest(p, digest, key, 0, err) && push_referrers(p, digest, true, err);
}

bool push_image(const struct image_source *source, const struct digest *digest,
	const struct reference *target, const struct push_options *options,
	struct push_result *out_result, struct error *err)
{
	struct push_result result = {.digest = *digest};
	scoped(pusher_free) struct pusher p = {.source = source,
		.target = target,
		.options = options,
		.result = &result};
	struct clock *clock = options->clock ? options->clock : &system_clock;
	int64_t start_ms = clock_elapsed(clock);
	scoped(text_free) char *name = reference_text(target);

	if (target->has_digest && !digest_equal(&target->digest, digest))
		return error_raise(err, ERROR_USAGE,
			"\"%s\" names another digest than the image that is pushed", name);
	if (!session_open(target,
		    &(struct session_options){.plain_http = options->plain_http,
			    .push = true,
			    .clock = options->clock},
		    &p.session, err) ||
		!push(&p, digest, err)) {
		if (err->kind == ERROR_PROTOCOL)
			error_next(err,
				"is %s a registry that speaks the OCI distribution "
				"specification?",
				target->host);
		return error_while(err, "pushing to %s", name);
	}
	result.counts = *session_counts(p.session);
	result.duration_ms = clock_elapsed(clock) - start_ms;
	*out_result = result;
	return true;
}

static void put_count(struct json_writer *w, const char *key, int64_t count)
{
	if (count > 0)
		json_put_int(w, key, count);
}

void push_write_json(const struct push_result *result, const struct reference *target,
	const char *stage, struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	const struct session_counts *counts = &result->counts;
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&result->digest, digest);
	json_object_begin(&w);
	json_put_text(&w, "stage", stage);
	json_put_text(&w, "status", "done");
	json_key(&w, "reference");
	json_write_format(&w, "%s/%s@%s", target->host, target->repository, digest);
	json_put_text(&w, "tag", target->tag);
	json_put_text(&w, "digest", digest);
	json_put_int(&w, "uploaded", result->uploaded);
	json_put_int(&w, "existing", result->existing);
	json_put_int(&w, "mounted", result->mounted);
	json_put_int(&w, "referrers", result->referrers);
	json_put_int(&w, "bytes_sent", counts->bytes_sent);
	json_key(&w, "requests");
	json_object_begin(&w);
	put_count(&w, "HEAD", counts->head);
	put_count(&w, "GET", counts->get);
	put_count(&w, "POST", counts->post);
	put_count(&w, "PUT", counts->put);
	put_count(&w, "TOKEN", counts->token);
	json_object_end(&w);
	json_put_int(&w, "retries", counts->retries);
	json_put_int(&w, "duration_ms", result->duration_ms);
	json_object_end(&w);
}
