/* Blocks of Householder reflectors, and their product applied to the columns of a panel; included by
   fill.h once for each precision.

   The same functions as in numba_reflect.py. Each element is a sum in the order of the source,
   whatever the tiles that registers hold: lanes are columns of the panel, so no sum runs across them.

   A block is up to GROUPS groups of GROUP_WIDTH vectors, each group an array of `rows` rows of
   GROUP_WIDTH numbers; vector k begins in row k. Its `system` is square: the products v_k v_l above
   the diagonal, 2 / v_k v_k on it. */

#ifdef SINGLE
#define REAL float
#define VECTOR F32
#define NAME(name) name##_32
enum { GROUP_WIDTH = 16, GROUPS = 4, SUM = 128, MOST_WIDTH = 64 };
#else
#define REAL double
#define VECTOR F64
#define NAME(name) name##_64
#endif

/* GCC's scheduler, which serves the fills, takes more registers here than there are. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-schedule-insns")
#endif

/* Rows and vectors of the tile of sums that registers hold. */
#if N == 16
#define TILE_ROWS 4
#define TILE_VECTORS 4
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif

#define VECTOR_LANES (sizeof(VECTOR) / sizeof(REAL))

INLINE VECTOR NAME(load)(const REAL *from) {
    VECTOR x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* sums[r][j] += the product of column r of `v` and column j of `panel`, over `rows` rows. */
INLINE void NAME(product_tile)(
    REAL *sums, const REAL *v, const REAL *panel, uint64_t rows, uint64_t width, const int vectors
) {
    VECTOR sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (uint64_t i = 0; i < rows; i++, v += GROUP_WIDTH, panel += width) {
        VECTOR x[TILE_VECTORS];
        UNROLL for (int j = 0; j < vectors; j++) x[j] = NAME(load)(panel + j * VECTOR_LANES);
        UNROLL for (int r = 0; r < TILE_ROWS; r++)
            UNROLL for (int j = 0; j < vectors; j++) sum[r][j] += x[j] * v[r];
    }
    UNROLL for (int r = 0; r < TILE_ROWS; r++)
        UNROLL for (int j = 0; j < vectors; j++) {
            REAL *to = sums + r * width + j * VECTOR_LANES;
            VECTOR total = NAME(load)(to) + sum[r][j];
            memcpy(to, &total, sizeof total);
        }
}

/* sums = V^T panel, of `groups` groups; each SUM rows are summed by themselves. */
static void NAME(products)(
    REAL *sums, const REAL *v, uint64_t groups, uint64_t rows, const REAL *panel, uint64_t width,
    uint64_t live
) {
    const uint64_t tile = TILE_VECTORS * VECTOR_LANES;
    memset(sums, 0, groups * GROUP_WIDTH * width * sizeof *sums);
    for (uint64_t i = 0; i < live; i += SUM) {
        const uint64_t count = live - i < SUM ? live - i : SUM;
        uint64_t j = 0;
        for (; j + tile <= width; j += tile)
            for (uint64_t k = 0; k < groups * GROUP_WIDTH; k += TILE_ROWS)
                NAME(product_tile)(
                    sums + k * width + j,
                    v + (k / GROUP_WIDTH * rows + i) * GROUP_WIDTH + k % GROUP_WIDTH,
                    panel + i * width + j, count, width, TILE_VECTORS
                );
        for (; j < width; j += VECTOR_LANES)
            for (uint64_t k = 0; k < groups * GROUP_WIDTH; k += TILE_ROWS)
                NAME(product_tile)(
                    sums + k * width + j,
                    v + (k / GROUP_WIDTH * rows + i) * GROUP_WIDTH + k % GROUP_WIDTH,
                    panel + i * width + j, count, width, 1
                );
    }
}

/* A tile of panel -= V sums. */
INLINE void NAME(update_tile)(
    REAL *panel, const REAL *v, uint64_t groups, uint64_t rows, const REAL *sums, uint64_t width,
    const int tile_rows, const int vectors
) {
    VECTOR sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (uint64_t g = 0; g < groups; g++, v += rows * GROUP_WIDTH)
        for (int k = 0; k < GROUP_WIDTH; k++, sums += width) {
            VECTOR x[TILE_VECTORS];
            UNROLL for (int j = 0; j < vectors; j++) x[j] = NAME(load)(sums + j * VECTOR_LANES);
            UNROLL for (int r = 0; r < tile_rows; r++)
                UNROLL for (int j = 0; j < vectors; j++)
                    sum[r][j] += x[j] * v[r * GROUP_WIDTH + k];
        }
    UNROLL for (int r = 0; r < tile_rows; r++)
        UNROLL for (int j = 0; j < vectors; j++) {
            REAL *to = panel + r * width + j * VECTOR_LANES;
            VECTOR rest = NAME(load)(to) - sum[r][j];
            memcpy(to, &rest, sizeof rest);
        }
}

static void NAME(update)(
    REAL *panel, const REAL *v, uint64_t groups, uint64_t rows, const REAL *sums, uint64_t width
) {
    const uint64_t tile = TILE_VECTORS * VECTOR_LANES;
    uint64_t i = 0, j;
    for (; i + TILE_ROWS <= rows; i += TILE_ROWS) {
        REAL *to = panel + i * width;
        const REAL *from = v + i * GROUP_WIDTH;
        for (j = 0; j + tile <= width; j += tile)
            NAME(update_tile)(
                to + j, from, groups, rows, sums + j, width, TILE_ROWS, TILE_VECTORS
            );
        for (; j < width; j += VECTOR_LANES)
            NAME(update_tile)(to + j, from, groups, rows, sums + j, width, TILE_ROWS, 1);
    }
    for (; i < rows; i++)
        for (j = 0; j < width; j += VECTOR_LANES)
            NAME(update_tile)(
                panel + i * width + j, v + i * GROUP_WIDTH, groups, rows, sums + j, width, 1, 1
            );
}

/* Solve for the columns of sums, from the last row up: row k is multiplied by system[k][k] after the
   rows below it, times system[k][l], were taken off it. */
INLINE void NAME(solve_tile)(
    REAL *sums, const REAL *system, uint64_t size, uint64_t width, const int vectors
) {
    for (uint64_t k = size; k-- > 0;) {
        const REAL *factor = system + k * size;
        VECTOR x[TILE_VECTORS];
        UNROLL for (int j = 0; j < vectors; j++)
            x[j] = NAME(load)(sums + k * width + j * VECTOR_LANES);
        for (uint64_t l = k + 1; l < size; l++)
            UNROLL for (int j = 0; j < vectors; j++)
                x[j] -= NAME(load)(sums + l * width + j * VECTOR_LANES) * factor[l];
        UNROLL for (int j = 0; j < vectors; j++) {
            x[j] *= factor[k];
            memcpy(sums + k * width + j * VECTOR_LANES, &x[j], sizeof x[j]);
        }
    }
}

/* panel = (H_1 H_2 ...) panel, for the reflectors of a block; rows from `live` on are still zero. */
static void NAME(reflect)(
    const void *vectors, uint64_t groups, uint64_t rows, const void *system, void *panel,
    uint64_t width, uint64_t live
) {
    ALIGNED REAL sums[GROUPS * GROUP_WIDTH * MOST_WIDTH];
    const uint64_t size = groups * GROUP_WIDTH, tile = TILE_VECTORS * VECTOR_LANES;
    NAME(products)(sums, vectors, groups, rows, panel, width, live);
    uint64_t j = 0;
    for (; j + tile <= width; j += tile)
        NAME(solve_tile)(sums + j, system, size, width, TILE_VECTORS);
    for (; j < width; j += VECTOR_LANES) NAME(solve_tile)(sums + j, system, size, width, 1);
    NAME(update)(panel, vectors, groups, rows, sums, width);
}

/* Turn a block of normal numbers into reflectors: x_k begins in row k; v_k is x_k with its length,
   signed like its first number, added to that. An x_k of one number is negated and reflects nothing,
   so that one number alone is exactly 1 or -1. */
static void NAME(reflectors)(void *vectors, uint64_t groups, uint64_t rows, void *system) {
    REAL *const block = vectors, *const to = system;
    const uint64_t size = groups * GROUP_WIDTH;
    for (uint64_t g = 0; g < groups; g++) {
        REAL *const v = block + g * rows * GROUP_WIDTH;
        double squares[GROUP_WIDTH] = {0}; /* below the first number */
        for (uint64_t first = 0; first < rows; first += SUM) {
            double part[GROUP_WIDTH] = {0};
            for (uint64_t i = first; i < first + SUM && i < rows; i++) {
                REAL *const row = v + i * GROUP_WIDTH;
                if (i < (g + 1) * GROUP_WIDTH)
                    for (uint64_t k = 0; k < GROUP_WIDTH; k++) {
                        if (i < g * GROUP_WIDTH + k) row[k] = 0;
                        if (i > g * GROUP_WIDTH + k) part[k] += (double)row[k] * (double)row[k];
                    }
                else
                    for (uint64_t k = 0; k < GROUP_WIDTH; k++)
                        part[k] += (double)row[k] * (double)row[k];
            }
            for (uint64_t k = 0; k < GROUP_WIDTH; k++) squares[k] += part[k];
        }
        for (uint64_t k = 0; k < GROUP_WIDTH; k++) {
            const uint64_t at = g * GROUP_WIDTH + k;
            double all = 0;
            if (at + 1 == rows) v[at * GROUP_WIDTH + k] *= -1;
            if (at + 1 < rows) {
                REAL *const first = v + at * GROUP_WIDTH + k;
                const double x = *first, length = sqrt(x * x + squares[k]);
                *first = (REAL)(x < 0 ? x - length : x + length);
                all = (double)*first * (double)*first + squares[k];
            }
            squares[k] = all;
        }
        REAL products[GROUPS * GROUP_WIDTH * GROUP_WIDTH];
        NAME(products)(products, block, g + 1, rows, v, GROUP_WIDTH, rows);
        for (uint64_t k = 0; k < (g + 1) * GROUP_WIDTH; k++)
            memcpy(
                to + k * size + g * GROUP_WIDTH, products + k * GROUP_WIDTH,
                GROUP_WIDTH * sizeof *to
            );
        for (uint64_t k = 0; k < GROUP_WIDTH; k++)
            to[(g * GROUP_WIDTH + k) * (size + 1)] =
                (REAL)(squares[k] > 0 ? 2 / squares[k] : 0);
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

#undef REAL
#undef VECTOR
#undef NAME
#undef TILE_ROWS
#undef TILE_VECTORS
#undef VECTOR_LANES
