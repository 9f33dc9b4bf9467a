/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service `kv`: memcached's ASCII protocol over a store, a burst at a time.
 *
 * A burst runs through three passes: parse and hash, and prefetch the key's bucket; check the
 * bucket's tags, and prefetch the items that may match; answer. Memory has the time of a pass to
 * deliver, and as many lines are in transfer as the processor can track. The first two passes only
 * guess and prefetch; the third looks up again, in order, so that the burst has the outcome of one
 * request after the other. One rolling loop with the same stages half a burst apart is no faster
 * for skewed keys and a tenth to a third slower for uniform keys and bursts of 32 and less.
 *
 * A datagram that is not a plain get or set is run by the general interpreter in the third pass:
 * into the message buffer first, from there datagram by datagram into the reply slots.
 */
#include "ascii.h"
#include "fast.h"
#include "fetch.h"
#include "kv_row.h"
#include "service.h"

const uint32_t service_request_bytes_min = FRAME_BYTES + 1; /* at least one byte behind the frame */

enum kind { KIND_DROPPED, KIND_GET, KIND_GETS, KIND_SET, KIND_COMMANDS };
_Static_assert((int)KIND_GET == FAST_GET && (int)KIND_GETS == FAST_GETS &&
                   (int)KIND_SET == FAST_SET,
               "the fast parser's kinds are kinds");

struct prepared {
    struct fast fast;
    uint64_t hash;
    enum kind kind;
};

/* The reply slots of one call. */
struct slots {
    struct reply *replies;
    unsigned nb, nb_max;
};

struct service {
    struct store store;
    struct stats stats;
    struct interpreter interpreter;
    /* The current burst: next is the first request whose answer is not complete. */
    uint32_t next, nb_requests;
    /* The current message: the next datagram of nb_datagrams; both 0 when there is none. */
    uint32_t datagram, nb_datagrams;
    uint16_t message_id; /* as received: the first datagram may overwrite the request */
    struct prepared prepared[SERVICE_BURST_MAX];
};

const char *service_open(struct service **service_out, const struct service_config *config)
{
    uint64_t service_bytes = (sizeof(struct service) + 63) & ~(uint64_t)63;
    uint64_t before_store = service_bytes + ((REPLY_MESSAGE_BYTES_MAX + 63) & ~63u);
    if (config->memory_bytes < SERVICE_MEMORY_BYTES_MIN)
        return "the memory is too small; give it at least 1 MiB";
    struct service *service = config->memory;
    uint8_t *memory = config->memory;
    *service = (struct service){.stats = {.pid = config->pid}};
    service->stats.memory_bytes = config->memory_bytes;
    service->interpreter = (struct interpreter){.store = &service->store,
                                                .stats = &service->stats,
                                                .message = {.data = memory + service_bytes}};
    *service_out = service;
    return store_open(&service->store, memory + before_store, config->memory_bytes - before_store,
                      config->seed, config->now_ns);
}

/* Bytes of a small item's reply; its request is shorter. */
#define FETCH_BYTES 80u

void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests)
{
    (void)service;
    for (unsigned i = 0; i < nb_requests; i++)
        fetch_to_write(requests[i].data, FETCH_BYTES);
}

static enum drop_reason admit(const struct request *request)
{
    if (request->drop != DROP_NONE)
        return request->drop;
    if (from_big16(load16(request->data + 4)) != 1)
        return DROP_TOTAL;
    if (request->data[FRAME_BYTES] == 0x80)
        return DROP_BINARY;
    return DROP_NONE;
}

static inline void prepare(struct service *service, struct request *request,
                           struct prepared *prepared)
{
    struct store *store = &service->store;
    enum drop_reason drop = admit(request);
    if (__builtin_expect(drop != DROP_NONE, 0)) {
        request->drop = drop;
        prepared->kind = KIND_DROPPED;
        return;
    }
    service->stats.read_bytes += request->len;
    enum fast_kind fast = fast_parse(request->data, request->len, &prepared->fast);
    if (__builtin_expect(fast == FAST_NO, 0)) {
        prepared->kind = KIND_COMMANDS;
        return;
    }
    prepared->kind = (enum kind)fast;
    prepared->hash = store_hash(store, prepared->fast.key, prepared->fast.key_bytes);
    __builtin_prefetch(table_first(&store->table, prepared->hash));
}

