#include "builders/registry/credentials.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "builders/registry/ecr.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_LIMIT = 1 << 20, HELPER_TIMEOUT_MS = 30 * 1000 };

static void wipe_text(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	text_free(text);
}

static void wipe_buf(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->size);
	buf_free(buf);
}

void credentials_free(struct credentials *credentials)
{
	text_free(&credentials->user);
	wipe_text(&credentials->password);
	wipe_text(&credentials->identity_token);
	text_free(&credentials->silent_helper);
	credentials->source = NULL;
}

bool credentials_known(const struct credentials *credentials)
{
	return credentials->password || credentials->identity_token;
}

/* "user:password" in base64, as docker's config and ECR have it. */
static bool take_pair(struct str encoded, const char *source, struct credentials *out)
{
	struct buf plain = {0};
	bool ok = false;

	if (base64_decode(encoded, &plain)) {
		struct str password = buf_str(&plain), user = str_cut(&password, ':');
		if (password.data) {
			out->user = str_copy(user);
			out->password = str_copy(password);
			out->source = source;
			ok = true;
		}
	}
	wipe_buf(&plain);
	return ok;
}

bool credentials_of_ecr(const char *host, struct credentials *out, int64_t *out_expires_ms,
	struct error *err)
{
	struct buf pair = {0};
	bool ok = ecr_token(host, &pair, out_expires_ms, err) &&
		  (take_pair(buf_str(&pair), "ECR", out) ||
			  error_raise(err, ERROR_PROTOCOL,
				  "ECR's authorization token for %s is malformed", host));

	wipe_buf(&pair);
	return ok;
}

static bool is_helper_name(const char *name)
{
	for (const char *at = name; *at; at++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    *at))
			return false;
	return *name != 0;
}

/* docker-credential-NAME get: the host on stdin, {"Username","Secret"} on stdout. */
static bool ask_helper(const char *name, const char *key, struct credentials *out,
	struct error *err)
{
	struct process_result result = {0};
	scoped(json_free) struct json *answer = NULL;
	struct error why = {0};

	if (!is_helper_name(name))
		return error_raise(err, ERROR_INVALID,
			"the credential helper \"%s\" has an odd name", name);
	scoped(text_free) char *program = memory_format("docker-credential-%s", name);
	const char *argv[] = {program, "get", NULL};
	bool ok = process_run(&(struct process_options){.argv = argv}, str_of(key),
		HELPER_TIMEOUT_MS, 64 << 10, &result, err);
	if (!ok) {
		error_while(err, "asking the credential helper of docker's config for %s", key);
	} else if (!result.exit.exited || result.exit.status != 0) {
		/* "credentials not found" is an ordinary answer: then there are none. Its text may hold
		 * anything, so it is not shown. */
		ok = !result.timed_out ||
		     error_raise(err, ERROR_TIMED_OUT, "%s did not answer in %d s", program,
			     HELPER_TIMEOUT_MS / 1000);
		text_free(&out->silent_helper);
		out->silent_helper = memory_copy_text(program);
	} else if (!json_parse(buf_str(&result.output), program, NULL, &answer, &why)) {
		error_ignore(&why, "its text would show the secret");
		ok = error_raise(err, ERROR_PROTOCOL, "%s gave no JSON", program);
	} else {
		const char *user = json_get_text(answer, "Username", "");
		const char *secret = json_get_text(answer, "Secret", "");
		bool is_token = text_equal(user, "<token>");

		out->source = "credential helper";
		if (!is_token)
			out->user = memory_copy_text(user);
		if (*secret)
			*(is_token ? &out->identity_token : &out->password) =
				memory_copy_text(secret);
	}
	wipe_buf(&result.output);
	process_result_free(&result);
	return ok;
}

/* Docker wrote hosts as URLs once: "https://host/v1/". */
static bool is_same_host(const char *key, const char *host)
{
	struct str rest = str_of(key);

	for (int i = 0; i < 2; i++) {
		const char *scheme = i ? "http://" : "https://";
		if (str_starts_with(rest, scheme))
			rest = (struct str){rest.data + strlen(scheme), rest.size - strlen(scheme)};
	}
	return str_equal_text(str_cut(&rest, '/'), host);
}

/* "", "v1", "v1/", "v2", "v2/": the API of a whole host, as docker once wrote it. */
static bool is_api(const char *path)
{
	return *path == 0 || ((text_starts_with(path, "v1") || text_starts_with(path, "v2")) &&
				     (path[2] == 0 || text_equal(path + 2, "/")));
}

/* podman's files may name a repository, "host/team/app": how many bytes of ours the key covers. */
static size_t covers(const char *key, const char *host, const char *repository)
{
	size_t size = strlen(host);

	if (strncmp(key, host, size) != 0 || key[size] != '/' || is_api(key + size + 1))
		return 0;
	const char *part = key + size + 1;
	size_t part_size = strlen(part);
	return part_size > 0 && strncmp(repository, part, part_size) == 0 &&
			       (repository[part_size] == 0 || repository[part_size] == '/')
		       ? part_size
		       : 0;
}

