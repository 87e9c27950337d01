/*
 * project.h - dogshore.yml, read and checked: which services a repository holds, what each of them
 *             reads, builds and deploys, and which environments there are.
 *
 *     project_parse      the text; finds everything that is wrong in it, in one go
 *     project_check      the paths it names: do they exist, are they what they should be?
 *
 * All keys stand in one table (project_keys.c), from which reading, the errors for unknown keys and
 * the JSON Schema follow. Texts are NUL-terminated and live as long as the project.
 */
#ifndef PIPELINE_PLAN_PROJECT_H
#define PIPELINE_PLAN_PROJECT_H

#include "base/memory.h"
#include "base/yaml.h"
#include "pipeline/plan/findings.h"

#define PROJECT_FILE "dogshore.yml"

struct project_texts {
	const char **items;
	size_t count;
};

struct project_pair {
	const char *name, *value;
};

struct project_pairs {
	struct project_pair *items; /* in source order */
	size_t count;
};

struct project_image {
	bool given;
	const char *binary;         /* relative to the artifacts; NULL with dockerfile */
	const char *base;           /* "HOST/REPOSITORY:TAG" that binary stands on; NULL: none */
	const char *dockerfile;     /* relative to the service's path; NULL with binary */
	struct project_pairs files; /* name: relative to the service's path; value: in the image */
	int64_t port;               /* 0: none */
	struct project_texts packages; /* of Debian: "NAME" or "NAME=VERSION" */
	struct project_texts with;     /* what programs open at run time: "gconv", "tzdata" … */
	struct project_texts hwcaps;   /* levels of processors: "x86-64-v3" */
	const char *allow;             /* "static-glibc"; NULL: nothing that is refused otherwise */
	struct project_texts args;     /* of the program */
	struct project_pairs env;      /* baked into the image */
	struct project_pairs labels;
	struct project_pairs allow_secrets; /* name: where in the image; value: why */
	const char *user;        /* numeric "UID" or "UID:GID"; NULL: the image builder's default */
	const char *compression; /* "zstd", "gzip", "none"; NULL: the default */
	bool sbom;               /* with a bill of materials */
	bool debug;              /* debug information beside the image, not in it */
	const char *linker_map;  /* relative to the artifacts; NULL: none */
};

struct project_route {
	bool given;
	const char *path;   /* "/rooms*" */
	const char *host;   /* NULL: any */
	const char *health; /* "/health"; NULL: "/" */
	int64_t port;       /* of the listener; 0: 80 on AWS, 8080 locally */
};

struct project_deploy {
	bool given;
	const char *task, *service; /* relative to the service's path */
	struct project_route route;
	struct project_texts after; /* names of services */
};

/* What the build may do; 0: the default. */
struct project_build {
	bool given;
	bool no_network;
	bool batch; /* as the buildspec's batch section has it, task by task */
	int64_t memory_bytes, disk_bytes, log_bytes;
	int64_t cpus, processes;
	const char *executor; /* where it runs; NULL: the default */
};

struct project_service {
	const char *name;
	const char *path;          /* normalised; "." for the whole repository */
	struct project_texts uses; /* normalised */
	const char *buildspec;     /* relative to path */
	struct project_pairs env;  /* given to the build, part of its key */
	int64_t timeout_ms;        /* of the build; 0: the default */
	struct project_build build;
	struct project_image image;
	struct project_deploy deploy;
};

struct project_strategy {
	bool given;
	const char *type; /* "rolling", "blue_green", "canary", "linear", "codedeploy" */
	int64_t bake_ms;
	int64_t percent; /* canary and linear; 0: the default */
	int64_t step_ms; /* canary and linear: between shifts; 0: the default */
};

struct project_http_check {
	const char *http; /* path or URL */
	int64_t expect;   /* status; 0: 200 */
	int64_t for_ms;
};

struct project_http_checks {
	struct project_http_check *items;
	size_t count;
};

struct project_approvals {
	bool given;
	int64_t count;
	struct project_texts of;
	bool author_may;
};

struct project_environment {
	const char *name;
	const char *target; /* "local", "aws" */
	const char *region, *cluster;
	const char *
		from; /* a branch, or an environment whose proven releases may come here; or NULL */
	struct project_approvals approvals;
	struct project_texts windows;
	struct project_strategy strategy;
	struct project_http_checks checks;
	struct project_texts alarms;
	const char *verify; /* the policy that images must pass; or NULL */
};

struct project_services {
	struct project_service *items; /* in source order */
	size_t count;
};

struct project_environments {
	struct project_environment *items;
	size_t count;
};

struct project_source {
	bool given;
	struct project_texts branches; /* patterns; empty: the checked-out branch */
};

struct project {
	const char *app;
	struct project_source source;
	struct project_services services;
	struct project_environments environments;

	struct arena arena;      /* owns everything above */
	const struct yaml *root; /* for the places of later findings */
	const char *file;        /* its name in findings */
};

/*
 * Parses and checks the text of a project file.
 *
 * file          its name in findings, usually PROJECT_FILE
 * out_findings  gets every finding; may be NULL
 * Fails with ERROR_INVALID (the first finding and how many more), ERROR_LIMIT.
 */
bool project_parse(struct str text, const char *file, struct findings *out_findings,
	struct project **out_project, struct error *err) must_use;
/* Reads and parses <folder>/dogshore.yml. */
bool project_read(const char *folder, struct findings *out_findings, struct project **out_project,
	struct error *err) must_use;
void project_free(struct project **project);

/* A parsed project as bytes and back, for caches. project_load() refuses (false) what another build
 * of dogshore saved; a loaded project has no places for findings. */
void project_save(const struct project *project, struct buf *out);
bool project_load(struct str bytes, struct project **out_project) must_use;

/* NULL when there is none of that name. */
const struct project_service *project_service(const struct project *project, const char *name);
const struct project_environment *project_environment(const struct project *project,
	const char *name);
/* The same, with ERROR_USAGE that suggests the nearest name. */
const struct project_service *project_need_service(const struct project *project, const char *name,
	struct error *err);
const struct project_environment *project_need_environment(const struct project *project,
	const char *name, struct error *err);

/* Appends "NAME=value" of each, behind flag; NULL: just that. */
void project_pairs_add(const struct project_pairs *pairs, const char *flag, struct strings *out);

/* A path named in a service's section, as seen from the repository's root; owned. */
char *project_service_file(const struct project_service *service, const char *name) must_use;

/* A tree of files to check against: a folder, or a commit. */
enum project_entry {
	PROJECT_MISSING,
	PROJECT_FILE_ENTRY,
	PROJECT_FOLDER_ENTRY,
};

struct project_tree {
	/* path is relative to the repository's root. */
	bool (*kind)(void *self, const char *path, enum project_entry *out_kind, struct error *err);
	bool (*read)(void *self, const char *path, struct buf *out, struct error *err);
	void *self;
};

/* A tree over a folder of the file system; self is the folder's path. */
struct project_tree project_tree_of_folder(const char *folder);

/* Adds findings for paths that do not exist or are of the wrong kind; JSON files must parse.
 * Returns false only when the tree cannot be read. */
bool project_check(const struct project *project, const struct project_tree *tree,
	struct findings *findings, struct error *err) must_use;

/* Appends the JSON Schema (draft 2020-12) of the file. */
void project_schema(struct buf *out);

#endif
