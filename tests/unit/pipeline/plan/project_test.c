#include "tests/test.h"

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "pipeline/plan/project.h"

/* The example of design/interfaces.md, without its comments. */
static const char example[] =
	"app: booking\n"
	"source:\n"
	"  branches: [main, \"release/*\"]\n"
	"services:\n"
	"  users:\n"
	"    path: services/users\n"
	"  rooms:\n"
	"    path: services/rooms\n"
	"    uses: [services/kit, base]\n"
	"    buildspec: buildspec.yml\n"
	"    build: {network: false, memory: 4GiB, cpus: 2, processes: 512, disk: 10GiB, log: "
	"1MiB, executor: local}\n"
	"    image:\n"
	"      binary: build/rooms\n"
	"      files: {config/rooms.json: /etc/rooms/config.json}\n"
	"      port: 8080\n"
	"    deploy:\n"
	"      task: deploy/task.json\n"
	"      service: deploy/service.json\n"
	"      route: {path: \"/rooms*\", health: /health}\n"
	"      after: [users]\n"
	"environments:\n"
	"  local:      {target: local}\n"
	"  staging:    {target: aws, region: eu-central-1, cluster: booking-staging, from: main}\n"
	"  production:\n"
	"    target: aws\n"
	"    region: eu-central-1\n"
	"    cluster: booking\n"
	"    from: staging\n"
	"    approvals: {count: 2, of: [release-managers], author_may: false}\n"
	"    windows: [\"Mon-Thu 08:00-16:00 Europe/Berlin\"]\n"
	"    strategy: {type: blue_green, bake: 10m}\n"
	"    checks:   [{http: /health, expect: 200, for: 30s}]\n"
	"    alarms:   [booking-5xx, booking-latency]\n";

static const char minimal[] = "app: a\nservices:\n  one: {path: one}\n";

TEST(the_example_of_the_manual_is_understood)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(project_parse(str_of(example), PROJECT_FILE, NULL, &project, &err));
	CHECK_TEXT(project->app, "booking");
	CHECK_INT(project->source.branches.count, 2);
	CHECK_TEXT(project->source.branches.items[1], "release/*");
	CHECK_INT(project->services.count, 2);
	const struct project_service *rooms = project_service(project, "rooms");

	REQUIRE(rooms != NULL);
	CHECK_TEXT(rooms->path, "services/rooms");
	CHECK_INT(rooms->uses.count, 2);
	CHECK(rooms->build.given && rooms->build.no_network);
	CHECK_INT(rooms->build.memory_bytes, 4294967296);
	CHECK_INT(rooms->build.cpus, 2);
	CHECK_INT(rooms->build.processes, 512);
	CHECK_INT(rooms->build.disk_bytes, 10737418240);
	CHECK_INT(rooms->build.log_bytes, 1048576);
	CHECK_TEXT(rooms->build.executor, "local");
	CHECK_TEXT(rooms->image.binary, "build/rooms");
	CHECK_INT(rooms->image.port, 8080);
	CHECK_TEXT(rooms->image.files.items[0].name, "config/rooms.json");
	CHECK_TEXT(rooms->image.files.items[0].value, "/etc/rooms/config.json");
	CHECK_TEXT(rooms->deploy.route.health, "/health");
	CHECK_TEXT(rooms->deploy.after.items[0], "users");
	const struct project_environment *production = project_environment(project, "production");

	REQUIRE(production != NULL);
	CHECK_TEXT(production->from, "staging");
	CHECK_INT(production->approvals.count, 2);
	CHECK(!production->approvals.author_may);
	CHECK_TEXT(production->strategy.type, "blue_green");
	CHECK_INT(production->strategy.bake_ms, 600000);
	CHECK_INT(production->checks.items[0].for_ms, 30000);
	CHECK_INT(production->alarms.count, 2);
}

TEST(what_is_left_out_has_its_default)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(project_parse(str_of(minimal), PROJECT_FILE, NULL, &project, &err));
	CHECK_TEXT(project->services.items[0].buildspec, "buildspec.yml");
	CHECK(!project->services.items[0].build.given);
	CHECK(!project->services.items[0].build.no_network);
	CHECK(!project->services.items[0].image.given);
	CHECK(!project->services.items[0].deploy.given);
	CHECK_INT(project->environments.count, 0);
}

