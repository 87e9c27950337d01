#include "base/syscall_filter.h"

#include "base/file.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* The numbers of one table of system calls. */
struct calls {
	unsigned architecture;
	unsigned clone, clone3, unshare, setns, add_key, request_key, keyctl, bpf, ioctl;
};

#define OURS                                                                                       \
	SYS_clone, SYS_clone3, SYS_unshare, SYS_setns, SYS_add_key, SYS_request_key, SYS_keyctl,   \
		SYS_bpf, SYS_ioctl

static const struct calls tables[] = {
#if defined __x86_64__
	{AUDIT_ARCH_X86_64, OURS},
	{AUDIT_ARCH_I386, 120, 435, 310, 346, 286, 287, 288, 357, 54},
#elif defined __aarch64__
	{AUDIT_ARCH_AARCH64, OURS},
	{AUDIT_ARCH_ARM, 120, 435, 337, 375, 309, 310, 311, 386, 54},
#else
	{0}, /* no table for this processor */
#endif
};

enum { PROGRAM_MAX = 128, X32_BIT = 0x40000000 };

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short count;
};

static void emit(struct program *program, unsigned short code, unsigned k, unsigned char if_true,
	unsigned char if_false)
{
	program->code[program->count++] = (struct sock_filter){code, if_true, if_false, k};
}

static void load(struct program *program, size_t offset)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

static void answer(struct program *program, unsigned what)
{
	emit(program, BPF_RET | BPF_K, what, 0, 0);
}

#define REFUSED(number) (SECCOMP_RET_ERRNO | (number))

/* The number is loaded. */
static void refuse(struct program *program, unsigned call, unsigned number)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
	answer(program, REFUSED(number));
}

/* The lower half of an argument; all of it where it is tested. Both processors are little-endian. */
static size_t argument(size_t index)
{
	return offsetof(struct seccomp_data, args) + index * sizeof(__u64);
}

/* Refused when argument has one of the bits (equal: is the value); else the number is loaded again. */
static void refuse_with(struct program *program, unsigned call, size_t index, bool equal,
	unsigned value)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
	load(program, argument(index));
	emit(program, BPF_JMP | (equal ? BPF_JEQ : BPF_JSET) | BPF_K, value, 0, 1);
	answer(program, REFUSED(EPERM));
	load(program, offsetof(struct seccomp_data, nr));
}

static void emit_table(struct program *program, const struct calls *calls)
{
	const unsigned refused[] = {calls->setns, calls->add_key, calls->request_key, calls->keyctl,
		calls->bpf};

	load(program, offsetof(struct seccomp_data, nr));
#if defined __x86_64__
	if (calls->architecture == AUDIT_ARCH_X86_64) {
		emit(program, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
		answer(program, REFUSED(ENOSYS));
	}
#endif
	refuse(program, calls->clone3, ENOSYS);
	for (size_t i = 0; i < countof(refused); i++)
		refuse(program, refused[i], EPERM);
	refuse_with(program, calls->clone, 0, false, CLONE_NEWUSER);
	refuse_with(program, calls->unshare, 0, false, CLONE_NEWUSER);
	refuse_with(program, calls->ioctl, 1, true, TIOCSTI);
	refuse_with(program, calls->ioctl, 1, true, TIOCLINUX);
	answer(program, SECCOMP_RET_ALLOW);
}

bool syscall_filter_open(int *out_fd, struct error *err)
{
	struct program program = {0};

	*out_fd = 0;
	if (!tables[0].architecture)
		return true;
	for (size_t i = 0; i < countof(tables); i++) {
		load(&program, offsetof(struct seccomp_data, arch));
		emit(&program, BPF_JMP | BPF_JEQ | BPF_K, tables[i].architecture, 0, 0);
		unsigned short jump = program.count;

		emit_table(&program, &tables[i]);
		program.code[jump - 1].jf = (unsigned char)(program.count - jump);
	}
	answer(&program, SECCOMP_RET_KILL_PROCESS); /* a table that this kernel should not have */
	const struct str code = {(const char *)program.code,
		program.count * sizeof(program.code[0])};

	return file_in_memory("the filter of system calls", code, out_fd, err);
}
