/*
 * act_journal.h - base/journal.h on the ledger: what a stage announces before it touches the outside
 *                 world. Each write is a transaction of its own.
 */
#ifndef PIPELINE_LEDGER_ACT_JOURNAL_H
#define PIPELINE_LEDGER_ACT_JOURNAL_H

#include "base/journal.h"
#include "pipeline/ledger/ledger.h"

struct act_journal {
	struct journal journal; /* pass &act.journal */
	struct ledger *ledger;  /* borrowed */
	int64_t run;            /* 0: outside of a run */
};

/* The run is DOGSHORE_RUN when the engine started us. */
void act_journal_init(struct act_journal *act, struct ledger *ledger);

#endif
