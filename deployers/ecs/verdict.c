#include "deployers/ecs/verdict.h"

#include "base/buf.h"

static const struct {
	const char *name;
	enum error_kind kind;
} verdicts[] = {
	[VERDICT_NONE] = {NULL, ERROR_UNKNOWN},
	[VERDICT_DEPLOYED] = {"deployed", ERROR_NONE},
	[VERDICT_FAILED] = {"failed", ERROR_FAILED},
	[VERDICT_ROLLED_BACK] = {"rolled_back", ERROR_ROLLED_BACK},
	[VERDICT_SUPERSEDED] = {"superseded", ERROR_CANCELLED},
	[VERDICT_TIMED_OUT] = {"timed_out", ERROR_TIMED_OUT},
	[VERDICT_UNKNOWN] = {"unknown", ERROR_UNKNOWN},
};

const char *verdict_name(enum verdict verdict)
{
	return verdicts[verdict].name;
}

enum error_kind verdict_error_kind(enum verdict verdict)
{
	return verdicts[verdict].kind;
}

enum deployment_phase deployment_phase_of(const char *status)
{
	static const struct {
		const char *status;
		enum deployment_phase phase;
	} rows[] = {
		{"STOP_REQUESTED", DEPLOYMENT_STOPPING},
		{"ROLLBACK_REQUESTED", DEPLOYMENT_ROLLING_BACK},
		{"ROLLBACK_IN_PROGRESS", DEPLOYMENT_ROLLING_BACK},
		{"SUCCESSFUL", DEPLOYMENT_SUCCESSFUL},
		{"STOPPED", DEPLOYMENT_STOPPED},
		{"ROLLBACK_SUCCESSFUL", DEPLOYMENT_ROLLED_BACK},
		{"ROLLBACK_FAILED", DEPLOYMENT_ROLLBACK_FAILED},
	};

	for (size_t i = 0; i < countof(rows); i++)
		if (text_equal(rows[i].status, status))
			return rows[i].phase;
	return status ? DEPLOYMENT_RUNNING : DEPLOYMENT_UNSEEN;
}

static enum verdict_step conclude(enum verdict verdict, enum verdict *out_verdict)
{
	*out_verdict = verdict;
	return VERDICT_CONCLUDE;
}

/* The cloud says that all is well: are the tasks that serve really ours? */
static enum verdict_step confirm(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict *out_verdict)
{
	if (seen->newer)
		return conclude(VERDICT_SUPERSEDED, out_verdict);
	if (seen->tasks_wrong == 0 && (seen->tasks_right > 0 || seen->desired == 0))
		return conclude(VERDICT_DEPLOYED, out_verdict);
	if (!state->successful_since_ms)
		state->successful_since_ms = seen->now_ms;
	if (seen->now_ms - state->successful_since_ms >= VERDICT_CONFIRM_MS)
		return conclude(VERDICT_UNKNOWN, out_verdict);
	return VERDICT_WAIT;
}

static enum verdict_step wait_for_rollback(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict *out_verdict)
{
	if (!state->rollback_since_ms)
		state->rollback_since_ms = seen->now_ms;
	if (seen->now_ms - state->rollback_since_ms >= VERDICT_ROLLBACK_MS)
		return conclude(VERDICT_UNKNOWN, out_verdict);
	return VERDICT_WAIT;
}

static enum verdict_step ask_rollback(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict because)
{
	state->because = because;
	state->rollback_since_ms = seen->now_ms;
	return VERDICT_ASK_ROLLBACK;
}

static enum verdict_step judge_running(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict *out_verdict)
{
	if (state->because != VERDICT_NONE)
		return wait_for_rollback(state, seen, out_verdict);
	if (state->passive)
		return seen->now_ms >= state->deadline_ms ? conclude(VERDICT_TIMED_OUT, out_verdict)
							  : VERDICT_WAIT;
	if (seen->hopeless || seen->same_crashes >= VERDICT_SAME_CRASHES)
		return ask_rollback(state, seen, VERDICT_FAILED);
	if (seen->now_ms >= state->deadline_ms)
		return ask_rollback(state, seen, VERDICT_TIMED_OUT);
	return VERDICT_WAIT;
}

enum verdict_step verdict_decide(struct verdict_state *state,
	const struct verdict_observation *seen, enum verdict *out_verdict)
{
	bool timed_out = state->because == VERDICT_TIMED_OUT;

	switch (seen->phase) {
	case DEPLOYMENT_SUCCESSFUL:
		return confirm(state, seen, out_verdict);
	case DEPLOYMENT_STOPPED:
		if (seen->newer)
			return conclude(VERDICT_SUPERSEDED, out_verdict);
		return conclude(timed_out ? VERDICT_TIMED_OUT : VERDICT_FAILED, out_verdict);
	case DEPLOYMENT_ROLLED_BACK:
		return conclude(timed_out ? VERDICT_TIMED_OUT : VERDICT_ROLLED_BACK, out_verdict);
	case DEPLOYMENT_ROLLBACK_FAILED:
		return conclude(timed_out ? VERDICT_TIMED_OUT : VERDICT_FAILED, out_verdict);
	case DEPLOYMENT_ROLLING_BACK:
	case DEPLOYMENT_STOPPING:
		return wait_for_rollback(state, seen, out_verdict);
	case DEPLOYMENT_RUNNING:
		return judge_running(state, seen, out_verdict);
	case DEPLOYMENT_UNSEEN:
		break;
	}
	/* Nothing to roll back that we know of. */
	if (seen->now_ms >= state->deadline_ms)
		return conclude(VERDICT_UNKNOWN, out_verdict);
	return VERDICT_WAIT;
}
