/*
 * cloud_main.h - the local cloud as a process: brought up, asked, taken down.
 *
 *     <state>/lock              held by the endpoint's process while it lives
 *     <state>/pid               its pid
 *     <state>/credentials.json  endpoint and keys (0600)
 *     <state>/endpoint.log      what a detached endpoint says
 *
 * The process may end at any time: containers and HAProxy go on, and the next start adopts them. Only
 * cloud_down() ends those.
 */
#ifndef DEPLOYERS_LOCAL_CLOUD_MAIN_H
#define DEPLOYERS_LOCAL_CLOUD_MAIN_H

#include "base/json.h"
#include "deployers/local/cloud.h"

struct cloud_options {
	const char *state; /* absolute */
	const char *host;
	int port;          /* 0: any free one */
	int64_t settle_ms; /* cloud.h */
};

/* Runs the endpoint in this process until SIGTERM or SIGINT. ready is called once, when requests are
 * answered. Fails with ERROR_CONFLICT when one is running with this state ("already running at …")
 * or the port is taken. */
bool cloud_run(const struct cloud_options *options,
	void (*ready)(void *context, struct cloud *cloud), void *context, struct error *err)
	must_use;

struct cloud_found {
	bool running;
	pid_t pid;
	struct json *credentials; /* credentials.json; owned; NULL when there is none */
};
/* Is an endpoint running with this state? */
bool cloud_find(const char *state, struct cloud_found *out_found, struct error *err) must_use;
void cloud_found_free(struct cloud_found *found);
/* Does the endpoint that was found answer a request? */
bool cloud_answers(const struct cloud_found *found);

/* Ends the endpoint if it runs, all tasks, HAProxy; takes networks, mounts and control groups away.
 * Nothing of it is left on the machine but the state folder. *out_was_up: there was something to
 * end. Again is fine. discard: the state is not needed any more, so one that is damaged is dropped
 * and what it named is ended all the same. */
bool cloud_down(const char *state, bool discard, bool *out_was_up, struct error *err) must_use;
/* Removes the state folder of a cloud that is down. */
bool cloud_forget(const char *state, struct error *err) must_use;

#endif
