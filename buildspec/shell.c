#include "buildspec/shell.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/syscall_filter.h"
#include "buildspec/shell_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_INSIDE "/codebuild/control"

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

static void limit(struct shell *shell)
{
	struct limits *limits = &shell->options.limits;
	const char *work = shell->options.work ? shell->options.work : shell->options.source;

	limits_complete(limits);
	disk_watch_start(&shell->disk[0], work, limits->disk_bytes);
	if (shell->options.cache)
		disk_watch_start(&shell->disk[1], shell->options.cache, limits->disk_bytes);
	process_watch_start(&shell->processes, limits->processes ? 0 : PROCESS_WATCH_LIMIT);
	control_group_make(limits, &shell->group);
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
	limit(&shell);
	*out_shell = shell;
	return true;
}

void shell_tell_missing_limits(const struct shell *shell, struct buf *out)
{
	for (int i = 0; i < CONTROL_COUNT; i++)
		if (shell->group.of[i].why)
			buf_printf(out, "%s%s (%s)", out->size ? ", " : "",
				control_name((enum control)i), shell->group.of[i].why);
}

void shell_tell_hits(struct shell *shell, struct buf *out)
{
	char size[SIZE_TEXT_SIZE];

	size_to_text(shell->options.limits.memory_bytes, size);
	if (control_group_hits(&shell->group, CONTROL_MEMORY) > 0)
		buf_printf(out,
			"A process was killed: the build may use %s of memory (build.memory in "
			"dogshore.yml, or --memory)",
			size);
	if (control_group_hits(&shell->group, CONTROL_PROCESSES) > 0)
		buf_printf(out,
			"%sA process could not start: the build may have %lld processes and "
			"threads "
			"(build.processes in dogshore.yml, or --processes)",
			out->size ? "\n" : "", (long long)shell->options.limits.processes);
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
static void driver_command(const struct shell *shell, int filter_fd, struct strings *argv)
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
		.network = options->network,
		.user = shell->has_user ? &shell->user : NULL,
		.scratch_bytes = limits_scratch_bytes(&options->limits),
		.filter_fd = filter_fd};

	add_driver(shell, &command);
	sandbox_command(&sandbox, (const char *const *)command.items, argv);
	free(binds);
}

/* Until the driver says that it is there. What bwrap or the shell say instead is why it is not. */
static bool await_hello(struct shell *shell, struct error *err)
{
	scoped(buf_free) struct buf said = {0};
	size_t payload;
	int status;
	enum turn turn = shell_turn_follow(shell, &said, shell->options.deadline_ms,
		shell->options.cancel_fd, &payload, &status, err);

	if (turn == TURN_ANSWERED)
		return true;
	if (turn != TURN_DIED)
		return shell_turn_give_up(shell, turn, NULL, err);
	shell_turn_show(shell, (struct str){0}, &said);
	if (shell->options.sandbox)
		return sandbox_explain(str_trim(buf_str(&said)), err);
	error_raise(err, ERROR_UNAVAILABLE, "%s does not work here: %.*s", shell->options.program,
		str_args(str_trim(buf_str(&said))));
	return error_next(err, "find out why: dogshore doctor");
}

static bool start_driver(struct shell *shell, struct error *err)
{
	static const char *const no_env[] = {NULL};
	const struct shell_options *options = &shell->options;
	const char *const leftovers[] = {shell->folder, options->work, NULL};
	scoped(descriptor_close) int filter_fd = -1;
	scoped(strings_free) struct strings argv = {0};
	int made = 0;

	if (options->sandbox && !syscall_filter_open(&made, err))
		return false;
	filter_fd = made ? made : -1;
	driver_command(shell, made, &argv);
	int kept[3];
	size_t kept_count = 0;

	if (made)
		kept[kept_count++] = made;
	for (size_t i = 0; i < countof(options->break_fds) && options->break_fds[i]; i++)
		kept[kept_count++] = options->break_fds[i];
	const struct process_options command = {.argv = (const char *const *)argv.items,
		.env = no_env,
		.folder = options->sandbox ? NULL : options->source,
		.keep_fds = kept,
		.keep_fd_count = kept_count};
	const struct keeper_options keeper = {.command = &command,
		.limits = &options->limits,
		.group = &shell->group,
		.sandbox = options->sandbox,
		.leftovers = leftovers};

	if (!keeper_start(&keeper, &shell->keeper, err))
		return false;
	shell_turn_widen(shell);
	return true;
}

static bool start(struct shell *shell, struct error *err)
{
	buf_clear(&shell->answer);
	if (start_driver(shell, err) && await_hello(shell, err) &&
		keeper_await_limits(&shell->keeper, err)) {
		buf_clear(&shell->answer);
		return true;
	}
	shell_turn_end(shell, NULL);
	if (err && err->kind == ERROR_NOT_FOUND && shell->options.sandbox)
		error_next(err, "install it: apt-get install bubblewrap");
	return error_while(err, "starting the build's shell");
}

static bool send_line(struct shell *shell, const struct buf *line, struct error *err)
{
	/* Short, and the driver reads it before the next one comes: it fits. */
	if (send(shell->keeper.input_fd, line->data, line->size, MSG_NOSIGNAL) ==
		(ssize_t)line->size)
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
	return (shell->keeper.process.pid || start(shell, err)) &&
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

	shell_turn_end(shell, &exit);
	int status = process_exit_code(&exit);

	return status ? status : 128 + SIGKILL;
}

static bool take_turn(struct shell *shell, struct buf *copy, size_t *out_payload, bool *out_died,
	int *out_status, struct error *err)
{
	enum turn turn = shell_turn_follow(shell, copy, shell->options.deadline_ms,
		shell->options.cancel_fd, out_payload, out_status, err);

	*out_died = turn == TURN_DIED;
	switch (turn) {
	case TURN_CANCELLED:
	case TURN_LATE:
	case TURN_OVER:
		return shell_turn_give_up(shell, turn, copy, err);
	case TURN_BROKEN:
		shell_turn_end(shell, NULL);
		return false;
	case TURN_DIED:
		*out_payload = 0;
		*out_status = status_of_death(shell);
		break;
	case TURN_ANSWERED:
		break;
	}
	return true;
}

void shell_become(struct shell *shell, const struct sandbox_user *user)
{
	static const struct sandbox_user nobody;
	const struct sandbox_user *wanted = user ? user : &nobody;

	if (shell->has_user == (user != NULL) && shell->user.uid == wanted->uid &&
		shell->user.gid == wanted->gid)
		return;
	shell_turn_end(shell, NULL);
	shell->has_user = user != NULL;
	shell->user = *wanted;
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

	shell_turn_end(shell, NULL);
	if (!control_group_remove(&shell->group))
		log_write(LOG_WARNING, "a build's control group could not be removed", NULL);
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
