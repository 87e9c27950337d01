/*
 * trial.h - tests of a service: it runs on the test's own loop and is asked over a real socket.
 */
#ifndef SERVICES_KIT_TRIAL_H
#define SERVICES_KIT_TRIAL_H

#include "base/json.h"
#include "services/kit/service.h"

struct trial {
	struct loop *loop;
	struct service *service;
};

/* Starts the plan's service on a free port; its settings must be filled in. Ends the program when it
 * cannot. */
void trial_open(struct trial *trial, const struct service_plan *plan);
void trial_close(struct trial *trial);

struct reply {
	int status;
	struct buf head; /* status line and headers */
	struct buf body;
	struct json *json; /* of the body; NULL when it is none */
};
void reply_free(struct reply *reply);
const char *reply_error_code(const struct reply *reply); /* "" when it is no error */

/* Asks once, on a connection of its own. headers: "Name: value\r\n…" or "". body may be NULL. */
struct reply trial_ask(struct trial *trial, const char *method, const char *target,
	const char *headers, const char *body);

/* Many at once: opens all connections and sends all requests before the first answer is read. */
void trial_ask_all(struct trial *trial, const char *method, const char *target, const char *headers,
	const char *body, struct reply *out_replies, size_t count);

#endif
