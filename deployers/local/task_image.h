/*
 * task_image.h - what an image of our registry says about running it: the config's command, user,
 *           environment, and which layers make its root file system.
 *
 * Source  OCI Image Format 1.1, "Image Configuration"; Docker's schema 2 has the same members.
 * Limits  100 layers (one overlay mount holds them), the platform linux/amd64 or linux/arm64 of this
 *         machine.
 */
#ifndef DEPLOYERS_LOCAL_TASK_IMAGE_H
#define DEPLOYERS_LOCAL_TASK_IMAGE_H

#include "deployers/local/content.h"

enum { TASK_IMAGE_LAYER_LIMIT = 100 };

struct task_image_layer {
	struct digest blob;    /* as it lies in the registry */
	struct digest diff_id; /* of the tar inside */
};

/* All-zero is empty. */
struct task_image {
	struct digest digest;               /* the manifest's */
	struct strings entrypoint, command; /* owned */
	struct strings env;                 /* owned; "NAME=value" */
	char *user;                         /* owned; "" is root */
	char *folder;                       /* owned; working directory, "/" by default */
	int stop_signal;                    /* SIGTERM by default */
	struct task_image_layer *layers;    /* owned; lowest first */
	size_t layer_count;
};
void task_image_free(struct task_image *image);

/* Resolves the reference and reads the config. Fails as content_resolve() does, and with
 * ERROR_INVALID for a config that makes no sense or is for another machine. */
bool task_image_open(struct content *content, const char *reference, struct task_image *out_image,
	struct error *err) must_use;
/* The part that reads JSON: manifest and config, both parsed. */
bool task_image_parse(const struct json *manifest, const struct json *config,
	struct task_image *out_image, struct error *err) must_use;

#endif
