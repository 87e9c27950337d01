#include "base/memory.h"
#include "builders/image/layout.h"

#include <unistd.h>

static bool raise_missing(const char *path, int64_t size_bytes, struct error *err)
{
	error_raise(err, ERROR_NOT_FOUND, "the layout has no blob \"%s\" of %lld bytes", path,
		(long long)size_bytes);
	return error_next(err, "the layout is damaged: build the image again into a new folder");
}

static bool check_content(const char *path, const struct digest *digest, struct error *err)
{
	struct digest real;
	int64_t size_bytes;

	if (!digest_of_file(path, &real, &size_bytes, err))
		return false;
	if (digest_equal(&real, digest))
		return true;
	error_raise(err, ERROR_INVALID, "the content of \"%s\" has another digest than its name",
		path);
	return error_next(err, "the layout is damaged: build the image again into a new folder");
}

bool layout_take_blob(const struct layout *layout, const struct layout *from,
	const struct digest *digest, int64_t size_bytes, struct error *err)
{
	scoped(text_free) char *source = layout_blob_path(from, digest);
	scoped(text_free) char *target = layout_blob_path(layout, digest);

	if (layout_has_blob(layout, digest, size_bytes))
		return true;
	if (!layout_has_blob(from, digest, size_bytes))
		return raise_missing(source, size_bytes, err);
	if (!check_content(source, digest, err))
		return false;
	return link(source, target) == 0 || file_copy(source, target, err);
}