static const struct json *find_host(const struct json *object, const char *host,
	const char *repository, const char **out_key)
{
	/* Docker Hub's credentials are kept under the name of its first API. */
	bool hub = text_equal(host, "registry-1.docker.io");
	const struct json *found = NULL;
	size_t best = 0;

	for (json_each(member, object)) {
		size_t covered = covers(member.key, host, repository);
		const char *path = strchr(member.key, '/');
		bool whole = !path || is_api(path + 1) || strstr(member.key, "://");
		bool fits = (whole && is_same_host(member.key, host)) ||
			    (hub && (is_same_host(member.key, "index.docker.io") ||
					    is_same_host(member.key, "docker.io")));

		if (covered > best || (fits && !found)) {
			*out_key = member.key;
			found = member.value;
			best = covered;
		}
	}
	return found;
}

static bool take_entry(const struct json *entry, const char *what, const char *host,
	struct credentials *out, struct error *err)
{
	const char *token = json_get_text(entry, "identitytoken", "");
	struct str pair = json_str(json_get(entry, "auth"));

	if (*token) {
		out->identity_token = memory_copy_text(token);
		out->source = "docker config";
	} else if (pair.size > 0) {
		if (!take_pair(pair, "docker config", out))
			return error_raise(err, ERROR_INVALID,
				"%s: the entry for %s is not base64 of user:password", what, host);
	} else if (json_get(entry, "username")) {
		out->user = memory_copy_text(json_get_text(entry, "username", ""));
		out->password = memory_copy_text(json_get_text(entry, "password", ""));
		out->source = "docker config";
	}
	return true;
}

bool credentials_from_config(struct str text, const char *what, const char *host,
	const char *repository, struct credentials *out_credentials, struct error *err)
{
	scoped(json_free) struct json *config = NULL;
	const char *key = NULL;

	/* docker and podman read an empty file as one that knows no host. */
	if (str_trim(text).size == 0)
		return true;
	if (!json_parse(text, what, &(struct json_limits){.size_bytes = CONFIG_LIMIT}, &config,
		    err))
		return false;
	const struct json *helper =
		find_host(json_get(config, "credHelpers"), host, repository, &key);
	const char *store = json_get_text(config, "credsStore", "");
	const struct json *entry;

	if (helper)
		return ask_helper(json_text(helper, ""), key, out_credentials, err);
	entry = find_host(json_get(config, "auths"), host, repository, &key);
	if (*store) {
		const char *name = entry ? key
				   : text_equal(host, "registry-1.docker.io")
					   ? "https://index.docker.io/v1/"
					   : host;
		if (!ask_helper(store, name, out_credentials, err))
			return false;
		if (credentials_known(out_credentials))
			return true;
	}
	return !entry || take_entry(entry, what, host, out_credentials, err);
}

static bool try_config(const char *path, const char *host, const char *repository,
	struct credentials *out, struct error *err)
{
	struct buf text = {0};

	if (!file_exists(path))
		return true;
	bool ok = file_read(path, CONFIG_LIMIT, &text, err) &&
		  credentials_from_config(buf_str(&text), path, host, repository, out, err);
	wipe_buf(&text);
	return ok;
}

static void add_path(struct strings *paths, const char *folder, const char *name)
{
	if (folder && *folder)
		strings_add_owned(paths, path_join(folder, name));
}

static struct strings config_paths(void)
{
	const char *file = getenv("REGISTRY_AUTH_FILE"), *docker = getenv("DOCKER_CONFIG");
	const char *run = getenv("XDG_RUNTIME_DIR"), *config = getenv("XDG_CONFIG_HOME");
	struct strings paths = {0};

	if (file && *file)
		strings_add(&paths, file);
	if (docker && *docker)
		add_path(&paths, docker, "config.json");
	else
		add_path(&paths, getenv("HOME"), ".docker/config.json");
	if (run && *run)
		add_path(&paths, run, "containers/auth.json");
	else
		strings_printf(&paths, "/run/containers/%lu/auth.json", (unsigned long)getuid());
	if (config && *config)
		add_path(&paths, config, "containers/auth.json");
	else
		add_path(&paths, getenv("HOME"), ".config/containers/auth.json");
	return paths;
}

bool credentials_find(const char *host, const char *repository, struct credentials *out_credentials,
	struct error *err)
{
	scoped(strings_free) struct strings paths = config_paths();
	bool ok = true;

	*out_credentials = (struct credentials){0};
	for (size_t i = 0; ok && i < paths.count && !credentials_known(out_credentials); i++)
		ok = try_config(paths.items[i], host, repository, out_credentials, err);
	if (!ok)
		credentials_free(out_credentials);
	return ok;
}
