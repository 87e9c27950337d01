#include "builders/registry/layout_source.h"

#include "base/memory.h"
#include "builders/image/base_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

bool layout_source_open(const char *path, const struct push_options *options,
	struct layout_source *out_source, struct error *err)
{
	struct layout_source source = {.options = options};

	if (!layout_open(path, &source.layout, err))
		return false;
	*out_source = source;
	return true;
}

void layout_source_close(struct layout_source *source)
{
	layout_free(&source->layout);
	text_free(&source->base);
	strings_free(&source->homes);
	session_close(&source->session);
}

static bool read_manifest(void *self, const struct digest *digest, struct buf *out_body,
	char **out_media_type, struct error *err)
{
	struct layout_source *source = self;

	if (!layout_read_blob(&source->layout, digest, MANIFEST_LIMIT, out_body, err))
		return false;
	text_free(&source->base);
	source->base = manifest_base_name(buf_str(out_body));
	*out_media_type = memory_copy_text(""); /* the document says what it is */
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

static bool fetch_from(struct layout_source *source, const char *name, const struct digest *digest,
	int64_t size_bytes, int *out_fd, struct error *err)
{
	scoped(reference_free) struct reference reference = {0};
	int fd;

	session_close(&source->session);
	if (!reference_parse(name, &reference, err) ||
		!session_open(&reference,
			&(struct session_options){.plain_http = source->options->plain_http,
				.kept_folder = source->options->kept_folder,
				.clock = source->options->clock},
			&source->session, err) ||
		!open_temporary(&fd, err))
		return error_while(err, "fetching a layer of the base image \"%s\"", name);
	if (registry_fetch_blob(source->session, digest, size_bytes, fd, err)) {
		*out_fd = fd;
		return true;
	}
	close(fd);
	return error_while(err, "fetching a layer of the base image \"%s\"", name);
}

static bool raise_missing(const struct layout_source *source, const struct digest *digest,
	int64_t size_bytes, struct error *err)
{
	scoped(text_free) char *path = layout_blob_path(&source->layout, digest);

	error_raise(err, ERROR_NOT_FOUND, "the layout has no blob \"%s\" of %lld bytes", path,
		(long long)size_bytes);
	return error_next(err, "the layout is damaged: build the image again");
}

static bool open_blob(void *self, const struct digest *digest, int64_t size_bytes, int *out_fd,
	struct error *err)
{
	struct layout_source *source = self;
	scoped(text_free) char *path = layout_blob_path(&source->layout, digest);

	if (layout_has_blob(&source->layout, digest, size_bytes)) {
		*out_fd = open(path, O_RDONLY | O_CLOEXEC);
		return *out_fd >= 0 || error_raise_errno(err, "open \"%s\"", path);
	}
	/* The manifest that is being pushed was read last. */
	if (source->base)
		return fetch_from(source, source->base, digest, size_bytes, out_fd, err);
	return raise_missing(source, digest, size_bytes, err);
}

static const char *find_home(void *self, const char *host, const struct digest *digest,
	int64_t size_bytes)
{
	struct layout_source *source = self;
	scoped(reference_free) struct reference reference = {0};
	struct error ignored = {0};

	if (!source->base || layout_has_blob(&source->layout, digest, size_bytes))
		return NULL;
	if (!reference_parse(source->base, &reference, &ignored)) {
		error_ignore(&ignored, "opening the blob says so");
		return NULL;
	}
	if (!text_equal(reference.host, host))
		return NULL;
	for (size_t i = 0; i < source->homes.count; i++)
		if (text_equal(source->homes.items[i], reference.repository))
			return source->homes.items[i];
	strings_add(&source->homes, reference.repository);
	return source->homes.items[source->homes.count - 1];
}

static bool list_referrers(void *self, const struct digest *subject, struct artifact_list *out_list,
	struct error *err)
{
	struct layout_source *source = self;

	return artifact_list_read(&source->layout, subject, out_list, err);
}

struct image_source layout_source_of(struct layout_source *source)
{
	return (struct image_source){.manifest = read_manifest,
		.blob = open_blob,
		.home = find_home,
		.referrers = list_referrers,
		.self = source};
}
