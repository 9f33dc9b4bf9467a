/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interfaces of a liar (liar.c): to the lies about its service (liar_kv.c, liar_echo.c), and to
 * its program: a Linux program (liar_host.c), which starts lying on a signal and writes a log, or
 * an image (liar_image.c), which can do neither: a process with access to its memory writes the
 * settings and reads the counts.
 */
#ifndef NEARMETAL_LIAR_H
#define NEARMETAL_LIAR_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "service.h"

enum lie {
    LIE_NONE,
    LIE_FLIP, /* a byte is another one */
    LIE_DROP,
    LIE_DOUBLE,
    LIE_DELAY,
    LIE_IGNORE, /* not executed, but answered */
    LIE_STALE,  /* an older answer, because of LIE_IGNORE */
    LIE_CUT,
    LIE_STUB, /* cut before the end of the id */
    LIE_LONGER,
    LIE_OTHER, /* the reply to another request, with this one's id */
    LIE_ID,    /* the id of no request */
    NB_LIES
};

/* Defined by the liar. The program sets the first two before the third. */
struct liar_settings {
    struct random random;
    uint64_t timeout_ns; /* of the generator */
    volatile uint32_t lying;
};

extern struct liar_settings liar_settings;
extern uint32_t liar_nb_held; /* delayed replies that wait */

/* Give up all held replies. */
void liar_close(void);

/* Draw a lie with these probabilities; LIE_NONE with that of the rest. */
enum lie liar_draw(const uint32_t per_million[NB_LIES]);

/* A random number below n. */
uint32_t liar_below(uint32_t n);

/* The content of a generator's request; known is false for any other request. */
struct asked {
    bool known;
    enum lie lie; /* LIE_IGNORE: it is not executed */
    uint32_t number;
    /* For a key-value store: */
    uint8_t op; /* enum op */
    uint16_t id;
    uint32_t version;
};

struct message {
    uint32_t request, len;
    uint8_t data[SERVICE_DATAGRAM_BYTES];
};

/* Defined by the lies about a service: look at a request; choose the lie about its reply; change
 * the reply, for the lies that do so; write the reply to a request that is not executed. */
struct asked liar_ask(const struct request *request);
enum lie liar_choose(const struct asked *asked, struct message *reply);
void liar_harm(enum lie lie, struct message *reply);
void liar_pretend(const struct asked *asked, struct message *reply);

/* Defined by the program. */
void liar_log(enum lie lie, uint32_t number);
uint64_t liar_now_ns(void);

#endif
