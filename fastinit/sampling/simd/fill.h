/* Philox and every fill, for one instruction set: written on the vectors of vectors.h, included once
   for each set after it.

   The same functions as in numba_fill.py, in the same order of operations: the bits are equal. From
   the bottom up: the generator, the elementary functions, one transform a law and precision (the
   words of a tile -> its values), what becomes of the values (the sinks), the driver that walks a
   region tile by tile, and the table of fills. */

#include "coefficients.h"
#include "fills.h"

enum { LANES = 16, TILE = 64 };

/* ---------------------------------------------------------------- generator */

static const uint64_t MULTIPLIER_0 = 0xD2511F53, MULTIPLIER_1 = 0xCD9E8D57;
static const uint64_t LOW = 0xFFFFFFFF;

/* Round keys, and what the first rounds come to where all lanes agree: of the four counter words
   only the lowest differs between the lanes of a tile. */
typedef struct {
    uint64_t key_0[10], key_1[10], second_0, second_2, third_2;
} Stream;

INLINE Stream stream_of(uint64_t key, uint64_t plane, uint64_t counter_high) {
    Stream s;
    uint32_t key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        s.key_0[round] = key_0;
        s.key_1[round] = key_1;
        key_0 += 0x9E3779B9;
        key_1 += 0xBB67AE85;
    }
    uint64_t p1 = MULTIPLIER_1 * plane; /* round 1: word 2 is the plane, word 3 zero */
    uint64_t p0 = MULTIPLIER_0 * (uint32_t)((p1 >> 32) ^ counter_high ^ s.key_0[0]);
    s.second_0 = (uint32_t)p1 ^ s.key_0[1];
    s.second_2 = (p0 >> 32) ^ s.key_1[1];
    s.third_2 = (uint32_t)p0 ^ s.key_1[2];
    return s;
}

typedef struct {
    U64 word[4]; /* in the lower halves; the upper ones hold rubbish */
} Words64;
typedef struct {
    U32 word[4];
} Words32;

/* Philox4x32-10 of the counters (counter, counter_high, plane, 0). */
INLINE Words64 philox(const Stream *s, U64 counter) {
    const U64 m0 = SPLAT_U64(MULTIPLIER_0), m1 = SPLAT_U64(MULTIPLIER_1);
    U64 p0 = MULTIPLY(counter, m0);
    U64 p1 = MULTIPLY(UPPER(p0) ^ s->key_1[0], m1);
    U64 c0 = UPPER(p1) ^ s->second_0, c1 = p1, c2 = p0 ^ s->second_2, c3;
    p0 = MULTIPLY(c0, m0);
    p1 = MULTIPLY(c2, m1);
    c0 = UPPER(p1) ^ c1 ^ s->key_0[2];
    c1 = p1;
    c2 = UPPER(p0) ^ s->third_2;
    c3 = p0;
    UNROLL for (int round = 3; round < 10; round++) {
        p0 = MULTIPLY(c0, m0);
        p1 = MULTIPLY(c2, m1);
        c0 = UPPER(p1) ^ c1 ^ s->key_0[round];
        c1 = p1;
        c2 = UPPER(p0) ^ c3 ^ s->key_1[round];
        c3 = p0;
    }
    return (Words64){{c0, c1, c2, c3}};
}

/* The words of N counters from the given one on. */
INLINE Words32 words_of(const Stream *s, uint64_t counter) {
    Words32 all;
#if N > 1
    Words64 first = philox(s, FIRST + counter), second = philox(s, SECOND + counter);
    UNROLL for (int k = 0; k < 4; k++) all.word[k] = JOIN(first.word[k], second.word[k]);
#else
    Words64 first = philox(s, counter);
    for (int k = 0; k < 4; k++) all.word[k] = (uint32_t)first.word[k];
#endif
    return all;
}

/* The words of W consecutive counters, for the transforms in double precision. */
INLINE Words64 wide_words_of(const Stream *s, uint64_t counter) {
#if W > 1
    U64 lanes;
    for (int k = 0; k < W; k++) lanes[k] = (uint64_t)k;
    return philox(s, lanes + counter);
#else
    return philox(s, counter);
#endif
}

/* ---------------------------------------------------------------- elementary functions */

#define HORNER(type, name)                                                                         \
    INLINE type name(type x, const SCALAR *coefficients, int terms) {                              \
        type value = x * coefficients[terms - 1] + coefficients[terms - 2];                        \
        UNROLL for (int k = terms - 3; k >= 0; k--) value = value * x + coefficients[k];           \
        return value;                                                                              \
    }
#define SCALAR float
HORNER(F32, horner_32)
#undef SCALAR
#define SCALAR double
HORNER(F64, horner_64)
#undef SCALAR
#define POLYNOMIAL_32(x, c) horner_32(x, c, sizeof(c) / sizeof(c[0]))
#define POLYNOMIAL_64(x, c) horner_64(x, c, sizeof(c) / sizeof(c[0]))

/* The lower half of each lane, as a signed integer with `ones` set, times 2^exponent. In the last
   places of a double near 2^(52 + exponent) such an integer can be written, and no multiplication is
   needed. */
INLINE F64 signed_of(U64 word, uint64_t ones, int exponent) {
    const uint64_t zero = (uint64_t)(1023 + 52 + exponent) << 52 | 0x80000000;
    return AS_F64((word & (LOW & ~ones)) ^ (zero | ones)) - AS_F64(SPLAT_U64(zero));
}

/* log(y + rest) for y in (0, 1] and a rest below its last place. */
INLINE F32 log_32(F32 y, F32 rest) {
    I32 bits = AS_I32(y);
    I32 exponent = (bits - 0x3F3504F3) >> 23;
    F32 g = (AS_F32(bits - (I32)((U32)exponent << 23)) - 1.0f) + rest;
    F32 square = g * g;
    F32 log1p = g + (square * g * POLYNOMIAL_32(g, LOG32_P) - square * 0.5f);
    return log1p + FLOAT_OF(exponent) * (float)LN2;
}

