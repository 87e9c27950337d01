#include "builders/image/artifact.h"

#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/descriptor.h"
#include "builders/image/plain_artifact.h"

#include <stdlib.h>

/* Our own note in a layout's index: which image a manifest without a tag belongs to. Without it (a
 * layout of another tool) the manifest is read. */
#define SUBJECT_NOTE "dev.dogshore.subject"

enum { LIST_LIMIT = 2000 };

static const char empty_config[] = "{}";

void artifact_entry_free(struct artifact_entry *entry)
{
	free(entry->artifact_type);
	free(entry->tag);
	free(entry->inner);
	json_free(&entry->annotations);
	*entry = (struct artifact_entry){0};
}

void artifact_list_free(struct artifact_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		artifact_entry_free(&list->items[i]);
	free(list->items);
	*list = (struct artifact_list){0};
}

void artifact_list_add(struct artifact_list *list, struct artifact_entry *entry)
{
	list->items = memory_resize(list->items, (list->count + 1) * sizeof(list->items[0]));
	list->items[list->count++] = *entry;
	*entry = (struct artifact_entry){0};
}

const struct artifact_entry *artifact_list_find(const struct artifact_list *list,
	const struct digest *digest)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct artifact_entry *entry = &list->items[i];

		if (digest_equal(&entry->manifest.digest, digest) ||
			(entry->inner && digest_equal(&entry->inner_digest, digest)))
			return entry;
	}
	return NULL;
}

