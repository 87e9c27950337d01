/*
 * check_buildspecs.h - what is wrong in the buildspecs of all services; of those that are built as a batch also in
 *                      the ones of their tasks.
 */
#ifndef PIPELINE_CLI_CHECK_BUILDSPECS_H
#define PIPELINE_CLI_CHECK_BUILDSPECS_H

#include "pipeline/plan/project.h"

/* folder is the repository's root. That a service's own buildspec is missing is found by project_check(). */
void check_buildspecs(const struct project *project, const char *folder, struct findings *findings);

#endif
