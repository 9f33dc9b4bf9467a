#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Compile the sources freestanding, without a hosted C library, and link them into one object. The
# object may need nothing except memcpy, memmove, memset, memcmp and the functions of the contract
# below it (--needs): for frames/ these are the functions of a frame datapath (frames.h).
#
#     freestanding.sh COMPILER... -- [-IFOLDER]... [--needs=REGEX]... SOURCE...
set -eu
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
shift
includes=
given='mem(cpy|move|set|cmp)|_GLOBAL_OFFSET_TABLE_'
while :; do
    case $1 in
    -I*) includes="$includes $1" ;;
    --needs=*) given="$given|${1#--needs=}" ;;
    *) break ;;
    esac
    shift
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
n=0
for source in "$@"; do
    n=$((n + 1))
    # shellcheck disable=SC2086 # a compiler with its launcher is several words, as are folders
    $compiler -std=gnu11 -O2 -march=x86-64-v2 -ffreestanding -nostdlib -nostdinc \
        -isystem "$($compiler -print-file-name=include)" $includes \
        -c "$source" -o "$folder/$n.o"
done
ld -r -o "$folder/whole.o" "$folder"/[0-9]*.o
needed=$(nm --undefined-only --format=just-symbols "$folder/whole.o" |
    grep -v -x -E "$given" || true)
if [ -n "$needed" ]; then
    echo "this needs more than a freestanding build has:" "$needed" >&2
    exit 1
fi
