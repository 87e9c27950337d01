/*
 * until.c - waits until an address answers with a text, and says how long that took.
 *
 *     until HOST PORT PATH TEXT START_NS [LIMIT_MS]
 *
 * A new connection per try, a try every half millisecond. Prints the milliseconds since START_NS
 * (CLOCK_REALTIME, what `date +%s%N` prints). Exit status 1 when the limit (30 s) passes first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool is_it(const char *answer, const char *text)
{
	return strncmp(answer, "HTTP/1.1 200", 12) == 0 && strstr(answer, text) != NULL;
}

/* Reads until the text has come, the answer ends, or nothing comes for 200 ms. */
static bool answers(const struct sockaddr_in *address, const char *request, const char *text)
{
	char answer[4096] = "";
	size_t length = 0;
	bool sent = false;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
		sent = send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request);
	while (sent && length < sizeof answer - 1 && !is_it(answer, text)) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t got = poll(&ready, 1, 200) == 1
				      ? read(fd, answer + length, sizeof answer - 1 - length)
				      : 0;
		if (got <= 0)
			break;
		length += (size_t)got;
		answer[length] = '\0';
	}
	close(fd);
	return is_it(answer, text);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char request[512];
	int64_t start, limit_ms = 30000;

	if (argc < 6 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
		fputs("usage: until HOST PORT PATH TEXT START_NS [LIMIT_MS]\n", stderr);
		return 2;
	}
	address.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	start = strtoll(argv[5], NULL, 10);
	if (argc > 6)
		limit_ms = strtoll(argv[6], NULL, 10);
	snprintf(request, sizeof request,
		"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", argv[3]);
	while (!answers(&address, request, argv[4])) {
		if (now_ns() - start > limit_ms * 1000000) {
			fprintf(stderr, "no answer with \"%s\" within %" PRId64 " ms\n", argv[4],
				limit_ms);
			return 1;
		}
		nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	}
	printf("%.1f\n", (double)(now_ns() - start) / 1e6);
	return 0;
}
