#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/bundle.h"

#include <signal.h>

/* One bundle from the texts of a task definition; the image is a server for user 1000. */
struct scene {
	struct json *task;
	struct task_image image;
	struct bundle bundle;
	struct json *config; /* what came out */
	struct error err;
};

static void scene_free(struct scene *scene)
{
	json_free(&scene->task);
	json_free(&scene->config);
	task_image_free(&scene->image);
	error_free(&scene->err);
}

static bool make(struct scene *scene, const char *task)
{
	scoped(buf_free) struct buf out = {0};

	if (!json_parse(str_of(task), "task", NULL, &scene->task, &scene->err))
		return false;
	strings_add(&scene->image.entrypoint, "/svc");
	strings_add(&scene->image.command, "serve");
	strings_add(&scene->image.env, "PATH=/bin");
	strings_add(&scene->image.env, "COLOUR=blue");
	scene->image.user = memory_copy_text("1000:50");
	scene->image.folder = memory_copy_text("/srv");
	scene->image.stop_signal = SIGTERM;
	scene->bundle = (struct bundle){.task_definition = scene->task,
		.container = json_at(json_get(scene->task, "containerDefinitions"), 0),
		.override = scene->bundle.override,
		.image = &scene->image,
		.folder = "/f",
		.volumes = "/v",
		.shared_volumes = "/shared",
		.layers = "/nowhere",
		.lower = "l",
		.cgroup = "/dogshore-test/t",
		.ip = "10.97.0.2",
		.hostname = "ip-10-97-0-2"};
	return bundle_config(&scene->bundle, &out, &scene->err) &&
	       json_parse(buf_str(&out), "config", NULL, &scene->config, &scene->err);
}

static const struct json *in(const struct json *value, const char *a, const char *b)
{
	return json_get(json_get(value, a), b);
}

static bool list_has(const struct json *list, const char *text)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (text_equal(json_text(json_at(list, i), NULL), text))
			return true;
	return false;
}

static const struct json *find(const struct json *list, const char *key, const char *value)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (text_equal(json_get_text(json_at(list, i), key, NULL), value))
			return json_at(list, i);
	return NULL;
}

TEST(the_image_says_what_runs_unless_the_task_does)
{
	scoped(scene_free) struct scene plain = {0}, changed = {0}, replaced = {0};

	CHECK(make(&plain, "{\"containerDefinitions\":[{\"name\":\"a\",\"image\":\"i\"}]}"));
	const struct json *process = json_get(plain.config, "process");

	CHECK_INT(json_count(json_get(process, "args")), 2);
	CHECK_TEXT(json_text(json_at(json_get(process, "args"), 1), ""), "serve");
	CHECK_TEXT(json_get_text(process, "cwd", ""), "/srv");
	CHECK_INT(json_get_int(json_get(process, "user"), "uid", -1), 1000);
	CHECK_INT(json_get_int(json_get(process, "user"), "gid", -1), 50);
	CHECK(list_has(json_get(process, "env"), "COLOUR=blue"));
	CHECK(list_has(json_get(process, "env"), "PATH=/bin"));

	CHECK(make(&changed, "{\"containerDefinitions\":[{\"name\":\"a\",\"command\":[\"x\"],"
			     "\"environment\":[{\"name\":\"COLOUR\",\"value\":\"green\"}]}]}"));
	process = json_get(changed.config, "process");
	CHECK_TEXT(json_text(json_at(json_get(process, "args"), 0), ""), "/svc");
	CHECK_TEXT(json_text(json_at(json_get(process, "args"), 1), ""), "x");
	CHECK(list_has(json_get(process, "env"), "COLOUR=green"));
	CHECK(!list_has(json_get(process, "env"), "COLOUR=blue"));

	/* A new entry point drops the image's Cmd, as in Docker. */
	CHECK(make(&replaced,
		"{\"containerDefinitions\":[{\"name\":\"a\",\"entryPoint\":[\"/other\"]}]}"));
	CHECK_INT(json_count(in(replaced.config, "process", "args")), 1);
}

