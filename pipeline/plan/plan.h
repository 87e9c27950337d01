/*
 * plan.h - what a commit means for each service: build it, restore or reuse what was built, or leave it.
 *
 * A decision compares keys (key.h), service by service, with what was last brought to the
 * environment; so a service that failed last time is tried again, and one that was never built is
 * built. Nothing here builds, and nothing is read but Git's trees and what the caller knows.
 */
#ifndef PIPELINE_PLAN_PLAN_H
#define PIPELINE_PLAN_PLAN_H

#include "pipeline/plan/narrow.h"

enum plan_action {
	PLAN_BUILD, /* its inputs moved, or it was never built */
	PLAN_RESTORE, /* it was built before, and what that build made is kept: artifacts, reports, log */
	PLAN_REUSE, /* its image is that of a build whose artifacts are not kept, or not asked for */
	PLAN_SKIP,  /* its inputs are those of what is there */
};
const char *plan_action_name(enum plan_action action);

/* What was last brought to the environment. */
struct plan_current {
	const char *service;
	const char *commit, *key;       /* key "": unknown */
	const char *image, *deploy_key; /* "" or NULL: it was not deployed */
	bool same;                      /* its key is the one it has now; key need not be set */
};

enum { PLAN_RECORDS_MAX = 8 };

/* What the caller knows; the ledger, or a list in tests. */
struct plan_known {
	const struct plan_current *currents; /* sorted by service */
	size_t count;
	/* Is there a build of the service with this key? Then *out_image (owned) is its digest, "" without image. */
	bool (*built)(void *self, const char *service, const char *key, char **out_image,
		struct error *err);
	/* Is what a build of the service at this commit makes kept? Then *out_from (owned) says from
	 * where: "run 12, commit abc". NULL: nothing is kept. */
	bool (*kept)(void *self, const struct project_service *service, struct snapshot *snapshot,
		const char *toolchain, char **out_from, struct error *err);
	/* What is known of the build of a key; key NULL: of the newest builds with the rest, at most
	 * PLAN_RECORDS_MAX. NULL: nothing. */
	bool (*records)(void *self, const char *service, const char *key, const char *rest,
		struct narrow_records *out_records, struct error *err);
	void *self;
	/* Where it goes: what is built but deployed otherwise, or not at all, is deployed again. NULL:
	 * deployments are left out of the decision. */
	const struct project_environment *environment;
	const char *place; /* key_of_deployment() */
	/* Says that currents come from a commit of the repository (--since), not from the ledger. */
	bool from_commit;
};

struct plan_service {
	const struct project_service *service; /* borrowed from the project */
	enum plan_action action;
	char *reason; /* owned: for people */
	struct key key;
	char *previous_key;    /* owned; NULL: none */
	char *previous_commit; /* owned; NULL: none */
	char *image; /* owned: with PLAN_RESTORE and PLAN_REUSE, what is there; "" without image */
	char *from;  /* owned: "run 12, commit abc" that built it, when that is kept; NULL */
	char *built_key; /* owned: the key under which that was built, when it is not this one */
	struct strings changed; /* paths it reads that differ from previous_commit */
	struct strings unread;  /* of those of `uses`: what the build of built_key did not read */
};

struct plan {
	char commit[GIT_ID_SIZE];
	char base
		[GIT_ID_SIZE]; /* the newest previous commit of any service; "" when there is none */
	struct plan_service *services; /* owned; in the order of the file */
	size_t count;
};

/*
 * Plans a commit.
 *
 * project     parsed from the snapshot's own dogshore.yml; must outlive the plan
 * Fails with ERROR_INVALID when a service names a path that the commit has not.
 */
bool plan_make(struct repository *repository, struct snapshot *snapshot,
	const struct project *project, const struct plan_known *known, const char *toolchain,
	struct plan *out_plan, struct error *err) must_use;
void plan_free(struct plan *plan);

/* {"commit","base","services":[{"name","action","reason","key","built_key","changed":[…],"unread":[…]}]};
 * built_key and unread where they are set */
void plan_write(const struct plan *plan, struct json_writer *w);
void plan_print(FILE *out, const struct plan *plan);

/*
 * What was at another commit, as plan_known.currents: the keys its services had there. Services
 * that it had not, or whose paths it lacks, are left out.
 *
 * project  of the later commit; used when both have the same dogshore.yml
 */
struct plan_commit {
	struct plan_current *items; /* owned, sorted */
	size_t count;
	struct strings texts; /* owned: what the items borrow */
};
bool plan_commit_read(struct repository *repository, const char *commit, struct snapshot *later,
	const struct project *project, const char *toolchain, struct plan_commit *out_commit,
	struct error *err) must_use;
void plan_commit_free(struct plan_commit *commit);

/* Does the service read this path? */
bool plan_service_reads(const struct project_service *service, const char *path);

/* Reads and parses the project file of a commit. */
bool plan_read_project(struct snapshot *snapshot, struct project **out_project, struct error *err)
	must_use;
/* The same, but a large file that was parsed before is taken from the state folder, where it is
 * found by the id that Git gave it. A cache that cannot be read or written is no error. */
bool plan_read_project_cached(struct snapshot *snapshot, const char *state,
	struct project **out_project, struct error *err) must_use;

#endif
