/* SPDX-License-Identifier: BSD-3-Clause */
/* The datapath `mem`; see mem.h. */
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define CHECK_EVERY 64u
/* Not a multiple of 4 KiB, so that rooms do not compete for a few cache sets. */
#define ROOM_BYTES 1472u
#define STREAM_AHEAD_BYTES 2048u

const char datapath_name[] = "mem";

struct datapath {
    struct mem_stream stream;
    unsigned batch;
    atomic_int *stop;
    uint64_t next_byte;
    uint64_t nb_bursts;
    struct mem_result result;
    const uint8_t *data[SERVICE_BURST_MAX]; /* of the current burst, to check replies against */
    uint32_t len[SERVICE_BURST_MAX];
    uint8_t rooms[SERVICE_BURST_MAX][ROOM_BYTES];
    uint8_t spares[SERVICE_BURST_MAX][ROOM_BYTES];
};

static uint32_t render_one(struct mem_stream *stream, uint16_t id, struct draw draw)
{
    uint8_t *at = stream->bytes + stream->size_bytes;
    uint16_t len = (uint16_t)format_request(stream->format, at + sizeof(len), id,
                                            draw.op == OP_SET ? OP_SET : OP_GET, draw.number, 1);
    memcpy(at, &len, sizeof(len));
    stream->nb_requests++;
    stream->size_bytes += sizeof(len) + len;
    return len;
}

void mem_render(struct mem_stream *stream, uint64_t nb_requests, struct workload *workload)
{
    stream->size_bytes = stream->nb_requests = 0;
    for (uint64_t i = 0; i < nb_requests; i++)
        render_one(stream, (uint16_t)i, workload_draw(workload));
}

void mem_render_preload(struct mem_stream *stream, uint32_t first, uint32_t nb_requests)
{
    stream->size_bytes = stream->nb_requests = 0;
    for (uint32_t i = 0; i < nb_requests; i++)
        render_one(stream, (uint16_t)i, (struct draw){.number = first + i, .op = OP_SET});
}

struct datapath *mem_open(const struct mem_stream *stream, unsigned batch, atomic_int *stop)
{
    struct datapath *datapath = calloc(1, sizeof(*datapath));
    if (datapath == NULL)
        return NULL;
    datapath->stream = *stream;
    datapath->batch = batch;
    datapath->stop = stop;
    return datapath;
}

unsigned datapath_rx_burst(struct datapath *datapath, struct request *requests, unsigned nb)
{
    const struct mem_stream *stream = &datapath->stream;
    unsigned i = 0;
    for (; i < nb && datapath->next_byte < stream->size_bytes; i++) {
        const uint8_t *at = stream->bytes + datapath->next_byte;
        uint16_t len;
        memcpy(&len, at, sizeof(len));
        /* A network card leaves received frames in the cache. The stream comes from memory, and the
         * processor's own prefetcher stops at the end of each page. */
        __builtin_prefetch(at + STREAM_AHEAD_BYTES);
        datapath->next_byte += sizeof(len) + len;
        datapath->data[i] = at + sizeof(len);
        datapath->len[i] = len;
        requests[i].data = at + sizeof(len);
        requests[i].len = len;
        requests[i].source =
            (struct source){.addr = {[10] = 255, 255, 127, 0, 0, 1}, .port = 40000};
        requests[i].room = datapath->rooms[i];
        requests[i].room_bytes = SERVICE_DATAGRAM_BYTES;
        requests[i].drop = DROP_NONE;
    }
    if (i == 0)
        *datapath->stop = 1;
    return i;
}

unsigned datapath_ahead(struct datapath *datapath, struct request *requests, unsigned nb)
{
    (void)datapath, (void)requests, (void)nb; /* the stream is prefetched on receive */
    return 0;
}

unsigned datapath_lend(struct datapath *datapath, struct reply *replies, unsigned nb)
{
    if (nb > SERVICE_BURST_MAX)
        nb = SERVICE_BURST_MAX;
    for (unsigned i = 0; i < nb; i++)
        replies[i].spare = datapath->spares[i];
    return nb;
}

/* Check every byte: echo returns the request, a GET its key's value, a SET STORED. */
static bool is_right(const struct datapath *datapath, const struct reply *reply)
{
    const struct format *format = datapath->stream.format;
    const uint8_t *data = datapath->data[reply->request];
    uint32_t len = datapath->len[reply->request], number, version;
    if (datapath->stream.is_echo)
        return reply->len == len && memcmp(reply->data, data, len) == 0;
    if (memcmp(reply->data, data, 2) != 0)
        return false;
    if (len == format->set_bytes)
        return reply->len == 16 && memcmp(reply->data + 8, "STORED\r\n", 8) == 0;
    uint8_t head[FORMAT_HEAD_BYTES_MAX];
    if (!format_parse_key(data + 12, format->key_bytes, &number))
        return false;
    uint32_t head_bytes = format_hit_head(format, head, 0, number);
    return reply->len == format->hit_bytes &&
           memcmp(reply->data + 2, head + 2, head_bytes - 2) == 0 &&
           value_matches(reply->data + head_bytes, format->value_bytes, number, &version) &&
           memcmp(reply->data + reply->len - 7, "\r\nEND\r\n", 7) == 0;
}

void datapath_tx_burst(struct datapath *datapath, const struct reply *replies, unsigned nb,
                       bool *sent)
{
    struct mem_result *result = &datapath->result;
    uint32_t hit_bytes = datapath->stream.format->hit_bytes;
    for (unsigned i = 0; i < nb; i++) {
        uint64_t last;
        memcpy(&last, replies[i].data + replies[i].len - sizeof(last), sizeof(last));
        result->sum += last;
        result->nb_hits += replies[i].len == hit_bytes;
        result->nb_stored += replies[i].len == 16;
        sent[i] = true;
    }
    result->nb_replies += nb;
    if (datapath->nb_bursts++ % CHECK_EVERY != 0)
        return;
    for (unsigned i = 0; i < nb; i++) {
        result->nb_checked++;
        result->nb_wrong += !is_right(datapath, &replies[i]);
    }
}

void datapath_release(struct datapath *datapath)
{
    (void)datapath;
}

void mem_result(const struct datapath *datapath, struct mem_result *result)
{
    *result = datapath->result;
}

void datapath_close(struct datapath *datapath)
{
    free(datapath);
}
