#include "services/rooms/api.h"

int main(void)
{
	struct rooms rooms = {0};
	struct service_plan plan = rooms_plan(&rooms);

	return service_main(&plan);
}
