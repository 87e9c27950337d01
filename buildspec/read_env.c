#include "buildspec/reader.h"

static const char *const env_keys[] = {"shell", "variables", "parameter-store", "secrets-manager",
	"exported-variables", "git-credential-helper", NULL};

static void read_shell(struct reader *r, const struct yaml *env)
{
	/* The last two are right in a file for Windows; running it here is refused later. */
	static const char *const known[][2] = {{"bash", "/bin/bash"}, {"/bin/bash", "/bin/bash"},
		{"sh", "/bin/sh"}, {"/bin/sh", "/bin/sh"}, {"powershell.exe", "powershell.exe"},
		{"cmd.exe", "cmd.exe"}};
	const char *shell = read_text(r, env, "shell", "env");

	for (size_t i = 0; shell && i < countof(known); i++)
		if (text_equal(shell, known[i][0])) {
			r->out->shell = known[i][1];
			return;
		}
	if (shell)
		read_error(r, place_of(yaml_get(env, "shell")), "env.shell",
			"The shell must be bash or /bin/sh, not \"%s\"", shell);
}

static void read_old_env(struct reader *r, const struct yaml *root)
{
	static const char *const keys[] = {"plaintext", "variables", "parameter-store", NULL};
	struct yaml *old = read_mapping(r, root, "environment_variables", "");

	if (!old)
		return;
	read_check_keys(r, old, "environment_variables", keys);
	r->out->variables = read_variables(r, old, "plaintext", "environment_variables");
}

void read_env(struct reader *r, const struct yaml *root)
{
	struct yaml *env = read_mapping(r, root, "env", "");

	read_old_env(r, root);
	if (!env)
		return;
	read_check_keys(r, env, "env", env_keys);
	read_shell(r, env);
	struct variables variables = read_variables(r, env, "variables", "env");

	if (variables.count)
		r->out->variables = variables;
	r->out->parameters = read_variables(r, env, "parameter-store", "env");
	r->out->secrets = read_variables(r, env, "secrets-manager", "env");
	r->out->exported = read_texts(r, env, "exported-variables", "env");
	read_switch(r, env, "git-credential-helper", "env");
}
