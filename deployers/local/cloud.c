#include "deployers/local/cloud.h"

#include "base/memory.h"

char *cloud_arn(const struct cloud *cloud, const char *service, const char *rest_format, ...)
{
	va_list args;

	va_start(args, rest_format);
	scoped(text_free) char *rest = memory_format_list(rest_format, args);
	va_end(args);
	return memory_format("arn:aws:%s:%s:%s:%s", service, cloud->region, cloud->account, rest);
}
