/* SPDX-License-Identifier: BSD-3-Clause */
/* Split a datagram into lines and words, and dispatch; see ascii.h. The commands: commands.c. */
#include "ascii.h"
#include "commands.h"

struct command {
    const char *name;
    uint32_t name_bytes;
    uint32_t nb_words_min, nb_words_max; /* the name counted; outside: ERROR */
    uint32_t noreply_from;               /* from so many on, the last may be noreply; 0: never */
    bool is_admin;
    void (*run)(struct interpreter *interpreter, struct line *line);
};

#define ANY UINT32_MAX
#define NAME(word) .name = (word), .name_bytes = sizeof(word) - 1

static const struct command commands[] = {
    {NAME("get"), 2, ANY, 0, false, command_get},
    {NAME("gets"), 2, ANY, 0, false, command_get},
    {NAME("gat"), 2, ANY, 0, false, command_gat},
    {NAME("gats"), 2, ANY, 0, false, command_gat},
    {NAME("set"), 5, 6, 5, false, command_store},
    {NAME("add"), 5, 6, 5, false, command_store},
    {NAME("replace"), 5, 6, 5, false, command_store},
    {NAME("append"), 5, 6, 5, false, command_store},
    {NAME("prepend"), 5, 6, 5, false, command_store},
    {NAME("cas"), 6, 7, 6, false, command_store},
    {NAME("delete"), 2, 4, 3, false, command_delete},
    {NAME("incr"), 3, 4, 3, false, command_arithmetic},
    {NAME("decr"), 3, 4, 3, false, command_arithmetic},
    {NAME("touch"), 3, 4, 3, false, command_touch},
    {NAME("flush_all"), 1, 3, 2, true, command_flush_all},
    {NAME("verbosity"), 2, 3, 2, true, command_verbosity},
    {NAME("version"), 1, ANY, 0, false, command_version},
    {NAME("stats"), 1, 1, 0, true, command_stats},
};

static const struct command *find_command(struct token name)
{
    for (uint32_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (token_is(name, commands[i].name, commands[i].name_bytes))
            return &commands[i];
    }
    return NULL;
}

/* Split a line into words. Words beyond the array overwrite its last place. */
static void split_words(struct line *line, const uint8_t *at, const uint8_t *end)
{
    line->nb_words = 0;
    line->end = end;
    for (;;) {
        struct token word = token_next(&at, end);
        if (word.len == 0)
            return;
        uint32_t index = line->nb_words < LINE_WORDS_MAX ? line->nb_words : LINE_WORDS_MAX - 1;
        line->words[index] = word;
        line->nb_words++;
        if (line->nb_words == 2)
            line->behind_second = at;
        if (line->nb_words == LINE_WORDS_MAX)
            return; /* no command needs more, and get reads its keys itself */
    }
}

static void run_command(struct interpreter *interpreter, const struct command *command,
                        struct line *line)
{
    struct message *message = &interpreter->message;
    struct message before = *message;
    if (command->is_admin && !interpreter->is_admin)
        message_put_text(message, "CLIENT_ERROR not allowed\r\n");
    else
        command->run(interpreter, line);
    if (command->noreply_from != 0 && line->nb_words >= command->noreply_from &&
        token_is(line->words[line->nb_words - 1], "noreply", 7))
        *message = before;
}

/* Carry out one line, without its end. Returns false for quit. */
static bool run_line(struct interpreter *interpreter, struct line *line)
{
    struct token name = line->words[0];
    if (line->nb_words > 0 && token_is(name, "quit", 4))
        return false;
    const struct command *command = line->nb_words > 0 ? find_command(name) : NULL;
    if (command == NULL || line->nb_words < command->nb_words_min ||
        line->nb_words > command->nb_words_max)
        message_put_text(&interpreter->message, "ERROR\r\n");
    else
        run_command(interpreter, command, line);
    return true;
}

/* Return the first place of this byte in [from, end), or end. */
static const uint8_t *find_byte(const uint8_t *from, const uint8_t *end, uint8_t byte)
{
    for (; end - from >= 16; from += 16) {
        uint32_t found = vec_mask((vec16)(load_vec(from) == byte));
        if (found != 0)
            return from + __builtin_ctz(found);
    }
    while (from < end && *from != byte)
        from++;
    return from;
}

void ascii_run(struct interpreter *interpreter, const uint8_t *data, uint32_t nb_bytes)
{
    const uint8_t *end = data + nb_bytes;
    struct line line = {.rest = data, .rest_end = end};
    while (line.rest < end) {
        const uint8_t *from = line.rest, *to = find_byte(from, end, '\n');
        if (to == end) {
            message_put_text(&interpreter->message, "ERROR\r\n");
            return;
        }
        line.rest = to + 1; /* a storage command moves it behind its data block */
        if (to > from && to[-1] == '\r')
            to--;
        to = find_byte(from, to, 0); /* to memcached a line is a C string */
        split_words(&line, from, to);
        if (!run_line(interpreter, &line))
            return;
    }
}
