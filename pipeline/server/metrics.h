/* metrics.h - what Prometheus asks for. */
#ifndef PIPELINE_SERVER_METRICS_H
#define PIPELINE_SERVER_METRICS_H

#include "pipeline/engine/engine.h"

bool metrics_write(struct ledger *ledger, const struct engine *engine, struct buf *out,
	struct error *err) must_use;

#endif
