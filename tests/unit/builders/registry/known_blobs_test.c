#include "tests/test.h"

#include "builders/registry/known_blobs.h"

static struct known_blobs two_proven_one_brought(struct digest digests[3])
{
	struct known_blobs known = {0};

	for (size_t i = 0; i < 3; i++) {
		digests[i] = digest_of(&i, sizeof(i));
		CHECK(!known_blobs_has(&known, &digests[i]));
		known_blobs_add(&known, &digests[i], i == 2);
		known_blobs_add(&known, &digests[i], i != 2);
	}
	CHECK_INT(known.count, 3);
	return known;
}

TEST(what_a_registry_lacks_is_forgotten)
{
	struct digest digests[3];
	scoped(known_blobs_free) struct known_blobs known = two_proven_one_brought(digests);

	CHECK(known_blobs_forget(&known, &digests[1], 1));
	CHECK(known_blobs_has(&known, &digests[0]));
	CHECK(!known_blobs_has(&known, &digests[1]));
	CHECK(known_blobs_has(&known, &digests[2]));
	CHECK(!known_blobs_forget(&known, &digests[1], 1));
}

TEST(without_a_list_every_proof_is_forgotten_but_not_what_was_brought)
{
	struct digest digests[3];
	scoped(known_blobs_free) struct known_blobs known = two_proven_one_brought(digests);

	CHECK(known_blobs_forget(&known, NULL, 0));
	CHECK_INT(known.count, 1);
	CHECK(known_blobs_has(&known, &digests[2]));
	CHECK(!known_blobs_forget(&known, &digests[2], 1));
	CHECK(known_blobs_has(&known, &digests[2]));
}

TEST_MAIN()
