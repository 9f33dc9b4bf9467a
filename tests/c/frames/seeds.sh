#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Inputs for fuzz.c: a request, with and without checksums, an ARP request and an echo request
# to the server of bed.h.
#
#     seeds.sh FOLDER
set -eu
seeds=$1

ether='\002\000\000\000\000\002\002\000\000\000\000\001'
ip() { printf "$1$ether"'\010\000\105\000\000'"$2"'\000\000\000\000\100'"$3"'\000\000\012\000\000\001\012\000\000\002'; }
{ ip '\004' '\040' '\021'; printf '\234\100\053\313\000\014\000\000abcd'; } > "$seeds/request"
{ ip '\014' '\040' '\021'; printf '\234\100\053\313\000\014\000\000abcd'; } > "$seeds/sealed"
{ ip '\024' '\040' '\001'; printf '\010\000\000\000\000\001\000\001abcd'; } > "$seeds/echo"
{ printf '\000'"$ether"'\010\006\000\001\010\000\006\004\000\001'; printf "$ether" | tail -c 6
    printf '\012\000\000\001\000\000\000\000\000\000\012\000\000\002'; } > "$seeds/arp"
