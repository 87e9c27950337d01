/*
 * sandbox.h - the argument list that runs a command under bubblewrap: read-only system, private
 *             /tmp, own pid, ipc, uts (and, unless allowed, network) namespaces, an environment
 *             that holds only what is given.
 *
 * Source  bwrap(1). Traps: bwrap sets no cgroup limits (control_group.h, keeper.h); some /etc files
 *         must be bound for compilers (alternatives, ld.so.cache) and for name lookups (hosts,
 *         resolv.conf, ssl, passwd).
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/buf.h"
#include "base/error.h"

struct sandbox_bind {
	const char *from, *to; /* host path, path inside */
	bool writable;
};

/* Who a command is, inside: a user namespace gives our own user this name. It gets no right by it, and
 * what it writes is ours outside. */
struct sandbox_user {
	unsigned uid, gid;
};

struct sandbox_options {
	const char *etc;                  /* made by sandbox_make_etc(); NULL: an empty /etc */
	const struct sandbox_bind *binds; /* besides the system */
	size_t bind_count;
	const char *folder;     /* where the command starts, inside */
	const char *const *env; /* "NAME=value", NULL-terminated; everything else is cleared */
	bool network;           /* share the host's network */
	int64_t scratch_bytes; /* what /tmp, /root and /dev/shm hold each, in memory; 0: half of it */
	const struct sandbox_user *user; /* NULL: as outside */
	int filter_fd; /* of syscall_filter_open(); bwrap must inherit it. 0: none */
};

/* Fills folder (made when missing) with the part of /etc that a sandbox shows: what compilers, name
 * lookups and TLS read, no keys, no password hashes. Copies, because each file bound by itself would
 * cost more than all of them copied: bwrap reads the list of mounts again after every bind. */
bool sandbox_make_etc(const char *folder, struct error *err) must_use;

/* Appends bwrap's arguments and then argv. */
void sandbox_command(const struct sandbox_options *options, const char *const *argv,
	struct strings *out_argv);

struct sandbox_link {
	const char *target, *path; /* path is a link to target */
};

/* The same around a root that holds the files given and nothing else, not even /proc: read-only, no
 * network, an environment of env alone (NULL-terminated; may be NULL). Appends bwrap's arguments and
 * then argv. */
void sandbox_bare_command(const struct sandbox_bind *binds, size_t bind_count,
	const struct sandbox_link *links, size_t link_count, const char *const *env,
	const char *const *argv, struct strings *out_argv);

/* Can this machine run it? On failure says which program or kernel setting is missing and how to
 * get it. Cheap: runs `bwrap … true` once and remembers the answer in this process. */
bool sandbox_check(struct error *err) must_use;

/* The error for a sandbox that did not start, from what bwrap said. Always false. */
bool sandbox_explain(struct str said, struct error *err);

/* What decides whether a process may have namespaces. -1: this kernel has no such setting. */
struct sandbox_facts {
	int64_t userns_clone;    /* kernel.unprivileged_userns_clone (Debian) */
	int64_t userns_max;      /* user.max_user_namespaces */
	int64_t userns_apparmor; /* kernel.apparmor_restrict_unprivileged_userns (Ubuntu) */
	bool administrator;      /* CAP_SYS_ADMIN */
	bool filtered;           /* under seccomp, as containers are */
	bool container;
	bool setuid; /* bwrap is installed so */
};
void sandbox_find_facts(struct sandbox_facts *out);
/* What to change so that bwrap, which said `said`, works. A pure function. */
const char *sandbox_advice(const struct sandbox_facts *facts, struct str said);

#endif
