/*
 * local_command.h - what the commands of the local cloud share.
 */
#ifndef PIPELINE_CLI_LOCAL_COMMAND_H
#define PIPELINE_CLI_LOCAL_COMMAND_H

#include "deployers/local/cloud_main.h"
#include "pipeline/cli/command.h"

/* --state names the local cloud's own folder; without it "local" in the state folder. Owned,
 * absolute. */
char *local_state(const struct command_context *context, const char *flag) must_use;

/* As cloud_find(), and if one is running, it answers: one that was just killed, or is just starting,
 * is waited for. ERROR_TIMED_OUT when it does neither end nor answer. */
bool local_find(const char *state, struct cloud_found *out_found, struct error *err) must_use;

/* "127.0.0.1:4566" -> host and port; ERROR_USAGE for anything else. */
bool local_endpoint(const char *text, char **out_host, int *out_port, struct error *err) must_use;

#endif
