#include "builders/registry/push.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/registry/blob_memory.h"
#include "builders/registry/ecr.h"
#include "builders/registry/known_blobs.h"
#include "builders/registry/pushed_note.h"
#include "builders/registry/referrers.h"

#include <stdlib.h>

enum {
	DEPTH_LIMIT = 3,
	PUT_ROUNDS = 3,
	/* A manifest by digest tells which blobs are missing in one request, when it tells. It pays when
	 * several are likely there, or when they are many. */
	ASK_WHEN_LIKELY = 3,
	ASK_WHEN_MANY = 16,
};

struct pusher {
	const struct image_source *source;
	const struct reference *target;
	const struct push_options *options;
	struct push_result *result;
	struct session *session;
	struct known_blobs known;
	struct blob_memory memory;
	char *neighbour; /* owned: a repository that may have blobs; NULL: none is known */
	bool tag_found; /* its manifest tells what is there, so asking for all at once does not pay */
	bool empty;     /* there is no such repository yet */
};

static void pusher_free(struct pusher *pusher)
{
	session_close(&pusher->session);
	blob_memory_free(&pusher->memory);
	known_blobs_free(&pusher->known);
	free(pusher->neighbour);
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
	known_blobs_add(&p->known, &manifest.config.digest, false);
	for (size_t i = 0; i < manifest.count; i++)
		known_blobs_add(&p->known, &manifest.items[i].digest, false);
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

/* Where the source says that the blob lies; NULL when it does not, or in the repository itself. */
static const char *home_of(struct pusher *p, const struct blob_name *blob)
{
	const char *home = p->source->home ? p->source->home(p->source->self, p->target->host,
						     &blob->digest, blob->size_bytes)
					   : NULL;

	if (!home || text_equal(home, p->target->repository))
		return NULL;
	/* It is the one neighbour of this push: for others the right to read would have to be asked anew. */
	if (!p->neighbour) {
		p->neighbour = memory_copy_text(home);
		session_mount_from(p->session, home);
	}
	return home;
}

/* Where a blob may be mounted from; NULL: it may be in the repository itself. */
static const char *mount_source(struct pusher *p, const struct blob_name *blob)
{
	const char *repository = p->target->repository, *home = home_of(p, blob);
	const struct digest *digest = &blob->digest;

	if (home)
		return home;
	if (p->source->mount_from)
		return p->source->mount_from;
	if (blob_memory_has(&p->memory, digest, repository))
		return NULL;
	/* One neighbour only: a token for each would cost more than it brings. */
	if (!p->neighbour) {
		p->neighbour = blob_memory_find(&p->memory, digest, repository);
		if (p->neighbour)
			session_mount_from(p->session, p->neighbour);
		return p->neighbour;
	}
	return blob_memory_has(&p->memory, digest, p->neighbour) ? p->neighbour : NULL;
}

static void add_upload(struct pusher *p, const struct blob_name *blob, struct upload *uploads,
	size_t *count)
{
	if (known_blobs_has(&p->known, &blob->digest)) {
		p->result->existing++;
		return;
	}
	for (size_t i = 0; i < *count; i++)
		if (digest_equal(&uploads[i].digest, &blob->digest))
			return; /* an image may hold the same layer twice */
	uploads[(*count)++] = (struct upload){.digest = blob->digest,
		.size_bytes = blob->size_bytes,
		.mount_from = mount_source(p, blob),
		.open = open_blob,
		.context = p,
		.stream_from = p->source->stream_from};
}

static void count_upload(struct pusher *p, const struct upload *upload)
{
	known_blobs_add(&p->known, &upload->digest, true);
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

/* Is it worth a request to learn which of the manifest's blobs are there? */
static bool asking_pays(const struct pusher *p, const struct manifest *manifest)
{
	size_t open = 0, likely = 0;

	if (p->tag_found || p->empty || p->source->mount_from)
		return false;
	for (size_t i = 0; i <= manifest->count; i++) {
		const struct digest *digest =
			i < manifest->count ? &manifest->items[i].digest : &manifest->config.digest;
		if (known_blobs_has(&p->known, digest))
			continue;
		open++;
		likely += blob_memory_has(&p->memory, digest, p->target->repository);
	}
	return likely >= ASK_WHEN_LIKELY || open >= ASK_WHEN_MANY;
}

/*
 * Puts the manifest by its digest, never by its tag: a registry that checks refuses it and names all
 * blobs that it lacks, so it has the others. One that accepts it proves nothing: the specification
 * only says that registries MAY check.
 */
static bool ask_for_all(struct pusher *p, const struct manifest *manifest, struct str body,
	const struct digest *digest, struct error *err)
{
	scoped(put_result_free) struct put_result result = {0};
	char key[DIGEST_TEXT_SIZE];

	digest_to_text(digest, key);
	if (!registry_put_manifest(p->session, key, manifest->media_type, body, digest, true,
		    &result, err))
		return false;
	if (result.kind != PUT_BLOBS_MISSING || result.missing_count == 0)
		return true;
	for (size_t i = 0; i <= manifest->count; i++) {
		const struct digest *blob =
			i < manifest->count ? &manifest->items[i].digest : &manifest->config.digest;
		if (!digest_is_among(blob, result.missing, result.missing_count))
			known_blobs_add(&p->known, blob, false);
	}
	return true;
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

static void remember(struct pusher *p, const struct manifest *manifest)
{
	const char *repository = p->target->repository;

	blob_memory_add(&p->memory, &manifest->config.digest, repository);
	for (size_t i = 0; i < manifest->count; i++)
		blob_memory_add(&p->memory, &manifest->items[i].digest, repository);
}

/* A tag that may not be changed names the image already: somebody else pushed the same just now. */
static bool names_it(struct pusher *p, const char *key, const struct digest *digest)
{
	scoped(remote_manifest_free) struct remote_manifest current = {0};
	struct error ignored = {0};

	if (!registry_get_manifest(p->session, key, &current, &ignored)) {
		error_ignore(&ignored, "the refusal is what matters");
		return false;
	}
	return current.found && digest_equal(&current.digest, digest);
}

static bool put_once(struct pusher *p, const struct manifest *manifest, struct str body,
	const struct digest *digest, const char *key, struct put_result *out, struct error *err)
{
	if (registry_put_manifest(p->session, key, manifest->media_type, body, digest, false, out,
		    err))
		return true;
	if (err->kind != ERROR_CONFLICT || !names_it(p, key, digest))
		return false;
	error_ignore(err, "the tag names this image, which is what was wanted");
	*out = (struct put_result){.kind = PUT_DONE};
	return true;
}

static bool put(struct pusher *p, const struct manifest *manifest, struct str body,
	const struct digest *digest, const char *key, struct error *err)
{
	for (int round = 0; round < PUT_ROUNDS; round++) {
		scoped(put_result_free) struct put_result result = {0};

		if (!put_once(p, manifest, body, digest, key, &result, err))
			return false;
		if (result.kind == PUT_DONE)
			return true;
		/* The proof was out of date: the registry removed blobs meanwhile. One that names them one
		 * by one gets all of them. */
		if (manifest->is_index || !known_blobs_forget(&p->known, result.missing,
						  round == 0 ? result.missing_count : 0))
			break;
		if (!push_blobs(p, manifest, err))
			return false;
	}
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
	if (!p->source->manifest(p->source->self, digest, &body, &media_type, err))
		return false;
	if (!manifest_parse(buf_str(&body), media_type, "the image's manifest", &manifest, err))
		return p->source->stream_from && registry_blame(false, err);
	if (manifest.is_index)
		return push_children(p, &manifest, depth, err) &&
		       put(p, &manifest, buf_str(&body), digest, key, err);
	if (asking_pays(p, &manifest) && !ask_for_all(p, &manifest, buf_str(&body), digest, err))
		return false;
	if (!push_blobs(p, &manifest, err) || !put(p, &manifest, buf_str(&body), digest, key, err))
		return false;
	remember(p, &manifest);
	return true;
}

static bool push_referrers(struct pusher *p, const struct digest *digest, bool moved,
	struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};
	const char *folder = p->options->note_folder;
	struct referrers_pushed pushed;

	if (!p->source->referrers)
		return true;
	if (!p->source->referrers(p->source->self, digest, &list, err))
		return false;
	if (list.count == 0 || (!moved && pushed_note_find(folder, p->target, digest, &list)))
		return true;
	if (!referrers_push(p->session, p->source, digest, &list, &pushed, err))
		return false;
	p->result->referrers = pushed.count;
	p->result->plain_referrers = pushed.plain;
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
	p->tag_found = current.found;
	p->empty = current.repository_missing;
	blob_memory_open(&p->memory, p->options->kept_folder, p->target->host);
	/* ECR makes repositories by itself where a creation template says so: unless it is to be made, the
	 * first upload tells. */
	if (current.repository_missing && p->options->create_repository &&
		ecr_is_host(p->target->host) && !create_repository(p, err))
		return false;
	if (!push_manifest(p, digest, key, 0, err))
		return false;
	blob_memory_save(&p->memory);
	return push_referrers(p, digest, true, err);
}

/* A mount's source is a repository of its own rights; reading our own comes with pushing. */
static const char *foreign_source(const struct image_source *source, const struct reference *target)
{
	return text_equal(source->mount_from, target->repository) ? NULL : source->mount_from;
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
			    .mount_from = foreign_source(source, target),
			    .kept_folder = options->kept_folder,
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
	push_take_counts(&result, p.session);
	result.duration_ms = clock_elapsed(clock) - start_ms;
	*out_result = result;
	return true;
}

void push_take_counts(struct push_result *result, const struct session *session)
{
	const struct session_counts *more = session_counts(session);
	const struct strings *warnings = session_warnings(session);
	struct session_counts *sum = &result->counts;

	sum->get += more->get;
	sum->head += more->head;
	sum->post += more->post;
	sum->put += more->put;
	sum->patch += more->patch;
	sum->remove += more->remove;
	sum->token += more->token;
	sum->retries += more->retries;
	sum->bytes_sent += more->bytes_sent;
	sum->bytes_received += more->bytes_received;
	for (size_t i = 0; i < warnings->count; i++)
		if (!strings_contain(&result->warnings, warnings->items[i]))
			strings_add(&result->warnings, warnings->items[i]);
}

void push_result_free(struct push_result *result)
{
	strings_free(&result->warnings);
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
	put_count(&w, "plain_referrers", result->plain_referrers);
	json_put_int(&w, "bytes_sent", counts->bytes_sent);
	json_key(&w, "requests");
	json_object_begin(&w);
	put_count(&w, "HEAD", counts->head);
	put_count(&w, "GET", counts->get);
	put_count(&w, "POST", counts->post);
	put_count(&w, "PUT", counts->put);
	put_count(&w, "PATCH", counts->patch);
	put_count(&w, "DELETE", counts->remove);
	put_count(&w, "TOKEN", counts->token);
	json_object_end(&w);
	json_put_int(&w, "retries", counts->retries);
	if (result->warnings.count > 0) {
		json_put_strings(&w, "warnings", &result->warnings);
	}
	json_put_int(&w, "duration_ms", result->duration_ms);
	json_object_end(&w);
}