/* As log_32, through log(1 + g) = 2 atanh(g / (2 + g)). */
INLINE F64 log_64(F64 y, F64 rest) {
    U64 bits = AS_U64(y);
    U64 above = bits - 0x3FE6A09E667F3BCD;
    U64 biased = (above + 0x4000000000000000) >> 52; /* exponent + 1024, never negative */
    F64 exponent = AS_F64(biased | 0x4330000000000000) - (4503599627370496.0 + 1024.0);
    F64 g = (AS_F64(bits - (above & 0xFFF0000000000000)) - 1.0) + rest;
    F64 half_square = (g * g) * 0.5;
    F64 s = g / (g + 2.0);
    F64 t = s * s;
    F64 log1p = g - (half_square - s * (half_square + t * POLYNOMIAL_64(t, LOG64_P)));
    return log1p + exponent * LN2;
}

/* Sign mask (ones below the median), p in (0, 1/2], and y + rest = u in (0, 1), where p is u or
   1 - u: none loses bits. */
typedef struct {
    I32 below;
    F32 p, y, rest;
} Parts32;
typedef struct {
    U64 below;
    F64 p, y, rest;
} Parts64;

INLINE Parts32 parts_32(U32 word) {
    I32 below = (I32)word >> 31;
    F32 p = FLOAT_OF((I32)(((word ^ (U32)~below) & 0x7FFFFFFF) | 1)) * 0x1p-32f;
    F32 end = AS_F32((U32)(~below & 0x3F800000));
    F32 difference = end - p;
    F32 y = AS_F32(AS_U32(difference) & 0x7FFFFFFF);
    return (Parts32){below, p, y, (end - difference) - p};
}

/* With 32 more bits below the first. `below` is a mask of the lower half of each lane. */
INLINE Parts64 parts_64(U64 word, U64 refinement) {
    U64 below = SIGN_OF_LOW_HALF(word);
    U64 distance = (word ^ ~below) & 0x7FFFFFFF;
    F64 p = signed_of(distance, 1, -32) + signed_of(refinement, 1, -63);
    F64 end = AS_F64((~below << 32) & 0x3FF0000000000000);
    F64 difference = end - p;
    F64 y = AS_F64(AS_U64(difference) & 0x7FFFFFFFFFFFFFFF);
    return (Parts64){below, p, y, (end - difference) - p};
}

/* sqrt(-2 log(y + rest)): of a uniform number, the length of a pair of normals. */
INLINE F32 radius_32(F32 y, F32 rest) { return SQRT_F32(log_32(y, rest) * -2.0f); }
INLINE F64 radius_64(F64 y, F64 rest) { return SQRT_F64(log_64(y, rest) * -2.0); }

/* A point on the unit circle: thirty bits of a quarter turn about zero, bit 31 the sign of the
   cosine, bit 30 whether sine and cosine change places. */
typedef struct {
    F32 x, y;
} Point32;
typedef struct {
    F64 x, y;
} Point64;

INLINE Point32 direction_32(U32 word) {
    F32 t = FLOAT_OF((I32)((word << 2) | 2)) * 0x1p-31f;
    F32 square = t * t;
    F32 sine = t * POLYNOMIAL_32(square, SIN32_P);
    F32 cosine = AS_F32(AS_U32(POLYNOMIAL_32(square, COS32_P)) ^ (word & 0x80000000));
    return (Point32){
        WHERE_BIT_F32(word, 0x40000000, sine, cosine), WHERE_BIT_F32(word, 0x40000000, cosine, sine)
    };
}

INLINE Point64 direction_64(U64 word, U64 refinement) {
    F64 t = signed_of(word << 2, 2, -31) + signed_of(refinement, 1, -61);
    F64 square = t * t;
    F64 sine = t * POLYNOMIAL_64(square, SIN64_P);
    F64 cosine = AS_F64(
        AS_U64(POLYNOMIAL_64(square, COS64_P)) ^ ((word << 32) & 0x8000000000000000)
    );
    return (Point64){
        WHERE_BIT_F64(word, 0x40000000, sine, cosine), WHERE_BIT_F64(word, 0x40000000, cosine, sine)
    };
}

/* Quantiles in the upper half, from the upper tail q in (0, 1/2]: near the centre, and any. A division
   is dear, so one serves both formulas. */
typedef struct {
    F32 z, p, q;
} Centre32;
typedef struct {
    F64 z, p, q;
} Centre64;

INLINE Centre32 centre_32(F32 q) {
    F32 t = q * 4.0f * (1.0f - q) - (float)(1 - CENTRE_Z2);
    return (Centre32){
        (0.5f - q) * 2.0f, POLYNOMIAL_32(t, CENTRE32_P), POLYNOMIAL_32(t, CENTRE32_Q)
    };
}

INLINE Centre64 centre_64(F64 q) {
    F64 t = q * 4.0 * (1.0 - q) - (1 - CENTRE_Z2);
    return (Centre64){
        (0.5 - q) * 2.0, POLYNOMIAL_64(t, CENTRE64_P), POLYNOMIAL_64(t, CENTRE64_Q)
    };
}

INLINE F32 central_quantile_32(F32 q) {
    Centre32 centre = centre_32(q);
    return centre.z * (centre.p / centre.q + (float)MIDDLE);
}

INLINE F64 central_quantile_64(F64 q) {
    Centre64 centre = centre_64(q);
    return centre.z * (centre.p / centre.q + MIDDLE);
}

