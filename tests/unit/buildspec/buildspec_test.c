#include "tests/test.h"

#include "buildspec/buildspec.h"

/* A buildspec that was read, and what was found in it. */
struct reading {
	struct arena arena;
	struct buildspec spec;
	struct buildspec_findings findings;
};

static void reading_free(struct reading *reading)
{
	buildspec_findings_free(&reading->findings);
	arena_free(&reading->arena);
}

static void read_into(struct reading *reading, const char *text)
{
	buildspec_parse(str_of(text), &reading->arena, &reading->spec, &reading->findings);
}

/* The only error is at line and path. */
static void check_error(const char *text, int line, const char *path, const char *message)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, text);
	const struct buildspec_finding *first = buildspec_first_error(&reading.findings);

	if (!first) {
		TEST_FAIL("nothing wrong was found in:\n%s", text);
		return;
	}
	CHECK_INT(first->line, line);
	CHECK_TEXT(first->path, path);
	CHECK_CONTAINS(first->message, message);
}

#define HEAD "version: 0.2\nphases: {build: {commands: [x]}}\n"

TEST(every_mistake_has_its_place)
{
	/* Section 10.2 of the buildspec reference, row by row. */
	check_error("- a\n", 1, "", "mapping");
	check_error("", 1, "", "empty");
	check_error("phases: {}\n", 1, "version", "missing");
	check_error("a: 1\nversion: 0.3\nphases: {}\n", 2, "version", "0.1 or 0.2");
	check_error("version: 0.2\n", 1, "phases", "missing");
	check_error("version: 0.2\nphases:\n  biuld:\n    commands: [x]\n", 3, "phases.biuld",
		"Invalid buildspec phase name: biuld. Expecting: "
		"build,install,post_build,pre_build");
	check_error("version: 0.2\nphases:\n  build:\n    commands:\n      - a\n      - b: c\n", 6,
		"phases.build.commands[1]", "Expected Commands[1] to be of string type");
	check_error("version: 0.2\nphases:\n  build:\n    finally:\n      - [x]\n", 5,
		"phases.build.finally[0]", "Expected Commands[0]");
	check_error("version: 0.2\nphases:\n  build:\n    on-failure: STOP\n", 4,
		"phases.build.on-failure", "\"STOP\"");
	check_error(HEAD "env:\n  shell: fish\n", 4, "env.shell", "\"fish\"");
	check_error(HEAD "env:\n  variables:\n    A: [1]\n", 5, "env.variables.A", "string type");
	check_error(HEAD "artifacts:\n  name: x\n", 3, "artifacts.files", "missing");
	check_error(HEAD
		"artifacts:\n  files: a\n  secondary-artifacts:\n    docs:\n      name: x\n",
		6, "artifacts.secondary-artifacts.docs.files", "missing");
	check_error(HEAD "reports:\n  unit:\n    file-format: JUNITXML\n", 4, "reports.unit.files",
		"missing");
	check_error(HEAD "reports:\n  unit:\n    files: a\n    file-format: XML\n", 6,
		"reports.unit.file-format", "\"XML\"");
	check_error(HEAD "cache:\n  action: keep\n", 4, "cache.action", "\"keep\"");
	check_error(HEAD "cache:\n  fallback-keys: [1, 2, 3, 4, 5, 6]\n", 4, "cache.fallback-keys",
		"5");
	check_error(HEAD "proxy:\n  logs: maybe\n", 4, "proxy.logs", "yes or no");
}

TEST(broken_yaml_has_its_line)
{
	check_error("version: 0.2\nphases:\n  build:\n\tcommands: x\n", 4, "", "character");
	check_error("version: 0.2\nphases: *nowhere\n", 2, "", "nowhere");
}

TEST(everything_wrong_is_found_in_one_go)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, "version: 3\nphases: {a: {}, b: {}}\nenv: {shell: fish}\n");
	CHECK_INT(reading.findings.count, 4);
}

TEST(unknown_and_double_keys_are_warnings)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, HEAD "artefacts: {files: x}\n"
				 "env: {variables: {A: 1, A: 2, CODEBUILD_X: 3}}\n");
	CHECK(buildspec_first_error(&reading.findings) == NULL);
	CHECK_INT(reading.findings.count, 3);
	CHECK_CONTAINS(reading.findings.items[0].message, "did you mean \"artifacts\"?");
	CHECK_INT(reading.findings.items[0].line, 3);
	CHECK_INT(reading.findings.items[0].column, 1);
	/* env: {variables: {A: 1, A: 2: the second A is the 24th character. */
	CHECK_INT(reading.findings.items[1].line, 4);
	CHECK_INT(reading.findings.items[1].column, 25);
	CHECK_CONTAINS(reading.findings.items[1].message, "twice");
	CHECK_CONTAINS(reading.findings.items[2].message, "reserved");
}

