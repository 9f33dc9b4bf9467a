#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Run in place of tests that cannot run here: meson shows exit status 77 as skipped, with a reason.
#
#     skip.sh REASON
echo "skipped: $1"
exit 77
