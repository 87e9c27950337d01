#include "base/log.h"
#include "base/memory.h"
#include "pipeline/source/git.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES_MAX = 4 };

struct fetching {
	int tries; /* of credentials: libgit2 asks again and again */
	int64_t changed;
};

static int from_key_file(git_credential **out, const char *user)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
	const char *home = getenv("HOME");

	for (size_t i = 0; home && i < countof(names); i++) {
		scoped(text_free) char *key = memory_format("%s/.ssh/%s", home, names[i]);

		if (access(key, R_OK) == 0)
			return git_credential_ssh_key_new(out, user, NULL, key, NULL);
	}
	return GIT_PASSTHROUGH;
}

static int give_credentials(git_credential **out, const char *url, const char *user,
	unsigned allowed, void *payload)
{
	struct fetching *fetching = payload;
	const char *name = getenv("DOGSHORE_GIT_USERNAME");
	const char *password = getenv("DOGSHORE_GIT_PASSWORD");
	const char *ssh_user = user ? user : "git";

	(void)url;
	if (++fetching->tries > TRIES_MAX)
		return GIT_EAUTH;
	if (allowed & GIT_CREDENTIAL_USERNAME)
		return git_credential_username_new(out, ssh_user);
	if ((allowed & GIT_CREDENTIAL_SSH_KEY) && getenv("SSH_AUTH_SOCK") && fetching->tries < 3)
		return git_credential_ssh_key_from_agent(out, ssh_user);
	if (allowed & GIT_CREDENTIAL_SSH_KEY)
		return from_key_file(out, ssh_user);
	if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) && password)
		return git_credential_userpass_plaintext_new(out,
			name   ? name
			: user ? user
			       : "git",
			password);
	return GIT_PASSTHROUGH;
}

static int note_tip(const char *name, const git_oid *before, const git_oid *after, void *payload)
{
	struct fetching *fetching = payload;

	(void)name;
	fetching->changed += !git_oid_equal(before, after);
	return 0;
}

static void repository_close(git_repository **git)
{
	git_repository_free(*git);
	*git = NULL;
}

static void remote_close(git_remote **remote)
{
	git_remote_free(*remote);
	*remote = NULL;
}

static bool open_mirror(const char *folder, git_repository **out_git, struct error *err)
{
	git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;

	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
	options.mode = 0700;
	/* Initialising what is there changes nothing in it. */
	int code = git_repository_init_ext(out_git, folder, &options);

	return code >= 0 || git_raise(err, code, "make the mirror \"%s\"", folder);
}

char *git_public_place(const char *place)
{
	const char *scheme = strstr(place, "://"), *authority = scheme ? scheme + 3 : NULL;
	size_t size = authority ? strcspn(authority, "/") : 0;
	const char *at = size ? memrchr(authority, '@', size) : NULL;

	if (!at)
		return memory_copy_text(place);
	return memory_format("%.*s%s", (int)(authority - place), place, at + 1);
}

/* So that the mirror says whose it is; the fetch itself uses the URL it is given. */
static void note_origin(git_repository *git, const char *shown)
{
	git_config *config = NULL;

	if (git_repository_config(&config, git) < 0 ||
		git_config_set_string(config, "remote.origin.url", shown) < 0)
		log_trace("source", "the mirror of %s cannot note its origin", shown);
	git_config_free(config);
}

bool repository_mirror(const char *url, const char *folder, bool *out_changed, struct error *err)
{
	scoped(repository_close) git_repository *git = NULL;
	scoped(remote_close) git_remote *remote = NULL;
	scoped(text_free) char *shown = git_public_place(url);
	struct fetching fetching = {0};
	git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
	char branches[] = "+refs/heads/*:refs/heads/*", tags[] = "+refs/tags/*:refs/tags/*";
	char *specs[] = {branches, tags};
	const git_strarray refs = {specs, countof(specs)};

	if (!git_start(err))
		return false;
	if (text_starts_with(url, "https://") && !git_load_certificates(err))
		return false;
	if (!open_mirror(folder, &git, err))
		return false;
	options.prune = GIT_FETCH_PRUNE;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	options.callbacks.credentials = give_credentials;
	options.callbacks.update_tips = note_tip;
	options.callbacks.payload = &fetching;
	note_origin(git, shown);
	int code = git_remote_create_anonymous(&remote, git, url);

	if (code >= 0)
		code = git_remote_fetch(remote, &refs, &options, NULL);
	if (code < 0) {
		git_raise(err, code, "fetch from %s", shown);
		return error_next(err, "\"git ls-remote %s\" must work for the same user", shown);
	}
	*out_changed = fetching.changed > 0;
	return true;
}