INLINE F32 any_quantile_32(F32 q) {
    const F32 mass = SPLAT_F32((float)TAIL_MASS);
    Centre32 centre = centre_32(q);
    F32 r = radius_32(q, SPLAT_F32(0.0f));
    F32 s = r - (float)TAIL_START;
    F32 ratio = WHERE_GREATER_F32(q, mass, centre.p, POLYNOMIAL_32(s, TAIL32_P)) /
                WHERE_GREATER_F32(q, mass, centre.q, POLYNOMIAL_32(s, TAIL32_Q));
    return WHERE_GREATER_F32(q, mass, centre.z * (ratio + (float)MIDDLE), r - ratio);
}

INLINE F64 any_quantile_64(F64 q) {
    const F64 mass = SPLAT_F64(TAIL_MASS);
    Centre64 centre = centre_64(q);
    F64 r = radius_64(q, SPLAT_F64(0.0));
    F64 s = r - TAIL_START;
    F64 ratio = WHERE_GREATER_F64(q, mass, centre.p, POLYNOMIAL_64(s, TAIL64_P)) /
                WHERE_GREATER_F64(q, mass, centre.q, POLYNOMIAL_64(s, TAIL64_Q));
    return WHERE_GREATER_F64(q, mass, centre.z * (ratio + MIDDLE), r - ratio);
}

/* Excess over `start` (>= 5) at which the upper tail has fallen to ratio + u * drop of its own:
   three steps of Newton's iteration on the logarithm of the survival function. */
INLINE F64 far_excess(F64 u, double start, double ratio, double drop) {
    F64 zero = SPLAT_F64(0.0);
    F64 fall = -log_64(u * drop + ratio, zero);
    F64 mills_start = POLYNOMIAL_64(SPLAT_F64(1.0 / (start * start)), MILLS64_P);
    F64 log_mills_start = log_64(mills_start, zero);
    F64 excess = (fall * 2.0) / (SQRT_F64(fall * 2.0 + start * start) + start);
    for (int step = 0; step < 3; step++) {
        F64 x = excess + start;
        F64 mills = POLYNOMIAL_64(1.0 / (x * x), MILLS64_P);
        F64 drift = log_64(start / x, zero) + (log_64(mills, zero) - log_mills_start);
        F64 miss = excess * (excess * 0.5 + start) - drift - fall;
        excess = excess - miss * (mills / x);
    }
    return excess;
}

/* ---------------------------------------------------------------- transforms
   Each writes the values of the tile whose first counter is given. */

#define STORE(to, vector) memcpy(to, &(vector), sizeof(vector))

#define TRANSFORM(name, type)                                                                      \
    INLINE void name(                                                                              \
        type *tile, const Stream *s, const Stream *more, uint64_t counter, const double *number    \
    )

/* In single precision, N blocks of four words at a time; `word` is word k of each. */
#define TRANSFORM_32(name, type, Vector, value_of_word)                                            \
    TRANSFORM(name, type) {                                                                        \
        (void)more, (void)number;                                                                  \
        for (int lane = 0; lane < LANES; lane += N) {                                              \
            const Words32 words = words_of(s, counter + lane);                                     \
            UNROLL for (int k = 0; k < 4; k++) {                                                   \
                const U32 word = words.word[k];                                                    \
                const Vector value = value_of_word;                                                \
                STORE(tile + k * LANES + lane, value);                                             \
            }                                                                                      \
        }                                                                                          \
    }

/* In double precision, W blocks at a time, with the words of the refinement plane. */
#define TRANSFORM_64(name, type, Vector, value_of_word)                                            \
    TRANSFORM(name, type) {                                                                        \
        (void)number;                                                                              \
        PAIRWISE for (int lane = 0; lane < LANES; lane += W) {                                     \
            const Words64 words = wide_words_of(s, counter + lane);                                \
            const Words64 refinements = wide_words_of(more, counter + lane);                       \
            UNROLL for (int k = 0; k < 4; k++) {                                                   \
                const U64 word = words.word[k], refinement = refinements.word[k];                  \
                const Vector value = value_of_word;                                                \
                (void)refinement;                                                                  \
                STORE(tile + k * LANES + lane, value);                                             \
            }                                                                                      \
        }                                                                                          \
    }

