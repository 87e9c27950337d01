#include "services/kit/route.h"

bool route_matches(const char *pattern, const char *path, struct str out[ROUTE_PARAMETERS],
	size_t *out_count)
{
	struct str wanted = str_of(pattern), given = str_of(path);

	*out_count = 0;
	while (wanted.data && given.data) {
		struct str want = str_cut(&wanted, '/'), piece = str_cut(&given, '/');

		if (!str_starts_with(want, "{")) {
			if (!str_equal(want, piece))
				return false;
			continue;
		}
		if (piece.size == 0 || *out_count == ROUTE_PARAMETERS)
			return false;
		out[(*out_count)++] = piece;
	}
	return !wanted.data && !given.data;
}

/* HEAD is GET without a body. */
static bool serves(const struct route *route, const char *method)
{
	return text_equal(route->method, method) ||
	       (text_equal(method, "HEAD") && text_equal(route->method, "GET"));
}

static void add_allowed(struct buf *allowed, const char *method)
{
	buf_printf(allowed, "%s%s%s", allowed->size ? ", " : "", method,
		text_equal(method, "GET") ? ", HEAD" : "");
}

const struct route *route_find(const struct route *routes, size_t count, const char *method,
	const char *path, struct str out[ROUTE_PARAMETERS], size_t *out_count,
	struct buf *out_allowed)
{
	for (size_t i = 0; i < count; i++) {
		if (!route_matches(routes[i].pattern, path, out, out_count))
			continue;
		if (serves(&routes[i], method))
			return &routes[i];
		add_allowed(out_allowed, routes[i].method);
	}
	*out_count = 0;
	return NULL;
}
