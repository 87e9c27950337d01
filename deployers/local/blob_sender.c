/*
 * What becomes of a job:
 *
 *     prepare -> job --go--> armed in epoll <-> a thread's --all sent, or failed--> finished
 *                 |                |                |                                  |
 *                end: freed      end: forgotten, its socket is shut down    the loop: done, freed
 *
 * From go on it belongs to the threads until it is in `finished`; the loop only forgets it, and shuts
 * its socket down so that the threads are through with it soon. So no thread ever meets a job that
 * was freed, whatever epoll told it before.
 */
#include "deployers/local/blob_sender.h"

#include "base/file.h"
#include "base/memory.h"
#include "deployers/local/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 20, TURN = 8 << 20 };

struct job {
	struct senders *senders;
	struct http_exchange *exchange; /* the loop's; NULL: forgotten */
	int socket, fd;                 /* owned */
	off_t at;
	int64_t left_bytes;
	bool going, failed;
	struct job *next; /* in finished */
};

struct senders {
	struct http_sender http;
	struct loop *loop; /* borrowed */
	struct watch *watch;
	unsigned stalled_ms;
	int epoll_fd, stop_fd, event_fd;
	struct workers workers;
	size_t going; /* jobs that the threads have */

	pthread_mutex_t lock;
	struct job *finished; /* under the lock; newest first */
};

static void job_free(struct job *job)
{
	descriptor_close(&job->socket);
	descriptor_close(&job->fd);
	free(job);
}

/* --- the threads --- */

/* False: wait until the socket has room. */
static bool send_turn(struct job *job)
{
	for (int64_t turn = TURN; turn > 0 && job->left_bytes > 0;) {
		ssize_t sent = sendfile(job->socket, job->fd, &job->at,
			job->left_bytes < PIECE ? (size_t)job->left_bytes : PIECE);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return false;
		if (sent <= 0) { /* 0: the file is shorter than it was */
			job->failed = true;
			return true;
		}
		job->left_bytes -= sent;
		turn -= sent;
	}
	return job->left_bytes == 0;
}

static void finish(struct job *job)
{
	struct senders *senders = job->senders;

	/* Closing would not do: the server has another descriptor of the same socket. */
	epoll_ctl(senders->epoll_fd, EPOLL_CTL_DEL, job->socket, NULL);
	pthread_mutex_lock(&senders->lock);
	job->next = senders->finished;
	senders->finished = job;
	pthread_mutex_unlock(&senders->lock);
	if (eventfd_write(senders->event_fd, 1) != 0)
		abort(); /* cannot be: its count does not reach 2^64 */
}

/*
 * One thread at a time is told, and where there is room already one is told again, after others. The
 * lock passes the job on: whoever is told takes it, so after that nobody is still here.
 */
static bool arm(struct job *job, int operation)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = job};
	struct senders *senders = job->senders;

	pthread_mutex_lock(&senders->lock);
	bool ok = epoll_ctl(senders->epoll_fd, operation, job->socket, &event) == 0;

	pthread_mutex_unlock(&senders->lock);
	return ok;
}

static void *thread_main(void *context)
{
	struct senders *senders = context;
	struct epoll_event event;

	for (;;) {
		if (epoll_wait(senders->epoll_fd, &event, 1, -1) != 1)
			continue; /* EINTR */
		struct job *job = event.data.ptr;

		if (!job)
			return NULL;
		pthread_mutex_lock(&senders->lock);
		pthread_mutex_unlock(&senders->lock);
		if (!send_turn(job) && arm(job, EPOLL_CTL_MOD))
			continue;
		job->failed = job->left_bytes > 0;
		finish(job);
	}
}

/* --- the loop's side --- */

static bool prepare(void *self, struct http_exchange *exchange, int socket, int fd, int64_t offset,
	int64_t size, void **out_job)
{
	struct senders *senders = self;
	struct job *job;

	if (!workers_start(&senders->workers, thread_main, senders))
		return false;
	job = memory_new(sizeof(*job));
	*job = (struct job){.senders = senders, .exchange = exchange, .at = offset};
	job->left_bytes = size;
	job->socket = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (job->socket < 0 || job->fd < 0 ||
		setsockopt(job->socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &senders->stalled_ms,
			sizeof(senders->stalled_ms)) != 0) {
		job_free(job);
		return false;
	}
	*out_job = job;
	return true;
}

static void go(void *self)
{
	struct job *job = self;

	job->going = true;
	job->senders->going++;
	if (!arm(job, EPOLL_CTL_ADD)) {
		job->failed = true;
		finish(job);
	}
}

static void end(void *self)
{
	struct job *job = self;

	if (!job->going) {
		job_free(job);
		return;
	}
	job->exchange = NULL;
	shutdown(job->socket, SHUT_RDWR);
}

static struct job *next_finished(struct senders *senders)
{
	pthread_mutex_lock(&senders->lock);
	struct job *job = senders->finished;

	if (job)
		senders->finished = job->next;
	pthread_mutex_unlock(&senders->lock);
	return job;
}

static void on_finished(void *context, unsigned bits)
{
	struct senders *senders = context;
	struct job *job;
	eventfd_t count;

	(void)bits;
	eventfd_read(senders->event_fd, &count);
	while ((job = next_finished(senders))) {
		bool failed = job->failed;
		struct http_exchange *exchange = job->exchange;

		job->going = false;
		senders->going--;
		/* Ends the job, which is ours again. */
		if (exchange)
			http_exchange_sent(exchange, !failed);
		else
			job_free(job);
	}
}

struct senders *senders_new(struct loop *loop, unsigned stalled_ms)
{
	struct senders *senders = memory_new(sizeof(*senders));
	struct epoll_event stop = {.events = EPOLLIN};

	senders->http = (struct http_sender){prepare, go, end, senders};
	senders->loop = loop;
	senders->stalled_ms = stalled_ms;
	senders->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	senders->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	senders->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (senders->epoll_fd < 0 || senders->stop_fd < 0 || senders->event_fd < 0 ||
		epoll_ctl(senders->epoll_fd, EPOLL_CTL_ADD, senders->stop_fd, &stop) != 0) {
		fprintf(stderr, "error: the system gives no event descriptor\n");
		exit(3);
	}
	pthread_mutex_init(&senders->lock, NULL);
	senders->watch = loop_add_fd(loop, senders->event_fd, LOOP_READ, on_finished, senders);
	return senders;
}

const struct http_sender *senders_http(const struct senders *senders)
{
	return &senders->http;
}

void senders_free(struct senders **address)
{
	struct senders *senders = *address;

	if (!senders)
		return;
	/* What was ended has a socket that is shut down: the threads are through with it soon. */
	while (senders->going) {
		struct pollfd finished = {.fd = senders->event_fd, .events = POLLIN};

		poll(&finished, 1, -1);
		on_finished(senders, LOOP_READ);
	}
	if (eventfd_write(senders->stop_fd, 1) != 0)
		abort();
	workers_join(&senders->workers);
	loop_remove(senders->loop, &senders->watch);
	close(senders->epoll_fd);
	close(senders->stop_fd);
	close(senders->event_fd);
	pthread_mutex_destroy(&senders->lock);
	free(senders);
	*address = NULL;
}
