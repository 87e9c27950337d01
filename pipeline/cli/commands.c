#include "pipeline/cli/command.h"

/* One row per command, in the order of --help; each is defined in its own <name>_command.c. */
extern const struct command build_command;
extern const struct command buildspec_check_command;
extern const struct command buildspec_explain_command;
extern const struct command buildspec_run_command;
extern const struct command cancel_command;
extern const struct command check_command;
extern const struct command completion_command;
extern const struct command deploy_command;
extern const struct command doctor_command;
extern const struct command fetch_command;
extern const struct command image_attest_command;
extern const struct command image_build_command;
extern const struct command image_copy_command;
extern const struct command image_index_command;
extern const struct command image_inspect_command;
extern const struct command image_tags_command;
extern const struct command image_prove_command;
extern const struct command image_push_command;
extern const struct command image_rebase_command;
extern const struct command image_sign_command;
extern const struct command image_verify_command;
extern const struct command init_command;
extern const struct command local_down_command;
extern const struct command local_endpoint_command;
extern const struct command local_reset_command;
extern const struct command local_status_command;
extern const struct command local_up_command;
extern const struct command logs_command;
extern const struct command plan_command;
extern const struct command registry_command;
extern const struct command rerun_command;
extern const struct command rollback_command;
extern const struct command run_command;
extern const struct command runs_command;
extern const struct command serve_command;
extern const struct command show_command;
extern const struct command spare_command;
extern const struct command status_command;
extern const struct command tests_command;
extern const struct command wait_command;
extern const struct command why_command;

const struct command *const commands[] = {
	&build_command,
	&buildspec_check_command,
	&buildspec_explain_command,
	&buildspec_run_command,
	&cancel_command,
	&check_command,
	&completion_command,
	&deploy_command,
	&doctor_command,
	&fetch_command,
	&image_attest_command,
	&image_build_command,
	&image_copy_command,
	&image_index_command,
	&image_inspect_command,
	&image_tags_command,
	&image_prove_command,
	&image_push_command,
	&image_rebase_command,
	&image_sign_command,
	&image_verify_command,
	&init_command,
	&local_down_command,
	&local_endpoint_command,
	&local_reset_command,
	&local_status_command,
	&local_up_command,
	&logs_command,
	&plan_command,
	&registry_command,
	&rerun_command,
	&rollback_command,
	&run_command,
	&runs_command,
	&serve_command,
	&show_command,
	&spare_command,
	&status_command,
	&tests_command,
	&wait_command,
	&why_command,
	NULL,
};
