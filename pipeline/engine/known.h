/*
 * known.h - what the ledger tells a plan.
 */
#ifndef PIPELINE_ENGINE_KNOWN_H
#define PIPELINE_ENGINE_KNOWN_H

#include "builders/store/store.h"
#include "pipeline/ledger/ledger.h"
#include "pipeline/plan/plan.h"

struct known {
	struct plan_known plan; /* pass &known.plan */
	struct ledger *ledger;  /* borrowed; NULL: nothing is known */
	const char *app;        /* borrowed */
	struct store store;     /* what builds have made; empty: nothing is restored */
	struct ledger_currents currents;
	struct plan_current *rows; /* owned */
};

/* state: the folder with the store; NULL: nothing is restored. environment and place may be NULL; see
 * struct plan_known. */
bool known_read(struct known *known, struct ledger *ledger, const char *state,
	const struct project *project, const struct project_environment *environment,
	const char *place, struct error *err) must_use;
void known_free(struct known *known);
/* struct plan_known.records, from a ledger that may be NULL. */
bool known_records(struct ledger *ledger, const char *app, const char *service, const char *key,
	const char *rest, struct narrow_records *out_records, struct error *err) must_use;

/* The environment that a command means: the named one, the only one, or NULL when the project has
 * none. Several and none named: the first of the file when any will do (for looking), else
 * ERROR_USAGE. */
bool environment_choose(const struct project *project, const char *name, bool any_will_do,
	const struct project_environment **out_environment, struct error *err) must_use;

#endif
