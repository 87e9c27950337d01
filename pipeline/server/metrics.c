#include "pipeline/server/metrics.h"

static void head(struct buf *out, const char *name, const char *kind, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

bool metrics_write(struct ledger *ledger, const struct engine *engine, struct buf *out,
	struct error *err)
{
	int64_t counts[OUTCOME_COUNT];
	size_t waiting = 0, running = 0;

	if (!ledger_count_runs(ledger, counts, err))
		return false;
	engine_count(engine, &waiting, &running);
	head(out, "dogshore_runs_total", "counter", "Runs that ended, by how.");
	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		if (outcome_is_final((enum outcome)i))
			buf_printf(out, "dogshore_runs_total{status=\"%s\"} %lld\n",
				outcome_name((enum outcome)i), (long long)counts[i]);
	head(out, "dogshore_runs_running", "gauge", "Runs under way in this engine.");
	buf_printf(out, "dogshore_runs_running %zu\n", running);
	head(out, "dogshore_runs_waiting", "gauge", "Runs that wait in this engine.");
	buf_printf(out, "dogshore_runs_waiting %zu\n", waiting);
	return true;
}
