#include "builders/registry/rebase.h"

#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "builders/image/base_swap.h"
#include "builders/image/descriptor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void rebase_result_free(struct rebase_result *result)
{
	push_result_free(&result->push);
	base_image_free(&result->from);
	base_image_free(&result->onto);
}

/* The swapped image as the source of a push. */
struct rebasing {
	const struct reference *image; /* borrowed */
	const struct push_options *options;
	struct base_image old, *onto; /* old: the image itself, before */
	struct swapped swapped;
	struct reference base;   /* where onto lies, unless in a layout */
	struct session *session; /* to where a blob was fetched from last */
};

static void rebasing_free(struct rebasing *rebasing)
{
	base_image_free(&rebasing->old);
	swapped_free(&rebasing->swapped);
	reference_free(&rebasing->base);
	session_close(&rebasing->session);
}

static bool read_manifest(void *self, const struct digest *digest, struct buf *out_body,
	char **out_media_type, struct error *err)
{
	struct rebasing *r = self;

	if (!digest_equal(digest, &r->swapped.digest))
		return error_raise(err, ERROR_NOT_FOUND, "there is no such manifest here");
	buf_append_str(out_body, buf_str(&r->swapped.manifest));
	*out_media_type = memory_copy_text("");
	return true;
}

static bool is_of_base(const struct rebasing *r, const struct digest *digest)
{
	for (size_t i = 0; i < r->onto->manifest.count; i++)
		if (digest_equal(&r->onto->manifest.items[i].digest, digest))
			return true;
	return false;
}

static bool open_local(const struct rebasing *r, const struct digest *digest, int *out_fd,
	struct error *err)
{
	scoped(layout_free) struct layout layout = {0};

	if (!layout_open(r->onto->layout, &layout, err))
		return false;
	scoped(text_free) char *path = layout_blob_path(&layout, digest);
	*out_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *out_fd >= 0 || error_raise_errno(err, "open \"%s\"", path);
}

static bool fetch(struct rebasing *r, const struct reference *from, const struct digest *digest,
	int64_t size_bytes, int *out_fd, struct error *err)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	folder = folder && *folder ? folder : "/tmp";
	session_close(&r->session);
	if (!session_open(from,
		    &(struct session_options){.plain_http = r->options->plain_http,
			    .kept_folder = r->options->kept_folder,
			    .clock = r->options->clock},
		    &r->session, err))
		return false;
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_raise_errno(err, "make a temporary file in \"%s\"", folder);
	if (!registry_fetch_blob(r->session, digest, size_bytes, fd, err)) {
		close(fd);
		return false;
	}
	*out_fd = fd;
	return true;
}

static bool open_blob(void *self, const struct digest *digest, int64_t size_bytes, int *out_fd,
	struct error *err)
{
	struct rebasing *r = self;

	if (digest_equal(digest, &r->swapped.config_digest))
		return file_in_memory("a configuration", buf_str(&r->swapped.config), out_fd, err);
	if (!is_of_base(r, digest))
		return fetch(r, r->image, digest, size_bytes, out_fd, err);
	if (r->onto->layout)
		return open_local(r, digest, out_fd, err);
	return fetch(r, &r->base, digest, size_bytes, out_fd, err);
}

static const char *find_home(void *self, const char *host, const struct digest *digest,
	int64_t size_bytes)
{
	struct rebasing *r = self;

	(void)size_bytes;
	if (r->base.host && text_equal(r->base.host, host) && is_of_base(r, digest))
		return r->base.repository;
	return NULL;
}

/* "HOST/REPOSITORY@DIGEST" of the base that the annotations name; owned. */
static bool recorded_base(const struct base_image *image, char **out_text, struct error *err)
{
	const char *name = json_get_text(image->annotations, ANNOTATION_BASE_NAME, "");
	const char *digest = json_get_text(image->annotations, ANNOTATION_BASE_DIGEST, "");
	scoped(reference_free) struct reference reference = {0};
	struct error ignored = {0};

	if (name[0] && reference_parse(name, &reference, &ignored)) {
		*out_text = digest[0] ? memory_format("%s/%s@%s", reference.host,
						reference.repository, digest)
				      : memory_copy_text(name);
		return true;
	}
	error_ignore(&ignored, "a name that is none is as good as no name");
	error_raise(err, ERROR_USAGE, "the image \"%s\" does not say what it stands on",
		image->source);
	return error_next(err, "name its base with --from");
}

