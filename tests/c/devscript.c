/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/devscript.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"

uint64_t devscript_number(const char *text)
{
	static const char suffixes[] = "kmgt";
	char *end;
	unsigned long long v = strtoull(text, &end, 0);
	const char *s = *end ? strchr(suffixes, *end | 0x20) : NULL;

	if (end == text || (*end && (!s || end[1]))) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return s ? v << (10 * (s - suffixes + 1)) : v;
}

const char *devscript_error(int code)
{
	return code < 0 ? strerrorname_np(-code) : "OK";
}

static void answer(FILE *out, int ret)
{
	if (ret < 0)
		fprintf(out, "error %s\n", devscript_error(ret));
	else
		fputs("ok\n", out);
}

static void do_read(struct dev *dev, FILE *out, uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len ? len : 1);
	int ret = dev_read(dev, buf, len, off);

	if (ret) {
		answer(out, ret);
	} else {
		for (uint64_t i = 0; i < len; i++)
			fprintf(out, "%02x", buf[i]);
		fputc('\n', out);
	}
	free(buf);
}

static int copy_to(struct dev *dev, FILE *to, uint64_t off, uint64_t len)
{
	static uint8_t buf[1 << 20];
	int ret = 0;

	while (len && !ret) {
		size_t n = (size_t)min_of(len, (uint64_t)sizeof(buf));

		ret = dev_read(dev, buf, n, off);
		if (!ret && fwrite(buf, 1, n, to) != n)
			ret = -EIO;
		off += n;
		len -= n;
	}
	return ret;
}

static void do_sha256(struct dev *dev, FILE *out, uint64_t off, uint64_t len)
{
	char name[] = "/tmp/devscript.XXXXXX", cmd[64], line[128];
	int fd = mkstemp(name), ret;
	FILE *f = fdopen(fd, "wb"), *p;

	ret = copy_to(dev, f, off, len);
	fclose(f);
	snprintf(cmd, sizeof(cmd), "sha256sum < %s", name);
	p = ret ? NULL : popen(cmd, "r");
	if (p && fgets(line, sizeof(line), p))
		fprintf(out, "%.64s\n", line);
	else
		answer(out, ret ? ret : -EIO);
	if (p)
		pclose(p);
	remove(name);
}

static int do_write(struct dev *dev, uint64_t off, uint64_t len, int byte)
{
	uint8_t *buf = malloc(len ? len : 1);
	int ret;

	memset(buf, byte, len);
	ret = dev_write(dev, buf, len, off);
	free(buf);
	return ret;
}

static int do_writef(struct dev *dev, uint64_t off, const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	int ret = f ? 0 : -errno;
	size_t n;

	while (!ret && (n = fread(buf, 1, sizeof(buf), f))) {
		ret = dev_write(dev, buf, n, off);
		off += n;
	}
	if (f)
		fclose(f);
	return ret;
}

static void do_map(struct dev *dev, FILE *out, uint64_t off, uint64_t len)
{
	struct dev_run runs[4];
	uint64_t end = off + len;

	while (off < end) {
		int n = dev_map(dev, off, end - off, runs, ARRAY_LEN(runs));

		if (n <= 0) {
			answer(out, n ? n : -EIO);
			return;
		}
		for (int i = 0; i < n; i++) {
			off += runs[i].len;
			if (runs[i].kind == DEV_RUN_FD)
				fprintf(out, "%d@%llu", runs[i].fd,
					(unsigned long long)runs[i].off);
			else
				fputs(runs[i].kind == DEV_RUN_ZERO ? "zero"
				      : "read", out);
			fprintf(out, "+%llu%c", (unsigned long long)runs[i].len,
				off < end ? ' ' : '\n');
		}
	}
}

/* Commands with one word, or whose answer is "ok". */
static int simple(struct dev *dev, char **w, int n, int *ret)
{
	struct diag why = DIAG_INIT;

	if (n == 1 && !strcmp(w[0], "begin"))
		*ret = dev_begin_write(dev, &why);
	else if (n == 1 && !strcmp(w[0], "flush"))
		*ret = dev_flush(dev);
	else if (n == 2 && !strcmp(w[0], "resize"))
		*ret = dev_resize(dev, devscript_number(w[1]), &why);
	else if (n == 3 && !strcmp(w[0], "writef"))
		*ret = do_writef(dev, devscript_number(w[1]), w[2]);
	else if (n == 4 && !strcmp(w[0], "write"))
		*ret = do_write(dev, devscript_number(w[1]),
				devscript_number(w[2]),
				(int)devscript_number(w[3]));
	else if (n == 3 && (!strcmp(w[0], "zero") || !strcmp(w[0], "unmap")))
		*ret = dev_zero(dev, devscript_number(w[1]),
				devscript_number(w[2]), *w[0] == 'u');
	else if (n == 3 && !strcmp(w[0], "discard"))
		*ret = dev_discard(dev, devscript_number(w[1]),
				   devscript_number(w[2]));
	else
		return 0;
	if (why.code)
		fprintf(stderr, "%s\n", why.text);
	return 1;
}

static int run_line(struct dev *dev, char **w, int n, FILE *out)
{
	int ret;

	if (simple(dev, w, n, &ret)) {
		answer(out, ret);
	} else if (n == 1 && !strcmp(w[0], "size")) {
		fprintf(out, "%llu\n", (unsigned long long)dev_size(dev));
	} else if (n == 1 && !strcmp(w[0], "sector")) {
		fprintf(out, "%u\n", dev->sector_size);
	} else if (n == 3 && !strcmp(w[0], "read")) {
		do_read(dev, out, devscript_number(w[1]),
			devscript_number(w[2]));
	} else if (n == 3 && !strcmp(w[0], "sha256")) {
		do_sha256(dev, out, devscript_number(w[1]),
			  devscript_number(w[2]));
	} else if (n == 3 && !strcmp(w[0], "map")) {
		do_map(dev, out, devscript_number(w[1]),
		       devscript_number(w[2]));
	} else if (n == 4 && !strcmp(w[0], "readf")) {
		FILE *f = fopen(w[3], "wb");

		ret = f ? copy_to(dev, f, devscript_number(w[1]),
				  devscript_number(w[2])) : -errno;
		if (f && fclose(f) && !ret)
			ret = -errno;
		answer(out, ret);
	} else {
		fprintf(stderr, "what is \"%s\" with %d words?\n", w[0], n);
		return -EINVAL;
	}
	return 0;
}

int devscript_run(struct dev *dev, FILE *in, FILE *out)
{
	char line[4096], *w[8];
	int ret = 0;

	while (!ret && fgets(line, sizeof(line), in)) {
		int n = 0;

		for (char *p = strtok(line, " \t\n"); p && n < 8;
		     p = strtok(NULL, " \t\n"))
			w[n++] = p;
		if (n)
			ret = run_line(dev, w, n, out);
		fflush(out);
	}
	return ret;
}