/* The same of pairs of words: a radius and a direction give two values, or a complex one. */
#define TRANSFORM_PAIRS_32(name, radius, ...)                                                      \
    TRANSFORM(name, float) {                                                                       \
        (void)more;                                                                                \
        for (int lane = 0; lane < LANES; lane += N) {                                              \
            const Words32 words = words_of(s, counter + lane);                                     \
            UNROLL for (int k = 0; k < 4; k += 2) {                                                \
                const Parts32 u = parts_32(words.word[k]);                                         \
                const F32 length = radius;                                                         \
                const Point32 point = direction_32(words.word[k + 1]);                             \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    }

#define TRANSFORM_PAIRS_64(name, radius, ...)                                                      \
    TRANSFORM(name, double) {                                                                      \
        PAIRWISE for (int lane = 0; lane < LANES; lane += W) {                                     \
            const Words64 words = wide_words_of(s, counter + lane);                                \
            const Words64 refinements = wide_words_of(more, counter + lane);                       \
            UNROLL for (int k = 0; k < 4; k += 2) {                                                \
                const Parts64 u = parts_64(words.word[k], refinements.word[k]);                    \
                const F64 length = radius;                                                         \
                const Point64 point = direction_64(words.word[k + 1], refinements.word[k + 1]);    \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    }

/* uniform: center, half_width */
TRANSFORM_32(
    uniform_tile_32, float, F32, FLOAT_OF((I32)word) * (float)number[1] + (float)number[0]
)
TRANSFORM_64(
    uniform_tile_64, double, F64,
    (signed_of(word, 0, 0) + signed_of(refinement, 1, -32)) * number[1] + number[0]
)

/* sign: scale */
TRANSFORM_32(
    sign_tile_32, float, F32,
    AS_F32(AS_U32(SPLAT_F32((float)number[0])) ^ (word & 0x80000000))
)
TRANSFORM_64(
    sign_tile_64, double, F64,
    AS_F64(AS_U64(SPLAT_F64(number[0])) ^ ((word << 32) & 0x8000000000000000))
)

TRANSFORM_32(bits_tile_32, uint32_t, U32, word)
TRANSFORM_64(bits_tile_64, uint64_t, U64, (word << 32) | (refinement & LOW))

/* normal: mean, std */
TRANSFORM_PAIRS_32(normal_tile_32, radius_32(u.y, u.rest), {
    const F32 x = length * point.x * (float)number[1] + (float)number[0];
    const F32 y = length * point.y * (float)number[1] + (float)number[0];
    STORE(tile + k * LANES + lane, x);
    STORE(tile + (k + 1) * LANES + lane, y);
})
TRANSFORM_PAIRS_64(normal_tile_64, radius_64(u.y, u.rest), {
    const F64 x = length * point.x * number[1] + number[0];
    const F64 y = length * point.y * number[1] + number[0];
    STORE(tile + k * LANES + lane, x);
    STORE(tile + (k + 1) * LANES + lane, y);
})

/* Complex values: mean, scale; a tile holds 32 of them. */
#define COMPLEX_32                                                                                 \
    {                                                                                              \
        const F32 x = length * point.x * (float)number[1] + (float)number[0];                      \
        const F32 y = length * point.y * (float)number[1];                                         \
        float real[N], imaginary[N], *pairs = tile + k * LANES + 2 * lane;                         \
        STORE(real, x);                                                                            \
        STORE(imaginary, y);                                                                       \
        for (int i = 0; i < N; i++) pairs[2 * i] = real[i], pairs[2 * i + 1] = imaginary[i];       \
    }
#define COMPLEX_64                                                                                 \
    {                                                                                              \
        const F64 x = length * point.x * number[1] + number[0];                                    \
        const F64 y = length * point.y * number[1];                                                \
        double real[W], imaginary[W], *pairs = tile + k * LANES + 2 * lane;                        \
        STORE(real, x);                                                                            \
        STORE(imaginary, y);                                                                       \
        for (int i = 0; i < W; i++) pairs[2 * i] = real[i], pairs[2 * i + 1] = imaginary[i];       \
    }

TRANSFORM_PAIRS_32(complex_normal_tile_32, radius_32(u.y, u.rest), COMPLEX_32)
TRANSFORM_PAIRS_64(complex_normal_tile_64, radius_64(u.y, u.rest), COMPLEX_64)
TRANSFORM_PAIRS_32(disk_tile_32, SQRT_F32(u.y), COMPLEX_32)
TRANSFORM_PAIRS_64(disk_tile_64, SQRT_F64(u.y), COMPLEX_64)
/* truncated_modulus: mean, scale, ratio, drop */
TRANSFORM_PAIRS_32(
    modulus_tile_32, radius_32(u.y * (float)number[3] + (float)number[2], SPLAT_F32(0.0f)),
    COMPLEX_32
)
TRANSFORM_PAIRS_64(
    modulus_tile_64, radius_64(u.y * number[3] + number[2], SPLAT_F64(0.0)), COMPLEX_64
)

/* Truncated normals: mean, std, mass_below, mass_above, mass, one_sided, low, high.

   The tail mass q <= 1/2 of a draw on its side of the mean, and the sign bit of that side. Bounds on
   both sides of the mean: measured from the end that `below` names, by p. Both bounds above it: from
   the far end, by u. Either way a small mass keeps its bits. */
typedef struct {
    F32 q;
    U32 sign;
} Tail32;
typedef struct {
    F64 q;
    U64 sign;
} Tail64;

INLINE Tail32 nearer_tail_32(Parts32 u, const double *number) {
    const uint32_t two_sided = number[5] > 0.5 ? 0 : 0xFFFFFFFF;
    const F32 half = SPLAT_F32(0.5f);
    U32 negative = (U32)u.below & two_sided;
    U32 below = AS_U32(SPLAT_F32((float)number[2])), above = AS_U32(SPLAT_F32((float)number[3]));
    F32 mass_beyond = AS_F32((negative & below) | (~negative & above));
    F32 share = AS_F32((AS_U32(u.p) & two_sided) | (AS_U32(u.y) & ~two_sided));
    F32 q = share * (float)number[4] + mass_beyond;
    F32 past_mean = WHERE_GREATER_F32(q, half, SPLAT_F32(-0.0f), SPLAT_F32(0.0f));
    return (Tail32){
        WHERE_GREATER_F32(q, half, (half - q) + half, q),
        (negative & 0x80000000) ^ AS_U32(past_mean)
    };
}

INLINE Tail64 nearer_tail_64(Parts64 u, const double *number) {
    const uint64_t two_sided = number[5] > 0.5 ? 0 : 0xFFFFFFFFFFFFFFFF;
    const F64 half = SPLAT_F64(0.5);
    U64 low_half = u.below & two_sided & LOW;
    U64 negative = low_half | (low_half << 32);
    U64 below = AS_U64(SPLAT_F64(number[2])), above = AS_U64(SPLAT_F64(number[3]));
    F64 mass_beyond = AS_F64((negative & below) | (~negative & above));
    F64 share = AS_F64((AS_U64(u.p) & two_sided) | (AS_U64(u.y) & ~two_sided));
    F64 q = share * number[4] + mass_beyond;
    F64 past_mean = WHERE_GREATER_F64(q, half, SPLAT_F64(-0.0), SPLAT_F64(0.0));
    return (Tail64){
        WHERE_GREATER_F64(q, half, (half - q) + half, q),
        (negative & 0x8000000000000000) ^ AS_U64(past_mean)
    };
}

INLINE F32 placed_32(F32 quantile, Tail32 tail, const double *number) {
    F32 x = AS_F32(AS_U32(quantile) ^ tail.sign) * (float)number[1] + (float)number[0];
    return MIN_F32(SPLAT_F32((float)number[7]), MAX_F32(SPLAT_F32((float)number[6]), x));
}

INLINE F64 placed_64(F64 quantile, Tail64 tail, const double *number) {
    F64 x = AS_F64(AS_U64(quantile) ^ tail.sign) * number[1] + number[0];
    return MIN_F64(SPLAT_F64(number[7]), MAX_F64(SPLAT_F64(number[6]), x));
}

/* Within two standard deviations there is no tail, so no logarithm. */
INLINE F32 central_of_32(Tail32 tail, const double *number) {
    return placed_32(central_quantile_32(tail.q), tail, number);
}
INLINE F64 central_of_64(Tail64 tail, const double *number) {
    return placed_64(central_quantile_64(tail.q), tail, number);
}
INLINE F32 wide_of_32(Tail32 tail, const double *number) {
    return placed_32(any_quantile_32(tail.q), tail, number);
}
INLINE F64 wide_of_64(Tail64 tail, const double *number) {
    return placed_64(any_quantile_64(tail.q), tail, number);
}

#define TAIL_32 nearer_tail_32(parts_32(word), number)
#define TAIL_64 nearer_tail_64(parts_64(word, refinement), number)
TRANSFORM_32(central_tile_32, float, F32, central_of_32(TAIL_32, number))
TRANSFORM_64(central_tile_64, double, F64, central_of_64(TAIL_64, number))
TRANSFORM_32(wide_tile_32, float, F32, wide_of_32(TAIL_32, number))
TRANSFORM_64(wide_tile_64, double, F64, wide_of_64(TAIL_64, number))

/* truncated_far: mean, std, start, ratio, drop, low, high. Rare, so in double precision whatever
   the output. */
INLINE F64 far_value(F64 u, const double *number) {
    F64 x = far_excess(u, number[2], number[3], number[4]) + number[2];
    F64 drawn = x * number[1] + number[0];
    return MIN_F64(SPLAT_F64(number[6]), MAX_F64(SPLAT_F64(number[5]), drawn));
}

TRANSFORM(far_tile_32, float) {
    (void)more;
    for (int lane = 0; lane < LANES; lane += W) {
        const Words64 words = wide_words_of(s, counter + lane);
        for (int k = 0; k < 4; k++) {
            const F64 u = signed_of(words.word[k], 1, -32) + 0.5;
            const F32_HALF value = NARROW(far_value(u, number));
            STORE(tile + k * LANES + lane, value);
        }
    }
}
TRANSFORM_64(far_tile_64, double, F64, far_value(parts_64(word, refinement).y, number))

/* ---------------------------------------------------------------- sinks */

/* Sixteen-bit formats by integer arithmetic: to nearest, ties to even. */

INLINE uint16_t to_bfloat16(float x) {
    uint32_t bits = bits_of_float(x);
    uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? (bits >> 16) | 0x40 : rounded);
}
INLINE float from_bfloat16(uint16_t x) { return float_of_bits((uint32_t)x << 16); }

INLINE uint16_t to_float16(float x) {
    uint32_t bits = bits_of_float(x), magnitude = bits & 0x7FFFFFFF;
    /* Added to a half, a value below 2^-14 leaves its multiple of 2^-24 in the last places. */
    uint32_t tiny = bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3F000000;
    uint32_t normal = (magnitude + 0xC8000FFF + ((magnitude >> 13) & 1)) >> 13;
    uint32_t huge = magnitude > 0x7F800000 ? 0x7E00 | ((magnitude >> 13) & 0x3FF) : 0x7C00;
    uint32_t rounded = magnitude < 0x38800000 ? tiny : normal;
    return (uint16_t)((magnitude >= 0x47800000 ? huge : rounded) | ((bits >> 16) & 0x8000));
}
INLINE float from_float16(uint16_t x) {
    uint32_t magnitude = x & 0x7FFF, sign = (uint32_t)(x & 0x8000) << 16;
    uint32_t normal = (magnitude << 13) + 0x38000000;
    uint32_t special = (magnitude << 13) | 0x7F800000 | (magnitude > 0x7C00 ? 0x400000 : 0);
    uint32_t tiny = bits_of_float((float)magnitude * 0x1p-24f);
    return float_of_bits(sign | (magnitude >= 0x7C00 ? special : magnitude < 0x400 ? tiny : normal));
}

#if N >= 8 /* the instructions for the same */
#define TO_FLOAT16(to, x) _mm_storeu_si128((void *)(to), _mm256_cvtps_ph(_mm256_loadu_ps(x), 0))
#define FROM_FLOAT16(to, x)                                                                        \
    _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x))))
