/*
 * limits.h - what a command that nobody trusts may use of the machine, how sizes are written, and
 *            what holds where there are no control groups.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "base/buf.h"

#include <stdint.h>

/* 0 in a member: nobody said. */
struct limits {
	int64_t memory_bytes;
	int64_t disk_bytes;
	int64_t processes; /* threads count */
	int64_t cpus;
};

enum { LIMITS_COUNT_MOST = 1000000 };
#define LIMITS_DISK_BYTES ((int64_t)10 << 30)

/*
 * Disk gets LIMITS_DISK_BYTES when nobody said how much. The others stay open: to hold them takes a
 * control group, and moving a process into one makes the kernel wait for all processors, 8 to 25 ms on an
 * idle machine (every fork waits meanwhile), which no build should pay that did not ask for it.
 */
void limits_complete(struct limits *limits);
/* What each file system in memory may hold: a quarter of memory_bytes, else a fifth of the machine's.
 * 0: not known. */
int64_t limits_scratch_bytes(const struct limits *limits);

/* "512MiB", "4GiB": KiB, MiB, GiB or TiB, at least 1 and less than 2^63 bytes; a bare number, a sign
 * or a fraction is no size. */
bool size_parse(struct str text, int64_t *out_size_bytes) must_use;
/* For people: "512 MiB", "2.5 GiB". */
enum { SIZE_TEXT_SIZE = 32 };
void size_to_text(int64_t size_bytes, char out[SIZE_TEXT_SIZE]);

/*
 * For the process that calls it and what it starts: no core dumps, no file larger than disk_bytes, and
 * (best effort, for where there is no control group) processes. Makes system calls alone, so it may
 * be called between vfork and exec.
 *
 * processes_now  how many the user has already: the system counts all of a user's together. Root is
 *                never counted, so for root this limits nothing. Negative: leave it alone
 */
void limits_set(const struct limits *limits, int64_t processes_now);
/* Processes and threads that the caller's user has now. */
int64_t limits_count_processes(void);
/* Leaves the caller, and what it starts, `cpus` of the processors that it may use now: not the same
 * ones for every caller. It can be undone by whoever wants to, so it is no wall. */
void limits_set_processors(int64_t cpus);

#endif
