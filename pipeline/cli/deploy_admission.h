/*
 * deploy_admission.h - may this image come to this environment? What `verify` of the environment asks.
 *
 * The policy and the keys that it names are files of the commit that is deployed (or of the work
 * folder, without --commit); with an absolute path they are files of this machine, out of reach of
 * whoever writes commits.
 */
#ifndef PIPELINE_CLI_DEPLOY_ADMISSION_H
#define PIPELINE_CLI_DEPLOY_ADMISSION_H

#include "pipeline/cli/deploy_target.h"

/*
 * For deploy_request.admit; context is the struct deploy_target. Layers are not fetched: the manifest
 * names them by digest, and whoever runs the image checks them.
 *
 * Fails with  ERROR_FAILED (refused: which check, and why), and what reading policy and image gives.
 */
bool deploy_admit(void *context, const char *image, struct error *err);

#endif