/* always_inline: GCC 12 removes calls of a function that only prefetches, as without effect. */
__attribute__((always_inline)) static inline void look(const struct service *service,
                                                       const struct prepared *prepared)
{
    const struct table *table = &service->store.table;
    if (__builtin_expect(prepared->kind == KIND_DROPPED || prepared->kind == KIND_COMMANDS, 0))
        return;
    const struct bucket *bucket = table_first(table, prepared->hash);
    uint32_t match = bucket_match(bucket, table_tag(prepared->hash));
    for (; match != 0; match &= match - 1)
        __builtin_prefetch(table_item(table, bucket->offsets[__builtin_ctz(match)]));
    if (__builtin_expect(bucket->nb_overflown != 0, 0))
        __builtin_prefetch(table_second(table, prepared->hash));
}

/* Replace a message that may not be sent by one fixed text. */
static void replace_message(struct message *message)
{
    message->len = 0;
    message->overflown = false;
    message_put_text(message, REPLY_TOO_LARGE);
}

/* Apply the 3 x rule and the bound on datagrams. Returns false if even the error is too long. */
static bool bound_message(struct service *service, const struct request *request)
{
    struct message *message = &service->interpreter.message;
    if (!message->overflown) {
        uint32_t nb_frames = reply_nb_datagrams(message->len);
        if (message->len + nb_frames * FRAME_BYTES <= request_reply_bytes_max(request))
            return true;
    }
    replace_message(message);
    return message->len + FRAME_BYTES <= request_reply_bytes_max(request);
}

/* Make the message the current one, or drop the request. */
static void begin_message(struct service *service, struct request *request)
{
    service->nb_datagrams = 0;
    service->datagram = 0;
    if (service->interpreter.message.len == 0 && !service->interpreter.message.overflown) {
        request->drop = DROP_QUIET;
    } else if (!bound_message(service, request)) {
        request->drop = DROP_AMPLIFY;
    } else {
        service->nb_datagrams = reply_nb_datagrams(service->interpreter.message.len);
        service->message_id = load16(request->data);
    }
}

static void take_slot(struct service *service, struct slots *slots, uint8_t *data, uint32_t len,
                      uint32_t request)
{
    struct reply *reply = &slots->replies[slots->nb++];
    reply->data = data;
    reply->len = len;
    reply->request = (uint16_t)request;
    service->stats.written_bytes += len;
}

/* Send datagrams of the current message while there are slots. Returns whether all are sent. */
static bool send_message(struct service *service, const struct request *request, uint32_t index,
                         struct slots *slots)
{
    const struct message *message = &service->interpreter.message;
    for (; service->datagram < service->nb_datagrams; service->datagram++) {
        if (slots->nb == slots->nb_max)
            return false;
        uint8_t *to = service->datagram == 0 ? request->room : slots->replies[slots->nb].spare;
        uint32_t len = reply_write_datagram(to, from_big16(service->message_id), service->datagram,
                                            message->data, message->len);
        take_slot(service, slots, to, len, index);
    }
    service->nb_datagrams = service->datagram = 0;
    return true;
}

static bool answer_commands(struct service *service, struct request *request, uint32_t index,
                            struct slots *slots)
{
    struct interpreter *interpreter = &service->interpreter;
    interpreter->message.len = 0;
    interpreter->message.overflown = false;
    interpreter->is_admin = (request->rights & REQUEST_ADMIN) != 0;
    ascii_run(interpreter, request->data + FRAME_BYTES, request->len - FRAME_BYTES);
    begin_message(service, request);
    return send_message(service, request, index, slots);
}

