/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A liar between serve.c and the service: shows that the generator's checks can fail. Test builds
 * only.
 *
 * The linker's --wrap redirects serve.c's call of service_handle_burst to this file, which calls
 * the real one. Once lying is switched on, of the replies to the generator's requests one in 10,000
 * has a byte flipped behind its frame, and one in 1,000 each is dropped, doubled, or delayed past
 * the generator's time-out; one SET in 1,000 is answered STORED and not executed. At most one lie
 * per request, and none about an answer that an ignored SET has made stale.
 *
 * A delayed reply is kept here and sent beside the reply to a later request of its source, one per
 * burst: after a pause of the generator many are due, more than a datapath has spare frames. If no
 * such request arrives in time, the reply is never sent and counts as dropped. Each lie is passed
 * to liar_log (liar.h), and so is each GET answered with an older version than was acknowledged.
 */
#include <assert.h>
#include <string.h>

#include "format.h"
#include "liar.h"
#include "service.h"

#define KEYS_MAX (1u << 22)
#define HELD_MAX 4096u /* power of two; more are dropped */
#define PER_MILLION_FLIP 100u
#define PER_MILLION_OTHERS 1000u
#define DELAY_TIMEOUTS 3u   /* a delayed reply leaves 3 to 6 time-outs late, its id unused */
#define GIVE_UP_TIMEOUTS 6u /* from 1 to 11 time-outs after its request left */
/* A request's reply can be sent twice, and each held reply once. */
#define QUEUE_MAX (SERVICE_BURST_MAX * SERVICE_REPLY_DATAGRAMS_MAX + SERVICE_BURST_MAX + HELD_MAX)

/* The content of a generator's request; known is false for any other request. */
struct asked {
    bool known;
    enum op op;
    uint32_t number, version;
    uint16_t id;
    enum lie lie;
};

struct message {
    uint32_t request, len;
    uint8_t data[SERVICE_DATAGRAM_BYTES];
};

struct held {
    bool waits;
    uint64_t since_ns;
    struct source source;
    uint32_t number, len;
    uint8_t data[SERVICE_DATAGRAM_BYTES];
};

struct liar {
    uint32_t acked[KEYS_MAX]; /* version last acknowledged; 0: none */
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

static bool one_in_a_thousand(void)
{
    return random_scale((uint32_t)random_next(&liar_settings.random), 1000) == 0;
}

/* Return the version of the value in `text`, behind its first line and before `tail` bytes;
 * 0: not a value of the generator. */
static uint32_t value_version(const uint8_t *text, uint32_t len, uint32_t tail, uint32_t number)
{
    const uint8_t *line_end = memchr(text, '\n', len);
    uint32_t head = line_end == NULL ? len : (uint32_t)(line_end - text) + 1, version;

    if (head + VALUE_BYTES_MIN + tail > len ||
        !value_matches(text + head, len - head - tail, number, &version))
        return 0;
    return version;
}

static struct asked request_parse(const struct request *request)
{
    struct asked asked = {.lie = LIE_NONE};
    const uint8_t *text = request->data + FRAME_BYTES, *key_end;
    uint32_t len = request->len < FRAME_BYTES ? 0 : request->len - FRAME_BYTES;

    if (len < 4 + KEY_BYTES_MIN + 2)
        return asked;
    asked.id = (uint16_t)(request->data[0] << 8 | request->data[1]);
    asked.op = memcmp(text, "set ", 4) == 0 ? OP_SET : OP_GET;
    key_end = memchr(text + 4, asked.op == OP_SET ? ' ' : '\r', len - 4);
    if ((asked.op == OP_GET && memcmp(text, "get ", 4) != 0) || key_end == NULL ||
        !format_parse_key(text + 4, (uint32_t)(key_end - text) - 4, &asked.number) ||
        asked.number >= KEYS_MAX)
        return asked;
    if (asked.op == OP_SET)
        asked.version = value_version(text, len, 2, asked.number);
    asked.known = asked.op == OP_GET || asked.version != 0;
    if (liar_settings.lying && asked.known && asked.op == OP_SET && one_in_a_thousand())
        asked.lie = LIE_IGNORE;
    return asked;
}

static enum lie lie_draw(void)
{
    uint32_t x = random_scale((uint32_t)random_next(&liar_settings.random), 1000000);

    if (x < PER_MILLION_FLIP)
        return LIE_FLIP;
    if (x < PER_MILLION_FLIP + PER_MILLION_OTHERS)
        return LIE_DROP;
    if (x < PER_MILLION_FLIP + 2 * PER_MILLION_OTHERS)
        return LIE_DOUBLE;
    return x < PER_MILLION_FLIP + 3 * PER_MILLION_OTHERS ? LIE_DELAY : LIE_NONE;
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

static void flip(struct message *reply)
{
    uint64_t bits = random_next(&liar_settings.random);
    uint32_t at = FRAME_BYTES + random_scale((uint32_t)bits, reply->len - FRAME_BYTES);

    reply->data[at] ^= (uint8_t)(1 + (bits >> 32) % 255);
}

/* Answers to GETs and SETs: log a stale one, note the acknowledged version, choose the lie. */
static enum lie lie_choose(const struct asked *asked, const struct message *reply)
{
    enum lie lie = liar_settings.lying ? lie_draw() : LIE_NONE;

    if (asked->op == OP_GET) {
        uint32_t version =
            value_version(reply->data + FRAME_BYTES, reply->len - FRAME_BYTES, 7, asked->number);
        if (version != 0 && (int32_t)(version - liar.acked[asked->number]) < 0) {
            liar_log(LIE_STALE, asked->number);
            return LIE_NONE;
        }
    } else if (lie == LIE_NONE || lie == LIE_DOUBLE) {
        liar.acked[asked->number] = asked->version;
    }
    return lie;
}

/* Pass on one reply of the real service to a request of the generator. */
static void reply_pass(struct request *request, struct asked *asked, struct message *reply,
                       uint64_t now_ns)
{
    asked->lie = lie_choose(asked, reply);
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
    if (asked->lie == LIE_FLIP)
        flip(reply);
    queue_add(reply->request, reply->data, reply->len);
    if (asked->lie == LIE_DOUBLE)
        queue_add(reply->request, reply->data, reply->len);
}

/* Answer STORED for a SET that was not executed. */
static void ignored_pass(struct request *request, const struct asked *asked, uint32_t index)
{
    uint8_t stored[FRAME_BYTES + 8] = "\0\0\0\0\0\1\0\0STORED\r\n";

    stored[0] = (uint8_t)(asked->id >> 8);
    stored[1] = (uint8_t)asked->id;
    liar.acked[asked->number] = asked->version;
    liar_log(LIE_IGNORE, asked->number);
    queue_add(index, stored, sizeof(stored));
    request->drop = DROP_NONE;
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
        asked[i] = request_parse(&requests[i]);
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
