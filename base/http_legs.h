/*
 * http_legs.h - how a transfer goes from leg to leg, and ends. Private to http_client.c, which moves many
 *               side by side.
 *
 *     leg_start ──► leg_finished ──► redirect: leg_start
 *                        │      ──► body broke off: waiting until due_ms, then leg_start (http_resume.h)
 *                        └──► done, with an answer or response->error
 */
#ifndef BASE_HTTP_LEGS_H
#define BASE_HTTP_LEGS_H

#include "base/http_transfer.h"

struct http_client {
	CURLM *multi; /* holds the open connections */
	struct tls_sessions sessions;
};

bool leg_start(struct http_client *client, struct transfer *transfer, struct error *err) must_use;
/* Frees what libcurl has of it. */
void leg_end(struct http_client *client, struct transfer *transfer);
/* libcurl is done with it. */
void leg_finished(struct http_client *client, struct transfer *transfer, CURLcode code);
/* The transfer has no answer: says why in response->error. */
void leg_give_up(struct http_client *client, struct transfer *transfer, struct error *why);
/* How long this transfer may still go without a byte; ends it when that is over. */
int64_t leg_check_stall(struct http_client *client, struct transfer *transfer, int64_t now);

#endif
