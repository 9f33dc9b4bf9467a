/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of the ASCII protocol, one function per family; called by ascii.c only. */
#ifndef NEARMETAL_COMMANDS_H
#define NEARMETAL_COMMANDS_H

#include "ascii.h"
#include "token.h"

#define LINE_WORDS_MAX 8u

struct line {
    struct token words[LINE_WORDS_MAX];
    uint32_t nb_words;            /* at LINE_WORDS_MAX the line may have more */
    const uint8_t *behind_second; /* rest of the line behind its second word */
    const uint8_t *end;           /* end of the line */
    const uint8_t *rest;          /* rest of the datagram: a data block, the next command */
    const uint8_t *rest_end;
};

void command_get(struct interpreter *interpreter, struct line *line);   /* get, gets */
void command_gat(struct interpreter *interpreter, struct line *line);   /* gat, gats */
void command_store(struct interpreter *interpreter, struct line *line); /* set ... cas */
void command_delete(struct interpreter *interpreter, struct line *line);
void command_arithmetic(struct interpreter *interpreter, struct line *line); /* incr, decr */
void command_touch(struct interpreter *interpreter, struct line *line);
void command_flush_all(struct interpreter *interpreter, struct line *line);
void command_verbosity(struct interpreter *interpreter, struct line *line);
void command_version(struct interpreter *interpreter, struct line *line);
void command_stats(struct interpreter *interpreter, struct line *line);

#endif
