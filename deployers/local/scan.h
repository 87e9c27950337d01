/*
 * scan.h - image scans whose findings somebody else decides: tests, demonstrations.
 *
 * The local cloud knows no vulnerabilities. A scan (StartImageScan, or a push to a repository with
 * scanOnPush) finds what <state>/scan-findings.json says at that moment:
 *
 *     {"booking/rooms":      [{"name": "CVE-2026-0001", "severity": "HIGH", "uri": "https://…",
 *                              "description": "…", "attributes": [{"key": "k", "value": "v"}]}],
 *      "booking/rooms:v1":   [...],
 *      "sha256:5f2c…":       [...]}
 *
 * An image has the findings of its repository, of each of its tags and of its digest. Without the
 * file a scan is complete and finds nothing; a file that makes no sense makes the scan FAILED, with
 * the reason as its description.
 */
#ifndef DEPLOYERS_LOCAL_SCAN_H
#define DEPLOYERS_LOCAL_SCAN_H

#include "deployers/local/cloud.h"

/* Scans the image, which must be there, and keeps the result in its document: imageScanStatus,
 * imageScanFindingsSummary, _findings. */
bool scan_image(struct cloud *cloud, const char *repository, const char *digest, struct error *err)
	must_use;
/* After a push: scans when the repository asks for it. What fails is only traced. */
void scan_pushed(struct cloud *cloud, const char *repository, const char *digest);

#endif
