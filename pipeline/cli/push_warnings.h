/* push_warnings.h - what a push or copy has to say besides its result, on stderr. */
#ifndef PIPELINE_CLI_PUSH_WARNINGS_H
#define PIPELINE_CLI_PUSH_WARNINGS_H

#include "builders/registry/push.h"

void push_warnings_print(const struct push_result *result);

#endif
