# SPDX-License-Identifier: GPL-3.0-or-later
# Unit tests (t_*) are run by make check; helpers (*tool) are for pytest.
include tests/c/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
