#include "buildspec/shell.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_INSIDE "/codebuild/control"

enum {
	READ_PIECE = 64 * 1024,
	ANSWER_LIMIT = 1024 * 1024,
	OUTPUT_LIMIT = 64 * 1024,
	STOP_GRACE_MS = 2000,
};

/*
 * $1 is the control folder. A line on stdin is: script, file of variables, file to save them to
 * afterwards ("-": nowhere, "?": nowhere, and stdout is for the answer), CODEBUILD_BUILD_SUCCEEDING.
 *
 * The trap lets the driver live through the SIGTERM that ends its commands politely; subshells have
 * it reset. The first thing it says is that it is there. Nothing here may leave a variable behind
 * that set -a would export: the status goes to the function as an argument.
 */
static const char driver[] =
	"dogshore_control=$1; shift; trap : TERM; printf '\\0000\\n'\n"
	"dogshore_save() {\n"
	"	set +aexu\n"
	"	case $2 in [-?]) ;; *) export -p >|\"$dogshore_control/$2\" || return 125 ;; esac\n"
	"	return \"$1\"\n"
	"}\n"
	"while read -r dogshore_script dogshore_env dogshore_save dogshore_ok; do\n"
	"	(\n"
	"		exec </dev/null\n"
	"		[ \"$dogshore_save\" = '?' ] || exec >&2\n"
	"		. \"$dogshore_control/$dogshore_env\"\n"
	"		dogshore_old=${OLDPWD-}\n"
	"		cd -- \"$PWD\" || cd -- \"$CODEBUILD_SRC_DIR\"\n"
	"		[ -z \"$dogshore_old\" ] || OLDPWD=$dogshore_old\n"
	"		set -a\n"
	"		CODEBUILD_BUILD_SUCCEEDING=$dogshore_ok\n"
	"		. \"$dogshore_control/$dogshore_script\"\n"
	"		{ dogshore_save $? \"$dogshore_save\"; } 2>/dev/null\n"
	"	)\n"
	"	printf '\\0%d\\n' $?\n"
	"done\n";