void artifact_tag(const struct digest *subject, const char *suffix, char out[ARTIFACT_TAG_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(subject, hex);
	snprintf(out, ARTIFACT_TAG_SIZE, "sha256-%s%s", hex, suffix);
}

static void put_annotations(struct json_writer *w, const struct strings *annotations)
{
	if (!annotations || annotations->count == 0)
		return;
	json_key(w, "annotations");
	json_object_begin(w);
	for (size_t i = 0; i < annotations->count; i++) {
		struct str value = str_of(annotations->items[i]);
		struct str key = str_cut(&value, '=');
		scoped(text_free) char *name = str_copy(key);
		json_put_str(w, name, value);
	}
	json_object_end(w);
}

static bool put_blob(struct json_writer *w, const struct layout *layout,
	const struct artifact_blob *blob, struct error *err)
{
	struct digest digest = blob->digest;
	int64_t size_bytes = blob->size_bytes;

	if (blob->content.data) {
		size_bytes = (int64_t)blob->content.size;
		if (!layout_write_blob(layout, blob->content, &digest, err))
			return false;
	}
	json_object_begin(w);
	descriptor_put(w, blob->media_type, &digest, size_bytes);
	put_annotations(w, blob->annotations);
	json_object_end(w);
	return true;
}

static bool write_manifest(const struct layout *layout, const struct artifact *artifact,
	struct buf *out, struct error *err)
{
	struct json_writer w = json_writer_start(out);
	struct digest config;

	if (!layout_write_blob(layout, str_of(empty_config), &config, err))
		return false;
	json_object_begin(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_text(&w, "mediaType", MEDIA_TYPE_MANIFEST);
	json_put_text(&w, "artifactType", artifact->artifact_type);
	json_key(&w, "config");
	json_object_begin(&w);
	descriptor_put(&w, MEDIA_TYPE_EMPTY, &config, (int64_t)strlen(empty_config));
	json_object_end(&w);
	json_key(&w, "layers");
	json_array_begin(&w);
	for (size_t i = 0; i < artifact->blob_count; i++)
		if (!put_blob(&w, layout, &artifact->blobs[i], err))
			return false;
	json_array_end(&w);
	json_key(&w, "subject");
	json_object_begin(&w);
	descriptor_put(&w, artifact->subject.media_type, &artifact->subject.digest,
		artifact->subject.size_bytes);
	json_object_end(&w);
	put_annotations(&w, artifact->annotations);
	json_object_end(&w);
	return true;
}

static struct json *index_descriptor(const struct artifact *artifact,
	const struct layout_entry *entry)
{
	char digest[DIGEST_TEXT_SIZE], subject[DIGEST_TEXT_SIZE];
	struct json *annotations = json_object_new();

	digest_to_text(&entry->digest, digest);
	digest_to_text(&artifact->subject.digest, subject);
	for (size_t i = 0; artifact->annotations && i < artifact->annotations->count; i++) {
		struct str value = str_of(artifact->annotations->items[i]);
		scoped(text_free) char *key = str_copy(str_cut(&value, '='));
		json_set(annotations, key, json_str_new(value));
	}
	json_set_text(annotations, SUBJECT_NOTE, subject);
	return json_object_of("mediaType", json_text_new(MEDIA_TYPE_MANIFEST), "digest",
		json_text_new(digest), "size", json_int_new(entry->size_bytes), "artifactType",
		json_text_new(artifact->artifact_type), "annotations", annotations, NULL);
}

bool artifact_add(const struct layout *layout, const struct artifact *artifact,
	struct layout_entry *out_entry, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct layout_entry entry = {.media_type = MEDIA_TYPE_MANIFEST};

	if (!write_manifest(layout, artifact, &text, err) ||
		!layout_write_blob(layout, buf_str(&text), &entry.digest, err))
		return error_while(err, "adding a %s to the layout \"%s\"", artifact->artifact_type,
			layout->path);
	entry.size_bytes = (int64_t)text.size;
	if (!layout_list(layout, index_descriptor(artifact, &entry), err))
		return false;
	if (out_entry)
		*out_entry = entry;
	return true;
}

/* What a descriptor of an index says. */
static bool read_descriptor(const struct json *value, const char *what, struct artifact_entry *out,
	struct error *err)
{
	struct artifact_entry entry = {0};

	if (!digest_parse(json_str(json_get(value, "digest")), &entry.manifest.digest))
		return error_raise(err, ERROR_INVALID, "%s: \"%.80s\" is no sha256 digest", what,
			json_get_text(value, "digest", ""));
	entry.manifest.size_bytes = json_get_int(value, "size", -1);
	if (entry.manifest.size_bytes < 0 || entry.manifest.size_bytes > MANIFEST_LIMIT)
		return error_raise(err, ERROR_INVALID,
			"%s: a manifest of %lld bytes is none that we take", what,
			(long long)entry.manifest.size_bytes);
	snprintf(entry.manifest.media_type, sizeof(entry.manifest.media_type), "%s",
		json_get_text(value, "mediaType", MEDIA_TYPE_MANIFEST));
	entry.artifact_type = memory_copy_text(json_get_text(value, "artifactType", ""));
	if (json_is_object(json_get(value, "annotations")))
		entry.annotations = json_copy(json_get(value, "annotations"));
	json_remove(entry.annotations, SUBJECT_NOTE);
	*out = entry;
	return true;
}

bool artifact_parse(struct str text, const char *what, struct digest *out_subject,
	struct artifact_entry *out_entry, struct error *err)
{
	scoped(json_free) struct json *value = NULL;
	struct artifact_entry entry = {0};

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value,
		    err))
		return false;
	const struct json *subject = json_get(value, "subject");
	if (!json_is_object(subject))
		return false;
	if (!digest_parse(json_str(json_get(subject, "digest")), out_subject))
		return error_raise(err, ERROR_INVALID,
			"%s: its subject has no sha256 digest but "
			"\"%.80s\"",
			what, json_get_text(subject, "digest", ""));
	/* distribution-spec: without an artifactType that of the configuration counts. */
	const char *type = json_get_text(value, "artifactType", "");
	entry.artifact_type = memory_copy_text(
		*type ? type : json_get_text(json_get(value, "config"), "mediaType", ""));
	entry.manifest.digest = digest_of_str(text);
	entry.manifest.size_bytes = (int64_t)text.size;
	snprintf(entry.manifest.media_type, sizeof(entry.manifest.media_type), "%s",
		json_get_text(value, "mediaType", MEDIA_TYPE_MANIFEST));
	if (json_is_object(json_get(value, "annotations")))
		entry.annotations = json_copy(json_get(value, "annotations"));
	*out_entry = entry;
	return true;
}

/* Does the untagged manifest of a layout belong to subject? Reads it when the index does not tell. */
static bool belongs(const struct layout *layout, const struct json *descriptor,
	const struct digest *subject, struct artifact_entry *entry, bool *out_yes,
	struct error *err)
{
	const char *note = json_get_text(json_get(descriptor, "annotations"), SUBJECT_NOTE, NULL);
	scoped(buf_free) struct buf text = {0};
	scoped(artifact_entry_free) struct artifact_entry read = {0};
	struct digest named;

	*out_yes = false;
	if (note) {
		*out_yes = digest_parse(str_of(note), &named) && digest_equal(&named, subject);
		return true;
	}
	if (!text_equal(entry->manifest.media_type, MEDIA_TYPE_MANIFEST))
		return true;
	if (!layout_read_blob(layout, &entry->manifest.digest, MANIFEST_LIMIT, &text, err)) {
		/* A damaged one counts, so that whoever needs it whole finds out. */
		*out_yes = *entry->artifact_type && err && err->kind == ERROR_INVALID;
		if (*out_yes)
			error_ignore(err, "reading it again tells what is wrong with it");
		return *out_yes;
	}
	if (!artifact_parse(buf_str(&text), "a manifest of the layout", &named, &read, err))
		return !err || err->kind == ERROR_NONE;
	*out_yes = digest_equal(&named, subject);
	/* What the manifest itself says is what counts. */
	artifact_entry_free(entry);
	*entry = read;
	read = (struct artifact_entry){0};
	return true;
}

