/*
 * journal.h - journal before act: what builders and deployers announce and pipeline/ledger records.
 *
 * An act is an outside call with effects: pushing an image, registering a task definition, updating
 * a service. Before it, journal_intend() records kind, subject and the identity by which the effect
 * can be found again; after it, journal_settle() records how it went. A crash between the two leaves
 * an intent without an outcome; the next start asks journal_find() and adopts or repeats.
 *
 * The implementation is the ledger's (pipeline/ledger/act_journal.c), or a list in tests. A NULL
 * journal records nothing, so single stages can run without a ledger.
 */
#ifndef BASE_JOURNAL_H
#define BASE_JOURNAL_H

#include "base/error.h"
#include "base/json.h"

struct journal {
	/* Records the intent durably and gives its number. detail (borrowed) is an object. */
	bool (*intend)(void *self, const char *kind, const char *subject, const struct json *detail,
		int64_t *out_act, struct error *err);
	/* Records the outcome: "done", "failed", "abandoned"; result (borrowed) may be NULL. */
	bool (*settle)(void *self, int64_t act, const char *outcome, const struct json *result,
		struct error *err);
	/* The newest act of kind on subject: its number (0: none), outcome (NULL while open), detail and
	 * result; texts and values are the caller's. */
	bool (*find)(void *self, const char *kind, const char *subject, int64_t *out_act,
		char **out_outcome, struct json **out_detail, struct json **out_result,
		struct error *err);
	void *self;
};

bool journal_intend(struct journal *journal, const char *kind, const char *subject,
	const struct json *detail, int64_t *out_act, struct error *err) must_use;
bool journal_settle(struct journal *journal, int64_t act, const char *outcome,
	const struct json *result, struct error *err) must_use;
bool journal_find(struct journal *journal, const char *kind, const char *subject, int64_t *out_act,
	char **out_outcome, struct json **out_detail, struct json **out_result, struct error *err)
	must_use;

#endif