void shell_quote(struct buf *out, const char *text)
{
	buf_append_char(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_append_text(out, "'\\''");
		else
			buf_append_char(out, *text);
	buf_append_char(out, '\'');
}

/* Memory where there is some: these files live for milliseconds. */
static bool make_folder(const char *work, char **out_path, struct error *err)
{
	struct error refused = {0};

	if (work)
		return folder_make_temporary(work, "shell-", out_path, err);
	if (folder_make_temporary("/dev/shm", "dogshore-shell-", out_path, &refused))
		return true;
	error_ignore(&refused, "an ordinary temporary folder does too");
	return folder_make_temporary(NULL, "dogshore-shell-", out_path, err);
}

static bool prepare(struct shell *shell, struct error *err)
{
	shell->control = path_join(shell->folder, "control");
	shell->etc = path_join(shell->folder, "etc");
	shell->control_inside =
		memory_copy_text(shell->options.sandbox ? CONTROL_INSIDE : shell->control);
	shell->source_inside = memory_copy_text(
		shell->options.sandbox ? SHELL_SOURCE_INSIDE : shell->options.source);
	return folder_make(shell->control, 0700, err) &&
	       (!shell->options.sandbox || sandbox_make_etc(shell->etc, err));
}

bool shell_open(const struct shell_options *options, struct shell *out_shell, struct error *err)
{
	struct shell shell = {.options = *options};

	if (!make_folder(options->work, &shell.folder, err))
		return false;
	if (!prepare(&shell, err)) {
		shell_close(&shell);
		return false;
	}
	*out_shell = shell;
	return true;
}

static bool write_control(struct shell *shell, const char *name, struct str content,
	struct error *err)
{
	scoped(text_free) char *path = path_join(shell->control, name);
	scoped(descriptor_close) int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", path);
	return descriptor_write_all(fd, content.data, content.size, path, err);
}

bool shell_set_variables(struct shell *shell, const struct strings *variables, struct error *err)
{
	scoped(buf_free) struct buf script = {0};

	for (size_t i = 0; i < variables->count; i++) {
		const char *equals = strchr(variables->items[i], '=');

		buf_printf(&script, "export %.*s=", (int)(equals - variables->items[i]),
			variables->items[i]);
		shell_quote(&script, equals + 1);
		buf_append_char(&script, '\n');
	}
	buf_append_text(&script, "export PWD=");
	shell_quote(&script, shell->source_inside);
	buf_append_char(&script, '\n');
	return write_control(shell, "v0", buf_str(&script), err);
}

/* bash reads ~/.bashrc when its stdin is a socket, as the driver's is. */
static void add_driver(const struct shell *shell, struct strings *argv)
{
	strings_add(argv, shell->options.program);
	if (text_ends_with(shell->options.program, "/bash"))
		strings_add(argv, "--norc");
	strings_add(argv, "-c");
	strings_add(argv, driver);
	strings_add(argv, "sh");
	strings_add(argv, shell->control_inside);
}

/* bwrap's arguments and behind them the driver's, or the driver's alone. */
static void driver_command(const struct shell *shell, struct strings *argv)
{
	const struct shell_options *options = &shell->options;
	scoped(strings_free) struct strings command = {0};
	size_t count = options->bind_count + 2;

	if (!options->sandbox) {
		add_driver(shell, argv);
		return;
	}
	struct sandbox_bind *binds = memory_new_array(count, sizeof(*binds));

	binds[0] = (struct sandbox_bind){options->source, SHELL_SOURCE_INSIDE, true};
	binds[1] = (struct sandbox_bind){shell->control, CONTROL_INSIDE, true};
	for (size_t i = 0; i < options->bind_count; i++)
		binds[i + 2] = options->binds[i];
	const struct sandbox_options sandbox = {.etc = shell->etc,
		.binds = binds,
		.bind_count = count,
		.folder = SHELL_SOURCE_INSIDE,
		.network = options->network};

	add_driver(shell, &command);
	sandbox_command(&sandbox, (const char *const *)command.items, argv);
	free(binds);
}

/* Ends the driver and all that it started. */
static void end(struct shell *shell, struct process_exit *out_exit)
{
	if (shell->input_fd)
		close(shell->input_fd);
	shell->input_fd = 0;
	process_stop(&shell->process, 0, out_exit);
	process_free(&shell->process);
}

static void show(struct shell *shell, struct str piece, struct buf *copy)
{
	scoped(buf_free) struct buf masked = {0};

	if (piece.data)
		masker_feed(shell->options.masker, piece, &masked);
	else
		masker_flush(shell->options.masker, &masked);
	if (!masked.size)
		return;
	shell->options.take(shell->options.self, buf_str(&masked));
	if (copy && copy->size < OUTPUT_LIMIT)
		buf_append(copy, masked.data,
			masked.size < OUTPUT_LIMIT - copy->size ? masked.size
								: OUTPUT_LIMIT - copy->size);
}

/* What is in the pipe now, at most one pipe full: a background process may never stop writing. */
static void take_output(struct shell *shell, struct buf *copy)
{
	char piece[READ_PIECE];
	ssize_t size;

	do {
		size = read(shell->process.stderr_fd, piece, sizeof(piece));
		if (size > 0)
			show(shell, (struct str){piece, (size_t)size}, copy);
	} while ((size < 0 && errno == EINTR) || (size > 0 && size < READ_PIECE));
}

static bool take_answer(struct shell *shell, struct error *err)
{
	ssize_t size;

	do {
		char *room = buf_reserve(&shell->answer, READ_PIECE);

		size = read(shell->process.stdout_fd, room, READ_PIECE);
		if (size > 0)
			shell->answer.size += (size_t)size;
		if (shell->answer.size > ANSWER_LIMIT)
			return error_raise(err, ERROR_LIMIT,
				"a value of the build is larger than %d bytes", ANSWER_LIMIT);
	} while (size > 0 || (size < 0 && errno == EINTR));
	return true;
}

/* The driver's answer ends with NUL, status, newline. */
static bool is_answered(struct shell *shell, size_t *out_payload, int *out_status)
{
	struct str rest = buf_str(&shell->answer);
	struct str payload = str_cut(&rest, '\0');
	struct str tail = rest;
	struct str status = str_cut(&tail, '\n');
	int64_t value;

	if (!rest.data || !tail.data || !str_to_int(status, &value))
		return false;
	*out_payload = payload.size;
	*out_status = (int)value;
	return true;
}

enum turn {
	TURN_ANSWERED,
	TURN_DIED,
	TURN_CANCELLED,
	TURN_LATE,
	TURN_BROKEN, /* err says why */
};

static int time_left(int64_t deadline_ms)
{
	if (!deadline_ms)
		return -1;
	int64_t left = deadline_ms - clock_elapsed(&system_clock);

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static enum turn follow(struct shell *shell, struct buf *copy, int64_t deadline_ms, int cancel_fd,
	size_t *out_payload, int *out_status, struct error *err)
{
	struct pollfd ends[] = {{shell->process.stderr_fd, POLLIN, 0},
		{shell->process.stdout_fd, POLLIN, 0}, {shell->process.pidfd, POLLIN, 0},
		{cancel_fd ? cancel_fd : -1, POLLIN, 0}};

	for (;;) {
		int ready = poll(ends, countof(ends), time_left(deadline_ms));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || (deadline_ms && time_left(deadline_ms) == 0))
			return TURN_LATE;
		bool died = ends[2].revents;

		if (ends[1].revents || died) {
			if (!take_answer(shell, err))
				return TURN_BROKEN;
			if (is_answered(shell, out_payload, out_status)) {
				take_output(shell, copy);
				return TURN_ANSWERED;
			}
		}
		if (ends[0].revents || died)
			take_output(shell, copy);
		if (died)
			return TURN_DIED;
		if (ends[0].revents & POLLHUP)
			ends[0].fd = -1;
		if (ends[1].revents & POLLHUP)
			ends[1].fd = -1;
		if (ends[3].revents)
			return TURN_CANCELLED;
	}
}

/* The group that the commands are in: the driver's own, or inside the sandbox that of bwrap's only
 * child, which leads a session of its own. 0 when it cannot be learned. */
static pid_t command_group(const struct shell *shell)
{
	scoped(buf_free) struct buf children = {0};
	pid_t pid = shell->process.pid;
	struct error ignored = {0};
	int64_t child = 0;

	if (!shell->options.sandbox)
		return pid;
	scoped(text_free) char *path = memory_format("/proc/%d/task/%d/children", pid, pid);

	if (!file_read(path, 4096, &children, &ignored))
		error_ignore(&ignored, "then they are killed without being asked");
	struct str rest = str_trim(buf_str(&children));

	return str_to_int(str_cut(&rest, ' '), &child) && child > 1 ? (pid_t)child : 0;
}

/* Asks the commands to end, gives them a moment, ends them. */
static bool give_up(struct shell *shell, enum turn why, struct buf *copy, struct error *err)
{
	pid_t group = command_group(shell);
	size_t payload;
	int status;

	if (group) {
		kill(-group, SIGTERM);
		follow(shell, copy, clock_elapsed(&system_clock) + STOP_GRACE_MS, 0, &payload,
			&status, NULL);
	}
	end(shell, NULL);
	show(shell, (struct str){0}, copy);
	if (why == TURN_CANCELLED)
		return error_raise(err, ERROR_CANCELLED, "the build was cancelled");
	return error_raise(err, ERROR_TIMED_OUT, "the build's time is over");
}

/* Until the driver says that it is there. What bwrap or the shell say instead is why it is not. */
static bool await_hello(struct shell *shell, struct error *err)
{
	scoped(buf_free) struct buf said = {0};
	size_t payload;
	int status;
	enum turn turn = follow(shell, &said, shell->options.deadline_ms, shell->options.cancel_fd,
		&payload, &status, err);

	if (turn == TURN_ANSWERED)
		return true;
	if (turn != TURN_DIED)
		return give_up(shell, turn, NULL, err);
	show(shell, (struct str){0}, &said);
	error_raise(err, ERROR_UNAVAILABLE, "%s does not work here: %.*s",
		shell->options.sandbox ? "the sandbox" : shell->options.program,
		str_args(str_trim(buf_str(&said))));
	return error_next(err, "find out why: dogshore doctor");
}

/* The driver's stdin is a socket, not a pipe: writing to one that has died is an error then, not a
 * signal. */
static bool start(struct shell *shell, struct error *err)
{
	static const char *const no_env[] = {NULL};
	scoped(strings_free) struct strings argv = {0};
	int ends[2];

	driver_command(shell, &argv);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_raise_errno(err, "make a socket");
	const struct process_options options = {.argv = (const char *const *)argv.items,
		.env = no_env,
		.folder = shell->options.sandbox ? NULL : shell->options.source,
		.stdin_fd = ends[0],
		.die_with_parent = true};
	bool started = process_start(&options, &shell->process, err);

	close(ends[0]);
	shell->input_fd = ends[1];
	buf_clear(&shell->answer);
	if (started && await_hello(shell, err)) {
		buf_clear(&shell->answer);
		return true;
	}
	end(shell, NULL);
	if (err && err->kind == ERROR_NOT_FOUND && shell->options.sandbox)
		error_next(err, "install it: apt-get install bubblewrap");
	return error_while(err, "starting the build's shell");
}

static bool send_line(struct shell *shell, const struct buf *line, struct error *err)
{
	/* Short, and the driver reads it before the next one comes: it fits. */
	if (send(shell->input_fd, line->data, line->size, MSG_NOSIGNAL) == (ssize_t)line->size)
		return true;
	return errno == EPIPE || errno == ECONNRESET ||
	       error_raise_errno(err, "give the shell a command");
}

/* from: number of the file of variables; to: name of the one to save to, or "-" or "?". */
static bool give(struct shell *shell, const char *text, int from, const char *to, bool succeeding,
	struct error *err)
{
	scoped(text_free) char *name = memory_format("c%d", shell->command_count);
	scoped(buf_free) struct buf line = {0};

	buf_printf(&line, "%s v%d %s %d\n", name, from, to, succeeding);
	return (shell->process.pid || start(shell, err)) &&
	       write_control(shell, name, str_of(text), err) && send_line(shell, &line, err);
}

/* The variables that the last command saved count from now on. It saved none when it called exit. */
static void adopt_state(struct shell *shell)
{
	scoped(text_free) char *name = memory_format("v%d", shell->command_count);
	scoped(text_free) char *fresh = path_join(shell->control, name);
	scoped(text_free) char *old_name = memory_format("v%d", shell->state);
	scoped(text_free) char *old = path_join(shell->control, old_name);

	if (!file_exists(fresh))
		return;
	if (shell->state)
		unlink(old);
	shell->state = shell->command_count;
}

/* The driver ended instead of answering: the command killed it, or the sandbox did not start. */
static int status_of_death(struct shell *shell)
{
	struct process_exit exit = {0};

	end(shell, &exit);
	int status = process_exit_code(&exit);

	return status ? status : 128 + SIGKILL;
}

static bool take_turn(struct shell *shell, struct buf *copy, size_t *out_payload, bool *out_died,
	int *out_status, struct error *err)
{
	enum turn turn = follow(shell, copy, shell->options.deadline_ms, shell->options.cancel_fd,
		out_payload, out_status, err);

	*out_died = turn == TURN_DIED;
	switch (turn) {
	case TURN_CANCELLED:
	case TURN_LATE:
		return give_up(shell, turn, copy, err);
	case TURN_BROKEN:
		end(shell, NULL);
		return false;
	case TURN_DIED:
		*out_payload = 0;
		*out_status = status_of_death(shell);
		break;
	case TURN_ANSWERED:
		break;
	}
	show(shell, (struct str){0}, copy);
	return true;
}

bool shell_run(struct shell *shell, const struct shell_command *command, int *out_status,
	struct error *err)
{
	scoped(text_free) char *to = memory_format("v%d", ++shell->command_count);
	size_t payload;
	bool died = false;

	buf_clear(&shell->answer);
	if (!give(shell, command->text, command->fresh ? 0 : shell->state,
		    command->fresh ? "-" : to, command->succeeding, err) ||
		!take_turn(shell, command->output, &payload, &died, out_status, err))
		return false;
	if (!died)
		adopt_state(shell);
	return true;
}

bool shell_ask(struct shell *shell, const char *text, struct buf *out_answer, struct error *err)
{
	size_t payload;
	bool died;
	int status;

	shell->command_count++;
	buf_clear(&shell->answer);
	if (!give(shell, text, shell->state, "?", true, err) ||
		!take_turn(shell, NULL, &payload, &died, &status, err))
		return false;
	buf_append(out_answer, shell->answer.data, payload);
	return true;
}

void shell_close(struct shell *shell)
{
	struct error ignored = {0};

	end(shell, NULL);
	if (shell->folder && !folder_remove(shell->folder, &ignored))
		error_ignore(&ignored, "a folder for temporary files is cleaned by the system");
	free(shell->folder);
	free(shell->control);
	free(shell->etc);
	free(shell->control_inside);
	free(shell->source_inside);
	buf_free(&shell->answer);
	*shell = (struct shell){0};
}
