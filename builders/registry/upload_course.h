/*
 * upload_course.h - how one blob gets into a repository: what to ask next, decided from the answers
 *                   alone. upload.c asks.
 *
 *     BEGIN ──POST?mount──► 201: there        (a refused or lost mount: BEGIN without it)
 *       │ 202 Location
 *       ▼
 *     WHOLE ──PUT──► 201: sent
 *       │  lost after a megabyte and more ──► ASK ──GET──► 204 Range ──► REST ──PUT the rest──► sent
 *       │  lost before                    ──► BEGIN               └─ anything else ──► BEGIN
 *       │  413, a proxy that takes no large bodies ──► BEGIN, then CHUNK
 *       ▼
 *     CHUNK ──PATCH a-b──► 202 Range: the next one … CLOSE ──PUT──► sent
 *          416, lost ──► ASK      "too large" ──► smaller chunks
 *
 * Source  distribution-spec 1.1, "Pushing blobs". The whole blob in one PUT is the rule, because ECR
 *         keeps the data of a PATCH but answers the Range of the first for ever, and because it costs
 *         the fewest requests; chunks are what is left when that is refused.
 */
#ifndef BUILDERS_REGISTRY_UPLOAD_COURSE_H
#define BUILDERS_REGISTRY_UPLOAD_COURSE_H

#include "base/buf.h"

enum {
	CHUNK_FIRST = 8 << 20,  /* within ECR's 5 to 10 MiB for a part */
	CHUNK_SMALL = 4 << 20,  /* GHCR's most for a PATCH with a range */
	CHUNK_LEAST = 64 << 10, /* below that the size is not what is wrong */
	RESUME_LEAST = 1 << 20, /* less than that is sent again sooner than asked about */
};

enum upload_step {
	UPLOAD_BEGIN,
	UPLOAD_WHOLE,
	UPLOAD_ASK,
	UPLOAD_REST,
	UPLOAD_CHUNK,
	UPLOAD_CLOSE,
	UPLOAD_DONE,
};

struct upload_course {
	int64_t size_bytes;
	enum upload_step step;
	int64_t offset;      /* bytes that the registry has of this session */
	int64_t progress;    /* the most it ever had; new progress earns new tries */
	int64_t chunk_bytes; /* 0: the blob goes whole */
	int64_t chunk_floor; /* OCI-Chunk-Min-Length: of all chunks but the last */
	bool mount_refused;
	bool resume_refused; /* this registry does not go on where it stopped */
	int tries;           /* failures since the last progress */
};

/* What came of a step. */
struct upload_answer {
	int status;          /* 0: none */
	bool passing;        /* another time it may be different: retry.h */
	bool too_large;      /* 413, or said to be too large */
	struct str range;    /* "0-1023"; empty when absent */
	int64_t chunk_floor; /* OCI-Chunk-Min-Length, 0 when absent */
	int64_t sent_bytes;  /* of the request, at most */
};

/*
 * Moves course on. False: the answer is final and bad; course stays where it was.
 *
 * again  set when the same blob is tried again because of a failure, which takes a wait
 */
bool upload_course_next(struct upload_course *course, const struct upload_answer *answer,
	bool *again) must_use;

/* The bytes that the step sends: from course->offset, this many. */
int64_t upload_course_piece(const struct upload_course *course);

/* "0-1023" (also "bytes=0-1023") is 1024 bytes. "0-0", which says nothing of a fresh session and one
 * byte of another, is 0, as is what cannot be understood. */
int64_t upload_range_size(struct str range);

#endif
