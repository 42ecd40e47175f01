#include "fills.h"
#ifdef FASTINIT_WIDE
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,f16c")
#endif
#define FASTINIT_AVX512
#include "vectors.h"
#define FILLS fastinit_avx512
#include "fill.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
