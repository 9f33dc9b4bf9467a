#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Inputs for fuzz_replay.c: files of one record, and of one record and one of `before`.
#
#     replay_seeds.sh FOLDER
set -eu
seeds=$1

# Lengths of request and reply as octal bytes; both shorter than 8.
record() { printf "$1"'\000'"$2"'\000\000\000\000\000request\000reply..\000\000\000\000\000\000\000\000\000'; }
mask() { printf '\377\377\377\377\000\000\000\000\000\000\000\000\000\000\000\000'; }
header() { printf 'nmreplay\001\000\000\000'"$1"'\000\000\000\001\000\000\000\000\000\000\000'"$2"'\000\000\000\000\000\000\000'; }
{ header '\000' '\120'; record '\007' '\007'; mask; } > "$seeds/one"
{ header '\001' '\200'; record '\007' '\007'; mask; record '\007' '\007'; mask; } > "$seeds/two"
