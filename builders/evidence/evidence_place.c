#include "builders/evidence/evidence_place.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/evidence/evidence.h"

#include <fcntl.h>
#include <stdlib.h>

enum { EVIDENCE_LIMIT = 64 << 20, DEPTH_LIMIT = 3 };

void evidence_place_free(struct evidence_place *place)
{
	struct error err = {0};

	session_close(&place->session);
	layout_free(&place->layout);
	if (place->folder && !folder_remove(place->folder, &err))
		error_ignore(&err, "a temporary folder; the system's tidying finds it");
	text_free(&place->folder);
	text_free(&place->reference);
}

bool evidence_place_parse(const char *text, struct place *out_place, struct error *err)
{
	scoped(text_free) char *path = NULL, *tag = NULL, *file = NULL;
	struct error ignored = {0};

	if (!layout_reference_parse(text, &path, &tag, &ignored)) {
		error_ignore(&ignored, "then it may be a reference");
		return place_parse(text, out_place, err);
	}
	file = path_join(path, "oci-layout");
	if (!file_exists(file))
		return place_parse(text, out_place, err);
	*out_place = (struct place){.is_layout = true, .path = path, .tag = tag};
	path = tag = NULL;
	return true;
}

static bool open_layout(const struct place *place, struct evidence_place *out, struct error *err)
{
	out->reference = memory_copy_text("");
	return layout_open(place->path, &out->layout, err) &&
	       layout_find_tag(&out->layout, place->tag, &out->subject, err);
}

/* Other bytes than promised are a refusal of the image and not a fault of ours. */
static bool fetched(bool ok, const char *what, struct error *err)
{
	if (ok)
		return true;
	if (err && err->kind == ERROR_PROTOCOL)
		err->kind = ERROR_FAILED;
	return error_while(err, "fetching %s", what);
}

static bool fetch_blob(struct evidence_place *out, const struct blob_name *blob, const char *what,
	struct error *err)
{
	scoped(layout_blob_discard) struct layout_blob file = {0};

	if (layout_has_blob(&out->layout, &blob->digest, blob->size_bytes))
		return true;
	return layout_blob_create(&out->layout, &file, err) &&
	       fetched(registry_fetch_blob(out->session, &blob->digest, blob->size_bytes, file.fd,
			       err),
		       what, err) &&
	       layout_blob_commit(&out->layout, &file, &blob->digest, err);
}

static bool fetch_manifest(struct evidence_place *out, const struct digest *digest,
	const char *what, struct manifest *out_manifest, struct error *err)
{
	scoped(remote_manifest_free) struct remote_manifest remote = {0};
	char key[DIGEST_TEXT_SIZE];
	struct digest written;

	digest_to_text(digest, key);
	if (!fetched(registry_get_manifest(out->session, key, &remote, err), what, err))
		return false;
	if (!remote.found)
		return error_raise(err, ERROR_FAILED, "%s %s is listed and not there", what, key);
	return manifest_parse(buf_str(&remote.body), remote.media_type, what, out_manifest, err) &&
	       layout_write_blob(&out->layout, buf_str(&remote.body), &written, err);
}

static bool fetch_parts(struct evidence_place *out, const struct manifest *manifest, bool layers,
	int depth, struct error *err)
{
	if (depth > DEPTH_LIMIT)
		return error_raise(err, ERROR_LIMIT, "indexes are nested more than %d deep",
			DEPTH_LIMIT);
	for (size_t i = 0; i < manifest->count; i++) {
		scoped(manifest_free) struct manifest child = {0};
		const struct blob_name *item = &manifest->items[i];
		char what[64];

		snprintf(what, sizeof(what), "%s %zu of %zu",
			manifest->is_index ? "manifest" : "layer", i + 1, manifest->count);
		if (!manifest->is_index && layers && !fetch_blob(out, item, what, err))
			return false;
		if (manifest->is_index &&
			(!fetch_manifest(out, &item->digest, what, &child, err) ||
				!fetch_parts(out, &child, layers, depth + 1, err)))
			return false;
	}
	return manifest->is_index || fetch_blob(out, &manifest->config, "the configuration", err);
}

static bool fetch_image(struct evidence_place *out, const struct reference *reference,
	const struct evidence_place_options *options, struct error *err)
{
	scoped(text_free) char *key = reference_key(reference);
	scoped(remote_manifest_free) struct remote_manifest remote = {0};
	scoped(manifest_free) struct manifest manifest = {0};

	if (!fetched(registry_get_manifest(out->session, key, &remote, err), "the manifest", err))
		return false;
	if (!remote.found) {
		error_raise(err, ERROR_NOT_FOUND, "there is no image \"%s:%s\"", out->reference,
			key);
		return error_next(err, "check its tag: skopeo list-tags docker://%s",
			out->reference);
	}
	if (!manifest_parse(buf_str(&remote.body), remote.media_type, "the manifest", &manifest,
		    err) ||
		!layout_write_blob(&out->layout, buf_str(&remote.body), &out->subject.digest, err))
		return false;
	out->subject.size_bytes = (int64_t)remote.body.size;
	snprintf(out->subject.media_type, sizeof(out->subject.media_type), "%s",
		manifest.media_type);
	return !options->image || fetch_parts(out, &manifest, options->layers, 0, err);
}

