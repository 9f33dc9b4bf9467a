#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Stands for tests that cannot run here: meson shows them as skipped (77), and its log says why.
#
#     skip.sh REASON
echo "skipped: $1"
exit 77
