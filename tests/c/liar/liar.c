/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A liar between serve.c and the service: shows that the generator's checks can fail. Test builds
 * only.
 *
 * The linker's --wrap redirects serve.c's call of service_handle_burst to this file, which calls
 * the real one. Once lying is switched on, some of the replies to the generator's requests are
 * dropped, doubled, delayed past the generator's time-out, or changed: how many, and how, depends
 * on the service (liar_kv.c, liar_echo.c). At most one lie per request.
 *
 * A delayed reply is kept here and sent beside the reply to a later request of its source, one per
 * burst: after a pause of the generator many are due, more than a datapath has spare frames. If no
 * such request arrives in time, the reply is never sent and counts as dropped. Each lie is passed
 * to liar_log (liar.h).
 */
#include <assert.h>
#include <string.h>

#include "liar.h"

#define HELD_MAX 4096u      /* power of two; more are dropped */
#define DELAY_TIMEOUTS 3u   /* a delayed reply leaves 3 to 6 time-outs late, its id unused */
#define GIVE_UP_TIMEOUTS 6u /* from 1 to 11 time-outs after its request left */
/* A request's reply can be sent twice, and each held reply once. */
#define QUEUE_MAX (SERVICE_BURST_MAX * SERVICE_REPLY_DATAGRAMS_MAX + SERVICE_BURST_MAX + HELD_MAX)

struct held {
    bool waits;
    uint64_t since_ns;
    struct source source;
    uint32_t number, len;
    uint8_t data[SERVICE_DATAGRAM_BYTES];
};

struct liar {
    struct message inner[SERVICE_BURST_MAX * SERVICE_REPLY_DATAGRAMS_MAX];
    struct message queue[QUEUE_MAX]; /* to be handed out: [queue_head, queue_end) */
    uint32_t queue_head, queue_end;
    struct held held[HELD_MAX]; /* ring by time: [held_head, held_end) */
    uint32_t held_head, held_end;
};

static struct liar liar;
struct liar_settings liar_settings;
uint32_t liar_nb_held;

unsigned __real_service_handle_burst(struct service *service, uint64_t now_ns,
                                     struct request *requests, unsigned nb_requests,
                                     struct reply *replies, unsigned nb_replies, bool *more);
unsigned __wrap_service_handle_burst(struct service *service, uint64_t now_ns,
                                     struct request *requests, unsigned nb_requests,
                                     struct reply *replies, unsigned nb_replies, bool *more);

static void held_give_up(struct held *held)
{
    held->waits = false;
    liar_nb_held--;
    liar_log(LIE_DROP, held->number);
}

void liar_close(void)
{
    for (; liar.held_head != liar.held_end; liar.held_head++)
        if (liar.held[liar.held_head % HELD_MAX].waits)
            held_give_up(&liar.held[liar.held_head % HELD_MAX]);
}

static void queue_add(uint32_t request, const uint8_t *data, uint32_t len)
{
    struct message *message = &liar.queue[liar.queue_end++];

    assert(liar.queue_end <= QUEUE_MAX && len <= SERVICE_DATAGRAM_BYTES);
    message->request = request;
    message->len = len;
    memcpy(message->data, data, len);
}

static bool hold(const struct request *request, const struct asked *asked,
                 const struct message *reply, uint64_t now_ns)
{
    struct held *held = &liar.held[liar.held_end % HELD_MAX];

    if (liar.held_end - liar.held_head == HELD_MAX)
        return false;
    liar.held_end++;
    held->waits = true;
    liar_nb_held++;
    held->since_ns = now_ns;
    held->source = request->source;
    held->number = asked->number;
    held->len = reply->len;
    memcpy(held->data, reply->data, reply->len);
    return true;
}

/* Send one held reply that is due and has the request's source; give up those that are overdue. */
static bool held_release(const struct request *request, uint32_t index, uint64_t now_ns)
{
    bool released = false;

    for (uint32_t i = liar.held_head; i != liar.held_end; i++) {
        struct held *held = &liar.held[i % HELD_MAX];
        uint64_t age_ns = now_ns - held->since_ns;

        if (age_ns < DELAY_TIMEOUTS * liar_settings.timeout_ns)
            break;
        if (held->waits && age_ns > GIVE_UP_TIMEOUTS * liar_settings.timeout_ns) {
            held_give_up(held);
        } else if (held->waits && !released && held->source.port == request->source.port &&
                   memcmp(held->source.addr, request->source.addr, sizeof(held->source.addr)) ==
                       0) {
            held->waits = false;
            liar_nb_held--;
            released = true;
            liar_log(LIE_DELAY, held->number);
            queue_add(index, held->data, held->len);
        }
        if (!held->waits && i == liar.held_head)
            liar.held_head++;
    }
    return released;
}

