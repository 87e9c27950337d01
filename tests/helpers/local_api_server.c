/*
 * The local cloud without containers, for tests of its APIs: STS, ECR and the registry, Logs, ELBv2
 * with HAProxy. Prints "listening on PORT" when it is ready and runs until SIGTERM or SIGINT, which
 * leave HAProxy running; SIGUSR1 ends HAProxy too.
 *
 *     local_api_server STATE [PORT]
 */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/balancer.h"
#include "deployers/local/content.h"
#include "deployers/local/endpoint.h"
#include "deployers/local/logs.h"
#include "deployers/local/store.h"

#include <signal.h>
#include <stdlib.h>

struct running {
	struct cloud cloud;
	bool stop_balancer;
};

static void on_end(void *context)
{
	struct running *running = context;

	loop_stop(running->cloud.loop);
}

static void on_end_all(void *context)
{
	struct running *running = context;

	running->stop_balancer = true;
	loop_stop(running->cloud.loop);
}

static bool run(struct running *running, struct error *err)
{
	struct cloud *cloud = &running->cloud;
	scoped(text_free) char *path = path_join(cloud->state, "store.db");
	scoped(endpoint_stop) struct endpoint *endpoint = NULL;
	bool ok;

	if (!loop_new(&cloud->loop, err))
		return false;
	loop_add_signal(cloud->loop, SIGTERM, on_end, running);
	loop_add_signal(cloud->loop, SIGINT, on_end, running);
	loop_add_signal(cloud->loop, SIGUSR1, on_end_all, running);
	if (!store_open(path, &cloud->store, err) || !logs_open(cloud, &cloud->logs, err) ||
		!content_open(cloud, &cloud->content, err) ||
		!balancer_open(cloud, &cloud->balancer, err) ||
		!endpoint_start(cloud, &endpoint, err))
		return false;
	printf("listening on %d\n", cloud->port);
	fflush(stdout);
	ok = loop_run(cloud->loop, err);
	return (!running->stop_balancer || balancer_stop(cloud->balancer, err)) && ok;
}

int main(int argc, char **argv)
{
	struct running running = {.cloud = {
					  .clock = &system_clock,
					  .state = argc > 1 ? argv[1] : NULL,
					  .host = memory_copy_text("127.0.0.1"),
					  .account = memory_copy_text("000000000000"),
					  .region = memory_copy_text("us-east-1"),
				  }};
	struct cloud *cloud = &running.cloud;
	struct error err = {0};
	int64_t port = 0;
	bool ok;

	if (argc < 2 || (argc > 2 && !str_to_int(str_of(argv[2]), &port))) {
		fprintf(stderr, "usage: local_api_server STATE [PORT]\n");
		return 2;
	}
	cloud->port = (int)port;
	if (getenv("DOGSHORE_TRACE"))
		log_trace_enable(getenv("DOGSHORE_TRACE"));
	ok = folder_make(cloud->state, 0700, &err) && run(&running, &err);
	if (!ok)
		error_print(stderr, &err, true);
	error_free(&err);
	balancer_close(&cloud->balancer);
	content_close(&cloud->content);
	logs_close(&cloud->logs);
	store_close(&cloud->store);
	loop_free(&cloud->loop);
	free(cloud->host);
	free(cloud->account);
	free(cloud->region);
	return ok ? 0 : 1;
}
