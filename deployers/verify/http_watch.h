/*
 * http_watch.h - asks addresses side by side until every check has passed or one has failed.
 */
#ifndef DEPLOYERS_VERIFY_HTTP_WATCH_H
#define DEPLOYERS_VERIFY_HTTP_WATCH_H

#include "base/clock.h"
#include "base/error.h"
#include "deployers/verify/http_check.h"

enum {
	HTTP_WATCH_ANSWER_MS = 5 * 1000,       /* within which an answer must be there */
	HTTP_WATCH_UNKNOWN_MS = 5 * 60 * 1000, /* for which a watcher may see nothing to judge */
};

/* What a watcher saw. */
struct http_seen {
	bool known;    /* false: nothing to judge by yet */
	bool right;    /* as the check wants it */
	char *trouble; /* owned: what is not right, or not known */
};

/* Somebody who asks for us and tells what the answers are like. */
struct http_watcher {
	/* Fails when it cannot look; then it is asked again for a while if that may pass. */
	bool (*look)(void *context, struct http_seen *out_seen, struct error *err);
	void *context;    /* borrowed */
	int64_t least_ms; /* between looks */
};

/* One address asked for one check. */
struct http_probe {
	const struct http_check *check; /* borrowed */
	char *url;                      /* owned */
	const char *host;               /* for the Host header; borrowed; NULL: the URL's */
	bool direct;                    /* no proxy leads there */
	const struct http_watcher
		*watcher; /* looks instead of us; borrowed; NULL: the URL is asked */
	int64_t known_ms; /* when the watcher last saw something to judge */
	struct http_check_state state;
	int64_t due_ms; /* when it is asked again */
	enum http_check_step step;
	char *cause; /* owned: why it failed; else NULL */
};

struct http_watch {
	struct http_probe *probes; /* owned */
	size_t count;
	struct clock *clock; /* borrowed */
	int cancel_fd;       /* > 0: readable when we are to stop */
};

/* Takes url. The probe may be changed until http_watch_run(), but is valid only until the next one. */
struct http_probe *http_watch_add(struct http_watch *watch, const struct http_check *check,
	char *url, const char *host);
void http_watch_free(struct http_watch *watch);

/*
 * Asks and judges; afterwards each probe's step says how far it came: HTTP_CHECK_GO_ON when another
 * one failed first. Bad answers are no error. Fails with ERROR_CANCELLED when told to stop.
 */
bool http_watch_run(struct http_watch *watch, struct error *err) must_use;

#endif
