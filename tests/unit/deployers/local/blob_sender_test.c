#include "tests/test.h"
#include "tests/unit/deployers/local/no_threads.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/blob_sender.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOB = 20000000, CLIENTS = 6 };

/* A server that answers every path with the blob, from byte 7 on. */
struct fixture {
	struct loop *loop;
	struct senders *senders;
	struct http_server *server;
	struct buf blob;
	char *path;
	int64_t promised; /* more than the blob has: a file that became shorter */
	int closed;
};

static void handle(void *context, struct http_exchange *exchange)
{
	struct fixture *f = context;

	http_answer_file_by(exchange, 200, "application/octet-stream",
		open(f->path, O_RDONLY | O_CLOEXEC), 7, f->promised - 7, senders_http(f->senders));
}

static void closed(void *context, struct http_exchange *exchange)
{
	struct fixture *f = context;

	(void)exchange;
	f->closed++;
}

static void fixture_open(struct fixture *f, unsigned stalled_ms)
{
	struct http_server_options options = {.handle = handle,
		.closed = closed,
		.context = f,
		.same_machine = true};
	uint32_t state = 1;
	struct error err = {0};

	*f = (struct fixture){.promised = BLOB};
	char *bytes = buf_reserve(&f->blob, BLOB);

	for (size_t i = 0; i < BLOB; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (char)(state >> 24);
	}
	f->blob.size = BLOB;
	f->path = path_join("/tmp", "blob-sender-XXXXXX");
	int fd = mkostemp(f->path, O_CLOEXEC);

	if (!descriptor_write_all(fd, bytes, BLOB, "the blob", &err) || !loop_new(&f->loop, &err))
		abort();
	close(fd);
	f->senders = senders_new(f->loop, stalled_ms);
	if (!http_server_start(f->loop, &options, &f->server, &err))
		abort();
}

static void fixture_close(struct fixture *f)
{
	http_server_free(&f->server);
	senders_free(&f->senders);
	loop_free(&f->loop);
	buf_free(&f->blob);
	unlink(f->path);
	free(f->path);
}

static int connect_to(const struct fixture *f)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(f->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		abort();
	return fd;
}

static void ask(int fd)
{
	static const char request[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		abort();
}

struct client {
	const struct fixture *fixture;
	pthread_t thread;
	int requests;               /* to make, one after the other on one connection */
	size_t got;                 /* of the last body */
	bool length_is_right, same; /* of all answers */
	bool closes;
};

/* Reads one answer; false: the connection ended within it. */
static bool read_answer(struct client *client, int fd)
{
	const struct buf *blob = &client->fixture->blob;
	scoped(buf_free) struct buf piece = {0};
	char *room = buf_reserve(&piece, 1 << 20), *end;
	size_t have = 0;

	for (;;) {
		ssize_t got = recv(fd, room + have, (1 << 20) - 1 - have, 0);

		if (got <= 0)
			return false;
		have += (size_t)got;
		room[have] = '\0';
		if ((end = strstr(room, "\r\n\r\n")))
			break;
	}
	end[2] = '\0';
	char *length = strstr(room, "\r\nContent-Length: ");

	/* One of them; and a connection that ends is announced. */
	if (!length || !text_starts_with(length, "\r\nContent-Length: 19999993\r\n") ||
		strstr(length + 2, "\r\nContent-Length: "))
		client->length_is_right = false;
	client->closes = strstr(room, "\r\nConnection: close\r\n") != NULL;
	client->got = have - (size_t)(end + 4 - room);
	memmove(room, end + 4, client->got);
	for (size_t at = 0, more = client->got;;) {
		if (at + more > BLOB - 7 || memcmp(room, blob->data + 7 + at, more) != 0)
			client->same = false;
		at += more;
		client->got = at;
		if (at >= BLOB - 7)
			return true;
		ssize_t got = recv(fd, room, 1 << 20, 0);

		if (got <= 0)
			return false;
		more = (size_t)got;
	}
}

static atomic_int finished;

static void *client_main(void *context)
{
	struct client *client = context;
	int fd = connect_to(client->fixture);

	client->same = client->length_is_right = true;
	for (int i = 0; i < client->requests; i++) {
		ask(fd);
		if (!read_answer(client, fd))
			break;
		if (client->closes) {
			char more;

			/* in peace, with nothing behind it */
			client->same = client->same && recv(fd, &more, 1, 0) == 0;
			close(fd);
			fd = connect_to(client->fixture);
		}
	}
	close(fd);
	finished++;
	return NULL;
}

static void clients_start(struct fixture *f, struct client *clients, size_t count, int requests)
{
	finished = 0;
	for (size_t i = 0; i < count; i++) {
		clients[i] = (struct client){.fixture = f, .requests = requests};
		if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0)
			abort();
	}
}

