#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool new_blob_create(struct content *content, const char *file, struct new_blob *out_blob,
	struct error *err)
{
	struct new_blob blob = {.fd = -1};

	if (!file)
		blob.fd = file_open_unnamed(content->uploads, 0644);
	if (file) {
		blob.temporary = path_join(content->uploads, file);
		blob.fd = open(blob.temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	} else if (blob.fd < 0) {
		blob.temporary = path_join(content->uploads, "XXXXXX");
		blob.fd = mkostemp(blob.temporary, O_CLOEXEC);
	}
	if (blob.fd < 0) {
		error_raise_errno(err, "make a file for an upload in \"%s\"", content->uploads);
		free(blob.temporary);
		return false;
	}
	blob.hasher = hasher_new();
	*out_blob = blob;
	return true;
}

bool new_blob_reopen(struct content *content, const char *file, struct new_blob *out_blob,
	struct error *err)
{
	scoped(text_free) char *path = path_join(content->uploads, file);
	scoped(descriptor_close) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		return error_raise_errno(err, "open the upload \"%s\"", path);
	*out_blob = (struct new_blob){.fd = fd, .size_bytes = size, .temporary = path};
	fd = -1;
	path = NULL;
	return true;
}

bool new_blob_append(struct new_blob *blob, const void *bytes, size_t size, struct error *err)
{
	if (blob->broken)
		return error_raise(err, ERROR_SYSTEM, "an earlier write of this upload failed");
	if (!descriptor_write_all(blob->fd, bytes, size, "an upload", err)) {
		blob->broken = true;
		return false;
	}
	hasher_add(blob->hasher, bytes, size);
	blob->size_bytes += (int64_t)size;
	return true;
}

/* Whether the blob is there already: the same bytes, unless the machine lost power in between. */
static bool is_there(const struct new_blob *blob, const char *path)
{
	struct error err = {0};
	int64_t size = -1;

	if (!file_exists(path) || !file_size(path, &size, &err))
		error_ignore(&err, "then it is written anew");
	return size == blob->size_bytes;
}

static bool name_blob(struct new_blob *blob, const char *path, struct error *err)
{
	if (is_there(blob, path))
		return true;
	if (blob->temporary) {
		if (fchmod(blob->fd, 0644) < 0 || rename(blob->temporary, path) < 0)
			return error_raise_errno(err, "name blob \"%s\"", path);
		text_free(&blob->temporary);
		return true;
	}
	if (file_link_unnamed(blob->fd, path) == 0)
		return true;
	if (errno != EEXIST)
		return error_raise_errno(err, "name blob \"%s\"", path);
	return file_remove(path, err) && name_blob(blob, path, err);
}

bool new_blob_finish(struct content *content, struct new_blob *blob, const char *repository,
	const char *name, struct error *err)
{
	scoped(text_free) char *path = content_path(content, name);
	bool ok = name_blob(blob, path, err) &&
		  (!repository || content_link_blob(content, repository, name, err));

	new_blob_discard(blob);
	return ok;
}

bool new_blob_commit(struct content *content, struct new_blob *blob, const char *repository,
	const char *expected, char out_name[DIGEST_NAME_SIZE], struct error *err)
{
	char name[DIGEST_NAME_SIZE];

	hasher_finish_name(blob->hasher, name);
	if (expected && !text_equal(name, expected)) {
		new_blob_discard(blob);
		return error_raise(err, ERROR_INVALID, "the content's digest is %s, not %s", name,
			expected);
	}
	if (!new_blob_finish(content, blob, repository, name, err))
		return false;
	memcpy(out_name, name, sizeof(name));
	return true;
}

void new_blob_discard(struct new_blob *blob)
{
	if (blob->fd > 0)
		close(blob->fd);
	if (blob->temporary)
		unlink(blob->temporary);
	free(blob->temporary);
	hasher_free(&blob->hasher);
	*blob = (struct new_blob){0};
}
