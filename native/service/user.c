/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service that was compiled from Python, behind the contract.
 *
 * The compiled functions see a private copy of the request: its room may be the request's own
 * buffer, and a peer that shares the memory may change bytes after they were checked. The room is
 * cut to what may be sent before they see it, so that no service can write beyond it or amplify. A
 * fault (an index outside, a division by zero, a raise) is a drop of its class.
 *
 * With a `prepare`, a burst runs in two passes, as that of kv: copy each request and prefetch what
 * its answer will read; then answer in order.
 */
#include "bytes.h"
#include "fetch.h"
#include "user.h"
#include "watch.h"

/* The payload of one frame; a longer request is dropped everywhere. */
#define REQUEST_BYTES_MAX 1472u
/* A copy and its distance to the next, which is no multiple of a page: copies must not compete for
 * a few cache sets. */
#define COPY_BYTES 1536u
#define COPY_STRIDE (COPY_BYTES + 64u)

_Static_assert(sizeof(struct source) == 18 && __builtin_offsetof(struct source, port) == 16,
               "compile/entries.py has the same layout");

struct place {
    uint16_t drop; /* as in struct service_fault */
    uint16_t file; /* which of user.files */
    uint32_t line; /* 0: there was no fault */
};

struct service {
    struct place faults[SERVICE_FAULTS_MAX]; /* the first of each class */
    uint8_t *state, *copies;
    struct watch_mark *mark;
    uint64_t turn;              /* of the mark: calls so far, times WATCH_TURN */
    uint32_t next, nb_requests; /* where a burst continues after the slots ran out */
};

_Static_assert(sizeof(struct service) <= 128, "compile/folder.py has the same size");

static uint64_t whole_lines(uint64_t nb_bytes)
{
    return (nb_bytes + 63) & ~(uint64_t)63;
}

static const char *fill_state(uint8_t *state, const uint8_t seed[16])
{
    int64_t result;
    void *unused;
    for (uint32_t i = 0; i < user.nb_extents; i++)
        memcpy(state + user.extents[i].at, user_bytes + user.extents[i].from,
               user.extents[i].nb_bytes);
    for (uint32_t i = 0; i < user.nb_seeds; i++)
        memcpy(state + user.seeds[i], seed, 16);
    /* The seed moves the keys of tables that were filled when the service was compiled. */
    for (uint32_t i = 0; i < user.nb_tables; i++) {
        if (user.tables[i].reindex(&result, &unused, state + user.tables[i].at) != 0)
            return "a table of the service's state is not sound; compile it again";
    }
    return NULL;
}

const char *service_open(struct service **service_out, const struct service_config *config)
{
    uint64_t service_bytes = whole_lines(sizeof(struct service));
    uint64_t state_bytes = whole_lines(user.state_bytes);
    uint64_t nb_copies = user.has_prepare ? SERVICE_BURST_MAX : 1;
    if (config->memory_bytes < SERVICE_MEMORY_BYTES_MIN ||
        config->memory_bytes < service_bytes + state_bytes + nb_copies * COPY_STRIDE)
        return user.too_small;
    if (user.layout != user_layout || user.nb_faults > SERVICE_FAULTS_MAX)
        return "the service's state and its functions are of different versions; compile it again";
    struct service *service = config->memory;
    uint8_t *memory = config->memory;
    *service = (struct service){.state = memory + service_bytes,
                                .copies = memory + service_bytes + state_bytes,
                                .mark = watch_open()};
    *service_out = service;
    return fill_state(service->state, config->seed);
}

void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests)
{
    (void)service;
    for (unsigned i = 0; i < nb_requests; i++)
        fetch_to_write(requests[i].data, requests[i].len);
}

/* Return where the copy of a request lies. Without prepare one is enough. */
static uint8_t *copy_of(const struct service *service, uint32_t index)
{
    return service->copies + (user.has_prepare ? index * COPY_STRIDE : 0);
}

static bool take_copy(const struct service *service, struct request *request, uint32_t index)
{
    if (request->drop != DROP_NONE)
        return false;
    if (request->len > REQUEST_BYTES_MAX) {
        request->drop = DROP_TRUNCATED;
        return false;
    }
    copy_bytes(copy_of(service, index), request->data, request->len);
    return true;
}

