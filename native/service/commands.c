/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of the ASCII protocol; see commands.h. Commands with a data block: storage.c.
 *
 * Each is called with a valid number of words and writes its answer; ascii.c removes the answer
 * again for noreply. Checks are in memcached's order: the first that fails gives the answer.
 */
#include "commands.h"

#define SAY(text) message_put_text(&interpreter->message, text)
#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define BAD_EXPTIME "CLIENT_ERROR invalid exptime argument\r\n"

static struct item *find(struct interpreter *interpreter, struct token key)
{
    uint64_t hash = store_hash(interpreter->store, key.at, key.len);
    return store_get(interpreter->store, hash, key.at, key.len);
}

static void count_retrieval(struct stats *stats, bool is_hit, bool is_touch)
{
    stats->nb_get++;
    stats->nb_touch += is_touch;
    stats->nb_touch_hits += is_touch && is_hit;
    stats->nb_touch_misses += is_touch && !is_hit;
    stats->nb_get_hits += !is_touch && is_hit;
    stats->nb_get_misses += !is_touch && !is_hit;
}

/* Answer the keys of a get or gat from `at` on; with exptime, set their expiry too. */
static void retrieve(struct interpreter *interpreter, const struct line *line, const uint8_t *at,
                     bool with_cas, const int32_t *exptime)
{
    struct message before = interpreter->message;
    for (;;) {
        struct token key = token_next(&at, line->end);
        if (key.len == 0)
            break;
        if (key.len > ITEM_KEY_BYTES_MAX) {
            interpreter->message = before;
            SAY(BAD_FORMAT);
            return;
        }
        struct item *item = find(interpreter, key);
        count_retrieval(interpreter->stats, item != NULL, exptime != NULL);
        if (item == NULL)
            continue;
        message_put_item(&interpreter->message, item, with_cas);
        if (exptime != NULL)
            item->expires_s = store_expires_s(interpreter->store, *exptime);
    }
    SAY("END\r\n");
}

void command_get(struct interpreter *interpreter, struct line *line)
{
    retrieve(interpreter, line, line->words[1].at, line->words[0].len == 4, NULL);
}

void command_gat(struct interpreter *interpreter, struct line *line)
{
    int32_t exptime;
    if (!token_i32(line->words[1], &exptime)) {
        SAY(BAD_EXPTIME);
        return;
    }
    retrieve(interpreter, line, line->behind_second, line->words[0].len == 4, &exptime);
}

