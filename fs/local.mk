# SPDX-License-Identifier: GPL-3.0-or-later
MOUNT_NAMES =
include fs/session/local.mk
include fs/glue/local.mk
include fs/vhdfs.mk
include fs/cimfs.mk
include fs/wimfs.mk

# mount(8) and umount(8) look for these names.
install-exec-hook: install-helpers
install-helpers: install-binPROGRAMS
	$(MKDIR_P) "$(DESTDIR)$(helperdir)"
	for p in $(MOUNT_NAMES); do \
		for n in mount.$$p umount.fuse.$$p; do \
			rm -f "$(DESTDIR)$(helperdir)/$$n"; \
			$(LN_S) "$(bindir)/$$p" \
				"$(DESTDIR)$(helperdir)/$$n"; \
		done; \
	done
uninstall-hook:
	for p in $(MOUNT_NAMES); do \
		for n in mount.$$p umount.fuse.$$p; do \
			rm -f "$(DESTDIR)$(helperdir)/$$n"; \
		done; \
	done
.PHONY: install-helpers
