/*
 * no_threads.h - a system that gives no thread, for as long as a test says so: stands before libc's
 *                pthread_create in the program that includes it.
 */
#ifndef TESTS_UNIT_DEPLOYERS_LOCAL_NO_THREADS_H
#define TESTS_UNIT_DEPLOYERS_LOCAL_NO_THREADS_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static bool no_threads;

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
	const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	void *found = dlsym(RTLD_NEXT, "pthread_create");

	if (no_threads || !found)
		return EAGAIN;
	memcpy(&real, &found, sizeof(real));
	return real(thread, attributes, run, context);
}

#endif
