#include "pipeline/cli/frame.h"

int main(int argc, char **argv)
{
	return frame_main(argc, argv);
}
