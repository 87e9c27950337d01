#include "tests/test.h"

#include "services/kit/route.h"

static const struct route routes[] = {
	{"GET", "/rooms", NULL},
	{"POST", "/rooms", NULL},
	{"GET", "/rooms/free", NULL},
	{"GET", "/rooms/{id}", NULL},
	{"DELETE", "/rooms/{id}", NULL},
	{"GET", "/rooms/{id}/days/{day}", NULL},
};

/* "pattern first second", or the methods allowed, or "" for nothing there. */
static const char *find(const char *method, const char *path)
{
	static char text[200];
	scoped(buf_free) struct buf allowed = {0};
	struct str pieces[ROUTE_PARAMETERS];
	size_t count, size;
	const struct route *route =
		route_find(routes, countof(routes), method, path, pieces, &count, &allowed);

	size = (size_t)snprintf(text, sizeof(text), "%s",
		route ? route->pattern : buf_text(&allowed));
	for (size_t i = 0; i < count; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, " %.*s",
			str_args(pieces[i]));
	return text;
}

TEST(the_first_route_that_matches_is_taken)
{
	CHECK_TEXT(find("GET", "/rooms"), "/rooms");
	CHECK_TEXT(find("GET", "/rooms/free"), "/rooms/free");
	CHECK_TEXT(find("GET", "/rooms/42"), "/rooms/{id} 42");
	CHECK_TEXT(find("GET", "/rooms/42/days/mon"), "/rooms/{id}/days/{day} 42 mon");
	CHECK_TEXT(find("HEAD", "/rooms/42"), "/rooms/{id} 42");
}

TEST(another_method_gets_the_methods_that_there_are)
{
	CHECK_TEXT(find("PATCH", "/rooms/42"), "GET, HEAD, DELETE");
	CHECK_TEXT(find("DELETE", "/rooms"), "GET, HEAD, POST");
}

TEST(other_paths_match_nothing)
{
	CHECK_TEXT(find("GET", "/"), "");
	CHECK_TEXT(find("GET", "/room"), "");
	CHECK_TEXT(find("GET", "/rooms/"), "");
	CHECK_TEXT(find("GET", "/rooms//days/mon"), "");
	CHECK_TEXT(find("GET", "/rooms/42/days"), "");
	CHECK_TEXT(find("GET", "/rooms/42/days/mon/x"), "");
	CHECK_TEXT(find("GET", "//rooms"), "");
}

TEST_MAIN()
