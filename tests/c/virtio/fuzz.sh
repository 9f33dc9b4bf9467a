#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Fuzz one target for a bounded time, from nothing. NEARMETAL_TEST_LONG=1: the long edition.
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
mkdir "$folder/inputs"

exec_status=0
TMPDIR=$folder "$program" -seed=1 -max_total_time=$seconds -max_len=1024 -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$folder/" "$folder/inputs" \
    > "$folder/log" 2>&1 || exec_status=$?
tail -n 40 "$folder/log"
for found in "$folder"/crash-* "$folder"/timeout-* "$folder"/oom-*; do
    if [ -e "$found" ]; then
        echo "$found (base64):"
        base64 "$found"
    fi
done
exit $exec_status
