/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands that carry a data block: set, add, replace, append, prepend, cas; see commands.h.
 *
 * After an invalid line the data block is read as the next command, as memcached does, because the
 * length in the line cannot be trusted. A block that does not end in \r\n is skipped by its length.
 */
#include "commands.h"

#define SAY(text) message_put_text(&interpreter->message, text)
#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

/* memcached adds 2 to the length in an int. */
#define BLOCK_BYTES_MAX (INT32_MAX - 2)

enum mode { MODE_SET, MODE_ADD, MODE_REPLACE, MODE_APPEND, MODE_PREPEND, MODE_CAS };

struct update {
    enum mode mode;
    struct token key;
    uint64_t hash;
    uint64_t cas;
    struct content content;
};

static enum mode mode_of(struct token name)
{
    switch (name.at[0]) {
    case 's':
        return MODE_SET;
    case 'r':
        return MODE_REPLACE;
    case 'p':
        return MODE_PREPEND;
    case 'c':
        return MODE_CAS;
    default:
        return name.at[1] == 'd' ? MODE_ADD : MODE_APPEND;
    }
}

/* Convert words to numbers; *block_bytes is the value's length as the line states it. */
static bool parse_update(struct interpreter *interpreter, const struct line *line,
                         struct update *update, uint32_t *block_bytes)
{
    uint64_t flags;
    int32_t exptime, nb_bytes;
    update->mode = mode_of(line->words[0]);
    update->key = line->words[1];
    if (update->key.len > ITEM_KEY_BYTES_MAX || !token_u64(line->words[2], &flags) ||
        !token_i32(line->words[3], &exptime) || !token_i32(line->words[4], &nb_bytes) ||
        nb_bytes < 0 || nb_bytes > BLOCK_BYTES_MAX)
        return false;
    if (update->mode == MODE_CAS && !token_u64(line->words[5], &update->cas))
        return false;
    *block_bytes = (uint32_t)nb_bytes;
    update->content.flags = (uint32_t)flags;
    update->content.expires_s = store_expires_s(interpreter->store, exptime);
    return true;
}

/* Take the data block behind the line. Returns false if it is too short or has a wrong end. */
static bool take_block(struct line *line, struct update *update, uint32_t block_bytes)
{
    uint64_t left = (uint64_t)(line->rest_end - line->rest);
    if (left < (uint64_t)block_bytes + 2) {
        line->rest = line->rest_end;
        return false;
    }
    const uint8_t *behind = line->rest + block_bytes;
    update->content.value = line->rest;
    update->content.value_bytes = block_bytes;
    line->rest = behind + 2;
    return behind[0] == '\r' && behind[1] == '\n';
}

/* Join the old and the new value; flags and exptime stay the old ones. */
static void join(struct store *store, const struct item *old, struct update *update)
{
    uint32_t old_bytes = item_value_bytes(old), new_bytes = update->content.value_bytes;
    const uint8_t *old_value = old->bytes + item_key_bytes(old);
    uint32_t old_at = update->mode == MODE_APPEND ? 0 : new_bytes;
    uint32_t new_at = update->mode == MODE_APPEND ? old_bytes : 0;
    copy_bytes(store->joined + old_at, old_value, old_bytes);
    copy_bytes(store->joined + new_at, update->content.value, new_bytes);
    update->content = (struct content){.value = store->joined,
                                       .value_bytes = old_bytes + new_bytes,
                                       .flags = old->flags,
                                       .expires_s = old->expires_s};
}

/* Whether the update may be stored, given the old item (or NULL). If not, writes the answer. */
static bool is_wanted(struct interpreter *interpreter, const struct update *update,
                      const struct item *old)
{
    struct stats *stats = interpreter->stats;
    if (update->mode == MODE_CAS) {
        bool is_same = old != NULL && item_cas(old) == update->cas;
        stats->nb_cas_misses += old == NULL;
        stats->nb_cas_hits += is_same;
        stats->nb_cas_badval += old != NULL && !is_same;
        if (old == NULL)
            SAY("NOT_FOUND\r\n");
        else if (!is_same)
            SAY("EXISTS\r\n");
        return is_same;
    }
    if (update->mode != MODE_SET && (update->mode == MODE_ADD) != (old == NULL)) {
        SAY("NOT_STORED\r\n");
        return false;
    }
    return true;
}

static void carry_out(struct interpreter *interpreter, struct update *update)
{
    struct store *store = interpreter->store;
    struct token key = update->key;
    struct item *old = NULL;
    update->hash = store_hash(store, key.at, key.len);
    if (update->mode != MODE_SET) {
        old = store_get(store, update->hash, key.at, key.len);
        if (!is_wanted(interpreter, update, old))
            return;
    }
    uint64_t value_bytes = update->content.value_bytes;
    bool is_join = update->mode == MODE_APPEND || update->mode == MODE_PREPEND;
    if (is_join)
        value_bytes += item_value_bytes(old);
    if (value_bytes > ITEM_VALUE_BYTES_MAX) {
        interpreter->stats->nb_too_large++;
        SAY("NOT_STORED\r\n");
        return;
    }
    if (is_join)
        join(store, old, update);
    store_put(store, update->hash, key.at, key.len, &update->content);
    SAY("STORED\r\n");
}

void command_store(struct interpreter *interpreter, struct line *line)
{
    struct update update = {0};
    uint32_t block_bytes;
    if (!parse_update(interpreter, line, &update, &block_bytes)) {
        SAY(BAD_FORMAT);
        return;
    }
    if (!take_block(line, &update, block_bytes)) {
        SAY("CLIENT_ERROR bad data chunk\r\n");
        return;
    }
    interpreter->stats->nb_set++;
    carry_out(interpreter, &update);
}
