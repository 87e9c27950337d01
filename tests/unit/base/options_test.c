#include "tests/test.h"

#include "base/options.h"

static bool loud;
static const char *output, *mode;
static int64_t jobs, timeout_ms, memory_bytes;
static struct strings env;

static const struct option_row rows[] = {
	{"loud", OPTION_SWITCH, &loud, NULL, "say more", NULL},
	{"output", OPTION_TEXT, &output, "DIR", "where results go", NULL},
	{"jobs", OPTION_INT, &jobs, "N", "how many at once", NULL},
	{"timeout", OPTION_DURATION, &timeout_ms, "D", "when to give up", NULL},
	{"memory", OPTION_SIZE, &memory_bytes, "SIZE", "how much", NULL},
	{"env", OPTION_LIST, &env, "K=V", "a variable", NULL},
	{"mode", OPTION_CHOICE, &mode, NULL, "how", "fast|safe"},
};

static const struct option_set set = {"build SERVICE [flags]", "Builds one service.", rows,
	countof(rows), 1, 2};

static bool parse(struct strings *words, struct error *err, const char *const *argv)
{
	char *copies[16];
	int argc = 0;

	loud = false;
	output = mode = NULL;
	jobs = timeout_ms = 0;
	strings_free(&env);
	for (; argv[argc]; argc++)
		copies[argc] = str_copy(str_of(argv[argc]));
	bool done = options_parse(&set, argc, copies, words, err);

	/* Only that they were set matters below; texts borrowed from argv end with it. */
	output = output ? "set" : NULL;
	mode = mode ? "set" : NULL;
	for (int i = 0; i < argc; i++)
		free(copies[i]);
	return done;
}

#define parse_words(...) parse(&words, &err, (const char *const[]){__VA_ARGS__, NULL})

TEST(flags_and_words_may_be_mixed)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings words = {0};

	CHECK_OK(parse_words("rooms", "--loud", "--output", "x", "--jobs=4", "--timeout", "2h",
		"--memory=2GiB", "--env", "A=1", "--env=B=2", "--mode=safe", "--", "--odd"));
	CHECK(loud && output && mode);
	CHECK_INT(jobs, 4);
	CHECK_INT(timeout_ms, 7200000);
	CHECK_INT(memory_bytes, 2147483648);
	CHECK_INT(env.count, 2);
	CHECK_TEXT(env.items[1], "B=2");
	CHECK_INT(words.count, 2);
	CHECK_TEXT(words.items[0], "rooms");
	CHECK_TEXT(words.items[1], "--odd");
	strings_free(&env);
}

TEST(an_unknown_flag_names_the_nearest)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings words = {0};

	CHECK(!parse_words("rooms", "--outptu", "x"));
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_CONTAINS(err.message, "--outptu");
	CHECK_CONTAINS(err.next, "--output");
	CHECK_INT(words.count, 0);
}

TEST(wrong_values_are_named)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings words = {0};

	CHECK(!parse_words("rooms", "--jobs", "many"));
	CHECK_CONTAINS(err.message, "--jobs \"many\"");
	CHECK(!parse_words("rooms", "--timeout=30"));
	CHECK_CONTAINS(err.message, "--timeout \"30\"");
	CHECK_CONTAINS(err.next, "30s");
	CHECK(!parse_words("rooms", "--memory", "2G"));
	CHECK_CONTAINS(err.message, "--memory \"2G\"");
	CHECK_CONTAINS(err.next, "4GiB");
	CHECK(!parse_words("rooms", "--mode", "slow"));
	CHECK_CONTAINS(err.message, "fast|safe");
	CHECK(!parse_words("rooms", "--loud=yes"));
	CHECK_CONTAINS(err.message, "takes no value");
	CHECK(!parse_words("rooms", "--output"));
	CHECK_CONTAINS(err.message, "--output DIR");
	CHECK(!parse_words("rooms", "-x"));
	CHECK_CONTAINS(err.message, "-x");
}

TEST(the_number_of_words_is_checked)
{
	scoped(error_free) struct error err = {0};
	scoped(strings_free) struct strings words = {0};

	CHECK(!parse_words("--loud"));
	CHECK_CONTAINS(err.message, "missing");
	CHECK_CONTAINS(err.next, "build SERVICE");
	CHECK(!parse_words("a", "b", "c"));
	CHECK_CONTAINS(err.message, "\"c\"");
}

TEST(help_follows_from_the_table)
{
	char text[1024] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	options_print_help(out, "dogshore", &set);
	fclose(out);
	CHECK_CONTAINS(text, "usage: dogshore build SERVICE [flags]\n\nBuilds one service.\n");
	CHECK_CONTAINS(text, "  --output DIR               where results go\n");
	CHECK_CONTAINS(text, "--mode fast|safe");
	CHECK_CONTAINS(text, "a variable (may be given again)");
}

TEST(help_is_not_asked_for_behind_two_dashes)
{
	char help[] = "--help", dashes[] = "--", word[] = "x";

	CHECK(options_ask_help(2, (char *const[]){word, help, NULL}));
	CHECK(!options_ask_help(2, (char *const[]){dashes, help, NULL}));
}

TEST_MAIN()
