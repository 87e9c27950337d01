#include "builders/evidence/build_evidence.h"

#include "base/memory.h"
#include "builders/evidence/evidence.h"
#include "builders/image/package_database.h"

enum { FACTS_LIMIT = 1 << 20 };

bool build_evidence_facts(const char *path, struct provenance_facts *out_facts, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	return (file_read(path, FACTS_LIMIT, &text, err) &&
		       provenance_facts_parse(buf_str(&text), path, out_facts, err)) ||
	       error_while(err, "reading the facts of the build");
}

/* The packages that files of the image come from, once each, as package URLs. */
static void add_packages(const struct image *image, struct provenance_items *out)
{
	scoped(strings_free) struct strings seen = {0};
	const char *system = NULL, *version = NULL;

	if (image->packages) {
		system = package_database_distribution(image->packages);
		version = package_database_distribution_version(image->packages);
	}
	for (size_t i = 0; i < image->tree.count; i++) {
		const struct package *package = image->tree.entries[i].package;
		scoped(buf_free) struct buf url = {0};

		if (!package || strings_contain(&seen, package->name))
			continue;
		strings_add(&seen, package->name);
		buf_printf(&url, "pkg:deb/%s/%s@%s?arch=%s", system, package->name,
			package->version, package->architecture);
		if (version && *version)
			buf_printf(&url, "&distro=%s-%s", system, version);
		provenance_items_add(out, package->name, buf_text(&url), NULL, NULL);
	}
}

bool build_evidence_add(const struct image *image, const struct build_evidence *wanted,
	struct error *err)
{
	scoped(layout_free) struct layout layout = {0};
	scoped(signer_free) struct signer *signer = NULL;
	scoped(provenance_facts_free) struct provenance_facts facts = {0};
	scoped(provenance_items_free) struct provenance_items packages = {0};
	struct layout_entry subject;

	bool wants_key = wanted->key && *wanted->key;

	if (!wanted->facts && !wants_key)
		return true;
	if ((wanted->facts && !build_evidence_facts(wanted->facts, &facts, err)) ||
		(wants_key && !signer_open(wanted->key, &signer, err)) ||
		!layout_open(image->layout, &layout, err) ||
		!layout_find_tag(&layout, image->tag, &subject, err))
		return false;
	add_packages(image, &packages);
	return (!wanted->facts || evidence_provenance(&layout, &subject, &facts,
					  compression_identity(wanted->compression), &packages,
					  signer, err)) &&
	       (!signer || evidence_sign(&layout, &subject, "", signer, err));
}
