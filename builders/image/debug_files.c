#include "builders/image/debug_files.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/image/artifact.h"
#include "builders/image/debug_split.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void debug_files_free(struct debug_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].path);
		free(files->items[i].source);
		free(files->items[i].build_id);
	}
	free(files->items);
	*files = (struct debug_files){0};
}

bool debug_files_split(struct debug_files *files, const char *source, const char *path,
	const char *folder, struct strings *warnings, char **out_program, struct error *err)
{
	scoped(debug_split_free) struct debug_split split = {0};
	int64_t size_bytes = 0;

	if (!debug_split(source, folder, &split, err))
		return false;
	if (!split.debug) {
		strings_printf(warnings,
			"%s has no debug information to split off: compile it with -g",
			path_base(source));
	} else {
		if (!file_size(split.debug, &size_bytes, err))
			return false;
		files->items =
			memory_resize(files->items, (files->count + 1) * sizeof(files->items[0]));
		files->items[files->count++] = (struct debug_file){.path = memory_copy_text(path),
			.source = split.debug,
			.build_id = split.build_id,
			.size_bytes = size_bytes};
		split.debug = split.build_id = NULL;
	}
	*out_program = split.program;
	split.program = NULL;
	return true;
}

/* One reading: the debug file may be larger than what we want to hold in memory. */
static bool copy_blob(const struct layout *layout, const struct debug_file *file,
	struct digest *out_digest, struct error *err)
{
	enum { PIECE = 128 << 10 };
	scoped(layout_blob_discard) struct layout_blob blob = {0};
	scoped(hasher_free) struct hasher *hasher = hasher_new();
	scoped(descriptor_close) int fd = open(file->source, O_RDONLY | O_CLOEXEC);
	scoped(buf_free) struct buf piece = {0};
	char *room = buf_reserve(&piece, PIECE);
	ssize_t got;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", file->source);
	if (!layout_blob_create(layout, &blob, err))
		return false;
	while ((got = read(fd, room, PIECE)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_raise_errno(err, "read \"%s\"", file->source);
		hasher_add(hasher, room, (size_t)got);
		if (!descriptor_write_all(blob.fd, room, (size_t)got, layout->path, err))
			return false;
	}
	*out_digest = hasher_finish(hasher);
	return layout_blob_commit(layout, &blob, out_digest, err);
}

bool debug_files_attach(struct debug_files *files, const struct layout *layout,
	const struct layout_entry *subject, struct error *err)
{
	struct layout_entry entry;
	bool ok = true;

	if (files->count == 0)
		return true;
	struct artifact_blob *blobs = memory_new_array(files->count, sizeof(*blobs));
	struct strings *annotations = memory_new_array(files->count, sizeof(*annotations));
	for (size_t i = 0; i < files->count && ok; i++) {
		const struct debug_file *file = &files->items[i];
		strings_printf(&annotations[i], "org.opencontainers.image.title=%s.debug",
			file->build_id);
		strings_printf(&annotations[i], "dev.dogshore.build-id=%s", file->build_id);
		strings_printf(&annotations[i], "dev.dogshore.path=%s", file->path);
		blobs[i] = (struct artifact_blob){.media_type = MEDIA_TYPE_DEBUG_FILE,
			.size_bytes = file->size_bytes,
			.annotations = &annotations[i]};
		ok = copy_blob(layout, file, &blobs[i].digest, err);
	}
	ok = ok && artifact_add(layout,
			   &(struct artifact){.artifact_type = MEDIA_TYPE_DEBUG,
				   .subject = *subject,
				   .blobs = blobs,
				   .blob_count = files->count},
			   &entry, err);
	if (ok)
		files->digest = entry.digest;
	for (size_t i = 0; i < files->count; i++)
		strings_free(&annotations[i]);
	free(annotations);
	free(blobs);
	return ok || error_while(err, "adding the debug information to the image");
}
