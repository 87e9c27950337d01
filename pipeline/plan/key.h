/*
 * key.h - what a service is made from, as one digest: its step key.
 *
 * A key is SHA-256 over parts; each part is named and kept, so that two keys can be compared and the
 * part that moved be named ("dogshore why"). Files enter by the ids that Git gave them already: no
 * file is read to learn that nothing changed.
 */
#ifndef PIPELINE_PLAN_KEY_H
#define PIPELINE_PLAN_KEY_H

#include "base/digest.h"
#include "base/json.h"
#include "pipeline/plan/project.h"
#include "pipeline/source/repository.h"

struct key_part {
	const char *name;  /* "path services/rooms", "uses base", "image", "toolchain" */
	const char *value; /* a Git id, a digest or a short text */
};

struct key {
	char text[DIGEST_HEX_SIZE]; /* "" while empty */
	struct key_part *parts;     /* owned; in the order they were added */
	size_t count;
	struct buf texts; /* owned: what the parts borrow */
};

void key_free(struct key *key);

/*
 * The key of a service at a commit: what its build reads, its image settings, its environment and
 * the toolchain.
 *
 * toolchain  from key_toolchain()
 * Fails with ERROR_INVALID when a path of the service is not in the commit.
 */
bool key_of_service(const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, struct key *out_key, struct error *err) must_use;

/*
 * The same without the image's settings: what the build alone is made from. Two commits with the same
 * build key have the same artifacts, reports and log (builders/store).
 */
bool key_of_build(const struct project_service *service, struct snapshot *snapshot,
	const char *toolchain, struct key *out_key, struct error *err) must_use;

/*
 * The key of a deployment: the image, the task and service files, the route, and what the
 * environment says about them. Equal keys: there is nothing to deploy.
 *
 * image   digest
 * place   what tells this environment's cloud from another one (endpoint, account)
 */
bool key_of_deployment(const struct project_service *service,
	const struct project_environment *environment, struct snapshot *snapshot, const char *image,
	const char *place, struct key *out_key, struct error *err) must_use;

/* The identity of what compiles here: the system, the machine's architecture and the state of the
 * package database. Any package that comes or goes moves it: when unsure, build. Owned. */
char *key_toolchain(void) must_use;

/* The path of a part "uses PATH"; NULL for other parts. */
const char *key_part_uses(const struct key_part *part);
/* The digest of everything but what the paths of "uses" hold: keys with the same rest are of the same
 * service, built in the same way. */
void key_rest(const struct key *key, char out[DIGEST_HEX_SIZE]);

/* [{"name","value"}…], and back. */
struct json *key_to_json(const struct key *key) must_use;
bool key_of_json(const struct json *parts, struct key *out_key, struct error *err) must_use;

/* One difference between two keys; before or after is NULL for a part that one of them lacks. */
struct key_move {
	const char *name, *before, *after; /* borrowed from the keys */
};
/* Writes at most limit differences to out and returns how many there are. */
size_t key_compare(const struct key *before, const struct key *after, struct key_move *out,
	size_t limit);

#endif
