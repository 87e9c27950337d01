/*
 * Ends a program with SIGKILL at its n-th change of a regular file or folder: for tests that want to
 * know what is left behind then. Preloaded (LD_PRELOAD), compiled by the test that needs it:
 *
 *     KILL_AT=12          at the twelfth change, before it; 0: never, only count
 *     KILL_TORN=1         when that is a write: after half of it
 *     KILL_ARMED=1        count from the start; otherwise from SIGUSR2 on
 *     KILL_STATE=FILE     made when counting begins; later holds how many changes there were
 *     KILL_CLOCK=SECONDS  what the real-time clock is ahead
 *
 * All threads count together. Writes through a mapping are not seen.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t armed;
static long at, seen, ahead_s;
static bool torn;
static const char *state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Past our own functions. */
static void note(void)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%ld\n", seen);
	int fd = state ? (int)syscall(SYS_openat, AT_FDCWD, state, O_CREAT | O_WRONLY, 0600) : -1;

	if (fd < 0)
		return;
	syscall(SYS_pwrite64, fd, text, (size_t)size, (off_t)0);
	syscall(SYS_close, fd);
}

static void arm(int number)
{
	(void)number;
	armed = 1;
	note();
}

__attribute__((constructor)) static void start(void)
{
	const char *text = getenv("KILL_AT");
	struct sigaction action = {.sa_handler = arm, .sa_flags = SA_RESTART};

	at = text ? strtol(text, NULL, 10) : 0;
	torn = getenv("KILL_TORN") != NULL;
	state = getenv("KILL_STATE");
	text = getenv("KILL_CLOCK");
	ahead_s = text ? strtol(text, NULL, 10) : 0;
	sigaction(SIGUSR2, &action, NULL);
	if (getenv("KILL_ARMED"))
		arm(0);
}

/* True when it is this change's turn. */
static bool is_last(void)
{
	if (!armed)
		return false;
	pthread_mutex_lock(&lock);
	bool last = ++seen == at;

	note();
	/* No other thread gets further when this one is the last. */
	if (!last)
		pthread_mutex_unlock(&lock);
	return last;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static bool is_file(int fd)
{
	struct stat status;

	return armed && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (is_file(fd) && is_last()) {
		if (torn)
			syscall(SYS_write, fd, bytes, size / 2);
		die();
	}
	return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
	if (is_file(fd) && is_last()) {
		if (torn)
			syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
		die();
	}
	return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return pwrite64(fd, bytes, size, offset);
}

static void change(void)
{
	if (is_last())
		die();
}

int rename(const char *from, const char *to)
{
	change();
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	change();
	return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
	change();
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int unlinkat(int folder, const char *path, int flags)
{
	change();
	return (int)syscall(SYS_unlinkat, folder, path, flags);
}

int remove(const char *path)
{
	return unlink(path);
}

int ftruncate64(int fd, off64_t size)
{
	change();
	return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int open64(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;

	va_end(args);
	if (flags & O_CREAT)
		change();
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;

	va_end(args);
	return open64(path, flags, mode);
}

int clock_gettime(clockid_t which, struct timespec *out)
{
	int result = (int)syscall(SYS_clock_gettime, which, out);

	if (which == CLOCK_REALTIME)
		out->tv_sec += ahead_s;
	return result;
}
