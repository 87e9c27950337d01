/*
 * blob_sender.h - threads that send blobs, as the http_sender of base/http_server.h.
 *
 * Each thread takes the next connection that has room (one epoll for all of them), gives it up to
 * 8 MiB with sendfile and goes on to the next, so that one fast reader keeps nobody waiting and a
 * slow one keeps no thread.
 *
 * Threads  everything here is called on the loop's thread. The threads start with the first blob.
 * Limits   a client that takes nothing for stalled_ms is cut off (by the system: TCP_USER_TIMEOUT).
 */
#ifndef DEPLOYERS_LOCAL_BLOB_SENDER_H
#define DEPLOYERS_LOCAL_BLOB_SENDER_H

#include "base/http_server.h"
#include "base/loop.h"

struct senders; /* the threads and what they send */

struct senders *senders_new(struct loop *loop, unsigned stalled_ms) must_use;
void senders_free(struct senders **senders); /* when the server is gone */

/* For http_answer_file_by(); as long as senders. Its prepare says no where no thread can be started
 * or the system has no descriptor left: then the loop sends. */
const struct http_sender *senders_http(const struct senders *senders);

#endif