TEST(paths_are_normalised)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	const char *text = "app: a\nservices:\n  one: {path: ./x//one/, uses: [y/../z, .]}\n";

	REQUIRE_OK(project_parse(str_of(text), PROJECT_FILE, NULL, &project, &err));
	CHECK_TEXT(project->services.items[0].path, "x/one");
	CHECK_TEXT(project->services.items[0].uses.items[0], "z");
	CHECK_TEXT(project->services.items[0].uses.items[1], ".");
	scoped(text_free) char *file =
		project_service_file(&project->services.items[0], "deploy/../task.json");

	CHECK_TEXT(file, "x/one/task.json");
}

/* Each wrong file and how its findings start, with line and column counted by hand. */
struct wrong_case {
	const char *text;
	const char *lines;
};

static const struct wrong_case wrong_cases[] = {
	{"app: a\nservces:\n  one: {path: one}\n", "dogshore.yml:1:1: \"dogshore.yml\" needs the "
						   "key \"services\": what the repository "
						   "holds\n"
						   "dogshore.yml:2:1: unknown key \"servces\" in "
						   "the file; did you mean \"services\"?\n"},
	{"app: [a]\nservices: {}\n", "dogshore.yml:1:6: \"app\" must be a text, not a list\n"},
	{"app: a\nservices: []\n",
		"dogshore.yml:2:11: \"services\" must be a mapping, one block for each name, not a "
		"list\n"},
	{"app: a\nservices:\n  One: {path: one}\n", "dogshore.yml:3:3: \"One\" is no name for a "
						    "service: up to 63 of a-z, 0-9, \"-\" and "
						    "\"_\", starting with a letter or digit\n"},
	{"app: a\nservices:\n  one: {path: /one}\n", "dogshore.yml:3:15: \"path\" must be a path "
						     "inside the repository, without a leading "
						     "\"/\", not \"/one\"\n"},
	{"app: a\nservices:\n  one: {path: one, uses: [../x]}\n",
		"dogshore.yml:3:27: \"uses\" must be a path inside the repository, without a "
		"leading "
		"\"/\", not \"../x\"\n"},
	{"app: a\nservices:\n  one: {}\n",
		"dogshore.yml:3:8: \"one\" needs the key \"path\": a change below it affects the "
		"service\n"},
	{"app: a\nservices:\n  one:\n    path: one\n    path: two\n",
		"dogshore.yml:5:5: \"path\" is there twice\n"},
	{"app: a\nservices:\n  one: {path: one, timeout: 30}\n",
		"dogshore.yml:3:29: \"timeout\" must be a duration like 500ms, 30s, 10m, 2h or 7d, "
		"not \"30\"; a number needs its unit: 30s?\n"},
	{"app: a\nservices:\n  one: {path: one, build: {memory: 4}}\n",
		"dogshore.yml:3:36: \"memory\" must be a size like 512MiB, 4GiB or 1TiB, not "
		"\"4\"; "
		"a number needs its unit: 4MiB?\n"},
	{"app: a\nservices:\n  one: {path: one, build: {disk: 4GB, network: off}}\n",
		"dogshore.yml:3:34: \"disk\" must be a size like 512MiB, 4GiB or 1TiB, not "
		"\"4GB\"\n"
		"dogshore.yml:3:48: \"network\" must be true or false, not \"off\"\n"},
	{"app: a\nservices:\n  one: {path: one, build: {executor: codebuild}}\n",
		"dogshore.yml:3:38: \"executor\" must be local, not \"codebuild\"\n"},
	{"app: a\nservices:\n  one: {path: one, build: {cpus: 0, netwrk: true}}\n",
		"dogshore.yml:3:34: \"cpus\" must be from 1 to 1000000, not 0\n"
		"dogshore.yml:3:37: unknown key \"netwrk\" in build; did you mean \"network\"?\n"},
	{"app: a\nservices:\n  one: {path: one, image: {binary: b, port: 70000}}\n",
		"dogshore.yml:3:45: \"port\" must be from 1 to 65535, not 70000\n"},
	{"app: a\nservices:\n  one: {path: one, image: {binary: b, dockerfile: d}}\n",
		"dogshore.yml:3:27: \"image\" must have \"binary\" or \"dockerfile\", not both\n"},
	{"app: a\nservices:\n  one: {path: one, image: {port: 80}}\n",
		"dogshore.yml:3:27: \"image\" must have \"binary\" or \"dockerfile\", but has "
		"neither\n"},
	{"app: a\nservices:\n  one: {path: one, deploy: {task: t, service: s}}\n",
		"dogshore.yml:3:28: \"one\" has \"deploy\" but no \"image\" that could be "
		"deployed\n"},
	{"app: a\nservices: {}\nenvironments:\n  x: {target: locl}\n",
		"dogshore.yml:4:15: \"target\" must be local or aws, not \"locl\"; did you mean "
		"\"local\"?\n"},
	{"app: a\nsource: {branches: [main]}\nservices: {}\nenvironments:\n"
	 "  staging: {target: aws, from: main}\n  prod: {target: aws, from: stagin}\n",
		"dogshore.yml:6:29: \"from\" names \"stagin\", which is neither an environment nor "
		"one of source.branches; did you mean \"staging\"?\n"},
	{"app: a\nservices: {}\nenvironments:\n  x: {target: local, from: x}\n",
		"dogshore.yml:4:28: the environment \"x\" cannot take releases from itself\n"},
	{"app: a\nservices: {}\nenvironments:\n  x: {target: local, approvals: {author_may: "
	 "yes}}\n",
		"dogshore.yml:4:46: \"author_may\" must be true or false, not \"yes\"\n"},
};

