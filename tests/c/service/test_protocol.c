/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol, one datagram after the other: question and answer.
 *
 * The answers were compared with those of memcached 1.6.18; docs/service.md lists the intended
 * differences.
 */
#include <string.h>

#include "bed.h"
#include "../check.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define BAD_CHUNK "CLIENT_ERROR bad data chunk\r\n"
#define NON_NUMERIC "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"

struct exchange {
    const char *ask, *answer; /* "": no answer */
};

static const struct exchange storing[] = {
    {"set k 0 0 3\r\nabc\r\n", "STORED\r\n"},
    {"get k\r\n", "VALUE k 0 3\r\nabc\r\nEND\r\n"},
    {" get  k \n", "VALUE k 0 3\r\nabc\r\nEND\r\n"},
    {"get k\r\r\n", "END\r\n"},
    {"get other\r\n", "END\r\n"},
    {"set key4 7 0 1\r\nx\r\n", "STORED\r\n"},
    {"get key4\r\n", "VALUE key4 7 1\r\nx\r\nEND\r\n"},
    {"set key4 4294967295 0 1\r\nx\r\n", "STORED\r\n"},
    {"get key4 k nokey key4\r\n", "VALUE key4 4294967295 1\r\nx\r\nVALUE k 0 3\r\nabc\r\n"
                                  "VALUE key4 4294967295 1\r\nx\r\nEND\r\n"},
    {"set key4 4294967297 0 0\r\n\r\n", "STORED\r\n"},
    {"get key4\r\n", "VALUE key4 1 0\r\n\r\nEND\r\n"},
    {"set key4 18446744073709551616 0 0\r\n\r\n", BAD_FORMAT "ERROR\r\n"},
    {"set key4 -1 0 1\r\na\r\n", BAD_FORMAT "ERROR\r\n"},
    {"set key4 0 x 1\r\na\r\n", BAD_FORMAT "ERROR\r\n"},
    {"set key4 0 0 -1 noreply\r\na\r\n", "ERROR\r\n"},
    {"set key4 0 0 2147483647\r\na\r\n", BAD_FORMAT "ERROR\r\n"},
    {"set key4 0 0 64\r\nabc", BAD_CHUNK},
    {"set key4 0 0 3\r\nabcdef\r\nversion\r\n", BAD_CHUNK "ERROR\r\nVERSION nearmetal-0.1.0\r\n"},
    {"set key4 0 0 3\r\nabcd\n", BAD_CHUNK},
    {"get key4\r\n", "VALUE key4 1 0\r\n\r\nEND\r\n"},
    {"set k +1 +0 +1\r\nd\r\n", "STORED\r\n"},
    {"set k 0 0 1 0\r\ne\r\n", "STORED\r\n"},
    {"set k 0 0 1 noreply\r\nf\r\n", ""},
    {"set k 0 0 1 noreply 1\r\ng\r\n", "ERROR\r\nERROR\r\n"},
    {"add k 0 0 1\r\nh\r\nreplace none 0 0 1\r\ni\r\n", "NOT_STORED\r\nNOT_STORED\r\n"},
    {"append k 9 0 1\r\nA\r\nprepend k 9 0 2\r\nBC\r\nget k\r\n",
     "STORED\r\nSTORED\r\nVALUE k 0 4\r\nBCfA\r\nEND\r\n"},
    {"append none 0 0 1\r\nA\r\n", "NOT_STORED\r\n"},
    {"replace k 3 0 1\r\nR\r\nget k\r\n", "STORED\r\nVALUE k 3 1\r\nR\r\nEND\r\n"},
    {"add fresh 3 0 1\r\nN\r\nget fresh\r\n", "STORED\r\nVALUE fresh 3 1\r\nN\r\nEND\r\n"},
    {"cas none 0 0 1 1\r\na\r\ncas k 0 0 1 999999\r\na\r\n", "NOT_FOUND\r\nEXISTS\r\n"},
    {"cas k 0 0 1 x\r\na\r\n", BAD_FORMAT "ERROR\r\n"},
};

static const struct exchange arithmetic[] = {
    {"set n 5 0 2\r\n10\r\nincr n 5\r\ndecr n 6\r\nget n\r\n",
     "STORED\r\n15\r\n9\r\nVALUE n 5 2\r\n9 \r\nEND\r\n"},
    {"decr n 100\r\nincr n 18446744073709551615\r\nincr n 1\r\n",
     "0\r\n18446744073709551615\r\n0\r\n"},
    {"get n\r\n", "VALUE n 5 20\r\n0                   \r\nEND\r\n"},
    {"incr n 18446744073709551616\r\nincr n -1\r\n",
     "CLIENT_ERROR invalid numeric delta argument\r\n"
     "CLIENT_ERROR invalid numeric delta argument\r\n"},
    {"incr none 1\r\nincr n\r\nincr n 1 noreply\r\ndecr n 1 9\r\n", "NOT_FOUND\r\nERROR\r\n0\r\n"},
    {"set n 0 0 3\r\nabc\r\nincr n 1\r\n", "STORED\r\n" NON_NUMERIC},
    {"set n 0 0 0\r\n\r\nincr n 1\r\n", "STORED\r\n" NON_NUMERIC},
    {"set n 0 0 2\r\n-9\r\nincr n 1\r\n", "STORED\r\n" NON_NUMERIC},
    {"set n 0 0 3\r\n 9x\r\nincr n 1\r\n", "STORED\r\n" NON_NUMERIC},
    {"set n 0 0 3\r\n 9 \r\nincr n 1\r\nget n\r\n",
     "STORED\r\n10\r\nVALUE n 0 3\r\n10 \r\nEND\r\n"},
    {"set n 0 0 19\r\n9223372036854775807\r\nincr n 1\r\nincr n 1\r\n",
     "STORED\r\n9223372036854775808\r\n9223372036854775809\r\n"},
};

