/* Vectors: the types, and the few operations on them that differ between instruction sets.

   N lanes of 32 bits (U32, I32, F32) are two vectors of W = N / 2 lanes of 64 bits (U64, F64).
   Arithmetic, logic and shifts are C's own operators, on vectors by the compiler's extension; a
   scalar operand stands for a vector of it. Without the extension N = W = 1 and the same source is
   plain C. */

#ifndef FASTINIT_VECTORS_H
#define FASTINIT_VECTORS_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "the bits of the stream need arithmetic that rounds to the type of its operands"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define PAIRWISE _Pragma("GCC unroll 2")
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE static __forceinline
#define UNROLL
#define PAIRWISE
#define ALIGNED __declspec(align(64))
#endif

#if defined(FASTINIT_AVX512)
#define N 16
#elif defined(FASTINIT_AVX2)
#define N 8
#elif defined(FASTINIT_SCALAR)
#define N 1
#elif (defined(__GNUC__) || defined(__clang__)) && (defined(__SSE2__) || defined(__aarch64__))
#define N 4
#else
#define N 1
#endif

#define CAST(name, to, from)                                                                       \
    INLINE to name(from x) {                                                                       \
        to y;                                                                                      \
        memcpy(&y, &x, sizeof y);                                                                  \
        return y;                                                                                  \
    }
CAST(bits_of_float, uint32_t, float)
CAST(float_of_bits, float, uint32_t)
CAST(bits_of_double, uint64_t, double)
CAST(double_of_bits, double, uint64_t)
#undef CAST

#if N > 1

#define W (N / 2)
typedef uint32_t U32 __attribute__((vector_size(4 * N)));
typedef int32_t I32 __attribute__((vector_size(4 * N)));
typedef float F32 __attribute__((vector_size(4 * N)));
typedef uint64_t U64 __attribute__((vector_size(4 * N)));
typedef int64_t I64 __attribute__((vector_size(4 * N)));
typedef double F64 __attribute__((vector_size(4 * N)));
typedef float F32_HALF __attribute__((vector_size(2 * N)));

#define AS_U32(x) ((U32)(x))
#define AS_I32(x) ((I32)(x))
#define AS_F32(x) ((F32)(x))
#define AS_U64(x) ((U64)(x))
#define AS_F64(x) ((F64)(x))
#define SPLAT_U64(x) ((U64){0} + (uint64_t)(x))
#define SPLAT_F32(x) ((F32)((U32){0} + bits_of_float(x)))
#define SPLAT_F64(x) ((F64)((U64){0} + bits_of_double(x)))
#define FLOAT_OF(x) __builtin_convertvector(x, F32)
#define NARROW(x) __builtin_convertvector(x, F32_HALF)
#define SIGN_OF_LOW_HALF(x) ((U64)((I32)(x) >> 31))

#else

#define W 1
typedef uint32_t U32;
typedef int32_t I32;
typedef float F32;
typedef uint64_t U64;
typedef int64_t I64;
typedef double F64;
typedef float F32_HALF;

#define AS_U32(x) _Generic((x), F32: bits_of_float, default: u32_same)(x)
#define AS_I32(x) ((I32)AS_U32(x))
#define AS_F32(x) _Generic((x), F32: f32_same, default: float_of_bits)(x)
#define AS_U64(x) _Generic((x), F64: bits_of_double, default: u64_same)(x)
#define AS_F64(x) _Generic((x), F64: f64_same, default: double_of_bits)(x)
INLINE U32 u32_same(U32 x) { return x; }
INLINE F32 f32_same(F32 x) { return x; }
INLINE U64 u64_same(U64 x) { return x; }
INLINE F64 f64_same(F64 x) { return x; }
#define SPLAT_U64(x) ((U64)(x))
#define SPLAT_F32(x) ((F32)(x))
#define SPLAT_F64(x) ((F64)(x))
#define FLOAT_OF(x) ((F32)(x))
#define NARROW(x) ((F32)(x))
#define SIGN_OF_LOW_HALF(x) ((U64)((I32)(uint32_t)(x) >> 31))

#endif

/* Per instruction set:
   MULTIPLY   the product of the lower halves of 64-bit lanes
   UPPER      the upper half of each 64-bit lane, moved to the lower; what is above it is arbitrary
   JOIN       the lower halves of two vectors whose lanes count FIRST and SECOND, in order
   SQRT, MIN, MAX    min(a, b) is a < b ? a : b, max(a, b) is a > b ? a : b
   WHERE_GREATER     a > b ? x : y
   WHERE_BIT         a bit of the word is set ? x : y
   STREAM     a store past the cache, where there is one */

