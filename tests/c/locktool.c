/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks a file from lines of text: read, write, none, test-read, test-write.
 * One answer line each: "ok", or "error NAME: words". Ends with its input.
 *
 *	locktool FILE [REGISTRY]
 */
#include <stdio.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/base/dev_lock.h"
#include "tests/c/devscript.h"

static enum dev_lock lock_of(const char *word)
{
	if (!strcmp(word, "none"))
		return DEV_LOCK_NONE;
	return !strcmp(word, "read") ? DEV_LOCK_READ : DEV_LOCK_WRITE;
}

int main(int argc, char **argv)
{
	const char *registry = argc > 2 ? argv[2] : NULL;
	enum dev_lock have = DEV_LOCK_NONE;
	struct diag why = DIAG_INIT;
	struct dev *file;
	char word[32];

	if (argc < 2 || dev_file_open(argv[1], false, &file, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	while (scanf("%31s", word) == 1) {
		bool test = !strncmp(word, "test-", 5);
		enum dev_lock want = lock_of(test ? word + 5 : word);
		int ret;

		diag_clear(&why);
		ret = test ? dev_lock_test(file, want, registry, &why)
			   : dev_lock_set(file, have, want, registry, &why);
		if (!ret && !test)
			have = want;
		if (ret)
			printf("error %s: %s\n", devscript_error(ret),
			       why.text);
		else
			puts("ok");
		fflush(stdout);
	}
	dev_close(file);
	return 0;
}