void command_delete(struct interpreter *interpreter, struct line *line)
{
    struct token key = line->words[1];
    bool is_zero = line->nb_words > 2 && token_is(line->words[2], "0", 1);
    bool is_noreply = line->nb_words > 2 && token_is(line->words[line->nb_words - 1], "noreply", 7);
    /* memcached's old form had a time here, and still accepts 0. */
    if ((line->nb_words == 3 && !is_zero && !is_noreply) ||
        (line->nb_words == 4 && !(is_zero && is_noreply))) {
        SAY("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
        return;
    }
    if (key.len > ITEM_KEY_BYTES_MAX) {
        SAY(BAD_FORMAT);
        return;
    }
    uint64_t hash = store_hash(interpreter->store, key.at, key.len);
    if (store_delete(interpreter->store, hash, key.at, key.len)) {
        interpreter->stats->nb_delete_hits++;
        SAY("DELETED\r\n");
    } else {
        interpreter->stats->nb_delete_misses++;
        SAY("NOT_FOUND\r\n");
    }
}

static void count_arithmetic(struct stats *stats, bool is_incr, bool is_hit)
{
    stats->nb_incr_hits += is_incr && is_hit;
    stats->nb_incr_misses += is_incr && !is_hit;
    stats->nb_decr_hits += !is_incr && is_hit;
    stats->nb_decr_misses += !is_incr && !is_hit;
}

/* Store a number. A shorter number keeps the old length, padded with spaces. */
static void store_number(struct store *store, struct token key, const struct item *old,
                         const uint8_t *digits, uint32_t nb_digits)
{
    uint32_t old_bytes = item_value_bytes(old);
    uint32_t nb_bytes = nb_digits > old_bytes ? nb_digits : old_bytes;
    memset(store->joined, ' ', nb_bytes);
    memcpy(store->joined, digits, nb_digits);
    struct content content = {.value = store->joined,
                              .value_bytes = nb_bytes,
                              .flags = old->flags,
                              .expires_s = old->expires_s};
    store_put(store, store_hash(store, key.at, key.len), key.at, key.len, &content);
}

void command_arithmetic(struct interpreter *interpreter, struct line *line)
{
    struct token key = line->words[1];
    bool is_incr = line->words[0].at[0] == 'i';
    uint64_t delta, number;
    if (key.len > ITEM_KEY_BYTES_MAX) {
        SAY(BAD_FORMAT);
        return;
    }
    if (!token_u64(line->words[2], &delta)) {
        SAY("CLIENT_ERROR invalid numeric delta argument\r\n");
        return;
    }
    struct item *item = find(interpreter, key);
    if (item == NULL) {
        count_arithmetic(interpreter->stats, is_incr, false);
        SAY("NOT_FOUND\r\n");
        return;
    }
    struct token value = {.at = item_value(item), .len = item_value_bytes(item)};
    if (!token_u64(value, &number)) {
        SAY("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
        return;
    }
    count_arithmetic(interpreter->stats, is_incr, true);
    if (is_incr)
        number += delta;
    else
        number = delta > number ? 0 : number - delta;
    uint8_t digits[U64_DIGITS_MAX];
    uint32_t nb_digits = put_digits(digits, number);
    store_number(interpreter->store, key, item, digits, nb_digits);
    message_put(&interpreter->message, digits, nb_digits);
    SAY("\r\n");
}

void command_touch(struct interpreter *interpreter, struct line *line)
{
    struct token key = line->words[1];
    int32_t exptime;
    if (key.len > ITEM_KEY_BYTES_MAX) {
        SAY(BAD_FORMAT);
        return;
    }
    if (!token_i32(line->words[2], &exptime)) {
        SAY(BAD_EXPTIME);
        return;
    }
    struct item *item = find(interpreter, key);
    interpreter->stats->nb_touch++;
    interpreter->stats->nb_touch_hits += item != NULL;
    interpreter->stats->nb_touch_misses += item == NULL;
    if (item != NULL) {
        item->expires_s = store_expires_s(interpreter->store, exptime);
        SAY("TOUCHED\r\n");
    } else {
        SAY("NOT_FOUND\r\n");
    }
}

void command_flush_all(struct interpreter *interpreter, struct line *line)
{
    struct store *store = interpreter->store;
    bool is_noreply = line->nb_words > 1 && token_is(line->words[line->nb_words - 1], "noreply", 7);
    int32_t exptime = 0;
    if (line->nb_words > 1u + is_noreply && !token_i32(line->words[1], &exptime)) {
        SAY(BAD_EXPTIME);
        return;
    }
    interpreter->stats->nb_flush++;
    store_flush(store, exptime > 0 ? store_expires_s(store, exptime) : store->now_s);
    SAY("OK\r\n");
}

void command_verbosity(struct interpreter *interpreter, struct line *line)
{
    uint64_t level;
    if (token_u64(line->words[1], &level))
        SAY("OK\r\n"); /* accepted without effect: there is no log */
    else
        SAY(BAD_FORMAT);
}

void command_version(struct interpreter *interpreter, struct line *line)
{
    (void)line;
    SAY("VERSION " KV_VERSION "\r\n");
}

void command_stats(struct interpreter *interpreter, struct line *line)
{
    (void)line;
    stats_put(interpreter->stats, interpreter->store, &interpreter->message);
}
