/*
 * A client of a registry that costs next to nothing itself, so that what is measured is the registry:
 *
 *     blobs push|single|pull|read HOST:PORT REPOSITORY AUTHORIZATION CLIENTS COUNT SIZE [SEED]
 *
 * CLIENTS threads, each with one connection for as long as the registry keeps it, move COUNT blobs of
 * SIZE bytes: push is POST and PUT, single is one POST with ?digest=, pull is GET of what an earlier
 * push with the same SEED brought, dropped by the kernel (MSG_TRUNC); read is that into memory. Every
 * blob is another one; their digests are computed before the clock starts. AUTHORIZATION is the
 * header's value, "" for none. Prints wall ms, blobs/s, MB/s, p50 ms, p99 ms.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 8192, PIECE = 1 << 20 };

static const char *mode, *host, *repository, *authorization;
static struct sockaddr_in address;
static size_t clients, count, size, next;
static unsigned char *bytes; /* of every blob, but for the first 16 */
static char (*digests)[80];
static uint64_t seed;
static double *times;
static bool drop; /* bodies that come: without copying them */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what)
{
	fprintf(stderr, "blobs: %s\n", what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The first 16 bytes make a blob one of its own. */
static void start_of(size_t number, unsigned char out[16])
{
	uint64_t words[2] = {seed, number};

	memcpy(out, words, 16);
}

static void compute_digest(size_t number)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char start[16], digest[32];

	start_of(number, start);
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	EVP_DigestUpdate(context, start, 16);
	EVP_DigestUpdate(context, bytes + 16, size - 16);
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	for (int i = 0; i < 32; i++)
		snprintf(digests[number] + 2 * i, 3, "%02x", digest[i]);
}

static int connect_to(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("cannot connect");
	return fd;
}

static void send_all(int fd, struct iovec *parts, int part_count)
{
	while (part_count) {
		ssize_t sent = writev(fd, parts, part_count);

		if (sent < 0)
			fail("the connection broke while sending");
		while (part_count && (size_t)sent >= parts->iov_len) {
			sent -= (ssize_t)parts->iov_len;
			parts++;
			part_count--;
		}
		if (part_count) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= (size_t)sent;
		}
	}
}

/* Reads a head into text (with a NUL); what came of the body is at *out_body. */
static int read_head(int fd, char text[HEAD], size_t *out_length, size_t *out_have)
{
	size_t have = 0;
	char *end;

	for (;;) {
		ssize_t got = recv(fd, text + have, HEAD - 1 - have, 0);

		if (got <= 0)
			fail("the connection ended before an answer");
		have += (size_t)got;
		text[have] = '\0';
		if ((end = strstr(text, "\r\n\r\n")))
			break;
		if (have == HEAD - 1)
			fail("a head is too large");
	}
	*out_have = have - (size_t)(end + 4 - text);
	end[2] = '\0';
	char *length = strcasestr(text, "\ncontent-length:");

	*out_length = length ? strtoul(length + 16, NULL, 10) : 0;
	return (int)strtol(text + 9, NULL, 10);
}

static void skip_body(int fd, size_t length, size_t have, char *room)
{
	while (have < length) {
		size_t left = length - have;
		ssize_t got = recv(fd, room, left < PIECE ? left : PIECE, drop ? MSG_TRUNC : 0);

		if (got <= 0)
			fail("a body ended early");
		have += (size_t)got;
	}
}

static int request(int *fd, const char *method, const char *target, size_t number, bool body,
	char head[HEAD], char *room)
{
	char text[HEAD];
	unsigned char start[16];
	size_t length, have;
	int head_size = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Length: %zu\r\n%s\r\n", method, target,
		host, *authorization ? "Authorization: " : "", authorization,
		*authorization ? "\r\n" : "", body ? size : 0,
		body ? "Content-Type: application/octet-stream\r\n" : "");
	struct iovec parts[3] = {{text, (size_t)head_size}, {start, 16}, {bytes + 16, size - 16}};

	start_of(number, start);
	send_all(*fd, parts, body ? 3 : 1);
	int status = read_head(*fd, head, &length, &have);

	skip_body(*fd, length, have, room);
	if (strcasestr(head, "\nconnection: close")) {
		close(*fd);
		*fd = connect_to();
	}
	return status;
}

