#include "pipeline/ledger/ledger.h"

struct outcome_row {
	const char *name;
	bool final;
	int exit_status;
	enum error_kind error;
};

static const struct outcome_row rows[OUTCOME_COUNT] = {
	[OUTCOME_WAITING] = {"waiting", false, 0},
	[OUTCOME_RUNNING] = {"running", false, 0},
	[OUTCOME_PASSED] = {"passed", true, 0},
	[OUTCOME_SKIPPED] = {"skipped", true, 0},
	[OUTCOME_FAILED] = {"failed", true, 1, ERROR_FAILED},
	[OUTCOME_ERROR] = {"error", true, 3, ERROR_UNAVAILABLE},
	[OUTCOME_ROLLED_BACK] = {"rolled_back", true, 4, ERROR_ROLLED_BACK},
	[OUTCOME_CANCELLED] = {"cancelled", true, 5, ERROR_CANCELLED},
	[OUTCOME_SUPERSEDED] = {"superseded", true, 5, ERROR_CANCELLED},
	[OUTCOME_TIMED_OUT] = {"timed_out", true, 6, ERROR_TIMED_OUT},
	[OUTCOME_UNKNOWN] = {"unknown", true, 7, ERROR_UNKNOWN},
};

const char *outcome_name(enum outcome outcome)
{
	return rows[outcome].name;
}

bool outcome_of_name(const char *name, enum outcome *out_outcome)
{
	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		if (text_equal(rows[i].name, name)) {
			*out_outcome = (enum outcome)i;
			return true;
		}
	return false;
}

bool outcome_is_final(enum outcome outcome)
{
	return rows[outcome].final;
}

int outcome_exit_status(enum outcome outcome)
{
	return rows[outcome].exit_status;
}

enum outcome outcome_of_exit_status(int status)
{
	static const enum outcome by_status[] = {OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_ERROR,
		OUTCOME_ERROR, OUTCOME_ROLLED_BACK, OUTCOME_CANCELLED, OUTCOME_TIMED_OUT,
		OUTCOME_UNKNOWN};

	/* Anything else is a program that ended by a signal or could not start. */
	return status >= 0 && (size_t)status < countof(by_status) ? by_status[status]
								  : OUTCOME_ERROR;
}

enum error_kind outcome_error_kind(enum outcome outcome)
{
	return rows[outcome].error;
}
