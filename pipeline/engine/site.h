/*
 * site.h - where an environment is: what its stages must know to reach it, and what tells it from
 *           another one of the same name.
 */
#ifndef PIPELINE_ENGINE_SITE_H
#define PIPELINE_ENGINE_SITE_H

#include "pipeline/plan/project.h"

struct site {
	char *identity;     /* owned: goes into the key of a deployment; no secret */
	char *registry;     /* owned: "127.0.0.1:4566"; NULL: not known yet (AWS) */
	struct strings env; /* "NAME=value" for stages, besides our own environment; has secrets */
};

/*
 * The place of an environment.
 *
 * environment  NULL: none; the place is empty
 * state        the state folder; target local reads <state>/local/credentials.json
 * Fails with   ERROR_UNAVAILABLE when the local cloud was never started.
 */
bool site_of(const struct project_environment *environment, const char *state,
	struct site *out_site, struct error *err) must_use;
void site_free(struct site *site);

/*
 * Makes registry known when it is not: asks AWS, by the command `dogshore registry`, whose registry
 * ours is. Blocks for a call to AWS, once for each run that pushes something.
 */
bool site_find_registry(struct site *site, const char *program, struct error *err) must_use;

/* Our own environment with the place's variables and extra ones ("NAME=value") put over it. */
void site_environment(const struct site *site, const struct strings *extra,
	struct strings *out_env);

#endif
