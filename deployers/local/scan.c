#include "deployers/local/scan.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/path.h"
#include "deployers/local/content.h"
#include "deployers/local/store.h"

enum { FILE_LIMIT = 4 << 20, FINDINGS_MAX = 10000, ATTRIBUTES_MAX = 50 };

static const char *const severities[] = {"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL",
	"UNDEFINED"};

static bool text_or_absent(const struct json *finding, const char *member)
{
	const struct json *value = json_get(finding, member);

	return !value || json_is_text(value);
}

static bool attributes_valid(const struct json *attributes)
{
	if (attributes && (!json_is_array(attributes) || json_count(attributes) > ATTRIBUTES_MAX))
		return false;
	for (size_t i = 0; i < json_count(attributes); i++)
		if (!json_is_text(json_get(json_at(attributes, i), "key")) ||
			!text_or_absent(json_at(attributes, i), "value"))
			return false;
	return true;
}

/* What of a finding AWS's answer may have; NULL with the reason when it makes no sense. */
static struct json *read_finding(const struct json *finding, const char *key, struct error *err)
{
	static const char *const members[] = {"name", "description", "uri", "severity",
		"attributes"};
	const char *severity = json_get_text(finding, "severity", "");
	size_t known = 0;

	while (known < countof(severities) && !text_equal(severity, severities[known]))
		known++;
	if (known == countof(severities) || !json_is_text(json_get(finding, "name")) ||
		!text_or_absent(finding, "description") || !text_or_absent(finding, "uri") ||
		!attributes_valid(json_get(finding, "attributes"))) {
		error_raise(err, ERROR_INVALID,
			"scan-findings.json: a finding of \"%s\" needs a name and a severity "
			"(INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL or UNDEFINED)",
			key);
		return NULL;
	}
	struct json *result = json_object_new();

	for (size_t i = 0; i < countof(members); i++)
		json_set(result, members[i], json_copy(json_get(finding, members[i])));
	return result;
}

static bool add_findings(const struct json *file, const char *key, struct json *findings,
	struct error *err)
{
	const struct json *list = json_get(file, key);

	if (list && !json_is_array(list))
		return error_raise(err, ERROR_INVALID,
			"scan-findings.json: \"%s\" is no list of findings", key);
	for (size_t i = 0; i < json_count(list); i++) {
		struct json *finding = read_finding(json_at(list, i), key, err);

		if (!finding)
			return false;
		json_append(findings, finding);
		if (json_count(findings) > FINDINGS_MAX)
			return error_raise(err, ERROR_INVALID,
				"scan-findings.json: more than %d findings for an image",
				FINDINGS_MAX);
	}
	return true;
}

/* Everything the file says of the image. */
static bool find(struct cloud *cloud, const char *repository, const char *digest,
	struct json *findings, struct error *err)
{
	scoped(text_free) char *path = path_join(cloud->state, "scan-findings.json");
	scoped(json_free) struct json *file = NULL;
	scoped(strings_free) struct strings tags = {0};

	if (!file_exists(path))
		return true;
	if (!json_read_file(path, FILE_LIMIT, &file, err))
		return false;
	if (!json_is_object(file))
		return error_raise(err, ERROR_INVALID, "scan-findings.json is no object");
	content_tags(cloud->content, repository, digest, &tags);
	if (!add_findings(file, repository, findings, err) ||
		!add_findings(file, digest, findings, err))
		return false;
	for (size_t i = 0; i < tags.count; i++) {
		scoped(text_free) char *key = memory_format("%s:%s", repository, tags.items[i]);

		if (!add_findings(file, key, findings, err))
			return false;
	}
	return true;
}

static struct json *summary_of(struct cloud *cloud, const struct json *findings)
{
	double now = (double)clock_now(cloud->clock) / 1000;
	struct json *counts = json_object_new();

	for (size_t i = 0; i < json_count(findings); i++) {
		const char *severity = json_get_text(json_at(findings, i), "severity", "");

		json_set_int(counts, severity, json_get_int(counts, severity, 0) + 1);
	}
	return json_object_of("imageScanCompletedAt", json_real_new(now),
		"vulnerabilitySourceUpdatedAt", json_real_new(now), "findingSeverityCounts", counts,
		NULL);
}

bool scan_image(struct cloud *cloud, const char *repository, const char *digest, struct error *err)
{
	scoped(text_free) char *key = memory_format("%s@%s", repository, digest);
	scoped(json_free) struct json *image = json_copy(store_get(cloud->store, "ecr.image", key)),
				      *findings = json_array_new();
	struct error why = {0};
	bool ok = find(cloud, repository, digest, findings, &why);

	json_set(image, "imageScanStatus",
		json_object_of("status", json_text_new(ok ? "COMPLETE" : "FAILED"), "description",
			json_text_new(ok ? "The scan was completed successfully." : why.message),
			NULL));
	json_remove(image, "imageScanFindingsSummary");
	json_remove(image, "_findings");
	if (ok) {
		json_set(image, "imageScanFindingsSummary", summary_of(cloud, findings));
		json_set(image, "_findings", json_keep(findings));
	}
	error_free(&why);
	return store_put(cloud->store, "ecr.image", key, json_keep(image), err);
}

void scan_pushed(struct cloud *cloud, const char *repository, const char *digest)
{
	const struct json *document = content_repository(cloud->content, repository);
	struct error err = {0};

	if (!json_get_bool(json_get(document, "imageScanningConfiguration"), "scanOnPush", false))
		return;
	if (!scan_image(cloud, repository, digest, &err)) {
		log_trace("registry", "scan of %s: %s", digest, err.message);
		error_ignore(&err, "the push itself went well; a scan can be asked for again");
	}
}
