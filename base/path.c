#include "base/path.h"

#include "base/memory.h"

#include <string.h>

char *path_join(const char *folder, const char *name)
{
	if (name[0] == '/' || !folder[0])
		return memory_copy_text(name);
	if (!name[0])
		return memory_copy_text(folder);
	return memory_format("%s%s%s", folder, text_ends_with(folder, "/") ? "" : "/", name);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return memory_copy_text(".");
	return memory_copy(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Cuts the last part off out; false when there is none, or it is a ".." that must stay. */
static bool drop_last(struct buf *out, size_t root)
{
	size_t at = out->size;

	while (at > root && out->data[at - 1] != '/')
		at--;
	if (at == out->size || str_equal_text((struct str){out->data + at, out->size - at}, ".."))
		return false;
	out->size = at > root ? at - 1 : at;
	out->data[out->size] = '\0';
	return true;
}

char *path_normalise(const char *path)
{
	scoped(buf_free) struct buf out = {0};
	struct str rest = str_of(path);
	size_t root = path[0] == '/';

	if (root)
		buf_append_char(&out, '/');
	while (rest.data) {
		struct str part = str_cut(&rest, '/');

		if (!part.size || str_equal_text(part, "."))
			continue;
		if (str_equal_text(part, "..") && (drop_last(&out, root) || root))
			continue;
		if (out.size > root)
			buf_append_char(&out, '/');
		buf_append_str(&out, part);
	}
	if (!out.size)
		buf_append_char(&out, '.');
	return buf_take(&out);
}

bool path_is_inside(const char *path)
{
	scoped(text_free) char *normal = path_normalise(path);

	return path[0] && normal[0] != '/' && !text_equal(normal, "..") &&
	       !text_starts_with(normal, "../");
}

bool path_is_below(const char *path, const char *folder)
{
	size_t size = strlen(folder);

	if (text_equal(folder, "/"))
		return path[0] == '/';
	if (text_equal(folder, "."))
		return path[0] != '/' && !text_equal(path, "..") && !text_starts_with(path, "../");
	return text_starts_with(path, folder) && (path[size] == '\0' || path[size] == '/');
}
