#include "builders/image/image_options.h"

#include <stdlib.h>

bool image_read_epoch(int64_t *out_created_s, struct error *err)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	/* 8^11 - 1 is the last second that a ustar header holds: the year 2242. */
	const int64_t last = 077777777777;

	*out_created_s = 0;
	if (!text || !*text)
		return true;
	if (str_to_int(str_of(text), out_created_s) && *out_created_s >= 0 &&
		*out_created_s <= last)
		return true;
	error_raise(err, ERROR_USAGE, "SOURCE_DATE_EPOCH is \"%s\"", text);
	return error_next(err,
		"give it whole seconds since 1970, e.g. $(git log -1 --format=%%ct)");
}

static bool is_number(struct str text)
{
	int64_t value;

	return str_to_int(text, &value) && value >= 0 && value <= UINT32_MAX - 1;
}

/* Numbers only: a name would have to be looked up in the image's passwd by every runtime. */
static bool check_user(const char *user, struct error *err)
{
	struct str group = str_of(user), uid = str_cut(&group, ':');

	if (is_number(uid) && (!group.data || is_number(group)))
		return true;
	error_raise(err, ERROR_USAGE, "the user \"%s\" is not a number", user);
	return error_next(err,
		"write UID or UID:GID; the default " IMAGE_DEFAULT_USER " is \"nonroot\"");
}

static bool check_pairs(const struct strings *list, const char *what, struct error *err)
{
	for (size_t i = 0; list && i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		if (!equals || equals == list->items[i]) {
			error_raise(err, ERROR_USAGE, "%s \"%s\" has no name and value", what,
				list->items[i]);
			return error_next(err, "write NAME=value");
		}
	}
	return true;
}

bool image_options_check(const struct image_options *options, struct error *err)
{
	if (options->port < 0 || options->port > 65535)
		return error_raise(err, ERROR_USAGE, "the port %lld is not between 1 and 65535",
			(long long)options->port);
	return (!options->user || check_user(options->user, err)) &&
	       check_pairs(options->env, "the environment variable", err) &&
	       check_pairs(options->labels, "the label", err);
}