/* Replace a reply that is too long by an error. Returns its length; 0: that is too long too. */
static uint32_t bound_single(struct request *request, uint16_t id)
{
    uint32_t len = reply_write_text(request->room, id, REPLY_TOO_LARGE);
    if (len <= request_reply_bytes_max(request))
        return len;
    request->drop = DROP_AMPLIFY;
    return 0;
}

static inline bool answer_get(struct service *service, struct request *request,
                              const struct prepared *prepared, uint32_t index, struct slots *slots)
{
    const struct fast *fast = &prepared->fast;
    struct item *item = store_get(&service->store, prepared->hash, fast->key, fast->key_bytes);
    uint16_t id = load16(request->data);
    uint32_t len = 0;
    if (item != NULL) {
        len = reply_write_item(request->room, id, item, prepared->kind == KIND_GETS);
        if (__builtin_expect(len == 0, 0)) /* nothing was written: the request is intact */
            return answer_commands(service, request, index, slots);
    }
    service->stats.nb_get++;
    service->stats.nb_get_hits += item != NULL;
    service->stats.nb_get_misses += item == NULL;
    if (item == NULL)
        len = reply_write_text(request->room, id, "END\r\n");
    if (__builtin_expect(len > request_reply_bytes_max(request), 0))
        len = bound_single(request, id);
    if (len != 0)
        take_slot(service, slots, request->room, len, index);
    return true;
}

static inline bool answer_set(struct service *service, struct request *request,
                              const struct prepared *prepared, uint32_t index, struct slots *slots)
{
    const struct fast *fast = &prepared->fast;
    struct content content = {
        .value = fast->value, .value_bytes = fast->value_bytes, .flags = fast->flags};
    content.expires_s = store_expires_s(&service->store, (int32_t)fast->exptime);
    service->stats.nb_set++;
    store_put(&service->store, prepared->hash, fast->key, fast->key_bytes, &content);
    uint32_t len = reply_write_text(request->room, load16(request->data), "STORED\r\n");
    take_slot(service, slots, request->room, len, index);
    return true;
}

/* Answer one request. Returns false when the slots ran out: the next call continues with it. */
static inline bool answer(struct service *service, struct request *request,
                          const struct prepared *prepared, uint32_t index, struct slots *slots)
{
    if (__builtin_expect(service->nb_datagrams != 0, 0))
        return send_message(service, request, index, slots);
    if (prepared->kind == KIND_DROPPED)
        return true;
    if (prepared->kind == KIND_COMMANDS)
        return answer_commands(service, request, index, slots);
    if (slots->nb == slots->nb_max)
        return false;
    if (prepared->kind == KIND_SET)
        return answer_set(service, request, prepared, index, slots);
    return answer_get(service, request, prepared, index, slots);
}

unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more)
{
    struct slots slots = {.replies = replies, .nb_max = nb_replies};
    if (nb_requests > 0) {
        service->nb_requests = nb_requests;
        service->next = 0;
        store_set_time(&service->store, now_ns);
        for (uint32_t i = 0; i < nb_requests; i++)
            prepare(service, &requests[i], &service->prepared[i]);
        for (uint32_t i = 0; i < nb_requests; i++)
            look(service, &service->prepared[i]);
    }
    for (uint32_t i = service->next; i < service->nb_requests; i++) {
        if (!answer(service, &requests[i], &service->prepared[i], i, &slots)) {
            service->next = i;
            *more = true;
            return slots.nb;
        }
    }
    service->next = service->nb_requests;
    *more = false;
    return slots.nb;
}

void service_counters(const struct service *service, struct service_counters *counters)
{
    const struct store *store = &service->store;
    *counters =
        (struct service_counters){.values = {[COUNTER_ITEMS] = store->nb_items,
                                             [COUNTER_LIVE_BYTES] = store->live_bytes,
                                             [COUNTER_EVICTED] = store->nb_evicted,
                                             [COUNTER_EXPIRED] = store->nb_expired,
                                             [COUNTER_GET] = service->stats.nb_get,
                                             [COUNTER_GET_HITS] = service->stats.nb_get_hits,
                                             [COUNTER_SET] = service->stats.nb_set}};
}
