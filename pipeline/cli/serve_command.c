#include "pipeline/cli/command.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "pipeline/cli/progress.h"
#include "pipeline/engine/engine.h"
#include "pipeline/engine/served.h"
#include "pipeline/server/api.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	const char *environment, *repository, *remote, *listen;
	int64_t jobs, interval_ms;
} given = {.listen = "127.0.0.1:7333", .interval_ms = 30000};

static const struct option_row rows[] = {
	{"repository", OPTION_TEXT, &given.repository, "DIR", "default: the current folder", NULL},
	{"remote", OPTION_TEXT, &given.remote, "URL",
		"follow a repository elsewhere (file, https, ssh) instead", NULL},
	{"interval", OPTION_DURATION, &given.interval_ms, "TIME",
		"how often a remote is asked (30s)", NULL},
	{"env", OPTION_TEXT, &given.environment, "ENV", "only to this environment", NULL},
	{"jobs", OPTION_INT, &given.jobs, "N", "steps at once in a run", NULL},
	{"listen", OPTION_TEXT, &given.listen, "HOST:PORT",
		"address of the HTTP API (127.0.0.1:7333; port 0: any free one)", NULL},
};

static const struct option_set options = {
	.usage = "serve [--repository DIR | --remote URL] [--env ENV]",
	.about = "follow branches, run what moves, HTTP API",
	.rows = rows,
	.count = countof(rows),
};

struct serving {
	struct loop *loop;
	struct ledger *ledger;
	struct repository *repository;
	struct engine *engine;
	struct served *served;
	struct api *api;
	char *mirror; /* owned; NULL without --remote */
	struct watch *poll, *fetched;
	struct process fetch;
	bool ready;
};

static void log_error(const struct error *err, const char *what)
{
	scoped(text_free) char *whole = memory_format("%s: %s", what, err->message);

	log_write(LOG_ERROR, whole, "next", err->next ? err->next : "", NULL);
}

static void look_failed(void *context, const struct error *err)
{
	(void)context;
	log_error(err, "look at the repository");
}

static void run_ended(void *context, const struct ledger_run *run, const struct error *err)
{
	bool recorded = outcome_is_final(run->status);
	scoped(text_free) char *line = memory_format("run %lld %s", (long long)run->id,
		recorded ? outcome_name(run->status)
			 : "was given up, and is taken up again when it can be recorded");

	(void)context;
	if (err)
		log_error(err, line);
	else
		log_write(LOG_INFO, line, "commit", run->commit, "reason", run->reason, NULL);
}

static void stop(void *context)
{
	struct serving *serving = context;

	loop_stop(serving->loop);
}

static bool is_ready(void *context)
{
	const struct serving *serving = context;

	return serving->ready;
}

static void fetch_ended(void *context)
{
	struct serving *serving = context;
	struct process_exit exit = {0};
	scoped(error_free) struct error err = {0};

	loop_remove(serving->loop, &serving->fetched);
	if (!process_wait(&serving->fetch, &exit, &err))
		log_error(&err, "fetch");
	process_free(&serving->fetch);
	watch_set_delay(serving->poll, given.interval_ms);
}

enum { FETCH_PATIENCE_MS = 300000, GRACE_MS = 1000 };

static void end_fetch(struct serving *serving)
{
	struct process_exit exit;

	if (!serving->fetched)
		return;
	loop_remove(serving->loop, &serving->fetched);
	process_stop(&serving->fetch, GRACE_MS, &exit);
	process_free(&serving->fetch);
}

/* The network may hang, the loop may not: a child fetches, and inotify sees what it brought. One
 * that hangs is ended when its patience is over, and asked again. */
static void fetch(void *context)
{
	struct serving *serving = context;
	scoped(error_free) struct error err = {0};

	if (serving->fetched)
		log_write(LOG_WARNING, "the remote did not answer in 5 minutes: asking again",
			NULL);
	end_fetch(serving);
	const char *argv[] = {"/proc/self/exe", "fetch", given.remote, serving->mirror, NULL};
	const struct process_options child = {.argv = argv,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.die_with_parent = true};

	if (process_start(&child, &serving->fetch, &err)) {
		serving->fetched =
			loop_add_process(serving->loop, serving->fetch.pidfd, fetch_ended, serving);
		watch_set_delay(serving->poll, FETCH_PATIENCE_MS);
		return;
	}
	log_error(&err, "fetch");
	watch_set_delay(serving->poll, given.interval_ms);
}