#if N == 16
#include <immintrin.h>

#define MULTIPLY(a, b) ((U64)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
/* Not a shift: shifts and products share a port. */
#define UPPER(a) ((U64)_mm512_shuffle_epi32((__m512i)(a), (_MM_PERM_ENUM)0xB1))
#define FIRST ((U64){0, 1, 2, 3, 4, 5, 6, 7})
#define SECOND ((U64){8, 9, 10, 11, 12, 13, 14, 15})
INLINE U32 JOIN(U64 a, U64 b) {
    const I32 low = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    return (U32)_mm512_permutex2var_epi32((__m512i)a, (__m512i)low, (__m512i)b);
}
#define SQRT_F32(x) ((F32)_mm512_sqrt_ps((__m512)(x)))
#define SQRT_F64(x) ((F64)_mm512_sqrt_pd((__m512d)(x)))
#define MIN_F32(a, b) ((F32)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define MAX_F32(a, b) ((F32)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define MIN_F64(a, b) ((F64)_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#define MAX_F64(a, b) ((F64)_mm512_max_pd((__m512d)(a), (__m512d)(b)))
#define WHERE_GREATER_F32(a, b, x, y)                                                              \
    ((F32)_mm512_mask_blend_ps(                                                                    \
        _mm512_cmp_ps_mask((__m512)(a), (__m512)(b), _CMP_GT_OQ), (__m512)(y), (__m512)(x)         \
    ))
#define WHERE_GREATER_F64(a, b, x, y)                                                              \
    ((F64)_mm512_mask_blend_pd(                                                                    \
        _mm512_cmp_pd_mask((__m512d)(a), (__m512d)(b), _CMP_GT_OQ), (__m512d)(y), (__m512d)(x)     \
    ))
#define WHERE_BIT_F32(word, bit, x, y)                                                             \
    ((F32)_mm512_mask_blend_ps(                                                                    \
        _mm512_test_epi32_mask((__m512i)(word), _mm512_set1_epi32((int)(bit))), (__m512)(y),       \
        (__m512)(x)                                                                                \
    ))
#define WHERE_BIT_F64(word, bit, x, y)                                                             \
    ((F64)_mm512_mask_blend_pd(                                                                    \
        _mm512_test_epi64_mask((__m512i)(word), _mm512_set1_epi64((int64_t)(bit))), (__m512d)(y),  \
        (__m512d)(x)                                                                               \
    ))
#define STREAM(to, x) _mm512_stream_si512((__m512i *)(to), (__m512i)(x))
#define STREAM_END() _mm_sfence()

#elif N == 8
#include <immintrin.h>

#define MULTIPLY(a, b) ((U64)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#define UPPER(a) ((a) >> 32)
#define FIRST ((U64){0, 2, 4, 6})
#define SECOND ((U64){1, 3, 5, 7})
#define JOIN(a, b) ((U32)_mm256_blend_epi32((__m256i)(a), (__m256i)((b) << 32), 0xAA))
#define SQRT_F32(x) ((F32)_mm256_sqrt_ps((__m256)(x)))
#define SQRT_F64(x) ((F64)_mm256_sqrt_pd((__m256d)(x)))
#define MIN_F32(a, b) ((F32)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define MAX_F32(a, b) ((F32)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define MIN_F64(a, b) ((F64)_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#define MAX_F64(a, b) ((F64)_mm256_max_pd((__m256d)(a), (__m256d)(b)))
#define WHERE_GREATER_F32(a, b, x, y)                                                              \
    ((F32)_mm256_blendv_ps(                                                                        \
        (__m256)(y), (__m256)(x), _mm256_cmp_ps((__m256)(a), (__m256)(b), _CMP_GT_OQ)              \
    ))
#define WHERE_GREATER_F64(a, b, x, y)                                                              \
    ((F64)_mm256_blendv_pd(                                                                        \
        (__m256d)(y), (__m256d)(x), _mm256_cmp_pd((__m256d)(a), (__m256d)(b), _CMP_GT_OQ)          \
    ))
/* A blend looks at the top bit of each lane. */
#define WHERE_BIT_F32(word, bit, x, y)                                                             \
    ((F32)_mm256_blendv_ps(                                                                        \
        (__m256)(y), (__m256)(x), (__m256)((word) << (31 - __builtin_ctz(bit)))                    \
    ))
#define WHERE_BIT_F64(word, bit, x, y)                                                             \
    ((F64)_mm256_blendv_pd(                                                                        \
        (__m256d)(y), (__m256d)(x), (__m256d)((word) << (63 - __builtin_ctzll(bit)))               \
    ))
