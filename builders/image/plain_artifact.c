#include "builders/image/plain_artifact.h"

#include "builders/image/layout.h"

#define INNER_NOTE "dev.dogshore.manifest"

static bool is_plain(const struct json *manifest)
{
	return !json_get(manifest, "artifactType") &&
	       text_equal(json_get_text(json_get(manifest, "config"), "mediaType", ""),
		       MEDIA_TYPE_CONFIG);
}

struct json *plain_artifact_note(struct json *annotations, struct str manifest)
{
	struct json *notes = annotations ? annotations : json_object_new();

	json_set(notes, INNER_NOTE, json_str_new(manifest));
	return notes;
}

bool plain_artifact_write(struct str text, struct buf *out)
{
	scoped(json_free) struct json *manifest = NULL;
	scoped(buf_free) struct buf plain = {0};
	struct error ignored = {0};

	if (!json_parse(text, "a manifest", &(struct json_limits){.size_bytes = MANIFEST_LIMIT},
		    &manifest, &ignored)) {
		error_ignore(&ignored, "what cannot be read has no other form");
		return false;
	}
	const struct json *config = json_get(manifest, "config");
	if (!text_equal(json_get_text(manifest, "mediaType", MEDIA_TYPE_MANIFEST),
		    MEDIA_TYPE_MANIFEST) ||
		!json_is_object(config) || is_plain(manifest))
		return false;
	/* Nothing else of the descriptor: ECR refuses annotations there. */
	struct json *plain_config = json_object_of("mediaType", json_text_new(MEDIA_TYPE_CONFIG),
		"digest", json_copy(json_get(config, "digest")), "size",
		json_copy(json_get(config, "size")), NULL);
	json_set(manifest, "config", plain_config);
	json_remove(manifest, "artifactType");
	const struct json *notes = json_get(manifest, "annotations");
	notes = json_is_object(notes) ? notes : NULL;
	json_set(manifest, "annotations", plain_artifact_note(json_copy(notes), text));
	json_write(manifest, &plain);
	if (plain.size > MANIFEST_LIMIT)
		return false;
	buf_append_str(out, buf_str(&plain));
	return true;
}

const char *plain_artifact_inner(const struct json *annotations)
{
	return json_get_text(annotations, INNER_NOTE, NULL);
}
