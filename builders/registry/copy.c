#include "builders/registry/copy.h"

#include "base/memory.h"
#include "builders/registry/layout_source.h"
#include "builders/registry/referrers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_LIMIT = 4 << 20, DEPTH_LIMIT = 3, PULL_AT_ONCE = 16 };

void place_free(struct place *place)
{
	free(place->path);
	free(place->tag);
	reference_free(&place->reference);
	*place = (struct place){0};
}

bool place_parse(const char *text, struct place *out_place, struct error *err)
{
	struct place place = {.is_layout = text_starts_with(text, "oci:")};

	if (text_starts_with(text, "docker://"))
		text += strlen("docker://"); /* skopeo's spelling of a registry */
	if (place.is_layout ? !layout_reference_parse(text + 4, &place.path, &place.tag, err)
			    : !reference_parse(text, &place.reference, err)) {
		if (!place.is_layout)
			error_while(err, "a layout is written oci:FOLDER:TAG");
		return false;
	}
	*out_place = place;
	return true;
}

static bool push_layout(const char *path, const char *tag, const struct reference *target,
	const struct push_options *options, struct push_result *out_result, struct error *err)
{
	scoped(layout_source_close) struct layout_source layout = {0};
	struct layout_entry entry;

	if (!layout_source_open(path, options, &layout, err) ||
		!layout_find_tag(&layout.layout, tag, &entry, err))
		return false;
	const struct image_source source = layout_source_of(&layout);
	return push_image(&source, &entry.digest, target, options, out_result, err);
}

bool copy_layout_to_registry(const char *layout, const struct reference *target,
	const struct push_options *options, struct push_result *out_result, struct error *err)
{
	scoped(text_free) char *path = NULL, *tag = NULL;

	return layout_reference_parse(layout, &path, &tag, err) &&
	       push_layout(path, tag, target, options, out_result, err);
}

/* A repository to copy from, with the manifest that was asked for by tag. */
struct remote {
	struct session *session;
	struct remote_manifest top;
};

static void remote_free(struct remote *remote)
{
	session_close(&remote->session);
	remote_manifest_free(&remote->top);
}

static bool fetch_manifest(struct session *session, const struct digest *digest,
	struct buf *out_body, char **out_media_type, struct error *err)
{
	scoped(remote_manifest_free) struct remote_manifest manifest = {0};
	char key[DIGEST_TEXT_SIZE];

	digest_to_text(digest, key);
	if (!registry_get_manifest(session, key, &manifest, err))
		return false;
	if (!manifest.found)
		return error_raise(err, ERROR_NOT_FOUND, "%s/%s has no manifest %s",
			session_host(session), session_repository(session), key);
	buf_append(out_body, manifest.body.data, manifest.body.size);
	*out_media_type = memory_copy_text(manifest.media_type);
	return true;
}

static bool remote_manifest(void *self, const struct digest *digest, struct buf *out_body,
	char **out_media_type, struct error *err)
{
	struct remote *remote = self;

	if (!digest_equal(digest, &remote->top.digest))
		return fetch_manifest(remote->session, digest, out_body, out_media_type, err);
	buf_append_str(out_body, buf_str(&remote->top.body));
	*out_media_type = memory_copy_text(remote->top.media_type);
	return true;
}

/* A file without a name, gone when it is closed. */
static bool open_temporary(int *out_fd, struct error *err)
{
	const char *folder = getenv("TMPDIR");

	folder = folder && *folder ? folder : "/tmp";
	*out_fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return *out_fd >= 0 || error_raise_errno(err, "make a temporary file in \"%s\"", folder);
}

static bool remote_blob(void *self, const struct digest *digest, int64_t size_bytes, int *out_fd,
	struct error *err)
{
	struct remote *remote = self;
	int fd;

	if (!open_temporary(&fd, err))
		return false;
	if (!registry_fetch_blob(remote->session, digest, size_bytes, fd, err)) {
		close(fd);
		return false;
	}
	*out_fd = fd;
	return true;
}

