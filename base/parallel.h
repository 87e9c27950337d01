/*
 * parallel.h - the same work for each of many things, on all processors.
 *
 * Work is handed out one thing at a time, in order, to the caller's thread and up to three more, as
 * many as there are processors. Failing to start a thread only costs time.
 */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include "base/error.h"

/*
 * Calls work for every index below count, from several threads at once.
 *
 * work  touches nothing that another index's work touches. After one failed nothing more is begun.
 *
 * Fails with the error of the lowest index that failed: the same one whatever the number of threads,
 * as all that was begun before is finished.
 */
bool parallel_each(size_t count, bool (*work)(void *context, size_t index, struct error *err),
	void *context, struct error *err) must_use;

#endif
