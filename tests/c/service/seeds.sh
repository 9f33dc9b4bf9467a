#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Inputs for fuzz.c: every line below becomes a burst of that one datagram, once from an
# administrator and once from an untrusted source, in place.
#
#     seeds.sh FOLDER
set -eu
seeds=$1

# seed NAME OPTIONS TEXT: see fuzz.c; a length above the bytes left means the rest.
seed() {
    { printf '\000\077'; printf "\\$(printf %o "$2")"; printf '\377\377'; printf "$3"; } \
        > "$seeds/$1-$2"
}

n=0
while IFS= read -r line; do
    n=$((n + 1))
    seed $n 1 "$line"
    seed $n 11 "$line"
done << 'LINES'
get k\r\n
gets k l\r\n
gat 10 k\r\n
gats 1 k\r\n
set k 0 0 3\r\nabc\r\nget k\r\n
set k 1 5 2 noreply\r\n10\r\nincr k 1\r\ndecr k 20\r\nget k\r\n
add k 0 0 1\r\na\r\nappend k 0 0 1\r\nb\r\nprepend k 0 0 1\r\nc\r\n
replace k 0 -1 1\r\na\r\ncas k 0 0 1 1\r\na\r\n
delete k\r\ndelete k 0 noreply\r\n
touch k 1700000100\r\n
flush_all\r\nflush_all 2\r\nstats\r\nverbosity 1\r\nversion\r\nquit\r\n
set big 0 0 2000000\r\nabc
get k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k k\r\n
\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n
LINES
