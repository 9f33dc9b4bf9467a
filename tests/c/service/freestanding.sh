#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The service, or net/, as a freestanding build has it: compiled without a hosted C library and linked
# into one object, it may need nothing but memcpy, memmove, memset and memcmp; net/ also the frame
# datapath under it (frames.h).
#
#     freestanding.sh COMPILER... -- INCLUDE_DIR SOURCE...
set -eu
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
include=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
n=0
for source in "$@"; do
    n=$((n + 1))
    # shellcheck disable=SC2086 # a compiler with its launcher is several words
    $compiler -std=gnu11 -O2 -march=x86-64-v2 -ffreestanding -nostdlib -nostdinc \
        -isystem "$($compiler -print-file-name=include)" -I "$include" \
        -c "$source" -o "$folder/$n.o"
done
ld -r -o "$folder/whole.o" "$folder"/[0-9]*.o
needed=$(nm --undefined-only --format=just-symbols "$folder/whole.o" |
    grep -v -x -e memcpy -e memmove -e memset -e memcmp -e 'frames_[a-z_]*' -e _GLOBAL_OFFSET_TABLE_ || true)
if [ -n "$needed" ]; then
    echo "this needs more than a freestanding build has:" "$needed" >&2
    exit 1
fi
