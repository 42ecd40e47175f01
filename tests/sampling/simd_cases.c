/* Draws the cases on standard input with every instruction set of this build, to standard output.

   A case: law, bits of a number (32 or 64), sink, bytes of an element, elements, key, start, scale,
   n, and the eight parameters. After the laws comes a block of reflectors: of n groups of vectors,
   `elements` rows and a panel as wide as `sink` says. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fills.h"

static void write_block(
    const Fills *fills, int bits, uint64_t groups, uint64_t rows, uint64_t width, uint64_t key,
    const Parameters *normal
) {
    const uint64_t bytes = bits / 8, size = groups * 16, live = rows / 2 + 1, start = 0;
    Fill *fill = (bits == 32 ? fills->fill32 : fills->fill64)[1];
    char *vectors = malloc(bytes * rows * size), *system = calloc(size * size, bytes);
    char *panel = malloc(bytes * rows * width);
    fill(vectors, 1, rows * size, key, &start, normal, SET, 0);
    fill(panel, 1, rows * width, key + 1, &start, normal, SET, 0);
    memset(panel + bytes * live * width, 0, bytes * (rows - live) * width);
    (bits == 32 ? fills->reflectors32 : fills->reflectors64)(vectors, groups, rows, system);
    (bits == 32 ? fills->reflect32
                : fills->reflect64)(vectors, groups, rows, system, panel, width, live);
    fwrite(vectors, bytes, rows * size, stdout);
    fwrite(system, bytes, size * size, stdout);
    fwrite(panel, bytes, rows * width, stdout);
    free(vectors), free(system), free(panel);
}

int main(void) {
    Level levels[MOST_LEVELS];
    int count = fastinit_levels(levels);
    int law, bits, sink;
    uint64_t bytes, elements, key, start;
    double scale;
    Parameters p;
    while (scanf("%d %d %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %la %" SCNu64, &law,
                 &bits, &sink, &bytes, &elements, &key, &start, &scale, &p.n) == 9) {
        for (int i = 0; i < 8; i++)
            if (scanf("%la", &p.number[i]) != 1) return 1;
        for (int i = 0; i < count; i++) {
            if (law == LAWS) {
                write_block(levels[i].fills, bits, p.n, elements, (uint64_t)sink, key, &p);
                continue;
            }
            Fill *fill = (bits == 32 ? levels[i].fills->fill32 : levels[i].fills->fill64)[law];
            void *out = malloc(bytes * elements);
            memset(out, 0x3C, bytes * elements); /* an ordinary number in every format */
            fill(out, 1, elements, key, &start, &p, (Sink)sink, scale);
            fwrite(out, bytes, elements, stdout);
            free(out);
        }
    }
    return 0;
}