TEST(every_error_has_its_place_and_the_nearest_name)
{
	for (size_t i = 0; i < countof(wrong_cases); i++) {
		scoped(project_free) struct project *project = NULL;
		scoped(findings_free) struct findings findings = {0};
		scoped(error_free) struct error err = {0};
		char text[1024] = "";
		FILE *out = fmemopen(text, sizeof(text) - 1, "w");

		CHECK_FAILS(project_parse(str_of(wrong_cases[i].text), PROJECT_FILE, &findings,
				    &project, &err),
			ERROR_INVALID);
		findings_print(out, &findings);
		fclose(out);
		CHECK_TEXT(text, wrong_cases[i].lines);
	}
}

TEST(wrong_yaml_has_its_place_too)
{
	scoped(project_free) struct project *project = NULL;
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};

	CHECK_FAILS(project_parse(str_of("app: a\nservices: [\n"), PROJECT_FILE, &findings,
			    &project, &err),
		ERROR_INVALID);
	REQUIRE(findings.count == 1);
	CHECK(findings.items[0].line >= 2);
}

TEST(all_errors_come_in_one_go)
{
	scoped(project_free) struct project *project = NULL;
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};
	const char *text = "app: a\nfoo: 1\nservices:\n  one: {path: one, bar: 2, timeout: x}\n";

	CHECK(!project_parse(str_of(text), PROJECT_FILE, &findings, &project, &err));
	CHECK_INT(findings.count, 3);
	CHECK_CONTAINS(err.message, "(and 2 more)");
}

static const char after_text[] =
	"app: a\nservices:\n"
	"  a: {path: a, image: {binary: a}, deploy: {task: t, service: s, after: [%s]}}\n"
	"  b: {path: b, image: {binary: b}, deploy: {task: t, service: s, after: [c]}}\n"
	"  c: {path: c, image: {binary: c}, deploy: {task: t, service: s, after: [%s]}}\n";

TEST(a_circle_of_after_is_shown_whole)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	buf_printf(&text, after_text, "b", "a");
	CHECK(!project_parse(buf_str(&text), PROJECT_FILE, NULL, &project, &err));
	CHECK_TEXT(err.message,
		"dogshore.yml:5:73: \"after\" goes in a circle: a after b after c after a");
}

TEST(a_diamond_of_after_is_no_circle)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	buf_printf(&text, after_text, "b, c", "");
	CHECK_OK(project_parse(buf_str(&text), PROJECT_FILE, NULL, &project, &err));
}

TEST(after_names_services_that_are_there)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	const char *text =
		"app: a\nservices:\n"
		"  users: {path: u}\n"
		"  b: {path: b, image: {binary: b}, deploy: {task: t, service: s, after: "
		"[user]}}\n";

	CHECK(!project_parse(str_of(text), PROJECT_FILE, NULL, &project, &err));
	CHECK_TEXT(err.message,
		"dogshore.yml:4:74: \"after\" names the service \"user\", which there is not");
	CHECK_TEXT(err.next, "did you mean \"users\"?");
}

TEST(a_long_chain_of_after_needs_no_deep_stack)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf text = {0};

	buf_printf(&text, "app: a\nservices:\n");
	for (int i = 0; i < 3000; i++)
		buf_printf(&text,
			"  s%d: {path: s, image: {binary: b}, deploy: {task: t, service: s, after: "
			"[s%d]}}\n",
			i, (i + 1) % 3000);
	CHECK_FAILS(project_parse(buf_str(&text), PROJECT_FILE, NULL, &project, &err),
		ERROR_INVALID);
}

