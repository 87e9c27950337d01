#include "pipeline/plan/project_keys.h"

#include "base/limits.h"
#include "builders/executor/executor.h"
#include "pipeline/plan/project.h"

#include <stddef.h>

#define AT(type, member) offsetof(struct type, member)
#define ROWS(array) .rows = (array), .count = countof(array)

static const struct shape_row image_rows[] = {
	{"binary", SHAPE_PATH, AT(project_image, binary),
		"an ELF program that the build leaves, relative to the artifacts"},
	{"base", SHAPE_TEXT, AT(project_image, base),
		"the image that it stands on: HOST/REPOSITORY:TAG"},
	{"dockerfile", SHAPE_PATH, AT(project_image, dockerfile),
		"built by buildah instead; relative to the service's path"},
	{"files", SHAPE_PAIRS, AT(project_image, files),
		"files of the service and where they go in the image"},
	{"port", SHAPE_INT, AT(project_image, port), "the port the program listens on", .least = 1,
		.most = 65535},
	{"packages", SHAPE_TEXTS, AT(project_image, packages),
		"Debian packages that it holds besides, NAME or NAME=VERSION"},
	{"with", SHAPE_TEXTS, AT(project_image, with),
		"what programs open at run time: gconv, locale, tzdata, …"},
	{"hwcaps", SHAPE_TEXTS, AT(project_image, hwcaps),
		"levels of processors that libraries come for besides: x86-64-v3"},
	{"allow", SHAPE_CHOICE, AT(project_image, allow), "build what is refused otherwise",
		.choices = "static-glibc"},
	{"args", SHAPE_TEXTS, AT(project_image, args), "arguments of the program"},
	{"env", SHAPE_PAIRS, AT(project_image, env), "environment baked into the image"},
	{"labels", SHAPE_PAIRS, AT(project_image, labels), "labels of the image"},
	{"allow_secrets", SHAPE_PAIRS, AT(project_image, allow_secrets),
		"files that look like secrets and may be in the image, and why"},
	{"user", SHAPE_TEXT, AT(project_image, user), "numeric user the program runs as"},
	{"compression", SHAPE_CHOICE, AT(project_image, compression), "of the layers",
		.choices = "zstd|gzip|none"},
	{"debug", SHAPE_BOOL, AT(project_image, debug),
		"keep the debug information beside the image instead of in it"},
	{"sbom", SHAPE_BOOL, AT(project_image, sbom), "add a bill of materials"},
	{"linker_map", SHAPE_PATH, AT(project_image, linker_map),
		"the linker's map of the binary, relative to the artifacts; for sbom"},
};
static const char *const image_kinds[] = {"binary", "dockerfile", NULL};
static const struct shape image_shape = {.noun = "image",
	ROWS(image_rows),
	.size = sizeof(struct project_image),
	.exactly_one = image_kinds};

static const struct shape_row route_rows[] = {
	{"path", SHAPE_TEXT, AT(project_route, path), "the paths that lead here: \"/rooms*\"",
		true},
	{"host", SHAPE_TEXT, AT(project_route, host), "the host name that leads here"},
	{"health", SHAPE_TEXT, AT(project_route, health),
		"the path of the balancer's health check"},
	{"port", SHAPE_INT, AT(project_route, port), "the port of the listener", .least = 1,
		.most = 65535},
};
static const struct shape route_shape = {.noun = "route",
	ROWS(route_rows),
	.size = sizeof(struct project_route)};

static const struct shape_row deploy_rows[] = {
	{"task", SHAPE_PATH, AT(project_deploy, task),
		"ECS task definition as AWS's JSON, relative to the service's path", true},
	{"service", SHAPE_PATH, AT(project_deploy, service),
		"ECS service as AWS's JSON, relative to the service's path", true},
	{"route", SHAPE_OBJECT, AT(project_deploy, route), "how the balancer reaches it",
		.shape = &route_shape},
	{"after", SHAPE_TEXTS, AT(project_deploy, after),
		"services that are deployed before this one"},
};
static const struct shape deploy_shape = {.noun = "deploy",
	ROWS(deploy_rows),
	.size = sizeof(struct project_deploy)};

static const struct shape_row build_rows[] = {
	{"network", SHAPE_NOT, AT(project_build, no_network),
		"may it use the network? (default: true)"},
	{"batch", SHAPE_BOOL, AT(project_build, batch),
		"is it the tasks of the buildspec's batch section? (default: false)"},
	{"memory", SHAPE_SIZE, AT(project_build, memory_bytes),
		"how much of it (default: not limited)"},
	{"cpus", SHAPE_INT, AT(project_build, cpus), "how many processors (default: all)",
		.least = 1, .most = LIMITS_COUNT_MOST},
	{"processes", SHAPE_INT, AT(project_build, processes),
		"how many processes and threads (default: ended beyond 4096)", .least = 1,
		.most = LIMITS_COUNT_MOST},
	{"disk", SHAPE_SIZE, AT(project_build, disk_bytes),
		"how much of it the build may fill (default: 10GiB)"},
	{"log", SHAPE_SIZE, AT(project_build, log_bytes),
		"how much of its output is kept (default: 1GiB)"},
	{"executor", SHAPE_CHOICE, AT(project_build, executor), "where it runs",
		.choices = EXECUTOR_NAMES},
};
static const struct shape build_shape = {.noun = "build",
	ROWS(build_rows),
	.size = sizeof(struct project_build)};

