/* What every processor of the family has: SSE2 on x86-64, NEON on aarch64, else plain C. */
#include "vectors.h"
#define FILLS fastinit_baseline
#include "fill.h"