#else
INLINE void TO_FLOAT16(uint16_t *to, const float *x) {
    for (int k = 0; k < 8; k++) to[k] = to_float16(x[k]);
}
INLINE void FROM_FLOAT16(float *to, const uint16_t *x) {
    for (int k = 0; k < 8; k++) to[k] = from_float16(x[k]);
}
#endif

static void drain_float16(uint16_t *out, const float *value, uint64_t count, Sink sink, float scale) {
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        if (sink == ADD_FLOAT16) {
            float sum[8];
            FROM_FLOAT16(sum, out + i);
            for (int k = 0; k < 8; k++) sum[k] = value[i + k] * scale + sum[k];
            TO_FLOAT16(out + i, sum);
        } else
            TO_FLOAT16(out + i, value + i);
    }
    for (; i < count; i++)
        out[i] = to_float16(
            sink == ADD_FLOAT16 ? value[i] * scale + from_float16(out[i]) : value[i]
        );
}

/* Values drawn in single precision go to out[at], out[at + 1], ... */
static void drain_32(
    void *out, uint64_t at, const void *values, uint64_t count, Sink sink, double factor
) {
    const float *value = values, scale = (float)factor;
    float *single = (float *)out + at;
    uint16_t *half = (uint16_t *)out + at;
    switch (sink) {
    case SET: memcpy(single, value, count * sizeof *value); break;
    case ADD:
        for (uint64_t i = 0; i < count; i++) single[i] = value[i] * scale + single[i];
        break;
    case SET_FLOAT16:
    case ADD_FLOAT16: drain_float16(half, value, count, sink, scale); break;
    case SET_BFLOAT16:
        for (uint64_t i = 0; i < count; i++) half[i] = to_bfloat16(value[i]);
        break;
    case ADD_BFLOAT16:
        for (uint64_t i = 0; i < count; i++)
            half[i] = to_bfloat16(value[i] * scale + from_bfloat16(half[i]));
        break;
    }
}