static const struct shape_row service_rows[] = {
	{"path", SHAPE_PATH, AT(project_service, path), "a change below it affects the service",
		true},
	{"uses", SHAPE_PATHS, AT(project_service, uses), "so does a change here"},
	{"buildspec", SHAPE_PATH, AT(project_service, buildspec),
		"relative to path; buildspec.yml when it is not given"},
	{"env", SHAPE_PAIRS, AT(project_service, env), "environment of the build"},
	{"timeout", SHAPE_DURATION, AT(project_service, timeout_ms), "of the build"},
	{"build", SHAPE_OBJECT, AT(project_service, build), "what the build may use",
		.shape = &build_shape},
	{"image", SHAPE_OBJECT, AT(project_service, image), "the image to make",
		.shape = &image_shape},
	{"deploy", SHAPE_OBJECT, AT(project_service, deploy), "what to deploy it as",
		.shape = &deploy_shape},
};
static const struct shape service_shape = {.noun = "service",
	ROWS(service_rows),
	.size = sizeof(struct project_service)};

static const struct shape_row strategy_rows[] = {
	{"type", SHAPE_CHOICE, AT(project_strategy, type), "how the new version takes over", true,
		.choices = "rolling|blue_green|canary|linear|codedeploy"},
	{"bake", SHAPE_DURATION, AT(project_strategy, bake_ms),
		"how long the old version stays ready"},
	{"percent", SHAPE_INT, AT(project_strategy, percent), "of the traffic, each step",
		.least = 1, .most = 100},
	{"step", SHAPE_DURATION, AT(project_strategy, step_ms), "between two steps"},
};
static const struct shape strategy_shape = {.noun = "strategy",
	ROWS(strategy_rows),
	.size = sizeof(struct project_strategy)};

static const struct shape_row check_rows[] = {
	{"http", SHAPE_TEXT, AT(project_http_check, http), "the path or URL to ask for", true},
	{"expect", SHAPE_INT, AT(project_http_check, expect), "the status to be answered",
		.least = 100, .most = 599},
	{"for", SHAPE_DURATION, AT(project_http_check, for_ms), "how long it must hold"},
};
static const struct shape check_shape = {.noun = "check",
	ROWS(check_rows),
	.size = sizeof(struct project_http_check)};

static const struct shape_row approvals_rows[] = {
	{"count", SHAPE_INT, AT(project_approvals, count), "how many people must approve",
		.least = 0, .most = 100},
	{"of", SHAPE_TEXTS, AT(project_approvals, of), "the groups they belong to"},
	{"author_may", SHAPE_BOOL, AT(project_approvals, author_may),
		"may the author of a change approve it?"},
};
static const struct shape approvals_shape = {.noun = "approvals",
	ROWS(approvals_rows),
	.size = sizeof(struct project_approvals)};

static const struct shape_row environment_rows[] = {
	{"target", SHAPE_CHOICE, AT(project_environment, target), "where it is", true,
		.choices = "local|aws"},
	{"region", SHAPE_TEXT, AT(project_environment, region), "AWS region"},
	{"cluster", SHAPE_TEXT, AT(project_environment, cluster),
		"ECS cluster; the app's name when it is not given"},
	{"from", SHAPE_TEXT, AT(project_environment, from),
		"the branch, or the environment, whose commits come here"},
	{"approvals", SHAPE_OBJECT, AT(project_environment, approvals),
		"who must agree before a release comes here", .shape = &approvals_shape},
	{"windows", SHAPE_TEXTS, AT(project_environment, windows),
		"when releases may come here: \"Mon-Thu 08:00-16:00 Europe/Berlin\""},
	{"strategy", SHAPE_OBJECT, AT(project_environment, strategy),
		"how a new version takes over", .shape = &strategy_shape},
	{"checks", SHAPE_OBJECTS, AT(project_environment, checks), "what must hold after it",
		.shape = &check_shape},
	{"alarms", SHAPE_TEXTS, AT(project_environment, alarms),
		"CloudWatch alarms that undo a deployment"},
	{"verify", SHAPE_TEXT, AT(project_environment, verify),
		"the policy that images must pass to come here: a file of the repository, or an "
		"absolute path"},
};
static const struct shape environment_shape = {.noun = "environment",
	ROWS(environment_rows),
	.size = sizeof(struct project_environment)};

static const struct shape_row source_rows[] = {
	{"branches", SHAPE_TEXTS, AT(project_source, branches),
		"the branches that are followed; \"*\" matches any text"},
};
static const struct shape source_shape = {.noun = "source",
	ROWS(source_rows),
	.size = sizeof(struct project_source)};

static const struct shape_row project_rows[] = {
	{"app", SHAPE_TEXT, AT(project, app), "the name of the application", true},
	{"source", SHAPE_OBJECT, AT(project, source), "which commits are built",
		.shape = &source_shape},
	{"services", SHAPE_NAMED, AT(project, services), "what the repository holds", true,
		.shape = &service_shape},
	{"environments", SHAPE_NAMED, AT(project, environments), "where it is deployed",
		.shape = &environment_shape},
};
const struct shape project_shape = {.noun = "the file",
	ROWS(project_rows),
	.size = sizeof(struct project)};
