# SPDX-License-Identifier: GPL-3.0-or-later
dist_man_MANS += man/vhdfs.1 man/vhdmerge.1 man/cimfs.1 man/wimfs.1 \
	man/imgctl.1 man/imgfs.5