/* A plain form counts as the manifest that it was made of. */
static bool restore_manifest(struct evidence_place *out, const struct artifact_entry *entry,
	const char *what, struct manifest *out_manifest, struct error *err)
{
	struct str text = str_of(entry->inner);
	struct digest written;

	return manifest_parse(text, NULL, what, out_manifest, err) &&
	       layout_write_blob(&out->layout, text, &written, err);
}

static bool fetch_artifact(struct evidence_place *out, const struct artifact_entry *entry,
	struct error *err)
{
	scoped(manifest_free) struct manifest manifest = {0};
	scoped(artifact_entry_free) struct artifact_entry restored = {0};
	scoped(text_free) char *what =
		memory_format("the referrer %s", entry->tag ? entry->tag : entry->artifact_type);
	bool wanted = !evidence_is_plain(entry) || evidence_is_sbom(entry->artifact_type);

	if (entry->inner ? !restore_manifest(out, entry, what, &manifest, err) ||
				   !artifact_restore(entry, &restored, err)
			 : !fetch_manifest(out, &entry->manifest.digest, what, &manifest, err))
		return false;
	for (size_t i = 0; wanted && i <= manifest.count; i++) {
		const struct blob_name *blob =
			i == manifest.count ? &manifest.config : &manifest.items[i];
		if (blob->size_bytes > EVIDENCE_LIMIT)
			return error_raise(err, ERROR_LIMIT, "%s is larger than %d MiB", what,
				EVIDENCE_LIMIT >> 20);
		if (!fetch_blob(out, blob, what, err))
			return false;
	}
	if (entry->tag)
		return layout_set_tag(&out->layout, entry->tag, &entry->manifest, NULL, err);
	return layout_list(&out->layout, artifact_descriptor(entry->inner ? &restored : entry),
		err);
}

static bool fetch_evidence(struct evidence_place *out, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};

	if (!referrers_list(out->session, &out->subject.digest, &list, err))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (!fetch_artifact(out, &list.items[i], err))
			return false;
	return true;
}

static bool open_registry(const struct place *place, const struct evidence_place_options *options,
	struct evidence_place *out, struct error *err)
{
	scoped(text_free) char *path = NULL;

	out->reference = memory_format("%s/%s", place->reference.host, place->reference.repository);
	if (!folder_make_temporary(NULL, "dogshore-evidence-", &out->folder, err))
		return false;
	path = path_join(out->folder, "image");
	if (!layout_create(path, &out->layout, err) ||
		!session_open(&place->reference,
			&(struct session_options){.plain_http = options->plain_http,
				.push = options->push},
			&out->session, err) ||
		!fetch_image(out, &place->reference, options, err))
		return false;
	return layout_set_tag(&out->layout, "image", &out->subject, NULL, err) &&
	       fetch_evidence(out, err);
}

bool evidence_place_open(const struct place *place, const struct evidence_place_options *options,
	struct evidence_place *out_place, struct error *err)
{
	scoped(evidence_place_free) struct evidence_place out = {0};
	bool ok = place->is_layout ? open_layout(place, &out, err)
				   : open_registry(place, options, &out, err);

	if (!ok)
		return false;
	*out_place = out;
	out = (struct evidence_place){0};
	return true;
}

static bool read_manifest(void *self, const struct digest *digest, struct buf *out_body,
	char **out_media_type, struct error *err)
{
	*out_media_type = memory_copy_text("");
	return layout_read_blob(self, digest, MANIFEST_LIMIT, out_body, err);
}

static bool open_blob(void *self, const struct digest *digest, int64_t size_bytes, int *out_fd,
	struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(self, digest);

	(void)size_bytes;
	*out_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *out_fd >= 0 || error_raise_errno(err, "open \"%s\"", path);
}

bool evidence_place_publish(struct evidence_place *place, int64_t *out_pushed, struct error *err)
{
	scoped(artifact_list_free) struct artifact_list list = {0};

	struct referrers_pushed pushed;

	*out_pushed = 0;
	if (!place->session)
		return true;
	if (!artifact_list_read(&place->layout, &place->subject.digest, &list, err) ||
		!referrers_push(place->session,
			&(struct image_source){.manifest = read_manifest,
				.blob = open_blob,
				.self = &place->layout},
			&place->subject.digest, &list, &pushed, err))
		return false;
	*out_pushed = pushed.count;
	return true;
}
