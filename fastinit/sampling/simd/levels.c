#include "fills.h"
#include "vectors.h"

int fastinit_levels(Level *levels) {
    int count = 0;
#ifdef FASTINIT_WIDE
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        levels[count++] = (Level){"avx512", &fastinit_avx512};
    if (__builtin_cpu_supports("avx2")) levels[count++] = (Level){"avx2", &fastinit_avx2};
#endif
#if N == 1
    levels[count++] = (Level){"scalar", &fastinit_baseline};
#elif defined(__aarch64__)
    levels[count++] = (Level){"neon", &fastinit_baseline};
#else
    levels[count++] = (Level){"sse2", &fastinit_baseline};
#endif
    return count;
}