static void drain_64(
    void *out, uint64_t at, const void *values, uint64_t count, Sink sink, double scale
) {
    const double *value = values;
    double *target = (double *)out + at;
    if (sink == SET) memcpy(target, value, count * sizeof *value);
    else
        for (uint64_t i = 0; i < count; i++) target[i] = value[i] * scale + target[i];
}

/* Large outputs go past the cache, a line of memory at a time: they would leave it anyway before they
   are used, and a store into the cache first reads what it overwrites. */
enum { LINE = 64, LARGE = 1 << 22 };

typedef struct {
    char *to;
    size_t held; /* bytes that do not fill a line yet; they stand right before `values` */
} Writer;

#ifdef STREAM
enum { CAN_STREAM = 1 };
static void stream_out(Writer *writer, void *drawn, size_t bytes) {
    char *values = drawn;
    const char *from = values - writer->held, *end = values + bytes;
    for (; (uintptr_t)writer->to % LINE && from < end; from += 4, writer->to += 4)
        memcpy(writer->to, from, 4);
    for (; from + LINE <= end; from += LINE, writer->to += LINE)
        for (int i = 0; i < LINE; i += 4 * N) {
            U32 part;
            memcpy(&part, from + i, sizeof part);
            STREAM(writer->to + i, part);
        }
    writer->held = (size_t)(end - from);
    memmove(values - LINE, end - LINE, LINE);
}
static void stream_end(Writer *writer, const void *drawn) {
    memcpy(writer->to, (const char *)drawn - writer->held, writer->held);
    STREAM_END();
}
#else
enum { CAN_STREAM = 0 };
static void stream_out(Writer *writer, void *drawn, size_t bytes) {
    (void)writer, (void)drawn, (void)bytes;
}
static void stream_end(Writer *writer, const void *drawn) { (void)writer, (void)drawn; }
#endif

/* ---------------------------------------------------------------- the driver */

/* Tiles that are drawn between two visits of the sink. */
enum { GROUP = 4, TILES_OF_A_HIGH_COUNTER = 1 << 28 };

/* A fill of `type`, with so many `reals` an element, by `transform`. Groups of tiles that lie within
   a row are written there; others, and those that need a sink, to scratch. */
#define DEFINE_FILL(name, type, reals, transform, drain)                                           \
    static void name(                                                                              \
        void *out, uint64_t runs, uint64_t elements, uint64_t key, const uint64_t *starts,         \
        const Parameters *parameters, Sink sink, double scale                                      \
    ) {                                                                                            \
        const uint64_t length = elements * reals;                                                  \
        const Parameters own = *parameters; /* which no store into out can change */               \
        ALIGNED type buffer[LINE / sizeof(type) + GROUP * TILE];                                   \
        type *const scratch = buffer + LINE / sizeof(type);                                        \
        const int stream = CAN_STREAM && sink == SET && length * sizeof(type) >= LARGE;            \
        for (uint64_t run = 0; run < runs; run++) {                                                \
            const uint64_t row = run * length;                                                     \
            Writer writer = {(char *)out + row * sizeof(type), 0};                                 \
            const uint64_t start = starts[run] * reals;                                            \
            uint64_t tile = start / TILE, high = ~(uint64_t)0, tiles;                              \
            int64_t at = -(int64_t)(start % TILE);                                                 \
            Stream s, more;                                                                        \
            for (; at < (int64_t)length; at += tiles * TILE, tile += tiles) {                      \
                if (tile / TILES_OF_A_HIGH_COUNTER != high) {                                      \
                    high = tile / TILES_OF_A_HIGH_COUNTER;                                         \
                    s = stream_of(key, 0, high);                                                   \
                    more = stream_of(key, 1, high);                                                \
                }                                                                                  \
                tiles = ((uint64_t)((int64_t)length - at) + TILE - 1) / TILE;                      \
                if (tiles > GROUP) tiles = GROUP;                                                  \
                if (tile % TILES_OF_A_HIGH_COUNTER + tiles > TILES_OF_A_HIGH_COUNTER)              \
                    tiles = TILES_OF_A_HIGH_COUNTER - tile % TILES_OF_A_HIGH_COUNTER;              \
                const int64_t first = at < 0 ? 0 : at;                                             \
                const int64_t end = at + (int64_t)(tiles * TILE);                                  \
                const int64_t last = end > (int64_t)length ? (int64_t)length : end;                \
                const int whole = at >= 0 && end == last;                                          \
                const int direct = whole && sink == SET && !stream;                                \
                type *target = direct ? (type *)out + row + at : scratch;                          \
                for (uint64_t t = 0; t < tiles; t++)                                               \
                    transform(                                                                     \
                        target + t * TILE, &s, &more,                                              \
                        (tile % TILES_OF_A_HIGH_COUNTER + t) * LANES, own.number                   \
                    );                                                                             \
                if (direct) continue;                                                              \
                if (stream) {                                                                      \
                    if (!whole)                                                                    \
                        memmove(scratch, scratch + (first - at), (last - first) * sizeof(type));   \
                    stream_out(&writer, scratch, (last - first) * sizeof(type));                   \
                } else                                                                             \
                    drain(out, row + first, scratch + (first - at), last - first, sink, scale);    \
            }                                                                                      \
            if (stream) stream_end(&writer, scratch);                                              \
        }                                                                                          \
    }