static bool raise_no_image(const struct reference *reference, struct error *err)
{
	scoped(text_free) char *name = reference_text(reference);

	error_raise(err, ERROR_NOT_FOUND, "there is no image \"%s\"", name);
	return error_next(err, "check its tag: dogshore image tags %s/%s", reference->host,
		reference->repository);
}

static bool open_source(const struct reference *reference, const struct push_options *options,
	struct remote *out_remote, struct error *err)
{
	scoped(text_free) char *key = reference_key(reference);

	if (!session_open(reference,
		    &(struct session_options){.plain_http = options->plain_http,
			    .kept_folder = options->kept_folder,
			    .clock = options->clock},
		    &out_remote->session, err))
		return false;
	return registry_get_manifest(out_remote->session, key, &out_remote->top, err) &&
	       (out_remote->top.found || raise_no_image(reference, err));
}

static bool remote_referrers(void *self, const struct digest *subject,
	struct artifact_list *out_list, struct error *err)
{
	struct remote *remote = self;

	return referrers_list(remote->session, subject, out_list, err);
}

static bool copy_between_registries(const struct reference *from, const struct reference *to,
	const struct push_options *options, struct push_result *out_result, struct error *err)
{
	scoped(remote_free) struct remote remote = {0};
	bool same = text_equal(from->host, to->host);

	if (!open_source(from, options, &remote, err))
		return false;
	bool ok = push_image(&(struct image_source){.manifest = remote_manifest,
				     .blob = remote_blob,
				     .self = &remote,
				     .referrers = remote_referrers,
				     .stream_from = remote.session,
				     .mount_from = same ? from->repository : NULL},
		&remote.top.digest, to, options, out_result, err);
	if (ok)
		push_take_counts(out_result, remote.session);
	return ok;
}

/* Pulling: the same walk, down into a layout. */
struct puller {
	struct session *session;
	struct layout *layout;
	struct push_result *result;
};

/* Some blobs of a manifest, got side by side: more open files at once bring nothing. */
struct handful {
	struct fetch fetches[PULL_AT_ONCE];
	struct layout_blob files[PULL_AT_ONCE];
	size_t count;
};

static void handful_free(struct handful *handful)
{
	for (size_t i = 0; i < handful->count; i++)
		layout_blob_discard(&handful->files[i]);
}

/* What arrived stays, though others failed: the next pull need not fetch it. */
static bool pull_handful(struct puller *p, struct handful *handful, struct error *err)
{
	bool ok = registry_fetch_blobs(p->session, handful->fetches, handful->count, err);

	for (size_t i = 0; i < handful->count; i++) {
		struct error why = {0};

		if (!handful->fetches[i].arrived)
			continue;
		if (layout_blob_commit(p->layout, &handful->files[i], &handful->fetches[i].digest,
			    &why))
			p->result->uploaded++;
		else if (ok)
			ok = (error_move(err, &why), false);
		else
			error_free(&why);
	}
	handful_free(handful);
	handful->count = 0;
	return ok;
}

static bool add_blob(struct puller *p, const struct blob_name *blob, struct handful *handful,
	struct error *err)
{
	if (layout_has_blob(p->layout, &blob->digest, blob->size_bytes)) {
		p->result->existing++;
		return true;
	}
	for (size_t i = 0; i < handful->count; i++)
		if (digest_equal(&handful->fetches[i].digest, &blob->digest))
			return true; /* an image may hold the same layer twice */
	struct layout_blob *file = &handful->files[handful->count];
	if (!layout_blob_create(p->layout, file, err))
		return false;
	handful->fetches[handful->count++] = (struct fetch){.digest = blob->digest,
		.size_bytes = blob->size_bytes,
		.fd = file->fd};
	return handful->count < PULL_AT_ONCE || pull_handful(p, handful, err);
}