static const struct exchange rest[] = {
    {"set k 0 0 1\r\nv\r\ntouch k 10\r\ntouch none 10\r\ntouch k x\r\ntouch k\r\n",
     "STORED\r\nTOUCHED\r\nNOT_FOUND\r\nCLIENT_ERROR invalid exptime argument\r\nERROR\r\n"},
    {"gat 10\r\ngat 10 k none\r\ngat x k\r\ngat\r\n",
     "END\r\nVALUE k 0 1\r\nv\r\nEND\r\nCLIENT_ERROR invalid exptime argument\r\nERROR\r\n"},
    {"delete k 5\r\ndelete k 0\r\ndelete k\r\ndelete k 0 noreply\r\ndelete k 1 noreply\r\n",
     "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
     "DELETED\r\nNOT_FOUND\r\n"},
    {"delete noreply\r\ndelete noreply noreply\r\n", "NOT_FOUND\r\n"},
    {"verbosity\r\nverbosity 1\r\nverbosity x\r\nverbosity 1 2 3\r\nverbosity noreply\r\n",
     "ERROR\r\nOK\r\n" BAD_FORMAT "ERROR\r\n"},
    {"version 1 2\r\nGET k\r\ng\r\n\r\nmn\r\nmg k v\r\nstats foo\r\nshutdown\r\n",
     "VERSION nearmetal-0.1.0\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\n"
     "ERROR\r\n"},
    {"flush_all x\r\nflush_all 1 2 3\r\nflush_all noreply\r\n",
     "CLIENT_ERROR invalid exptime argument\r\nERROR\r\n"},
    {"version\r\nquit\r\nversion\r\n", "VERSION nearmetal-0.1.0\r\n"},
    {"quit 1\r\n", ""},
    {"version\r\nget k", "VERSION nearmetal-0.1.0\r\nERROR\r\n"},
    {"get\r\ngets \r\nget", "ERROR\r\nERROR\r\nERROR\r\n"},
};

static void run(struct bed *bed, const struct exchange *exchanges, size_t nb)
{
    for (size_t i = 0; i < nb; i++)
        bed_expect(bed, exchanges[i].ask, exchanges[i].answer);
}

static void keys_at_their_limit(struct bed *bed)
{
    char ask[600], answer[600], key[252];
    memset(key, 'k', 251);
    key[251] = 0;
    snprintf(ask, sizeof(ask), "set %s 0 0 1\r\nx\r\n", key);
    bed_expect(bed, ask, BAD_FORMAT "ERROR\r\n");
    snprintf(ask, sizeof(ask), "get k %s\r\n", key);
    bed_expect(bed, ask, BAD_FORMAT);
    for (unsigned nb = 1; nb <= 250; nb++) {
        key[nb] = 0;
        snprintf(ask, sizeof(ask), "set %s 0 0 1\r\n%c\r\n", key, 'a' + nb % 26);
        bed_expect(bed, ask, "STORED\r\n");
        snprintf(ask, sizeof(ask), "get %s\r\n", key);
        snprintf(answer, sizeof(answer), "VALUE %s 0 1\r\n%c\r\nEND\r\n", key, 'a' + nb % 26);
        bed_expect(bed, ask, answer);
        key[nb] = 'k';
    }
}

static void odd_bytes(struct bed *bed)
{
    bed_expect(bed, "set a\tb 1 0 1\r\nx\r\nget a\tb\r\n",
               "STORED\r\nVALUE a\tb 1 1\r\nx\r\nEND\r\n");
    bed_ask_bytes(bed, "set z 0 0 1\r\n\0\r\n", 16);
    CHECK(memcmp(bed->message, "STORED", 6) == 0);
    bed_ask_bytes(bed, "get z\0y\r\n", 9); /* a line ends at a zero byte */
    CHECK(bed->message_bytes == 21 &&
          memcmp(bed->message, "VALUE z 0 1\r\n\0\r\nEND\r\n", 21) == 0);
    bed_expect(bed, "set v 0 0 4\r\na\r\nb\r\nget v\r\n",
               "STORED\r\nVALUE v 0 4\r\na\r\nb\r\nEND\r\n");
}

int main(void)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    CHECK(bed != NULL);
    for (int alias = 0; alias < 2; alias++) {
        bed_open(bed, 1 << 20);
        bed->alias = alias;
        run(bed, storing, sizeof(storing) / sizeof(storing[0]));
        run(bed, arithmetic, sizeof(arithmetic) / sizeof(arithmetic[0]));
        run(bed, rest, sizeof(rest) / sizeof(rest[0]));
        keys_at_their_limit(bed);
        odd_bytes(bed);
        bed_close(bed);
    }
    free(bed);
    return 0;
}
