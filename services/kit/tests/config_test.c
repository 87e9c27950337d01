#include "tests/test.h"

#include "services/kit/config.h"

#include <stdlib.h>

struct settings {
	const char *name, *url;
	int64_t port, wait_ms;
};

static const struct config_row rows[] = {
	{"TRIAL_NAME", CONFIG_TEXT, offsetof(struct settings, name), NULL, "a name"},
	{"TRIAL_URL", CONFIG_URL, offsetof(struct settings, url), "http://x:80", "a neighbour"},
	{"TRIAL_PORT", CONFIG_NUMBER, offsetof(struct settings, port), "8080", "a port", 0, 65535},
	{"TRIAL_WAIT", CONFIG_DURATION, offsetof(struct settings, wait_ms), "2s", "a wait", 1,
		60000},
};

/* Sets the four variables (NULL: not set) and reads them; what is wrong, or "". */
static const char *read_with(const char *name, const char *url, const char *port, const char *wait,
	struct settings *out)
{
	static char why[500];
	const char *const values[] = {name, url, port, wait};
	struct error err = {0};

	for (size_t i = 0; i < countof(rows); i++) {
		unsetenv(rows[i].name);
		if (values[i])
			setenv(rows[i].name, values[i], 1);
	}
	why[0] = '\0';
	if (!config_read(rows, countof(rows), out, &err))
		snprintf(why, sizeof(why), "%s", err.message);
	error_free(&err);
	return why;
}

TEST(what_is_set_wins_over_the_fallback)
{
	struct settings settings = {0};

	CHECK_TEXT(read_with("n", NULL, NULL, "150ms", &settings), "");
	CHECK_TEXT(settings.name, "n");
	CHECK_TEXT(settings.url, "http://x:80");
	CHECK_INT(settings.port, 8080);
	CHECK_INT(settings.wait_ms, 150);
}

TEST(every_variable_that_is_wrong_is_named_at_once)
{
	struct settings settings = {0};
	const char *why = read_with(NULL, "x:80", "65536", "30", &settings);

	CHECK_CONTAINS(why, "TRIAL_NAME (a name) is not set");
	CHECK_CONTAINS(why, "TRIAL_URL (a neighbour) is no http or https URL");
	CHECK_CONTAINS(why, "TRIAL_PORT (a port) is too large");
	CHECK_CONTAINS(why, "TRIAL_WAIT (a wait) is no duration");
}

TEST(each_kind_has_its_own_mistakes)
{
	struct settings settings = {0};

	CHECK_CONTAINS(read_with("", NULL, NULL, NULL, &settings), "TRIAL_NAME (a name) is empty");
	CHECK_CONTAINS(read_with("n", "http://x/", NULL, NULL, &settings), "ends with a slash");
	CHECK_CONTAINS(read_with("n", NULL, "80a", NULL, &settings), "is no number");
	CHECK_CONTAINS(read_with("n", NULL, "-1", NULL, &settings), "is too small");
	CHECK_CONTAINS(read_with("n", NULL, NULL, "0s", &settings), "is too small");
	CHECK_CONTAINS(read_with("n", NULL, NULL, "2m", &settings), "is too large");
}

TEST_MAIN()