TEST(names_nobody_declared_are_refused_with_the_nearest)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(project_parse(str_of(example), PROJECT_FILE, NULL, &project, &err));
	CHECK(project_need_service(project, "romms", &err) == NULL);
	CHECK_INT(err.kind, ERROR_USAGE);
	CHECK_TEXT(err.next, "did you mean \"rooms\"?");
	error_free(&err);
	CHECK(project_need_environment(project, "zzz", &err) == NULL);
	CHECK_TEXT(err.next, "there are: local, staging, production");
}

static void put(const char *folder, const char *name, const char *content)
{
	scoped(text_free) char *path = path_join(folder, name);
	scoped(text_free) char *parent = path_parent(path);
	scoped(error_free) struct error err = {0};

	CHECK_OK(folder_make(parent, 0755, &err));
	CHECK_OK(file_write(path, str_of(content), 0644, false, &err));
}

TEST(missing_files_are_found_in_one_go)
{
	scoped(project_free) struct project *project = NULL;
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL;
	char text[4096] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	REQUIRE_OK(folder_make_temporary(NULL, "project", &folder, &err));
	put(folder, "services/users/buildspec.yml", "version: 0.2\n");
	put(folder, "services/rooms/buildspec.yml", "version: 0.2\n");
	put(folder, "services/rooms/deploy/task.json", "{\"family\": }");
	put(folder, "services/kit", "a file");
	REQUIRE_OK(project_parse(str_of(example), PROJECT_FILE, NULL, &project, &err));
	struct project_tree tree = project_tree_of_folder(folder);

	CHECK_OK(project_check(project, &tree, &findings, &err));
	findings_print(out, &findings);
	fclose(out);
	/* uses may name a file as well, so services/kit is fine */
	CHECK_CONTAINS(text, "dogshore.yml:9:26: there is no \"base\" in the repository\n");
	CHECK_CONTAINS(text,
		"dogshore.yml:14:15: there is no \"services/rooms/config/rooms.json\" in the "
		"repository\n");
	CHECK_CONTAINS(text,
		"dogshore.yml:18:16: there is no \"services/rooms/deploy/service.json\" in the "
		"repository\n");
	CHECK_CONTAINS(text, "services/rooms/deploy/task.json:1:");
	CHECK_INT(findings.count, 4);
	CHECK_OK(folder_remove(folder, &err));
}

TEST(what_goes_with_a_binary_does_not_go_with_a_dockerfile)
{
	static const char text[] = "app: a\nservices:\n  one:\n    path: one\n    image:\n"
				   "      dockerfile: Dockerfile\n      base: h/r:1\n"
				   "      files: {x: /x}\n      port: 80\n";
	scoped(project_free) struct project *project = NULL;
	scoped(findings_free) struct findings findings = {0};
	scoped(error_free) struct error err = {0};
	scoped(text_free) char *folder = NULL;
	char said[4096] = "";
	FILE *out = fmemopen(said, sizeof(said) - 1, "w");

	REQUIRE_OK(folder_make_temporary(NULL, "project", &folder, &err));
	put(folder, "one/buildspec.yml", "version: 0.2\n");
	put(folder, "one/Dockerfile", "FROM scratch\n");
	put(folder, "one/x", "");
	REQUIRE_OK(project_parse(str_of(text), PROJECT_FILE, NULL, &project, &err));
	struct project_tree tree = project_tree_of_folder(folder);

	CHECK_OK(project_check(project, &tree, &findings, &err));
	findings_print(out, &findings);
	fclose(out);
	CHECK_CONTAINS(said,
		"dogshore.yml:7:13: \"base\" goes with \"binary\", not with \"dockerfile\"\n");
	CHECK_CONTAINS(said,
		"dogshore.yml:8:14: \"files\" goes with \"binary\", not with \"dockerfile\"\n");
	CHECK_INT(findings.count, 2);
	CHECK_OK(folder_remove(folder, &err));
}