static bool read_image(struct rebasing *r, struct error *err)
{
	scoped(text_free) char *name = reference_text(r->image);
	scoped(image_documents_free) struct image_documents documents = {0};
	struct place place = {.reference = *r->image}; /* borrowed, not freed */

	if (!copy_read_documents(&place, r->options, &documents, err))
		return false;
	if (documents.parsed.is_index) {
		error_raise(err, ERROR_USAGE, "\"%s\" is an index", name);
		return error_next(err, "rebase its images one by one, by digest, and index the "
				       "results");
	}
	if (!base_image_of(buf_str(&documents.manifest), documents.parsed.media_type,
		    buf_str(&documents.config), &documents.digest, &r->old, err))
		return false;
	r->old.source = memory_copy_text(name);
	return true;
}

static bool read_bases(struct rebasing *r, const char *onto, const char *from,
	struct rebase_result *result, struct error *err)
{
	const char *architecture = r->old.facts.architecture;
	scoped(text_free) char *recorded = NULL;

	if (!from && !recorded_base(&r->old, &recorded, err))
		return false;
	if (!base_fetch(from ? from : recorded, architecture, r->options, &result->from, err)) {
		if (!from)
			error_next(err, "when that base is gone, name one with the same layers "
					"with --from");
		return false;
	}
	if (!base_fetch(onto, architecture, r->options, &result->onto, err))
		return false;
	return !result->onto.name || reference_parse(result->onto.name, &r->base, err);
}

static bool push(struct rebasing *r, struct push_result *out, struct error *err)
{
	struct reference target = *r->image; /* borrowed, not freed */

	target.has_digest = !target.tag;
	target.digest = r->swapped.digest;
	return push_image(&(struct image_source){.manifest = read_manifest,
				  .blob = open_blob,
				  .home = find_home,
				  .self = r},
		&r->swapped.digest, &target, r->options, out, err);
}

bool rebase_image(const struct reference *image, const char *onto, const char *from,
	const struct push_options *options, struct rebase_result *out_result, struct error *err)
{
	scoped(rebase_result_free) struct rebase_result result = {0};
	scoped(rebasing_free) struct rebasing r = {.image = image,
		.options = options,
		.onto = &result.onto};

	if (!read_image(&r, err) || !read_bases(&r, onto, from, &result, err) ||
		!base_swap(&r.old, &result.from, &result.onto, &r.swapped, err))
		return false;
	result.was = r.old.digest;
	result.own_layers = r.old.manifest.count - result.from.manifest.count;
	result.unchanged = digest_equal(&result.from.digest, &result.onto.digest) ||
			   digest_equal(&r.swapped.digest, &r.old.digest);
	if (result.unchanged)
		result.push.digest = r.old.digest;
	else if (!push(&r, &result.push, err))
		return false;
	*out_result = result;
	result = (struct rebase_result){0};
	return true;
}

static void put_base(struct json_writer *w, const char *key, const struct base_image *base)
{
	json_key(w, key);
	json_object_begin(w);
	json_put_text(w, "name", base->source);
	descriptor_put_digest(w, "digest", &base->digest);
	json_put_int(w, "layers", (int64_t)base->manifest.count);
	json_object_end(w);
}

void rebase_write_json(const struct rebase_result *result, const struct reference *image,
	struct buf *out)
{
	struct json_writer w = json_writer_start(out);
	const struct push_result *push = &result->push;
	char digest[DIGEST_TEXT_SIZE];

	digest_to_text(&push->digest, digest);
	json_object_begin(&w);
	json_put_text(&w, "stage", "image rebase");
	json_put_text(&w, "status", "done");
	json_key(&w, "reference");
	json_write_format(&w, "%s/%s@%s", image->host, image->repository, digest);
	json_put_text(&w, "tag", image->tag);
	json_put_text(&w, "digest", digest);
	descriptor_put_digest(&w, "was", &result->was);
	json_put_bool(&w, "unchanged", result->unchanged);
	put_base(&w, "from", &result->from);
	put_base(&w, "onto", &result->onto);
	json_put_int(&w, "own_layers", (int64_t)result->own_layers);
	json_put_int(&w, "uploaded", push->uploaded);
	json_put_int(&w, "existing", push->existing);
	json_put_int(&w, "mounted", push->mounted);
	json_put_int(&w, "bytes_sent", push->counts.bytes_sent);
	json_put_int(&w, "duration_ms", push->duration_ms);
	json_object_end(&w);
}