/* One turn of the loop; bounded, as what we wait for may happen just before it sleeps. */
static void turn(struct fixture *f)
{
	if (!loop_turn(f->loop, 50, NULL))
		abort();
}

/* Serves until every client is through. */
static void clients_join(struct fixture *f, struct client *clients, size_t count)
{
	while (finished < (int)count)
		turn(f);
	for (size_t i = 0; i < count; i++)
		pthread_join(clients[i].thread, NULL);
}

static void check_whole(const struct client *client)
{
	CHECK_INT((int64_t)client->got, BLOB - 7);
	CHECK(client->length_is_right);
	CHECK(client->same);
}

TEST(many_readers_get_the_blob_again_and_again)
{
	scoped(fixture_close) struct fixture f;
	struct client clients[CLIENTS];

	fixture_open(&f, 60000);
	clients_start(&f, clients, CLIENTS, 3);
	clients_join(&f, clients, CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++)
		check_whole(&clients[i]);
	CHECK_INT(f.closed, 3 * CLIENTS);
}

/* Five connections that are not read from, more than there are threads: others are served. */
TEST(who_does_not_read_keeps_no_one_else_waiting)
{
	scoped(fixture_close) struct fixture f;
	struct client client;
	int idle[5];

	fixture_open(&f, 60000);
	for (size_t i = 0; i < 5; i++)
		ask(idle[i] = connect_to(&f));
	clients_start(&f, &client, 1, 2);
	clients_join(&f, &client, 1);
	check_whole(&client);
	/* and they end with the server, in the middle of it */
	http_server_free(&f.server);
	CHECK_INT(f.closed, 2 + 5);
	for (size_t i = 0; i < 5; i++)
		close(idle[i]);
}

TEST(who_takes_nothing_for_too_long_is_cut_off)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f, 300);
	scoped(descriptor_close) int idle = connect_to(&f);

	ask(idle);
	while (!f.closed)
		turn(&f);
	CHECK_INT(f.closed, 1);
}

TEST(who_goes_away_in_the_middle_is_forgotten)
{
	scoped(fixture_close) struct fixture f;

	fixture_open(&f, 60000);
	for (int i = 0; i < 3; i++) {
		scoped(descriptor_close) int fd = connect_to(&f);
		char some[1000];

		ask(fd);
		while (recv(fd, some, sizeof(some), MSG_DONTWAIT) <= 0)
			turn(&f);
		descriptor_close(&fd);
		while (f.closed <= i)
			turn(&f);
	}
	CHECK_INT(f.closed, 3);
}

/* The head promised more than the file turns out to have: nobody may take it for whole. */
TEST(a_file_that_became_shorter_ends_the_connection)
{
	scoped(fixture_close) struct fixture f;
	struct client client;

	fixture_open(&f, 60000);
	REQUIRE(truncate(f.path, 1000000) == 0);
	clients_start(&f, &client, 1, 1);
	clients_join(&f, &client, 1);
	CHECK_INT((int64_t)client.got, 1000000 - 7);
	CHECK(client.length_is_right);
	CHECK(client.same);
}

TEST(without_threads_the_loop_sends)
{
	scoped(fixture_close) struct fixture f;
	struct client client;

	fixture_open(&f, 60000);
	clients_start(&f, &client, 1, 2);
	no_threads = true;
	clients_join(&f, &client, 1);
	no_threads = false;
	check_whole(&client);
}

TEST_MAIN()
