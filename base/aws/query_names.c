#include "base/aws/query.h"

#include <stdlib.h>

/*
 * The wire has text only; what an element means stands in the models of elbv2, sts and
 * cloudformation: all members of answers that are no text and no structure. Sorted by name.
 * Not here because two shapes disagree: "Priority" (a rule's is text: "default"), "Value".
 */
static const struct name {
	const char *element;
	enum query_kind kind;
} names[] = {
	{"Actions", QUERY_LIST},
	{"AdditionalClaims", QUERY_LIST},
	{"AlpnPolicy", QUERY_LIST},
	{"Attributes", QUERY_LIST},
	{"AvailabilityZones", QUERY_LIST},
	{"Capabilities", QUERY_LIST},
	{"CapacityReservationState", QUERY_LIST},
	{"CapacityUnits", QUERY_INT},
	{"Certificates", QUERY_LIST},
	{"Changes", QUERY_LIST},
	{"Ciphers", QUERY_LIST},
	{"Conditions", QUERY_LIST},
	{"DecreaseRequestsRemaining", QUERY_INT},
	{"DefaultActions", QUERY_LIST},
	{"DisableRollback", QUERY_BOOL},
	{"DurationSeconds", QUERY_INT},
	{"EffectiveCapacityUnits", QUERY_REAL},
	{"EnableTerminationProtection", QUERY_BOOL},
	{"Enabled", QUERY_BOOL},
	{"Exports", QUERY_LIST},
	{"HealthCheckEnabled", QUERY_BOOL},
	{"HealthCheckIntervalSeconds", QUERY_INT},
	{"HealthCheckTimeoutSeconds", QUERY_INT},
	{"HealthyThresholdCount", QUERY_INT},
	{"IgnoreClientCertificateExpiry", QUERY_BOOL},
	{"IsDefault", QUERY_BOOL},
	{"Limits", QUERY_LIST},
	{"Listeners", QUERY_LIST},
	{"LoadBalancerAddresses", QUERY_LIST},
	{"LoadBalancerArns", QUERY_LIST},
	{"LoadBalancers", QUERY_LIST},
	{"NotificationARNs", QUERY_LIST},
	{"NumberOfCaCertificates", QUERY_INT},
	{"NumberOfRevokedEntries", QUERY_INT},
	{"Order", QUERY_INT},
	{"Outputs", QUERY_LIST},
	{"PackedPolicySize", QUERY_INT},
	{"Parameters", QUERY_LIST},
	{"Port", QUERY_INT},
	{"RegexValues", QUERY_LIST},
	{"RevocationId", QUERY_INT},
	{"Rewrites", QUERY_LIST},
	{"RollbackTriggers", QUERY_LIST},
	{"Rules", QUERY_LIST},
	{"SecurityGroupIds", QUERY_LIST},
	{"SecurityGroups", QUERY_LIST},
	{"SessionTimeout", QUERY_INT},
	{"SourceNatIpv6Prefixes", QUERY_LIST},
	{"SslPolicies", QUERY_LIST},
	{"SslProtocols", QUERY_LIST},
	{"StackEvents", QUERY_LIST},
	{"StackResourceSummaries", QUERY_LIST},
	{"StackResources", QUERY_LIST},
	{"StackSummaries", QUERY_LIST},
	{"Stacks", QUERY_LIST},
	{"SupportedLoadBalancerTypes", QUERY_LIST},
	{"TagDescriptions", QUERY_LIST},
	{"Tags", QUERY_LIST},
	{"TargetControlPort", QUERY_INT},
	{"TargetGroups", QUERY_LIST},
	{"TargetHealthDescriptions", QUERY_LIST},
	{"TimeoutInMinutes", QUERY_INT},
	{"TotalRevokedEntries", QUERY_INT},
	{"Transforms", QUERY_LIST},
	{"TrustStoreAssociations", QUERY_LIST},
	{"TrustStoreRevocations", QUERY_LIST},
	{"TrustStores", QUERY_LIST},
	{"UnhealthyThresholdCount", QUERY_INT},
	{"UseExistingClientSecret", QUERY_BOOL},
	{"Values", QUERY_LIST},
	{"Weight", QUERY_INT},
};

static int by_element(const void *key, const void *row)
{
	return strcmp(key, ((const struct name *)row)->element);
}

enum query_kind query_kind_of(const char *element, const char *parent)
{
	const struct name *row =
		bsearch(element, names, countof(names), sizeof(names[0]), by_element);

	/* A redirect's port may be "#{port}". */
	if (!row || (text_equal(element, "Port") && text_equal(parent, "RedirectConfig")))
		return QUERY_TEXT;
	return row->kind;
}
