#include "base/file.h"
#include "base/json.h"

bool json_read_file(const char *path, size_t limit_bytes, struct json **out_value,
	struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	struct json_limits limits = {.size_bytes = limit_bytes ? limit_bytes : 4 << 20};

	if (!file_read(path, limits.size_bytes, &text, err))
		return false;
	return json_parse(buf_str(&text), path, &limits, out_value, err);
}
