/*
 * A server for tests of the balancer: answers every GET with its name.
 *
 *     echo_server NAME [PORT]        prints "listening on PORT"; SIGTERM ends it at once
 */
#include "base/http_server.h"

#include <signal.h>

static void handle(void *context, struct http_exchange *exchange)
{
	http_answer(exchange, 200, "text/plain", str_of(context));
}

static void end(void *context)
{
	loop_stop(context);
}

int main(int argc, char **argv)
{
	struct http_server *server = NULL;
	struct loop *loop = NULL;
	struct error err = {0};
	int64_t port = 0;

	if (argc < 2 || (argc > 2 && !str_to_int(str_of(argv[2]), &port))) {
		fprintf(stderr, "usage: echo_server NAME [PORT]\n");
		return 2;
	}
	struct http_server_options options = {.port = (int)port,
		.handle = handle,
		.context = argv[1]};

	if (!loop_new(&loop, &err) || !loop_add_signal(loop, SIGTERM, end, loop) ||
		!http_server_start(loop, &options, &server, &err)) {
		error_print(stderr, &err, true);
		return 1;
	}
	printf("listening on %d\n", http_server_port(server));
	fflush(stdout);
	if (!loop_run(loop, &err))
		error_print(stderr, &err, true);
	http_server_free(&server);
	loop_free(&loop);
	return 0;
}
