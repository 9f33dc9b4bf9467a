/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer target: any file of records. A copy with a right beginning is parsed as well: otherwise
 * few inputs would get past the header. */
#include <string.h>

#include "replay_bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    static struct bed bed;
    const uint32_t version = REPLAY_VERSION;

    (void)bed_parse(data, nb_bytes);
    if (nb_bytes < sizeof(struct replay_header) || nb_bytes > sizeof(bed.bytes))
        return 0;
    memcpy(bed.bytes, data, nb_bytes);
    memcpy(bed.bytes, REPLAY_MAGIC, strlen(REPLAY_MAGIC));
    memcpy(bed.bytes + offsetof(struct replay_header, version), &version, sizeof(version));
    bed.nb = nb_bytes;
    bed_seal(&bed);
    (void)bed_parse(bed.bytes, bed.nb);
    return 0;
}