DEFINE_FILL(uniform_32, float, 1, uniform_tile_32, drain_32)
DEFINE_FILL(uniform_64, double, 1, uniform_tile_64, drain_64)
DEFINE_FILL(normal_32, float, 1, normal_tile_32, drain_32)
DEFINE_FILL(normal_64, double, 1, normal_tile_64, drain_64)
DEFINE_FILL(central_32, float, 1, central_tile_32, drain_32)
DEFINE_FILL(central_64, double, 1, central_tile_64, drain_64)
DEFINE_FILL(wide_32, float, 1, wide_tile_32, drain_32)
DEFINE_FILL(wide_64, double, 1, wide_tile_64, drain_64)
DEFINE_FILL(far_32, float, 1, far_tile_32, drain_32)
DEFINE_FILL(far_64, double, 1, far_tile_64, drain_64)
DEFINE_FILL(sign_32, float, 1, sign_tile_32, drain_32)
DEFINE_FILL(sign_64, double, 1, sign_tile_64, drain_64)
DEFINE_FILL(bits_32, uint32_t, 1, bits_tile_32, drain_32)
DEFINE_FILL(bits_64, uint64_t, 1, bits_tile_64, drain_64)
DEFINE_FILL(complex_normal_32, float, 2, complex_normal_tile_32, drain_32)
DEFINE_FILL(complex_normal_64, double, 2, complex_normal_tile_64, drain_64)
DEFINE_FILL(disk_32, float, 2, disk_tile_32, drain_32)
DEFINE_FILL(disk_64, double, 2, disk_tile_64, drain_64)
DEFINE_FILL(modulus_32, float, 2, modulus_tile_32, drain_32)
DEFINE_FILL(modulus_64, double, 2, modulus_tile_64, drain_64)

/* ---------------------------------------------------------------- permutations */

enum { ROUNDS = 16, KEY_BLOCKS = 5, PERMUTATION_PLANE = 2 };

/* The words of the blocks (row, plane, j): a key for each round, and whether 0 and 1 change places
   first (a network of these rounds alone is always an even permutation). */
static void permutation_keys(uint64_t key, uint64_t row, uint32_t *keys) {
    for (uint32_t j = 0; j < KEY_BLOCKS; j++) {
        uint32_t c[4] = {(uint32_t)row, (uint32_t)(row >> 32), PERMUTATION_PLANE, j};
        uint32_t key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = MULTIPLIER_0 * c[0], p1 = MULTIPLIER_1 * c[2];
            c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ key_0;
            c[1] = (uint32_t)p1;
            c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ key_1;
            c[3] = (uint32_t)p0;
            key_0 += 0x9E3779B9;
            key_1 += 0xBB67AE85;
        }
        memcpy(keys + 4 * j, c, sizeof c);
    }
}

INLINE U32 round_function(U32 half, uint32_t key) {
    U32 hash = (half ^ key) * 0x85EBCA6B;
    return (hash ^ (hash >> 16)) * 0xC2B2AE35;
}

/* One pass of the Feistel network over numbers of left_bits + right_bits bits. Several vectors at a
   time, since the rounds of one are a single chain of dependent operations. */
enum { VECTORS = 4, NUMBERS = VECTORS * N, BATCH = 512 };

INLINE void permute(uint64_t *x, const uint32_t *keys, int left_bits, int right_bits) {
    const uint64_t right_mask = ((uint64_t)1 << right_bits) - 1, swap = keys[ROUNDS] >> 31;
    uint32_t left_parts[NUMBERS], right_parts[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) {
        uint64_t swapped = x[i] ^ (x[i] < 2 ? swap : 0);
        left_parts[i] = (uint32_t)(swapped >> right_bits);
        right_parts[i] = (uint32_t)(swapped & right_mask);
    }
    U32 left[VECTORS], right[VECTORS];
    memcpy(left, left_parts, sizeof left);
    memcpy(right, right_parts, sizeof right);
    for (int round = 0; round < ROUNDS; round += 2) {
        UNROLL for (int v = 0; v < VECTORS; v++)
            left[v] ^= round_function(right[v], keys[round]) >> (32 - left_bits);
        UNROLL for (int v = 0; v < VECTORS; v++)
            right[v] ^= round_function(left[v], keys[round + 1]) >> (32 - right_bits);
    }
    memcpy(left_parts, left, sizeof left);
    memcpy(right_parts, right, sizeof right);
    for (int i = 0; i < NUMBERS; i++)
        x[i] = (uint64_t)left_parts[i] << right_bits | right_parts[i];
}

/* Row after row of permutations of 0 ... n - 1: the network permutes the next power of two, and what
   falls outside is permuted again until it falls inside. */
