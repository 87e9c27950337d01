#include "services/bookings/api.h"

int main(void)
{
	struct bookings bookings = {0};
	struct service_plan plan = bookings_plan(&bookings);

	return service_main(&plan);
}
