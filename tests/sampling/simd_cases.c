/* Draws the cases on standard input with every instruction set of this build, to standard output.

   A case: law, bits of a number (32 or 64), sink, bytes of an element, elements, key, start, scale,
   n, and the eight parameters. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fills.h"

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
