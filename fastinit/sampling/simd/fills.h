/* What the compiled fills offer to cython_fill.pyx: one table of functions a SIMD level. */

#ifndef FASTINIT_FILLS_H
#define FASTINIT_FILLS_H

#include <stdint.h>

typedef struct {
    double number[8]; /* floats exactly, as doubles */
    uint64_t n;       /* of a permutation */
} Parameters;

/* What becomes of the drawn values. A SET replaces, an ADD does out += scale * value. */
typedef enum { SET, ADD, SET_FLOAT16, ADD_FLOAT16, SET_BFLOAT16, ADD_BFLOAT16 } Sink;

/* Draw `runs` rows of `length` elements; row r holds the elements starts[r], starts[r] + 1, ... */
typedef void Fill(
    void *out, uint64_t runs, uint64_t length, uint64_t key, const uint64_t *starts,
    const Parameters *parameters, Sink sink, double scale
);

/* Make reflectors of normal numbers, and apply them; see reflect.h. */
typedef void Reflectors(void *vectors, uint64_t groups, uint64_t rows, void *system);
typedef void Reflect(
    const void *vectors, uint64_t groups, uint64_t rows, const void *system, void *panel,
    uint64_t width, uint64_t live
);

/* Zero elements of a matrix, but for lacking[j] of the next `left` ones in column j, of which `rows`
   are decided upon with the random words from `start` on. An element is of 2, 4, 8 or 16 bytes. */
enum { MOST_COLUMNS = 512 };
typedef struct {
    void *first;
    int64_t row_step, column_step; /* in bytes */
    uint64_t rows, columns, size;
} Matrix;
typedef void Choose(
    const Matrix *out, uint32_t *lacking, uint64_t left, uint64_t key, uint64_t start
);

/* Laws in the order of `LAWS` in cython_fill.pyx; NULL where a law has no such precision. */
enum { LAWS = 11 };
typedef struct {
    Fill *fill32[LAWS], *fill64[LAWS];
    Reflectors *reflectors32, *reflectors64;
    Reflect *reflect32, *reflect64;
    Choose *choose;
} Fills;

extern const Fills fastinit_baseline;
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define FASTINIT_WIDE
extern const Fills fastinit_avx2, fastinit_avx512;
#endif

/* The instruction sets that this build knows and this processor has, the widest first. */
typedef struct {
    const char *name;
    const Fills *fills;
} Level;
enum { MOST_LEVELS = 3 };
int fastinit_levels(Level *levels);

#endif