static bool pull_blobs(struct puller *p, const struct manifest *manifest, struct error *err)
{
	scoped(handful_free) struct handful handful = {0};

	for (size_t i = 0; i < manifest->count; i++)
		if (!add_blob(p, &manifest->items[i], &handful, err))
			return false;
	return add_blob(p, &manifest->config, &handful, err) &&
	       (handful.count == 0 || pull_handful(p, &handful, err));
}

static bool pull_manifest(struct puller *p, struct str body, const char *media_type, int depth,
	struct error *err);

static bool pull_parts(struct puller *p, const struct manifest *index, int depth, struct error *err)
{
	for (size_t i = 0; i < index->count; i++) {
		scoped(buf_free) struct buf child = {0};
		scoped(text_free) char *type = NULL;

		if (!fetch_manifest(p->session, &index->items[i].digest, &child, &type, err) ||
			!pull_manifest(p, buf_str(&child), type, depth + 1, err))
			return false;
	}
	return true;
}

static bool pull_manifest(struct puller *p, struct str body, const char *media_type, int depth,
	struct error *err)
{
	scoped(manifest_free) struct manifest manifest = {0};
	struct digest written;

	if (depth > DEPTH_LIMIT)
		return error_raise(err, ERROR_LIMIT, "indexes are nested more than %d deep",
			DEPTH_LIMIT);
	if (!registry_blame(manifest_parse(body, media_type, "the image's manifest", &manifest,
				    err),
		    err))
		return false;
	if (manifest.is_index ? !pull_parts(p, &manifest, depth, err)
			      : !pull_blobs(p, &manifest, err))
		return false;
	return layout_write_blob(p->layout, body, &written, err);
}

/* A registry that has but the plain form gives back what it was made of. */
static bool pull_inner(struct puller *p, const struct artifact_entry *plain, struct error *err)
{
	scoped(artifact_entry_free) struct artifact_entry entry = {0};

	return artifact_restore(plain, &entry, err) &&
	       pull_manifest(p, str_of(plain->inner), entry.manifest.media_type, 0, err) &&
	       layout_list(p->layout, artifact_descriptor(&entry), err);
}

/* One manifest about the image, listed as the layout lists such: without a tag, or with cosign's. */
static bool pull_referrer(struct puller *p, const struct artifact_entry *entry, struct error *err)
{
	scoped(buf_free) struct buf body = {0};
	scoped(text_free) char *type = NULL;

	if (entry->inner)
		return pull_inner(p, entry, err);
	if (!fetch_manifest(p->session, &entry->manifest.digest, &body, &type, err) ||
		!pull_manifest(p, buf_str(&body), type, 0, err))
		return false;
	if (entry->tag)
		return layout_set_tag(p->layout, entry->tag, &entry->manifest, NULL, err);
	return layout_list(p->layout, artifact_descriptor(entry), err);
}

static bool pull_referrers(struct puller *p, const struct digest *subject, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};

	if (!referrers_list(p->session, subject, &list, err))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (!pull_referrer(p, &list.items[i], err))
			return error_while(err, "pulling %s",
				list.items[i].tag ? list.items[i].tag
						  : list.items[i].artifact_type);
	p->result->referrers = (int64_t)list.count;
	return true;
}

static bool pull(const struct reference *from, const char *path, const char *tag,
	const struct push_options *options, struct push_result *out_result, struct error *err)
{
	scoped(remote_free) struct remote remote = {0};
	scoped(layout_free) struct layout layout = {0};
	scoped(manifest_free) struct manifest manifest = {0};
	struct push_result result = {0};
	struct puller p = {.layout = &layout, .result = &result};
	struct clock *clock = options->clock ? options->clock : &system_clock;
	int64_t start_ms = clock_elapsed(clock);

	if (!open_source(from, options, &remote, err) ||
		!registry_blame(manifest_parse(buf_str(&remote.top.body), remote.top.media_type,
					"the image's manifest", &manifest, err),
			err) ||
		!layout_create(path, &layout, err))
		return false;
	p.session = remote.session;
	if (!pull_manifest(&p, buf_str(&remote.top.body), remote.top.media_type, 0, err))
		return false;
	struct layout_entry entry = {.digest = remote.top.digest,
		.size_bytes = (int64_t)remote.top.body.size};
	snprintf(entry.media_type, sizeof(entry.media_type), "%s", manifest.media_type);
	if (!layout_set_tag(&layout, tag, &entry, NULL, err) ||
		!pull_referrers(&p, &remote.top.digest, err))
		return false;
	result.digest = remote.top.digest;
	push_take_counts(&result, remote.session);
	result.duration_ms = clock_elapsed(clock) - start_ms;
	*out_result = result;
	return true;
}

