/*
 * build_key.h - under which key a build is kept, and where.
 *
 * The key is over the build key of plan/key.h, application and service, the variables that the build
 * is given, and whether it has a network and a sandbox.
 */
#ifndef PIPELINE_ENGINE_BUILD_KEY_H
#define PIPELINE_ENGINE_BUILD_KEY_H

#include "builders/store/store.h"
#include "pipeline/plan/key.h"

enum { BUILD_KEY_SIZE = 65 };

struct build_key_options {
	const char *app;
	const struct project_service *service;
	const char *toolchain;
	const struct strings *env; /* "NAME=value"; NULL: the service's own, as a run builds it */
	bool network, no_sandbox;
};

/* Fails as key_of_service() does. */
bool build_key_of(const struct build_key_options *options, struct snapshot *snapshot,
	char out_key[BUILD_KEY_SIZE], struct error *err) must_use;

/* The store of a state folder, as large as the environment says. ERROR_USAGE when that is no size. */
bool build_key_store(const char *state, struct store *out_store, struct error *err) must_use;

#endif
