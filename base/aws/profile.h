/*
 * profile.h - the shared files ~/.aws/config and ~/.aws/credentials.
 *
 * Both are read once, when the first setting is asked for: most processes of ours have all they
 * need in the environment. A file that is missing is an empty one.
 */
#ifndef BASE_AWS_PROFILE_H
#define BASE_AWS_PROFILE_H

#include "base/error.h"

struct profiles;

/* AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, else in ~/.aws. ERROR_INVALID with file and line. */
bool profiles_load(struct profiles **out_profiles, struct error *err) must_use;
void profiles_free(struct profiles **profiles);

bool profiles_have(const struct profiles *profiles, const char *profile);
/* A setting of the profile, NULL when it is not there; the credentials file wins. Borrowed. */
const char *profiles_get(const struct profiles *profiles, const char *profile, const char *key);
/* A setting of [services NAME] as "ecs.endpoint_url". */
const char *profiles_get_service(const struct profiles *profiles, const char *services,
	const char *key);

#endif