bool copy_image(const struct place *from, const struct place *to,
	const struct push_options *options, struct push_result *out_result, struct error *err)
{
	if (from->is_layout && to->is_layout) {
		error_raise(err, ERROR_USAGE, "both places are layouts on this machine");
		return error_next(err, "copy the folder: cp -a");
	}
	if (from->is_layout)
		return push_layout(from->path, from->tag, &to->reference, options, out_result, err);
	if (!to->is_layout)
		return copy_between_registries(&from->reference, &to->reference, options,
			out_result, err);
	scoped(text_free) char *name = reference_text(&from->reference);
	return pull(&from->reference, to->path, to->tag, options, out_result, err) ||
	       error_while(err, "pulling %s", name);
}

void image_documents_free(struct image_documents *documents)
{
	buf_free(&documents->manifest);
	buf_free(&documents->config);
	manifest_free(&documents->parsed);
	image_facts_free(&documents->facts);
}

static bool read_local(const struct place *from, struct image_documents *out, struct error *err)
{
	scoped(layout_free) struct layout layout = {0};
	struct layout_entry entry;

	if (!layout_open(from->path, &layout, err) ||
		!layout_find_tag(&layout, from->tag, &entry, err) ||
		!layout_read_blob(&layout, &entry.digest, MANIFEST_LIMIT, &out->manifest, err) ||
		!manifest_parse(buf_str(&out->manifest), NULL, "the manifest", &out->parsed, err))
		return false;
	out->digest = entry.digest;
	return out->parsed.is_index || layout_read_blob(&layout, &out->parsed.config.digest,
					       CONFIG_LIMIT, &out->config, err);
}

static bool read_remote(const struct place *from, const struct push_options *options,
	struct image_documents *out, struct error *err)
{
	scoped(remote_free) struct remote remote = {0};
	scoped(text_free) char *path = NULL;
	scoped(descriptor_close) int fd = -1;

	if (!open_source(&from->reference, options, &remote, err) ||
		!registry_blame(manifest_parse(buf_str(&remote.top.body), remote.top.media_type,
					"the manifest", &out->parsed, err),
			err))
		return false;
	out->digest = remote.top.digest;
	out->manifest = remote.top.body;
	remote.top.body = (struct buf){0};
	if (out->parsed.is_index)
		return true;
	if (out->parsed.config.size_bytes > CONFIG_LIMIT)
		return error_raise(err, ERROR_LIMIT, "the configuration is larger than 4 MiB");
	if (!open_temporary(&fd, err) ||
		!registry_fetch_blob(remote.session, &out->parsed.config.digest,
			out->parsed.config.size_bytes, fd, err))
		return false;
	path = memory_format("/proc/self/fd/%d", fd);
	return file_read(path, CONFIG_LIMIT, &out->config, err);
}

bool copy_read_documents(const struct place *from, const struct push_options *options,
	struct image_documents *out_documents, struct error *err)
{
	struct image_documents documents = {0};
	bool ok = from->is_layout ? read_local(from, &documents, err)
				  : read_remote(from, options, &documents, err);

	if (ok && !documents.parsed.is_index)
		ok = config_parse(buf_str(&documents.config), "the configuration", &documents.facts,
			     err) ||
		     (!from->is_layout && registry_blame(false, err));
	if (!ok) {
		image_documents_free(&documents);
		return false;
	}
	*out_documents = documents;
	return true;
}