/* The mirror of a remote lies in the state folder, named by the URL's digest. */
static bool make_mirror(struct serving *serving, const struct command_context *context,
	struct error *err)
{
	struct digest digest = digest_of_str(str_of(given.remote));
	char hex[DIGEST_HEX_SIZE];
	bool changed = false;

	digest_to_hex(&digest, hex);
	serving->mirror = memory_format("%s/mirrors/%.16s.git", context->state, hex);
	return file_exists(serving->mirror) ||
	       repository_mirror(given.remote, serving->mirror, &changed, err);
}

/* "127.0.0.1:7333" -> host (owned) and port. */
static bool split_address(const char *address, char **out_host, int *out_port, struct error *err)
{
	const char *colon = strrchr(address, ':');
	int64_t port = -1;

	if (!colon || !str_to_int(str_of(colon + 1), &port) || port < 0 || port > 65535)
		return error_raise(err, ERROR_USAGE,
			"--listen must be HOST:PORT, like 127.0.0.1:7333, not \"%s\"", address);
	*out_host = memory_copy(address, (size_t)(colon - address));
	*out_port = (int)port;
	return true;
}

static bool start_api(struct serving *serving, struct error *err)
{
	scoped(text_free) char *host = NULL;
	struct api_options api = {
		.loop = serving->loop,
		.ledger = serving->ledger,
		.engine = serving->engine,
		.ready = is_ready,
		.context = serving,
	};

	if (!split_address(given.listen, &host, &api.port, err))
		return false;
	api.host = host;
	if (!api_start(&api, &serving->api, err))
		return false;
	scoped(text_free) char *line =
		memory_format("listening on http://%s:%d", host, api_port(serving->api));

	log_write(LOG_INFO, line, NULL);
	return true;
}

static bool start_all(struct serving *serving, const struct command_context *context,
	struct error *err)
{
	struct engine_options engine = {
		.loop = serving->loop,
		.ledger = serving->ledger,
		.repository = serving->repository,
		.ledger_url = context->ledger,
		.state = context->state,
		.stays = true,
		.jobs = (size_t)given.jobs,
		.ended = run_ended,
		.context = serving,
	};

	serving->engine = engine_new(&engine);
	if (!start_api(serving, err) || !engine_resume(serving->engine, NULL, NULL, NULL, err))
		return false;
	const struct served_options served = {
		.loop = serving->loop,
		.engine = serving->engine,
		.ledger = serving->ledger,
		.repository = serving->repository,
		.environment = given.environment,
		.failed = look_failed,
		.context = serving,
	};

	if (!served_start(&served, &serving->served, err))
		return false;
	if (serving->mirror)
		serving->poll = loop_add_timer(serving->loop, given.interval_ms, fetch, serving);
	serving->ready = true;
	return true;
}

static void stop_all(struct serving *serving)
{
	served_free(&serving->served);
	api_free(&serving->api);
	engine_free(&serving->engine);
	end_fetch(serving);
	loop_remove(serving->loop, &serving->poll);
	repository_free(&serving->repository);
	ledger_close(&serving->ledger);
	free(serving->mirror);
}

static bool run(struct command_context *context, struct error *err)
{
	scoped(loop_free) struct loop *loop = NULL;
	struct serving serving = {0};
	struct event_sink progress;

	if (given.remote && given.repository)
		return error_raise(err, ERROR_USAGE,
			"--repository and --remote exclude each other");
	if (!loop_new(&loop, err))
		return false;
	serving.loop = loop;
	struct watch *terminate = loop_add_signal(loop, SIGTERM, stop, &serving);
	struct watch *interrupt = loop_add_signal(loop, SIGINT, stop, &serving);

	progress_start(&progress);
	bool done = (!given.remote || make_mirror(&serving, context, err)) &&
		    repository_open(given.remote       ? serving.mirror
				    : given.repository ? given.repository
						       : ".",
			    &serving.repository, err) &&
		    ledger_open(context->ledger, LEDGER_ENGINE, &serving.ledger, err) &&
		    start_all(&serving, context, err) && loop_run(loop, err);

	stop_all(&serving);
	progress_stop(&progress);
	loop_remove(loop, &terminate);
	loop_remove(loop, &interrupt);
	return done;
}

const struct command serve_command = {"serve", &options, run, false};