/* The path of Location, which may be absolute, with digest= added. */
static void upload_target(const char *head, size_t number, char out[HEAD])
{
	const char *location = strcasestr(head, "\nlocation:");

	if (!location)
		fail("no Location");
	location += 10 + strspn(location + 10, " ");
	size_t length = strcspn(location, "\r\n");

	if (strncmp(location, "http://", 7) == 0) {
		size_t skip = 7 + strcspn(location + 7, "/");

		location += skip;
		length -= skip;
	}
	snprintf(out, HEAD, "%.*s%cdigest=sha256:%s", (int)length, location,
		memchr(location, '?', length) ? '&' : '?', digests[number]);
}

static void move_one(int *fd, size_t number, char *room)
{
	char head[HEAD], target[HEAD];
	int status;

	if (strcmp(mode, "pull") == 0 || strcmp(mode, "read") == 0) {
		snprintf(target, sizeof(target), "/v2/%s/blobs/sha256:%s", repository,
			digests[number]);
		if (request(fd, "GET", target, number, false, head, room) != 200)
			fail(head);
		return;
	}
	if (strcmp(mode, "single") == 0) {
		snprintf(target, sizeof(target), "/v2/%s/blobs/uploads/?digest=sha256:%s",
			repository, digests[number]);
		status = request(fd, "POST", target, number, true, head, room);
	} else {
		snprintf(target, sizeof(target), "/v2/%s/blobs/uploads/", repository);
		if (request(fd, "POST", target, number, false, head, room) != 202)
			fail(head);
		upload_target(head, number, target);
		status = request(fd, "PUT", target, number, true, head, room);
	}
	if (status != 201)
		fail(head);
}

static void *client(void *unused)
{
	char *room = malloc(PIECE);
	int fd = connect_to();

	for (;;) {
		pthread_mutex_lock(&lock);
		size_t number = next++;

		pthread_mutex_unlock(&lock);
		if (number >= count)
			break;
		double start = now_ms();

		move_one(&fd, number, room);
		times[number] = now_ms() - start;
	}
	close(fd);
	free(room);
	return unused;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	pthread_t threads[256];
	char *colon;

	if (argc < 8 || !(colon = strchr(argv[2], ':'))) {
		fprintf(stderr,
			"usage: blobs push|single|pull|read HOST:PORT REPOSITORY AUTHORIZATION "
			"CLIENTS COUNT SIZE [SEED]\n");
		return 2;
	}
	mode = argv[1], host = argv[2], repository = argv[3], authorization = argv[4];
	clients = strtoul(argv[5], NULL, 10), count = strtoul(argv[6], NULL, 10);
	drop = strcmp(mode, "pull") == 0;
	size = strtoul(argv[7], NULL, 10), seed = argc > 8 ? strtoul(argv[8], NULL, 10) : 1;
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	*colon = '\0';
	inet_pton(AF_INET, argv[2], &address.sin_addr);
	*colon = ':';
	if (size < 16 || !count || !clients || clients > 256)
		fail("SIZE from 16, CLIENTS 1 to 256");
	bytes = malloc(size);
	digests = calloc(count, sizeof(*digests));
	times = calloc(count, sizeof(*times));
	for (size_t i = 0; i < size; i += sizeof(uint32_t) * 2)
		for (size_t j = i; j < i + 8 && j < size; j++)
			bytes[j] = (unsigned char)((i * 2654435761u + j * 40503u) >> 13);
	for (size_t i = 0; i < count; i++)
		compute_digest(i);

	double start = now_ms();

	for (size_t i = 0; i < clients; i++)
		pthread_create(&threads[i], NULL, client, NULL);
	for (size_t i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	double wall = now_ms() - start;

	qsort(times, count, sizeof(*times), compare);
	printf("%.1f %.0f %.0f %.2f %.2f\n", wall, (double)count / wall * 1e3,
		(double)(count * size) / wall / 1e3, times[count / 2], times[count * 99 / 100]);
	return 0;
}
