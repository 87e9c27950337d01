/*
 * syscall_filter.h - the system calls that a build has no business with, as a program for seccomp.
 *
 * Refused with EPERM: user namespaces (unshare, clone; they give away a root's system calls, which
 * is where kernels break), joining namespaces, the user's keyrings, bpf(), typing into a terminal
 * (TIOCSTI). clone3() does "not exist" (ENOSYS): its flags are out of a filter's sight, and C
 * libraries then use clone(). CodeBuild refuses the same without "privileged mode".
 *
 * Source  seccomp(2); for the system's 32-bit programs the numbers of their own table hold.
 */
#ifndef BASE_SYSCALL_FILTER_H
#define BASE_SYSCALL_FILTER_H

#include "base/error.h"

/* A file in memory that holds the program, for bwrap's --seccomp; it closes on exec, unless it is
 * kept. *out_fd is 0 on a processor that this has no table for. */
bool syscall_filter_open(int *out_fd, struct error *err) must_use;

#endif