static bool is_companion(const char *tag, const char *prefix)
{
	return text_starts_with(tag, prefix) && text_equal(tag + strlen(prefix), ".sig");
}

static bool read_entry(const struct layout *layout, const struct json *descriptor,
	const struct digest *subject, struct artifact_list *list, struct error *err)
{
	scoped(artifact_entry_free) struct artifact_entry entry = {0};
	const char *tag = layout_tag_of(descriptor);
	char prefix[ARTIFACT_TAG_SIZE];
	bool yes;

	artifact_tag(subject, "", prefix);
	if (*tag && !is_companion(tag, prefix))
		return true;
	if (!read_descriptor(descriptor, "the layout's index", &entry, err))
		return false;
	if (*tag) {
		entry.tag = memory_copy_text(tag);
		json_free(&entry.annotations);
		artifact_list_add(list, &entry);
		return true;
	}
	if (!belongs(layout, descriptor, subject, &entry, &yes, err))
		return false;
	if (yes)
		artifact_list_add(list, &entry);
	return true;
}

bool artifact_list_read(const struct layout *layout, const struct digest *subject,
	struct artifact_list *out_list, struct error *err)
{
	scoped(json_free) struct json *index = NULL;
	scoped(artifact_list_free) struct artifact_list list = {0};

	if (!layout_read_index(layout, &index, err))
		return false;
	const struct json *manifests = json_get(index, "manifests");
	for (size_t i = 0; json_is_array(manifests) && i < json_count(manifests); i++)
		if (!read_entry(layout, json_at(manifests, i), subject, &list, err))
			return error_while(err, "looking for what \"%s\" has about an image",
				layout->path);
	*out_list = list;
	list = (struct artifact_list){0};
	return true;
}

bool artifact_restore(const struct artifact_entry *plain, struct artifact_entry *out_entry,
	struct error *err)
{
	struct digest subject;

	/* It was read once before. */
	return artifact_parse(str_of(plain->inner), "a referrer", &subject, out_entry, err) ||
	       error_while(err, "reading what a plain form holds");
}

/* An annotation that holds no referrer is only an annotation. */
void artifact_look_inside(struct artifact_entry *entry)
{
	const char *text = plain_artifact_inner(entry->annotations);
	struct artifact_entry inner;
	struct error ignored = {0};
	struct digest subject;

	if (!text)
		return;
	if (!artifact_parse(str_of(text), "an annotation", &subject, &inner, &ignored)) {
		error_ignore(&ignored,
			"somebody else's, or damaged: the plain form is what there is");
		return;
	}
	inner.inner = memory_copy_text(text);
	inner.inner_digest = inner.manifest.digest;
	inner.manifest = entry->manifest;
	artifact_entry_free(entry);
	*entry = inner;
}

bool artifact_list_parse(struct str text, const char *what, struct artifact_list *list,
	struct error *err)
{
	scoped(json_free) struct json *value = NULL;

	if (!json_parse(text, what, &(struct json_limits){.size_bytes = MANIFEST_LIMIT}, &value,
		    err))
		return false;
	const struct json *manifests = json_get(value, "manifests");
	if (!json_is_array(manifests))
		return error_raise(err, ERROR_INVALID, "%s has no list \"manifests\"", what);
	if (json_count(manifests) > LIST_LIMIT - list->count)
		return error_raise(err, ERROR_LIMIT, "%s names more than %d manifests", what,
			LIST_LIMIT);
	for (size_t i = 0; i < json_count(manifests); i++) {
		struct artifact_entry entry = {0};
		const char *digest = json_get_text(json_at(manifests, i), "digest", "");

		if (text_starts_with(digest, "sha512:"))
			continue;
		if (!read_descriptor(json_at(manifests, i), what, &entry, err))
			return false;
		artifact_look_inside(&entry);
		artifact_list_add(list, &entry);
	}
	return true;
}

struct json *artifact_descriptor(const struct artifact_entry *entry)
{
	char digest[DIGEST_TEXT_SIZE];
	/* distribution-spec: without an artifactType that of the configuration counts. */
	const char *type = entry->inner ? MEDIA_TYPE_CONFIG : entry->artifact_type;
	struct json *annotations = json_copy(entry->annotations);

	if (entry->inner)
		annotations = plain_artifact_note(annotations, str_of(entry->inner));
	digest_to_text(&entry->manifest.digest, digest);
	return json_object_of("mediaType", json_text_new(entry->manifest.media_type), "digest",
		json_text_new(digest), "size", json_int_new(entry->manifest.size_bytes),
		"artifactType", *type ? json_text_new(type) : NULL, "annotations", annotations,
		NULL);
}
