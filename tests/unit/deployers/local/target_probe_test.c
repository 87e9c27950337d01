#include "tests/test.h"

#include "base/file.h"
#include "deployers/local/target_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listening socket that answers as the test wants it to. */
struct peer {
	int fd, port;
	struct loop *loop;
	struct watch *watch;
	const char *answer; /* NULL: none, the connection stays open */
	int connection;
};

static void on_connection(void *context, unsigned bits)
{
	struct peer *peer = context;

	(void)bits;
	peer->connection = accept(peer->fd, NULL, NULL);
	if (peer->answer) {
		ssize_t sent = write(peer->connection, peer->answer, strlen(peer->answer));

		(void)sent;
		close(peer->connection);
		peer->connection = -1;
	}
}

static void peer_open(struct peer *peer, struct loop *loop, const char *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t size = sizeof(address);

	*peer = (struct peer){.loop = loop, .answer = answer, .connection = -1};
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(peer->fd, 1) < 0 ||
		getsockname(peer->fd, (struct sockaddr *)&address, &size) < 0)
		abort();
	peer->port = ntohs(address.sin_port);
	peer->watch = loop_add_fd(loop, peer->fd, LOOP_READ, on_connection, peer);
}

static void peer_close(struct peer *peer)
{
	loop_remove(peer->loop, &peer->watch);
	close(peer->fd);
	if (peer->connection >= 0)
		close(peer->connection);
}

struct outcome {
	bool done;
	enum probe_result result;
	int status;
};

static void on_done(void *context, enum probe_result result, int status)
{
	*(struct outcome *)context = (struct outcome){true, result, status};
}

static struct outcome probe(struct loop *loop, int port, const char *matcher, int64_t timeout_ms)
{
	struct outcome outcome = {0};
	struct error err = {0};
	struct target_probe *started =
		target_probe_start(loop, &(struct target_probe_options){.ip = "127.0.0.1",
						 .port = port,
						 .path = "/health",
						 .matcher = matcher,
						 .timeout_ms = timeout_ms,
						 .done = on_done,
						 .context = &outcome});

	while (started && !outcome.done && loop_turn(loop, -1, &err))
		;
	return outcome;
}

static struct outcome probe_answer(const char *answer, const char *matcher, int64_t timeout_ms)
{
	struct loop *loop = NULL;
	struct error err = {0};
	struct peer peer;
	struct outcome outcome;

	if (!loop_new(&loop, &err))
		abort();
	peer_open(&peer, loop, answer);
	outcome = probe(loop, peer.port, matcher, timeout_ms);
	peer_close(&peer);
	loop_free(&loop);
	return outcome;
}

TEST(a_target_is_judged_by_its_status_line)
{
	struct outcome outcome = probe_answer("HTTP/1.1 200 OK\r\n\r\n", "200", 60000);

	CHECK_INT(outcome.result, PROBE_HEALTHY);
	CHECK_INT(outcome.status, 200);
	outcome = probe_answer("HTTP/1.1 503 Service Unavailable\r\n\r\n", "200-299", 60000);
	CHECK_INT(outcome.result, PROBE_MISMATCH);
	CHECK_INT(outcome.status, 503);
	CHECK_INT(probe_answer("SSH-2.0-OpenSSH_9\r\n", "200", 60000).result, PROBE_MISMATCH);
	CHECK_INT(probe_answer("", "200", 60000).result, PROBE_MISMATCH);
}

TEST(silence_times_out_and_a_closed_port_is_refused)
{
	struct loop *loop = NULL;
	struct error err = {0};
	struct peer peer;

	CHECK_INT(probe_answer(NULL, "200", 1).result, PROBE_TIMEOUT);
	REQUIRE_OK(loop_new(&loop, &err));
	peer_open(&peer, loop, NULL);
	peer_close(&peer);
	CHECK_INT(probe(loop, peer.port, "200", 60000).result, PROBE_REFUSED);
	loop_free(&loop);
}

TEST(a_cancelled_probe_never_answers)
{
	struct outcome outcome = {0};
	struct loop *loop = NULL;
	struct error err = {0};
	struct peer peer;

	REQUIRE_OK(loop_new(&loop, &err));
	peer_open(&peer, loop, "HTTP/1.1 200 OK\r\n\r\n");
	struct target_probe *started =
		target_probe_start(loop, &(struct target_probe_options){.ip = "127.0.0.1",
						 .port = peer.port,
						 .path = "/",
						 .matcher = "200",
						 .timeout_ms = 60000,
						 .done = on_done,
						 .context = &outcome});

	target_probe_cancel(&started);
	CHECK(!started);
	for (int i = 0; i < 5; i++)
		REQUIRE_OK(loop_turn(loop, 1, &err));
	CHECK(!outcome.done);
	peer_close(&peer);
	loop_free(&loop);
}

TEST(matchers_are_codes_and_ranges)
{
	CHECK(matcher_accepts("200", 200));
	CHECK(!matcher_accepts("200", 201));
	CHECK(matcher_accepts("200,204", 204));
	CHECK(matcher_accepts("200-299,301", 250));
	CHECK(matcher_accepts("200-299,301", 301));
	CHECK(!matcher_accepts("200-299,301", 300));
	CHECK(matcher_valid("200-399"));
	CHECK(!matcher_valid(""));
	CHECK(!matcher_valid("ok"));
	CHECK(!matcher_valid("99"));
	CHECK(!matcher_valid("200-"));
	CHECK(!matcher_valid("300-200"));
	CHECK(!matcher_valid("200,"));
	CHECK(!matcher_valid("500"));
}

TEST_MAIN()
