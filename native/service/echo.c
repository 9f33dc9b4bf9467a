/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service `echo`: returns every request's bytes, unchanged.
 *
 * The twin of kv without the store, to separate the cost of a datapath from the cost of the store.
 * The bytes of a request are not read.
 */
#include "bytes.h"
#include "service.h"

const uint32_t service_request_bytes_min = 1;

struct service {
    uint32_t next, nb_requests; /* where a burst continues after the slots ran out */
};

const char *service_open(struct service **service, const struct service_config *config)
{
    if (config->memory_bytes < SERVICE_MEMORY_BYTES_MIN)
        return "the memory is too small; give it at least 1 MiB";
    *service = config->memory;
    (*service)->next = (*service)->nb_requests = 0;
    return NULL;
}

void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests)
{
    (void)service, (void)requests, (void)nb_requests; /* nothing to fetch: the bytes are not read */
}

static enum drop_reason look(const struct request *request)
{
    if (request->drop != DROP_NONE)
        return request->drop;
    if (request->room != request->data && request->len > request->room_bytes)
        return DROP_TRUNCATED;
    return DROP_NONE;
}

unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more)
{
    (void)now_ns;
    if (nb_requests > 0) {
        service->next = 0;
        service->nb_requests = nb_requests;
    }
    unsigned nb = 0;
    for (; service->next < service->nb_requests; service->next++) {
        struct request *request = &requests[service->next];
        enum drop_reason drop = look(request);
        if (drop == DROP_NONE && nb == nb_replies)
            break;
        if (drop != DROP_NONE) {
            request->drop = drop;
            continue;
        }
        if (request->room != request->data)
            memcpy(request->room, request->data, request->len);
        replies[nb].data = request->room;
        replies[nb].len = request->len;
        replies[nb++].request = (uint16_t)service->next;
    }
    *more = service->next < service->nb_requests;
    return nb;
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    (void)service;
    *counters = (struct service_counters){.values = {0}};
}
