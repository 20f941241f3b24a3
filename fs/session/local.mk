# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += fs/session/libsession.a
fs_session_libsession_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
fs_session_libsession_a_SOURCES = \
	fs/session/cmdline.c fs/session/cmdline.h \
	fs/session/registry.c fs/session/registry.h \
	fs/session/registry_claim.c \
	fs/session/report.c fs/session/report.h \
	fs/session/session.c fs/session/session.h \
	fs/session/unmount.c fs/session/unmount.h \
	fs/session/unmount_users.c \
	fs/session/words.c fs/session/words.h