static void prepare(struct service *service, struct request *requests)
{
    int64_t result;
    void *unused;
    for (uint32_t i = 0; i < service->nb_requests; i++) {
        if (!take_copy(service, &requests[i], i))
            continue;
        const uint8_t *copy = copy_of(service, i);
        service->turn += WATCH_TURN;
        watch_enter(service->mark, service->turn | WATCH_PREPARE | requests[i].len, copy);
        /* A fault here is one of the answer as well, or without effect. */
        user_prepare(&result, &unused, copy, requests[i].len, service->state);
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Drop a request that failed, and remember the first one of its class. */
static enum drop_reason drop_failed(struct service *service, uint32_t code)
{
    uint32_t class = (code - USER_FAULT_MIN) & ((1u << USER_FAULT_CLASS_BITS) - 1);
    uint32_t place = (code - USER_FAULT_MIN) >> USER_FAULT_CLASS_BITS;
    uint32_t drop = user.nb_drops + class;
    struct place *first = &service->faults[class];
    if (first->line == 0)
        *first = (struct place){.drop = (uint16_t)drop,
                                .file = (uint16_t)(place >> USER_FAULT_LINE_BITS),
                                .line = place & ((1u << USER_FAULT_LINE_BITS) - 1)};
    return (enum drop_reason)(DROP_SERVICE + drop);
}

/* Answer one request. Returns the reply's length; 0: there is none, and why is in drop. */
static uint32_t answer(struct service *service, uint64_t now_ns, struct request *request,
                       uint32_t index)
{
    int64_t result;
    void *unused;
    uint32_t room =
        least(least(request->room_bytes, user.reply_bytes_max), request_reply_bytes_max(request));
    const uint8_t *copy = copy_of(service, index);
    service->turn += WATCH_TURN;
    watch_enter(service->mark, service->turn | request->len, copy);
    int32_t fault = user_answer(&result, &unused, copy, request->len, request->room, room,
                                service->state, &request->source, (int64_t)now_ns);
    if (__builtin_expect(fault != 0, 0)) {
        request->drop = drop_failed(service, (uint32_t)fault);
        return 0;
    }
    if (result > 0)
        return (uint32_t)result; /* at most room: the entry has checked it */
    request->drop = result == 0 ? DROP_QUIET : (enum drop_reason)(DROP_SERVICE - 1 - result);
    return 0;
}

unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more)
{
    if (nb_requests > 0) {
        service->next = 0;
        service->nb_requests = nb_requests;
        if (user.has_prepare)
            prepare(service, requests);
    }
    unsigned nb = 0;
    for (; service->next < service->nb_requests; service->next++) {
        struct request *request = &requests[service->next];
        if (request->drop != DROP_NONE)
            continue;
        if (nb == nb_replies)
            break;
        if (!user.has_prepare && !take_copy(service, request, service->next))
            continue;
        uint32_t len = answer(service, now_ns, request, service->next);
        if (len == 0)
            continue;
        replies[nb].data = request->room;
        replies[nb].len = len;
        replies[nb++].request = (uint16_t)service->next;
    }
    watch_leave(service->mark);
    *more = service->next < service->nb_requests;
    return nb;
}

static uint64_t counter(const uint8_t *at, const struct user_counter *counter)
{
    uint64_t value = 0;
    memcpy(&value, at, counter->nb_bytes);
    unsigned unused_bits = 64 - 8u * counter->nb_bytes;
    return counter->is_signed ? (uint64_t)((int64_t)(value << unused_bits) >> unused_bits) : value;
}

static void name_fault(struct service_fault *fault, const struct place *place)
{
    fault->line = place->line;
    fault->drop = place->drop;
    const char *name = place->file < user.nb_files ? user.files[place->file] : "";
    for (uint32_t i = 0; i + 1 < SERVICE_FILE_BYTES && name[i] != '\0'; i++)
        fault->file[i] = name[i];
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    *counters = (struct service_counters){.values = {0}};
    for (uint32_t i = 0; i < user.nb_faults; i++)
        name_fault(&counters->faults[i], &service->faults[i]);
    for (uint32_t i = 0; i < user.nb_counters; i++)
        counters->values[i] = counter(service->state + user.counters[i].at, &user.counters[i]);
}
