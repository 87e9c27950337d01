#include "base/journal.h"

bool journal_intend(struct journal *journal, const char *kind, const char *subject,
	const struct json *detail, int64_t *out_act, struct error *err)
{
	if (journal)
		return journal->intend(journal->self, kind, subject, detail, out_act, err);
	*out_act = 0;
	return true;
}

bool journal_settle(struct journal *journal, int64_t act, const char *outcome,
	const struct json *result, struct error *err)
{
	return !journal || journal->settle(journal->self, act, outcome, result, err);
}

bool journal_find(struct journal *journal, const char *kind, const char *subject, int64_t *out_act,
	char **out_outcome, struct json **out_detail, struct json **out_result, struct error *err)
{
	if (journal)
		return journal->find(journal->self, kind, subject, out_act, out_outcome, out_detail,
			out_result, err);
	*out_act = 0;
	*out_outcome = NULL;
	*out_detail = NULL;
	*out_result = NULL;
	return true;
}