static void permutation_64(
    void *out, uint64_t runs, uint64_t length, uint64_t key, const uint64_t *starts,
    const Parameters *parameters, Sink sink, double scale
) {
    (void)sink, (void)scale;
    const uint64_t n = parameters->n;
    int bits = 4; /* fewer would not be mixed */
    while (bits < 62 && (uint64_t)1 << bits < n) bits++;
    const int left_bits = bits / 2, right_bits = bits - left_bits;
    uint32_t keys[4 * KEY_BLOCKS];
    uint64_t x[BATCH] = {0};
    uint16_t place[BATCH];
    for (uint64_t run = 0; run < runs; run++) {
        int64_t *to = (int64_t *)out + run * length;
        uint64_t row = starts[run] / n, first = starts[run] % n, count;
        permutation_keys(key, row, keys);
        for (uint64_t at = 0; at < length; at += count, first += count) {
            if (first == n) {
                permutation_keys(key, ++row, keys);
                first = 0;
            }
            count = n - first < BATCH ? n - first : BATCH;
            if (length - at < count) count = length - at;
            for (uint64_t i = 0; i < count; i++) {
                x[i] = first + i;
                place[i] = (uint16_t)i;
            }
            for (uint64_t left = count, outside; left; left = outside) {
                for (uint64_t i = 0; i < left; i += NUMBERS)
                    permute(x + i, keys, left_bits, right_bits);
                outside = 0;
                for (uint64_t i = 0; i < left; i++) {
                    uint64_t number = x[i];
                    uint16_t mine = place[i];
                    to[at + mine] = (int64_t)number; /* where it is outside, the next pass overwrites */
                    x[outside] = number;
                    place[outside] = mine;
                    outside += number >= n;
                }
            }
        }
    }
}

/* ---------------------------------------------------------------- reflectors */

#define SINGLE
#include "reflect.h"
#undef SINGLE
#include "reflect.h"

/* ---------------------------------------------------------------- subsets of a fixed size */

/* Selection sampling (Knuth's algorithm S) in all columns at once: of `left` elements of which some
   number are lacking, the next is kept with probability lacking / left. What is not is zeroed in the
   rows `step` bytes apart of 32-bit numbers, or without these the words become masks. */
INLINE void choose_rows(
    char *numbers, int64_t step, uint32_t *words, uint32_t *lacking, uint64_t rows,
    uint64_t columns, uint64_t left
) {
    char *const to = numbers ? numbers : (char *)words;
    if (!numbers) step = (int64_t)columns * 4;
    uint64_t j = 0;
#if N > 1
    for (; j + N <= columns; j += N) {
        U32 need, word, number = (U32)SPLAT_U64(-1);
        memcpy(&need, lacking + j, sizeof need);
        for (uint64_t i = 0; i < rows; i++) {
            char *const at = to + (int64_t)i * step + j * 4;
            memcpy(&word, words + i * columns + j, sizeof word);
            const U64 many = SPLAT_U64(left - i);
            const U64 even = UPPER(MULTIPLY(AS_U64(word), many));
            const U64 odd = MULTIPLY(AS_U64(word) >> 32, many);
            const U32 place = AS_U32((even & LOW) | (odd & ~LOW));
            const U32 keep = (U32)(place < need);
            need += keep;
            if (numbers) memcpy(&number, at, sizeof number);
            word = keep & number;
            memcpy(at, &word, sizeof word);
        }
        memcpy(lacking + j, &need, sizeof need);
    }
#endif
    for (; j < columns; j++)
        for (uint64_t i = 0; i < rows; i++) {
            uint32_t *const at = (uint32_t *)(to + (int64_t)i * step) + j;
            const uint32_t keep = (words[i * columns + j] * (left - i) >> 32) < lacking[j];
            lacking[j] -= keep;
            *at = -keep & (numbers ? *at : ~(uint32_t)0);
        }
}

/* Apply masks to a row of numbers; where they lie side by side, in vectors. */
#define MASK(type, step)                                                                           \
    for (uint64_t j = 0; j < columns; j++)                                                         \
    *(type *)(row + (int64_t)j * (step)) &= (type)(int32_t)masks[j]

static void mask_row(
    char *row, int64_t step, uint64_t size, const uint32_t *masks, uint64_t columns
) {
    if (size == 2 && step == 2)
        MASK(uint16_t, 2);
    else if (size == 2)
        MASK(uint16_t, step);
    else if (size == 4)
        MASK(uint32_t, step);
    else if (size == 8 && step == 8)
        MASK(uint64_t, 8);
    else
        for (; size; size -= 8, row += 8) MASK(uint64_t, step);
}

static void choose(
    const Matrix *out, uint32_t *lacking, uint64_t left, uint64_t key, uint64_t start
) {
    enum { WORDS = 8 * MOST_COLUMNS };
    ALIGNED uint32_t words[WORDS];
    const Parameters none = {{0}, 0};
    const uint64_t columns = out->columns, most = WORDS / columns;
    const int64_t step = out->row_step;
    char *row = out->first;
    for (uint64_t rows = out->rows, some; rows; rows -= some, left -= some) {
        some = rows < most ? rows : most;
        bits_32(words, 1, some * columns, key, &start, &none, SET, 0.0);
        start += some * columns;
        if (out->size == 4 && out->column_step == 4) {
            choose_rows(row, step, words, lacking, some, columns, left);
            row += (int64_t)some * step;
            continue;
        }
        choose_rows(NULL, 0, words, lacking, some, columns, left);
        for (uint64_t i = 0; i < some; i++, row += step)
            mask_row(row, out->column_step, out->size, words + i * columns, columns);
    }
}

/* ---------------------------------------------------------------- the table */

const Fills FILLS = {
    .fill32 = {
        uniform_32, normal_32, central_32, wide_32, far_32, sign_32, bits_32, complex_normal_32,
        disk_32, modulus_32, NULL,
    },
    .fill64 = {
        uniform_64, normal_64, central_64, wide_64, far_64, sign_64, bits_64, complex_normal_64,
        disk_64, modulus_64, permutation_64,
    },
    .reflectors32 = reflectors_32,
    .reflectors64 = reflectors_64,
    .reflect32 = reflect_32,
    .reflect64 = reflect_64,
    .choose = choose,
};
