/*
 * served.h - what `dogshore serve` does with a repository: every branch that its own dogshore.yml
 *            says is followed gets a run when it moves.
 *
 * A branch is followed when source.branches of the dogshore.yml at its tip matches its name; without
 * source.branches only the branch that HEAD names is. An environment takes the branch that its
 * `from` names; one without `from` takes HEAD's branch when its target is local. A project without
 * environments is built.
 *
 * Nothing is remembered but the ledger: a branch whose tip has no run yet gets one, so what moved
 * while nobody served is caught up with at the start.
 */
#ifndef PIPELINE_ENGINE_SERVED_H
#define PIPELINE_ENGINE_SERVED_H

#include "pipeline/engine/engine.h"

struct served;

struct served_options {
	struct loop *loop; /* borrowed, all */
	struct engine *engine;
	struct ledger *ledger;
	struct repository *repository;
	const char *environment; /* only this one; NULL: all */
	/* Something could not be done now; it is tried again by and by, and when a branch moves. */
	void (*failed)(void *context, const struct error *err);
	void *context;
};

/* Starts following and looks at once. */
bool served_start(const struct served_options *options, struct served **out_served,
	struct error *err) must_use;
void served_free(struct served **served);

#endif