TEST(values_keep_their_text)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, "version: 0.2\nenv:\n  shell: bash\n  variables: {PORT: 8080, V: 1.10, "
			    "Y: yes, N: ~, E: ''}\nphases: {build: {commands: [true, ~, 42]}}\n");
	const struct variables *v = &reading.spec.variables;

	CHECK(buildspec_first_error(&reading.findings) == NULL);
	REQUIRE(v->count == 5);
	CHECK_TEXT(v->items[0].value, "8080");
	CHECK_TEXT(v->items[1].value, "1.10");
	CHECK_TEXT(v->items[2].value, "yes");
	CHECK_TEXT(v->items[3].value, "");
	CHECK_TEXT(v->items[4].value, "");
	CHECK_TEXT(reading.spec.shell, "/bin/bash");
	REQUIRE(reading.spec.phases[PHASE_BUILD].commands.count == 2);
	CHECK_TEXT(reading.spec.phases[PHASE_BUILD].commands.items[1], "42");
}

static struct phase_spec on_failure(const char *value, bool *out_good)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(buf_free) struct buf text = {0};
	static char regex[64]; /* outlives the reading */

	buf_printf(&text, "version: 0.2\nphases: {build: {on-failure: '%s'}}\n", value);
	read_into(&reading, buf_text(&text));
	struct phase_spec spec = reading.spec.phases[PHASE_BUILD];

	*out_good = !buildspec_first_error(&reading.findings);
	snprintf(regex, sizeof(regex), "%s", spec.retry_regex ? spec.retry_regex : "");
	spec.retry_regex = spec.retry_regex ? regex : NULL;
	return spec;
}

TEST(retry_has_a_count_and_a_regex)
{
	bool good;
	struct phase_spec spec = on_failure("retry", &good);

	CHECK(good && spec.on_failure == ON_FAILURE_RETRY && spec.retry_count == 3);
	CHECK(spec.retry_regex == NULL);
	spec = on_failure("RETRY-7", &good);
	CHECK(good && spec.retry_count == 7 && !spec.retry_regex);
	spec = on_failure("RETRY-7-time.*out", &good);
	CHECK(good && spec.retry_count == 7);
	CHECK_TEXT(spec.retry_regex, "time.*out");
	spec = on_failure("RETRY-7up", &good);
	CHECK(good && spec.retry_count == 3);
	CHECK_TEXT(spec.retry_regex, "7up");
	spec = on_failure("RETRY-0", &good);
	CHECK(good && spec.retry_count == 0);
	on_failure("RETRY-101", &good);
	CHECK(!good);
	on_failure("RETRY-(", &good);
	CHECK(!good);
	on_failure("RETRYX", &good);
	CHECK(!good);
	CHECK_INT(on_failure("Continue", &good).on_failure, ON_FAILURE_CONTINUE);
}

TEST(the_old_form_of_variables_is_understood)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, "version: 0.1\nenvironment_variables: {plaintext: {A: b}}\n"
			    "phases: {build: {commands: x}}\n");
	CHECK(buildspec_first_error(&reading.findings) == NULL);
	CHECK_INT(reading.spec.minor, 1);
	REQUIRE(reading.spec.variables.count == 1);
	CHECK_TEXT(reading.spec.variables.items[0].value, "b");
	CHECK_INT(reading.spec.phases[PHASE_BUILD].commands.count, 1);
}

TEST(secondary_artifacts_may_stand_beside_the_primary_one)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, HEAD "artifacts:\n  files: [a, b]\n  discard-paths: YES\n"
				 "  secondary-artifacts:\n    docs: {files: ['**/*']}\n");
	CHECK(buildspec_first_error(&reading.findings) == NULL);
	REQUIRE(reading.spec.artifact_count == 2);
	CHECK(reading.spec.artifacts[0].identifier == NULL);
	CHECK_INT(reading.spec.artifacts[0].files.count, 2);
	CHECK(reading.spec.artifacts[0].discard_paths);
	CHECK_TEXT(reading.spec.artifacts[1].identifier, "docs");
	check_error(HEAD "artifacts:\n  files: a\n  secondary-artifacts:\n    ../x: {files: a}\n",
		6, "artifacts.secondary-artifacts.../x", "identifier");
}