#define STREAM(to, x) _mm256_stream_si256((__m256i *)(to), (__m256i)(x))
#define STREAM_END() _mm_sfence()

#elif N == 4

INLINE F32 either_f32(I32 mask, F32 x, F32 y) { return (F32)((mask & (I32)x) | (~mask & (I32)y)); }
INLINE F64 either_f64(I64 mask, F64 x, F64 y) { return (F64)((mask & (I64)x) | (~mask & (I64)y)); }
#define WHERE_GREATER_F32(a, b, x, y) either_f32((a) > (b), x, y)
#define WHERE_GREATER_F64(a, b, x, y) either_f64((a) > (b), x, y)
#define WHERE_BIT_F32(word, bit, x, y) either_f32(((word) & (uint32_t)(bit)) != 0, x, y)
#define FIRST ((U64){0, 1})
#define SECOND ((U64){2, 3})

#if defined(__SSE2__)
#include <emmintrin.h>
#define MULTIPLY(a, b) ((U64)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#define UPPER(a) ((a) >> 32)
#define JOIN(a, b) ((U32)_mm_shuffle_ps((__m128)(a), (__m128)(b), 0x88))
#define SQRT_F32(x) ((F32)_mm_sqrt_ps((__m128)(x)))
#define SQRT_F64(x) ((F64)_mm_sqrt_pd((__m128d)(x)))
#define MIN_F32(a, b) ((F32)_mm_min_ps((__m128)(a), (__m128)(b)))
#define MAX_F32(a, b) ((F32)_mm_max_ps((__m128)(a), (__m128)(b)))
#define MIN_F64(a, b) ((F64)_mm_min_pd((__m128d)(a), (__m128d)(b)))
#define MAX_F64(a, b) ((F64)_mm_max_pd((__m128d)(a), (__m128d)(b)))
/* SSE2 compares no 64-bit integers: move the bit to the top of its half, and spread the sign. */
#define WHERE_BIT_F64(word, bit, x, y)                                                             \
    either_f64(                                                                                    \
        (I64)_mm_shuffle_epi32(                                                                    \
            (__m128i)((I32)((word) << (31 - __builtin_ctzll(bit))) >> 31), _MM_SHUFFLE(2, 2, 0, 0) \
        ),                                                                                         \
        x, y                                                                                       \
    )
#define STREAM(to, x) _mm_stream_si128((__m128i *)(to), (__m128i)(x))
#define STREAM_END() _mm_sfence()
#else
#include <arm_neon.h>
#define MULTIPLY(a, b)                                                                             \
    ((U64)vmull_u32(vmovn_u64((uint64x2_t)(a)), vmovn_u64((uint64x2_t)(b))))
#define UPPER(a) ((a) >> 32)
#define JOIN(a, b) ((U32)vuzp1q_u32((uint32x4_t)(a), (uint32x4_t)(b)))
#define SQRT_F32(x) ((F32)vsqrtq_f32((float32x4_t)(x)))
#define SQRT_F64(x) ((F64)vsqrtq_f64((float64x2_t)(x)))
#define MIN_F32(a, b) WHERE_GREATER_F32(b, a, a, b)
#define MAX_F32(a, b) WHERE_GREATER_F32(a, b, a, b)
#define MIN_F64(a, b) WHERE_GREATER_F64(b, a, a, b)
#define MAX_F64(a, b) WHERE_GREATER_F64(a, b, a, b)
#define WHERE_BIT_F64(word, bit, x, y) either_f64(((word) & (uint64_t)(bit)) != 0, x, y)
#endif

#else

#define MULTIPLY(a, b) ((U64)(uint32_t)(a) * (uint32_t)(b))
#define UPPER(a) ((a) >> 32)
#define FIRST ((U64)0)
#define SQRT_F32(x) sqrtf(x)
#define SQRT_F64(x) sqrt(x)
#define WHERE_GREATER_F32(a, b, x, y) ((a) > (b) ? (x) : (y))
#define WHERE_GREATER_F64(a, b, x, y) ((a) > (b) ? (x) : (y))
#define WHERE_BIT_F32(word, bit, x, y) (((word) & (uint32_t)(bit)) ? (x) : (y))
#define WHERE_BIT_F64(word, bit, x, y) (((word) & (uint64_t)(bit)) ? (x) : (y))
#define MIN_F32(a, b) ((a) < (b) ? (a) : (b))
#define MAX_F32(a, b) ((a) > (b) ? (a) : (b))
#define MIN_F64(a, b) ((a) < (b) ? (a) : (b))
#define MAX_F64(a, b) ((a) > (b) ? (a) : (b))

#endif

#endif
