#include "fills.h"
#ifdef FASTINIT_WIDE
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,f16c")
#endif
#define FASTINIT_AVX2
#include "vectors.h"
#define FILLS fastinit_avx2
#include "fill.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
