#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Fuzz net/ for a bounded time, from three seeds: a request, an ARP request and an echo request to the
# server of bed.h. NEARMETAL_TEST_LONG=1: the long edition.
#
#     fuzz.sh PROGRAM
set -eu
program=$1
seconds=5
if [ "${NEARMETAL_TEST_LONG:-0}" = 1 ]; then
    seconds=300
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/seeds"
ether='\002\000\000\000\000\002\002\000\000\000\000\001'
ip() { printf "$1$ether"'\010\000\105\000\000'"$2"'\000\000\000\000\100'"$3"'\000\000\012\000\000\001\012\000\000\002'; }
{ ip '\004' '\040' '\021'; printf '\234\100\053\313\000\014\000\000abcd'; } > "$folder/seeds/request"
{ ip '\014' '\040' '\021'; printf '\234\100\053\313\000\014\000\000abcd'; } > "$folder/seeds/sealed"
{ ip '\024' '\040' '\001'; printf '\010\000\000\000\000\001\000\001abcd'; } > "$folder/seeds/echo"
{ printf '\000'"$ether"'\010\006\000\001\010\000\006\004\000\001'; printf "$ether" | tail -c 6
    printf '\012\000\000\001\000\000\000\000\000\000\012\000\000\002'; } > "$folder/seeds/arp"

exec_status=0
"$program" -seed=1 -max_total_time=$seconds -max_len=1600 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$folder/" "$folder/seeds" > "$folder/log" 2>&1 || exec_status=$?
tail -n 40 "$folder/log"
for found in "$folder"/crash-* "$folder"/timeout-*; do
    if [ -e "$found" ]; then
        echo "$found (base64):"
        base64 "$found"
    fi
done
exit $exec_status
