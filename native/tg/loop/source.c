/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <assert.h>
#include <stdlib.h>

bool source_open(struct source *source, struct workload *workload, uint32_t room)
{
    *source = (struct source){.workload = workload};
    source->again_room = room;
    source->again = calloc(room, sizeof(*source->again));
    return source->again != NULL;
}

void source_close(struct source *source)
{
    free(source->again);
}

void source_start(struct source *source, enum phase phase)
{
    source->phase = phase;
    source->nb_once = phase == PHASE_BEFORE ? source->nb_before : source->workload->nb_keys;
    source->next = 0;
    source->nb_done = 0;
    source->nb_again = 0;
}

/* The next request of `before`, if all earlier ones were answered: a service may need their
 * order. */
static unsigned before_fill(struct source *source, struct draw *draws)
{
    if (source->next == source->nb_once || source->next != source->nb_done)
        return 0;
    draws[0] = (struct draw){.number = source->workload->nb_all + source->next++};
    return 1;
}

unsigned source_fill(struct source *source, struct draw *draws, unsigned nb)
{
    unsigned n = 0;

    if (source->phase == PHASE_DRAIN)
        return 0;
    for (; n < nb && source->nb_again > 0; n++, source->nb_again--) {
        draws[n] = source->again[source->again_head];
        source->again_head = (source->again_head + 1) % source->again_room;
    }
    if (source->phase == PHASE_MIX) {
        workload_fill(source->workload, draws + n, nb - n);
        return nb;
    }
    if (source->phase == PHASE_BEFORE)
        return n == nb ? n : n + before_fill(source, draws + n);
    for (; n < nb && source->next < source->nb_once; n++)
        draws[n] = (struct draw){.number = source->workload->first + source->next++,
                                 .op = source->phase == PHASE_PRELOAD ? OP_SET : OP_GET};
    return n;
}

void source_again(struct source *source, struct draw draw)
{
    uint32_t at = (source->again_head + source->nb_again) % source->again_room;

    assert(source->nb_again < source->again_room);
    source->again[at] = draw;
    source->nb_again++;
}