/* Pass on one reply of the real service to a request of the generator. */
static void reply_pass(struct request *request, struct asked *asked, struct message *reply,
                       uint64_t now_ns)
{
    asked->lie = liar_choose(asked, reply);
    if (asked->lie == LIE_DELAY && hold(request, asked, reply, now_ns)) {
        request->drop = DROP_QUIET;
        return; /* logged when it is sent or given up */
    }
    if (asked->lie == LIE_DELAY)
        asked->lie = LIE_DROP;
    if (asked->lie != LIE_NONE)
        liar_log(asked->lie, asked->number);
    if (asked->lie == LIE_DROP) {
        request->drop = DROP_QUIET;
        return;
    }
    if (asked->lie != LIE_NONE && asked->lie != LIE_DOUBLE)
        liar_harm(asked->lie, reply);
    queue_add(reply->request, reply->data, reply->len);
    if (asked->lie == LIE_DOUBLE)
        queue_add(reply->request, reply->data, reply->len);
}

/* Answer a request that was not executed. */
static void ignored_pass(struct request *request, const struct asked *asked, uint32_t index)
{
    struct message reply;

    liar_pretend(asked, &reply);
    liar_log(LIE_IGNORE, asked->number);
    queue_add(index, reply.data, reply.len);
    request->drop = DROP_NONE;
}

enum lie liar_draw(const uint32_t per_million[NB_LIES])
{
    uint32_t x = random_scale((uint32_t)random_next(&liar_settings.random), 1000000);

    for (unsigned lie = 0; lie < NB_LIES; lie++) {
        if (x < per_million[lie])
            return (enum lie)lie;
        x -= per_million[lie];
    }
    return LIE_NONE;
}

uint32_t liar_below(uint32_t n)
{
    return random_scale((uint32_t)random_next(&liar_settings.random), n);
}

/* Copy all replies of the real service: it may write them into the requests' buffers. */
static unsigned inner_collect(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests)
{
    static uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    struct reply replies[SERVICE_BURST_MAX];
    unsigned nb_inner = 0;
    bool more = true;

    for (unsigned i = 0; i < SERVICE_BURST_MAX; i++)
        replies[i].spare = spares[i];
    for (unsigned n = nb_requests; more; n = 0) {
        unsigned nb = __real_service_handle_burst(service, now_ns, requests, n, replies,
                                                  SERVICE_BURST_MAX, &more);

        for (unsigned i = 0; i < nb; i++, nb_inner++) {
            struct message *message = &liar.inner[nb_inner];

            assert(nb_inner < SERVICE_BURST_MAX * SERVICE_REPLY_DATAGRAMS_MAX);
            message->request = replies[i].request;
            message->len = replies[i].len;
            memcpy(message->data, replies[i].data, replies[i].len);
        }
    }
    return nb_inner;
}

static void burst_pass(struct service *service, uint64_t now_ns, struct request *requests,
                       unsigned nb_requests)
{
    struct asked asked[SERVICE_BURST_MAX];
    uint64_t clock_ns = liar_now_ns();
    unsigned nb_inner, next = 0;
    bool released = false;

    for (unsigned i = 0; i < nb_requests; i++) {
        asked[i] = liar_ask(&requests[i]);
        if (asked[i].lie == LIE_IGNORE)
            requests[i].drop = DROP_QUIET; /* set beforehand: the service skips the request */
    }
    nb_inner = inner_collect(service, now_ns, requests, nb_requests);
    liar.queue_head = liar.queue_end = 0;
    for (unsigned i = 0; i < nb_requests; i++) {
        if (asked[i].lie == LIE_IGNORE)
            ignored_pass(&requests[i], &asked[i], i);
        for (; next < nb_inner && liar.inner[next].request == i; next++) {
            if (asked[i].known)
                reply_pass(&requests[i], &asked[i], &liar.inner[next], clock_ns);
            else
                queue_add(i, liar.inner[next].data, liar.inner[next].len);
        }
        if (asked[i].known && asked[i].lie == LIE_NONE && !released)
            released = held_release(&requests[i], i, clock_ns);
    }
}

unsigned __wrap_service_handle_burst(struct service *service, uint64_t now_ns,
                                     struct request *requests, unsigned nb_requests,
                                     struct reply *replies, unsigned nb_replies, bool *more)
{
    unsigned nb = 0;

    if (nb_requests > 0)
        burst_pass(service, now_ns, requests, nb_requests);
    for (; nb < nb_replies && liar.queue_head != liar.queue_end; nb++) {
        const struct message *message = &liar.queue[liar.queue_head];
        bool first = liar.queue_head == 0 || message[-1].request != message->request;

        liar.queue_head++;
        replies[nb].data = first ? requests[message->request].room : replies[nb].spare;
        replies[nb].len = message->len;
        replies[nb].request = message->request;
        memcpy(replies[nb].data, message->data, message->len);
    }
    *more = liar.queue_head != liar.queue_end;
    return nb;
}