TEST(an_override_of_run_task_wins)
{
	scoped(json_free) struct json *override =
		json_object_of("command", json_array_new(), "environment", json_array_new(), NULL);
	scoped(scene_free) struct scene scene = {.bundle.override = override};

	json_append(json_get(override, "command"), json_text_new("migrate"));
	json_append(json_get(override, "environment"),
		json_object_of("name", json_text_new("COLOUR"), "value", json_text_new("red"),
			NULL));
	CHECK(make(&scene, "{\"containerDefinitions\":[{\"name\":\"a\",\"command\":[\"x\"]}]}"));
	CHECK_TEXT(json_text(json_at(in(scene.config, "process", "args"), 1), ""), "migrate");
	CHECK(list_has(in(scene.config, "process", "env"), "COLOUR=red"));
}

TEST(limits_are_those_of_the_task_and_the_container)
{
	scoped(scene_free) struct scene scene = {0};

	CHECK(make(&scene, "{\"cpu\":\"256\",\"memory\":\"1 GB\",\"containerDefinitions\":["
			   "{\"name\":\"a\",\"memory\":128,\"cpu\":10}]}"));
	const struct json *resources = in(scene.config, "linux", "resources");

	/* the smaller of 128 MiB and 1 GiB, and no swap beyond it */
	CHECK_INT(json_get_int(json_get(resources, "memory"), "limit", 0), 134217728);
	CHECK_INT(json_get_int(json_get(resources, "memory"), "swap", 0), 134217728);
	/* 256 of 1024 units: a quarter of each 100 ms */
	CHECK_INT(json_get_int(json_get(resources, "cpu"), "quota", 0), 25000);
	CHECK_INT(json_get_int(json_get(resources, "cpu"), "shares", 0), 10);
	CHECK_INT(json_get_int(json_get(resources, "pids"), "limit", 0), 4096);
}

TEST(units_are_read_as_aws_writes_them)
{
	scoped(json_free) struct json *vcpu = json_text_new(".25 vCPU");
	scoped(json_free) struct json *gigabytes = json_text_new("0.5GB");
	scoped(json_free) struct json *nonsense = json_text_new("lots");
	int64_t value;

	CHECK(bundle_cpu_units(vcpu, &value) && value == 256);
	CHECK(bundle_memory_mib(gigabytes, &value) && value == 512);
	CHECK(bundle_memory_mib(NULL, &value) && value == 0);
	CHECK(!bundle_cpu_units(nonsense, &value));
}

TEST(only_root_gets_capabilities_and_only_docker_s)
{
	scoped(scene_free) struct scene root = {0}, user = {0};

	CHECK(make(&root, "{\"containerDefinitions\":[{\"name\":\"a\",\"user\":\"0\","
			  "\"linuxParameters\":{\"capabilities\":{\"drop\":[\"KILL\"]}}}]}"));
	const struct json *sets = in(root.config, "process", "capabilities");

	CHECK(!list_has(json_get(sets, "effective"), "CAP_KILL"));
	CHECK(!list_has(json_get(sets, "bounding"), "CAP_SYS_ADMIN"));
	CHECK(make(&user, "{\"containerDefinitions\":[{\"name\":\"a\"}]}"));
	CHECK(json_get(in(user.config, "process", "capabilities"), "effective") == NULL);
}

TEST(volumes_become_mounts)
{
	scoped(scene_free) struct scene scene = {0};

	CHECK(make(&scene,
		"{\"volumes\":[{\"name\":\"own\"},{\"name\":\"kept\",\"dockerVolumeConfiguration\":"
		"{\"scope\":\"shared\"}},{\"name\":\"host\",\"host\":"
		"{\"sourcePath\":\"/data\"}}],\"containerDefinitions\":[{\"name\":\"a\","
		"\"readonlyRootFilesystem\":true,\"mountPoints\":["
		"{\"sourceVolume\":\"own\",\"containerPath\":\"/own\"},"
		"{\"sourceVolume\":\"kept\",\"containerPath\":\"/kept\"},"
		"{\"sourceVolume\":\"host\",\"containerPath\":\"/host\","
		"\"readOnly\":true}]}]}"));
	const struct json *mounts = json_get(scene.config, "mounts");

	CHECK_TEXT(json_get_text(find(mounts, "destination", "/own"), "source", ""), "/v/own");
	CHECK(list_has(json_get(find(mounts, "destination", "/own"), "options"), "rw"));
	CHECK_TEXT(json_get_text(find(mounts, "destination", "/kept"), "source", ""),
		"/shared/kept");
	CHECK_TEXT(json_get_text(find(mounts, "destination", "/host"), "source", ""), "/data");
	CHECK(list_has(json_get(find(mounts, "destination", "/host"), "options"), "ro"));
	CHECK(json_get_bool(json_get(scene.config, "root"), "readonly", false));
}

