/*
 * reports_tally.h - for reports.c: takes the cases and coverage of a group one by one, counts them, keeps
 *                   what the result shows and writes the line of each.
 */
#ifndef BUILDSPEC_REPORTS_TALLY_H
#define BUILDSPEC_REPORTS_TALLY_H

#include "buildspec/reports.h"

/* self is a struct reporting with its group set. */
void tally_case(void *self, const struct report_case *found);
void tally_coverage(void *self, const struct report_coverage *found);

/* Writes the lines that wait; what goes wrong is in reporting->failure. */
void tally_flush(struct reporting *reporting);

/* text without secrets; owned. */
char *tally_mask(struct reporting *reporting, const char *text) must_use;

#endif