TEST(findings_come_in_the_order_of_the_file)
{
	scoped(reading_free) struct reading reading = {0};

	/* phases are checked after env, which stands below them here */
	read_into(&reading, "version: 0.2\nphases:\n  buidl: {}\nenv:\n  shell: fish\n"
			    "  exported_variables: [A]\n");
	REQUIRE(reading.findings.count == 3);
	CHECK_INT(reading.findings.items[0].line, 3);
	CHECK_INT(reading.findings.items[0].column, 3);
	CHECK_CONTAINS(reading.findings.items[0].message, "did you mean \"build\"?");
	CHECK_INT(reading.findings.items[1].line, 5);
	CHECK_INT(reading.findings.items[1].column, 10);
	CHECK_INT(reading.findings.items[2].line, 6);
	CHECK_CONTAINS(reading.findings.items[2].message, "did you mean \"exported-variables\"?");
}

TEST(any_number_of_warnings_leaves_room_for_the_error)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(buf_free) struct buf text = {0};

	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "key%d: x\n", i);
	buf_append_text(&text, "version: 9\n");
	read_into(&reading, buf_text(&text));
	const struct buildspec_finding *first = buildspec_first_error(&reading.findings);

	REQUIRE(first);
	CHECK_TEXT(first->path, "phases");
	CHECK(reading.findings.count < 2000);
}

TEST(odd_bytes_are_named_with_their_place)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(reading_free) struct reading latin = {0};
	static const char nul[] = "version: 0.2\nphases:\n  b\0uild: {}\n";

	buildspec_parse(str_literal(nul), &reading.arena, &reading.spec, &reading.findings);
	REQUIRE(reading.findings.count == 1);
	CHECK_CONTAINS(reading.findings.items[0].message, "NUL byte");
	CHECK_INT(reading.findings.items[0].line, 3);
	CHECK_INT(reading.findings.items[0].column, 4);
	read_into(&latin, "version: 0.2\n# caf\xFF \n");
	REQUIRE(latin.findings.count == 1);
	CHECK_INT(latin.findings.items[0].line, 2);
	CHECK_INT(latin.findings.items[0].column, 6);
	CHECK_CONTAINS(latin.findings.items[0].message, "UTF-8");
}

TEST(ends_of_lines_and_byte_order_marks_do_not_matter)
{
	scoped(reading_free) struct reading reading = {0};

	read_into(&reading, "\xEF\xBB\xBFversion: 0.2\r\nphases:\r\n  build:\r\n    commands:\r\n"
			    "      - |\r\n        one\r\n        two\r\n      - three\r\n");
	CHECK(buildspec_first_error(&reading.findings) == NULL);
	REQUIRE(reading.spec.phases[PHASE_BUILD].commands.count == 2);
	CHECK_TEXT(reading.spec.phases[PHASE_BUILD].commands.items[0], "one\ntwo\n");
	CHECK_TEXT(reading.spec.phases[PHASE_BUILD].commands.items[1], "three");
}

TEST(ten_thousand_commands_are_read)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(buf_free) struct buf text = {0};

	buf_append_text(&text, "version: 0.2\nphases:\n  build:\n    commands:\n");
	for (int i = 0; i < 10000; i++)
		buf_printf(&text, "      - echo %d\n", i);
	read_into(&reading, buf_text(&text));
	CHECK(buildspec_first_error(&reading.findings) == NULL);
	REQUIRE(reading.spec.phases[PHASE_BUILD].commands.count == 10000);
	CHECK_TEXT(reading.spec.phases[PHASE_BUILD].commands.items[9999], "echo 9999");
}

TEST(an_alias_bomb_is_refused)
{
	scoped(reading_free) struct reading reading = {0};
	scoped(buf_free) struct buf text = {0};

	/* Ten times ten times …: 10^8 values from nine lines. */
	buf_append_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 8; i++)
		buf_printf(&text,
			"a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
			i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	read_into(&reading, buf_text(&text));
	REQUIRE(reading.findings.count == 1);
	CHECK_CONTAINS(reading.findings.items[0].message, "200,000 values");
	/* 11 values, 111, 1,111, 11,111, then three of the next line: the fifth line holds too many. */
	CHECK(reading.findings.items[0].line >= 5 && reading.findings.items[0].line <= 6);
}

TEST(a_file_that_is_not_there_is_a_finding)
{
	scoped(reading_free) struct reading reading = {0};

	buildspec_load("/no/such/buildspec.yml", &reading.arena, &reading.spec, &reading.findings);
	REQUIRE(reading.findings.count == 1);
	CHECK_INT(reading.findings.items[0].line, 0);
	CHECK_CONTAINS(reading.findings.items[0].message, "YAML file does not exist");
}

TEST_MAIN()