TEST(what_we_do_not_have_is_said)
{
	static const struct {
		const char *task, *piece;
	} cases[] = {
		{"{\"containerDefinitions\":[{\"name\":\"a\",\"secrets\":[{\"name\":\"S\"}]}]}",
			"secret"},
		{"{\"containerDefinitions\":[{\"name\":\"a\",\"privileged\":true}]}", "privileged"},
		{"{\"containerDefinitions\":[{\"name\":\"a\",\"mountPoints\":[{\"sourceVolume\":"
		 "\"gone\",\"containerPath\":\"/x\"}]}]}",
			"\"gone\""},
		{"{\"volumes\":[{\"name\":\"../x\"}],\"containerDefinitions\":[{\"name\":\"a\","
		 "\"mountPoints\":[{\"sourceVolume\":\"../x\",\"containerPath\":\"/x\"}]}]}",
			"no name"},
		{"{\"memory\":\"much\",\"containerDefinitions\":[{\"name\":\"a\"}]}", "memory"},
		{"{\"containerDefinitions\":[{\"name\":\"a\",\"user\":\"nobody\"}]}", "nobody"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		scoped(scene_free) struct scene scene = {0};

		CHECK(!make(&scene, cases[i].task));
		CHECK_CONTAINS(scene.err.message, cases[i].piece);
	}
}

TEST(users_are_looked_up_in_the_topmost_layer_that_knows_them)
{
	struct error err = {0};
	scoped(text_free) char *folder = NULL, *etc = NULL, *passwd = NULL, *group = NULL;
	uint32_t uid, gid;

	REQUIRE_OK(folder_make_temporary(NULL, "bundle", &folder, &err));
	etc = path_join(folder, "low/etc");
	REQUIRE_OK(folder_make(etc, 0755, &err));
	passwd = path_join(etc, "passwd");
	group = path_join(etc, "group");
	REQUIRE_OK(file_write(passwd, str_of("root:x:0:0::/:/x\nweb:x:101:102::/:/x\n"), 0644,
		false, &err));
	REQUIRE_OK(file_write(group, str_of("staff:x:50:\n"), 0644, false, &err));
	struct bundle bundle = {.layers = folder, .lower = "top:low"};

	CHECK_OK(bundle_user(&bundle, "web", &uid, &gid, &err));
	CHECK(uid == 101 && gid == 102);
	CHECK_OK(bundle_user(&bundle, "web:staff", &uid, &gid, &err));
	CHECK(uid == 101 && gid == 50);
	CHECK_OK(bundle_user(&bundle, "101", &uid, &gid, &err));
	CHECK(uid == 101 && gid == 102);
	CHECK_OK(bundle_user(&bundle, "7", &uid, &gid, &err));
	CHECK(uid == 7 && gid == 0);
	CHECK_FAILS(bundle_user(&bundle, "web:nobody", &uid, &gid, &err), ERROR_INVALID);
	CHECK_OK(folder_remove(folder, &err));
}

TEST(stop_timeouts_are_bounded)
{
	scoped(json_free) struct json *none = json_object_new();
	scoped(json_free) struct json *long_one =
		json_object_of("stopTimeout", json_int_new(500), NULL);

	CHECK_INT(bundle_stop_timeout(none), 30);
	CHECK_INT(bundle_stop_timeout(long_one), 120);
}

TEST_MAIN()
