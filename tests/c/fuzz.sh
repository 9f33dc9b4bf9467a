#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Fuzz one target for a limited time, from the inputs that SEEDS writes, or from no input.
# NEARMETAL_TEST_LONG=1: 20 times as long.
#
#     fuzz.sh PROGRAM SECONDS BYTES_MAX [SEEDS]
set -eu
program=$1 seconds=$2 bytes_max=$3 seeds=${4:-}
if [ "${NEARMETAL_TEST_LONG:-0}" = 1 ]; then
    seconds=$((seconds * 20))
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/seeds"
[ -z "$seeds" ] || sh "$seeds" "$folder/seeds"

exec_status=0
TMPDIR=$folder "$program" -seed=1 -max_total_time="$seconds" -max_len="$bytes_max" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$folder/" "$folder/seeds" \
    > "$folder/log" 2>&1 || exec_status=$?
tail -n 40 "$folder/log"
for found in "$folder"/crash-* "$folder"/timeout-* "$folder"/oom-*; do
    if [ -e "$found" ]; then
        echo "$found (base64):"
        base64 "$found"
    fi
done
exit $exec_status
