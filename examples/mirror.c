/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What mirror.py does, in C: the reply is the request, byte by byte, and its bytes are counted.
 *
 * The twin by which the cost of a compiled service is measured. Like every service from Python it
 * copies a request before it reads it, as a peer may share its memory, and then copies the copy.
 */
#include "bytes.h"
#include "fetch.h"
#include "service.h"

#define COPY_BYTES 1472u

const uint32_t service_request_bytes_min = 2;

struct service {
    uint64_t nb_requests, nb_bytes;
    uint32_t next, nb_burst; /* where a burst continues after the slots ran out */
    uint8_t copy[COPY_BYTES];
};

const char *service_open(struct service **service, const struct service_config *config)
{
    if (config->memory_bytes < SERVICE_MEMORY_BYTES_MIN)
        return "the memory is too small; give it at least 1 MiB";
    *service = config->memory;
    return NULL;
}

void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests)
{
    (void)service;
    for (unsigned i = 0; i < nb_requests; i++)
        fetch_to_write(requests[i].data, requests[i].len);
}

static enum drop_reason answer(struct service *service, const struct request *request)
{
    if (request->drop != DROP_NONE)
        return request->drop;
    if (request->len > COPY_BYTES || request->len > request->room_bytes ||
        request->len > SERVICE_DATAGRAM_BYTES)
        return DROP_TRUNCATED;
    copy_bytes(service->copy, request->data, request->len);
    service->nb_requests++;
    service->nb_bytes += request->len;
    copy_bytes(request->room, service->copy, request->len);
    return DROP_NONE;
}

unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more)
{
    (void)now_ns;
    if (nb_requests > 0) {
        service->next = 0;
        service->nb_burst = nb_requests;
    }
    unsigned nb = 0;
    for (; service->next < service->nb_burst && nb < nb_replies; service->next++) {
        struct request *request = &requests[service->next];
        request->drop = answer(service, request);
        if (request->drop != DROP_NONE)
            continue;
        replies[nb].data = request->room;
        replies[nb].len = request->len;
        replies[nb++].request = (uint16_t)service->next;
    }
    *more = service->next < service->nb_burst;
    return nb;
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    *counters = (struct service_counters){.values = {service->nb_requests, service->nb_bytes}};
}
