#include "deployers/local/registry_api.h"

/* Cuts suffix, which must begin with '/', off the end of *path. */
static bool cut_end(struct str *path, const char *suffix)
{
	if (!str_ends_with(*path, suffix))
		return false;
	path->size -= strlen(suffix);
	return true;
}

/* Cuts "/<middle>/<last>" off the end of *path and gives last. */
static bool cut_last_two(struct str *path, const char *middle, struct str *out_last)
{
	const char *slash = path->size ? memrchr(path->data, '/', path->size) : NULL;

	if (!slash)
		return false;
	struct str before = {path->data, (size_t)(slash - path->data)};
	struct str last = {slash + 1, path->size - before.size - 1};

	if (!last.size || !cut_end(&before, middle))
		return false;
	*path = before;
	*out_last = last;
	return true;
}

struct registry_path registry_path_parse(struct str path)
{
	struct registry_path result = {0};

	if (str_equal_text(path, "/v2") || str_equal_text(path, "/v2/")) {
		result.what = REGISTRY_ROOT;
		return result;
	}
	if (str_equal_text(path, "/v2/token")) {
		result.what = REGISTRY_TOKEN;
		return result;
	}
	if (!str_starts_with(path, "/v2/"))
		return result;
	path = (struct str){path.data + 4, path.size - 4};
	if (cut_end(&path, "/blobs/uploads/") || cut_end(&path, "/blobs/uploads"))
		result.what = REGISTRY_UPLOADS;
	else if (cut_last_two(&path, "/blobs/uploads", &result.reference))
		result.what = REGISTRY_UPLOAD;
	else if (cut_last_two(&path, "/blobs", &result.reference))
		result.what = REGISTRY_BLOB;
	else if (cut_last_two(&path, "/manifests", &result.reference))
		result.what = REGISTRY_MANIFEST;
	else if (cut_end(&path, "/tags/list"))
		result.what = REGISTRY_TAGS;
	else if (cut_last_two(&path, "/referrers", &result.reference))
		result.what = REGISTRY_REFERRERS;
	result.repository = path;
	return result;
}