/* On AWS the load balancer is asked, or asks itself for the health path; nobody else gets to a task. */
TEST(checks_that_nobody_can_make_are_found)
{
	static const char *const paths[] = {"/rooms/1", "/health", "/healthy"};
	scoped(text_free) char *folder = NULL;
	scoped(error_free) struct error err = {0};

	REQUIRE_OK(folder_make_temporary(NULL, "project", &folder, &err));
	put(folder, "rooms/buildspec.yml", "version: 0.2\n");
	put(folder, "rooms/t.json", "{}");
	for (size_t i = 0; i < countof(paths); i++) {
		scoped(project_free) struct project *project = NULL;
		scoped(findings_free) struct findings findings = {0};
		scoped(text_free) char *text = memory_format(
			"app: a\n"
			"services:\n"
			"  rooms:\n"
			"    path: rooms\n"
			"    image: {binary: rooms}\n"
			"    deploy: {task: t.json, service: t.json, route: {path: \"/rooms*\", "
			"health: /health}}\n"
			"environments:\n"
			"  production: {target: aws, cluster: c, checks: [{http: %s}]}\n",
			paths[i]);

		REQUIRE_OK(project_parse(str_of(text), PROJECT_FILE, NULL, &project, &err));
		struct project_tree tree = project_tree_of_folder(folder);

		CHECK_OK(project_check(project, &tree, &findings, &err));
		CHECK_INT(findings.count, i == 2);
		if (findings.count)
			CHECK_CONTAINS(findings.items[0].message,
				"the route of \"rooms\" does not lead to \"/healthy\" nor is");
	}
	CHECK_OK(folder_remove(folder, &err));
}

/* Two projects are the same when they are saved the same. */
static void check_same(const struct project *a, const struct project *b)
{
	scoped(buf_free) struct buf one = {0}, two = {0};

	project_save(a, &one);
	project_save(b, &two);
	CHECK(str_equal(buf_str(&one), buf_str(&two)));
}

TEST(a_saved_project_is_loaded_as_it_was)
{
	scoped(project_free) struct project *project = NULL, *loaded = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf bytes = {0};

	REQUIRE_OK(project_parse(str_of(example), PROJECT_FILE, NULL, &project, &err));
	project_save(project, &bytes);
	REQUIRE(project_load(buf_str(&bytes), &loaded));
	check_same(project, loaded);
	CHECK_TEXT(loaded->app, "booking");
	CHECK_TEXT(loaded->services.items[1].uses.items[1], "base");
	CHECK_TEXT(loaded->services.items[1].image.files.items[0].value, "/etc/rooms/config.json");
	CHECK(loaded->services.items[1].build.no_network);
	CHECK_INT(loaded->services.items[1].build.memory_bytes, 4294967296);
	CHECK(loaded->services.items[0].image.binary == NULL);
	CHECK_TEXT(loaded->environments.items[2].strategy.type, "blue_green");
	CHECK_INT(loaded->environments.items[2].checks.items[0].for_ms, 30000);
}

TEST(damaged_bytes_are_refused_or_harmless)
{
	scoped(project_free) struct project *project = NULL;
	scoped(error_free) struct error err = {0};
	scoped(buf_free) struct buf bytes = {0};

	REQUIRE_OK(project_parse(str_of(example), PROJECT_FILE, NULL, &project, &err));
	project_save(project, &bytes);
	for (size_t size = 0; size < bytes.size; size++) {
		scoped(project_free) struct project *loaded = NULL;

		CHECK(!project_load((struct str){bytes.data, size}, &loaded));
	}
	for (size_t at = 0; at < bytes.size; at++) {
		scoped(project_free) struct project *loaded = NULL;

		/* what it loads may be wrong, but lies within the bytes; the first eight tell whose it is */
		bytes.data[at] = (char)(bytes.data[at] ^ 0xff);
		bool done = project_load(buf_str(&bytes), &loaded);

		CHECK(!(done && at < 8));
		bytes.data[at] = (char)(bytes.data[at] ^ 0xff);
	}
}

TEST(the_schema_is_json_and_knows_every_key)
{
	scoped(buf_free) struct buf text = {0};
	scoped(json_free) struct json *schema = NULL;
	scoped(error_free) struct error err = {0};

	project_schema(&text);
	REQUIRE_OK(json_parse(buf_str(&text), "schema", NULL, &schema, &err));
	const struct json *service = json_get(json_get(json_get(schema, "properties"), "services"),
		"additionalProperties");

	CHECK_TEXT(json_get_text(schema, "$schema", ""),
		"https://json-schema.org/draft/2020-12/schema");
	CHECK(json_get(json_get(service, "properties"), "uses") != NULL);
	CHECK_TEXT(json_text(json_at(json_get(service, "required"), 0), ""), "path");
}

TEST_MAIN()
