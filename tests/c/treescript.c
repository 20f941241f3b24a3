/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/treescript.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "tests/c/devscript.h"

#define HANDLES 16

struct script {
	struct tree *t;
	FILE *out;
	struct {
		char name[32];
		struct tree_file *f;
	} handles[HANDLES];
};

static void unescape(char *s)
{
	char *d = s;

	for (; *s; s++) {
		if (!strncmp(s, "%20", 3)) {
			*d++ = ' ';
			s += 2;
		} else {
			*d++ = *s;
		}
	}
	*d = '\0';
}

/* Resolves all but the last part; last points into buf. */
static int walk_parent(struct tree *t, const char *path, char *buf,
		       uint64_t *dir, char **last)
{
	struct tree_attr a;
	char *save, *part, *next;

	snprintf(buf, PATH_MAX, "%s", path);
	*dir = TREE_ROOT;
	*last = NULL;
	part = strtok_r(buf, "/", &save);
	while (part && (next = strtok_r(NULL, "/", &save))) {
		int ret = tree_lookup(t, *dir, part, &a);

		if (ret)
			return ret;
		*dir = a.id;
		part = next;
	}
	*last = part;
	return 0;
}

static int walk(struct tree *t, const char *path, struct tree_attr *out)
{
	char buf[PATH_MAX], *last;
	uint64_t dir;
	int ret = walk_parent(t, path, buf, &dir, &last);

	if (ret)
		return ret;
	return last ? tree_lookup(t, dir, last, out)
		    : tree_getattr(t, TREE_ROOT, out);
}

static void answer(struct script *s, int ret)
{
	if (ret < 0)
		fprintf(s->out, "error %s\n", devscript_error(ret));
	else
		fputs("ok\n", s->out);
}

static char type_letter(mode_t m)
{
	return S_ISDIR(m) ? 'd' : S_ISREG(m) ? 'f' : S_ISLNK(m) ? 'l' :
	       S_ISCHR(m) ? 'c' : S_ISBLK(m) ? 'b' : S_ISFIFO(m) ? 'p' : 's';
}

static int emit_ls(void *ctx, const struct tree_entry *e)
{
	struct script *s = ctx;

	fprintf(s->out, "%llu %c %s\n", (unsigned long long)e->id,
		type_letter(e->type), e->name);
	return 0;
}

struct names {
	char **names;
	uint64_t *ids;
	size_t n, max;
};

static int emit_collect(void *ctx, const struct tree_entry *e)
{
	struct names *v = ctx;

	if (v->n == v->max) {
		v->max = v->max ? v->max * 2 : 64;
		v->names = realloc(v->names, v->max * sizeof(*v->names));
		v->ids = realloc(v->ids, v->max * sizeof(*v->ids));
	}
	v->ids[v->n] = e->id;
	v->names[v->n++] = strdup(e->name);
	return 0;
}

static void find(struct script *s, uint64_t dir, const char *path)
{
	struct names v = { 0 };
	int ret = tree_list(s->t, dir, 0, false, emit_collect, &v);

	if (ret < 0)
		fprintf(s->out, "error %s %s\n", devscript_error(ret), path);
	for (size_t i = 0; i < v.n; i++) {
		char sub[PATH_MAX];
		struct tree_attr a;

		snprintf(sub, sizeof(sub), "%s/%s", path, v.names[i]);
		ret = tree_getattr(s->t, v.ids[i], &a);
		if (ret) {
			fprintf(s->out, "error %s %s\n",
				devscript_error(ret), sub);
			continue;
		}
		fprintf(s->out, "%c %llu %s\n", type_letter(a.mode),
			(unsigned long long)(S_ISDIR(a.mode) ? 0 : a.size),
			sub);
		if (S_ISDIR(a.mode))
			find(s, v.ids[i], sub);
	}
	for (size_t i = 0; i < v.n; i++)
		free(v.names[i]);
	free(v.names);
	free(v.ids);
}

static void print_hex(struct script *s, const uint8_t *buf, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		fprintf(s->out, "%02x", buf[i]);
	fputc('\n', s->out);
}

static int open_path(struct script *s, const char *path, bool write,
		     struct tree_file **f, struct tree_attr *a)
{
	int ret = walk(s->t, path, a);

	return ret ? ret : tree_open(s->t, a->id, write, f);
}

static void do_cat(struct script *s, const char *path, uint64_t off, size_t len)
{
	uint8_t *buf = malloc(len ? len : 1);
	struct tree_file *f;
	struct tree_attr a;
	ssize_t ret = open_path(s, path, false, &f, &a);

	if (!ret) {
		ret = tree_read(s->t, f, buf, len, off);
		tree_release(s->t, f);
	}
	if (ret < 0)
		answer(s, (int)ret);
	else
		print_hex(s, buf, ret);
	free(buf);
}

static int fetch_mapped(struct script *s, struct tree_file *f, uint8_t *buf,
			uint64_t off, uint64_t len, uint64_t *done)
{
	struct dev_run runs[4];
	struct tree_pin pin;
	int n = tree_map(s->t, f, off, len, runs, ARRAY_LEN(runs), &pin);
	ssize_t got = 0;

	*done = 0;
	if (n == -EOPNOTSUPP || n == 0) {
		got = tree_read(s->t, f, buf, len, off);
		*done = got > 0 ? (uint64_t)got : 0;
		return got < 0 ? (int)got : 0;
	}
	for (int i = 0; i < n && got >= 0; i++) {
		if (runs[i].kind == DEV_RUN_ZERO)
			memset(buf + *done, 0, runs[i].len);
		else if (runs[i].kind == DEV_RUN_FD)
			got = pread(runs[i].fd, buf + *done, runs[i].len,
				    (off_t)runs[i].off);
		else
			got = tree_read(s->t, f, buf + *done, runs[i].len,
					off + *done);
		if (runs[i].kind != DEV_RUN_ZERO && got >= 0 &&
		    (uint64_t)got != runs[i].len)
			got = -EIO;
		*done += runs[i].len;
	}
	tree_unmap(s->t, &pin);
	return n < 0 ? n : got < 0 ? -EIO : 0;
}

static void do_sha256(struct script *s, const char *path, bool mapped)
{
	char name[] = "/tmp/treescript.XXXXXX", cmd[64], line[128];
	static uint8_t buf[300000];	/* no multiple of any block */
	struct tree_file *f;
	struct tree_attr a;
	int ret = open_path(s, path, false, &f, &a);
	FILE *tmp, *p;
	uint64_t off = 0, n;

	if (ret) {
		answer(s, ret);
		return;
	}
	tmp = fdopen(mkstemp(name), "wb");
	while (!ret && off < a.size) {
		uint64_t want = min_of(a.size - off, (uint64_t)sizeof(buf));

		if (mapped) {
			ret = fetch_mapped(s, f, buf, off, want, &n);
		} else {
			ssize_t got = tree_read(s->t, f, buf, want, off);

			ret = got < 0 ? (int)got : 0;
			n = got < 0 ? 0 : (uint64_t)got;
		}
		if (!ret && !n)
			ret = -EIO;
		if (!ret)
			fwrite(buf, 1, n, tmp);
		off += n;
	}
	tree_release(s->t, f);
	fclose(tmp);
	snprintf(cmd, sizeof(cmd), "sha256sum < %s", name);
	p = ret ? NULL : popen(cmd, "r");
	if (p && fgets(line, sizeof(line), p))
		fprintf(s->out, "%.64s\n", line);
	else
		answer(s, ret ? ret : -EIO);
	if (p)
		pclose(p);
	remove(name);
}

static void do_map(struct script *s, const char *path, uint64_t off,
		   uint64_t len)
{
	struct tree_file *f;
	struct tree_attr a;
	int ret = open_path(s, path, false, &f, &a);

	if (ret) {
		answer(s, ret);
		return;
	}
	while (len && ret >= 0) {
		struct dev_run runs[4];
		struct tree_pin pin;

		ret = tree_map(s->t, f, off, len, runs, ARRAY_LEN(runs), &pin);
		if (ret <= 0)
			break;
		for (int i = 0; i < ret; i++) {
			fprintf(s->out, "%s@%llu+%llu ",
				runs[i].kind == DEV_RUN_FD ? "fd" :
				runs[i].kind == DEV_RUN_ZERO ? "zero" : "read",
				(unsigned long long)runs[i].off,
				(unsigned long long)runs[i].len);
			off += runs[i].len;
			len -= min_of(len, runs[i].len);
		}
		tree_unmap(s->t, &pin);
	}
	tree_release(s->t, f);
	if (ret < 0)
		answer(s, ret);
	else
		fputs("ok\n", s->out);
}

static void do_stat(struct script *s, const char *path)
{
	struct tree_attr a;
	int ret = walk(s->t, path, &a);

	if (ret) {
		answer(s, ret);
		return;
	}
	fprintf(s->out, "%llu %llu %o %lu %u %u %llu %lld.%09ld %lld.%09ld\n",
		(unsigned long long)a.id, (unsigned long long)a.gen, a.mode,
		(unsigned long)a.nlink, a.uid, a.gid,
		(unsigned long long)a.size, (long long)a.mtime.tv_sec,
		a.mtime.tv_nsec, (long long)a.btime.tv_sec, a.btime.tv_nsec);
}

static void do_xattrs(struct script *s, const char *path)
{
	struct tree_attr a;
	char buf[65536];
	ssize_t ret = walk(s->t, path, &a);

	if (!ret)
		ret = tree_listxattr(s->t, a.id, buf, sizeof(buf));
	if (ret < 0) {
		answer(s, (int)ret);
		return;
	}
	for (ssize_t i = 0; i < ret; i += (ssize_t)strlen(buf + i) + 1)
		fprintf(s->out, "%s\n", buf + i);
	fputs(".\n", s->out);
}

static void do_getx(struct script *s, const char *path, const char *name)
{
	static uint8_t buf[1 << 20];
	struct tree_attr a;
	ssize_t ret = walk(s->t, path, &a);

	if (!ret)
		ret = tree_getxattr(s->t, a.id, name, buf, sizeof(buf));
	if (ret < 0)
		answer(s, (int)ret);
	else
		print_hex(s, buf, ret);
}

/* Reading commands. Returns 0 when it was none of them. */
static int read_command(struct script *s, char **w, int n)
{
	struct tree_attr a;
	int ret;

	if (n == 2 && !strcmp(w[0], "ls")) {
		ret = walk(s->t, w[1], &a);
		if (!ret)
			ret = tree_list(s->t, a.id, 0, false, emit_ls, s);
		if (ret < 0)
			answer(s, ret);
		else
			fputs(".\n", s->out);
	} else if (n == 2 && !strcmp(w[0], "find")) {
		ret = walk(s->t, w[1], &a);
		if (!ret)
			find(s, a.id, !strcmp(w[1], "/") ? "" : w[1]);
		fputs(".\n", s->out);
	} else if (n == 2 && !strcmp(w[0], "stat")) {
		do_stat(s, w[1]);
	} else if (n == 2 && !strcmp(w[0], "rdev")) {
		ret = walk(s->t, w[1], &a);
		if (ret)
			answer(s, ret);
		else
			fprintf(s->out, "%u %u\n", major(a.rdev),
				minor(a.rdev));
	} else if (n == 4 && !strcmp(w[0], "cat")) {
		do_cat(s, w[1], devscript_number(w[2]), devscript_number(w[3]));
	} else if (n == 2 && !strcmp(w[0], "sha256")) {
		do_sha256(s, w[1], false);
	} else if (n == 2 && !strcmp(w[0], "mapsha256")) {
		do_sha256(s, w[1], true);
	} else if (n == 4 && !strcmp(w[0], "map")) {
		do_map(s, w[1], devscript_number(w[2]), devscript_number(w[3]));
	} else if (n == 2 && !strcmp(w[0], "readlink")) {
		char buf[PATH_MAX];

		ret = walk(s->t, w[1], &a);
		if (!ret)
			ret = tree_readlink(s->t, a.id, buf, sizeof(buf));
		if (ret < 0)
			answer(s, ret);
		else
			fprintf(s->out, "%s\n", buf);
	} else if (n == 2 && !strcmp(w[0], "xattrs")) {
		do_xattrs(s, w[1]);
	} else if (n == 3 && !strcmp(w[0], "getx")) {
		do_getx(s, w[1], w[2]);
	} else {
		return 0;
	}
	return 1;
}

static int do_name(struct script *s, char **w, int n)
{
	char buf[PATH_MAX], buf2[PATH_MAX], *last, *last2;
	struct tree_new what = { .uid = getuid(), .gid = getgid() };
	uint64_t dir, dir2;
	struct tree_attr a;
	int ret = walk_parent(s->t, w[1], buf, &dir, &last);

	if (ret || !last)
		return ret ? ret : -EINVAL;
	if (!strcmp(w[0], "unlink") || !strcmp(w[0], "rmdir"))
		return tree_remove(s->t, dir, last, *w[0] == 'r');
	if (!strcmp(w[0], "rename")) {
		ret = walk_parent(s->t, w[2], buf2, &dir2, &last2);
		return ret ? ret : tree_rename(s->t, dir, last, dir2, last2,
			n > 3 ? (unsigned)devscript_number(w[3]) : 0);
	}
	if (!strcmp(w[0], "link")) {
		ret = walk(s->t, w[1], &a);
		if (!ret)
			ret = walk_parent(s->t, w[2], buf2, &dir2, &last2);
		return ret ? ret : tree_link(s->t, a.id, dir2, last2, &a);
	}
	if (!strcmp(w[0], "symlink")) {
		what.mode = S_IFLNK | 0777;
		what.target = w[2];
	} else {
		what.mode = (*w[0] == 'm' ? S_IFDIR : S_IFREG) |
			    (mode_t)strtoul(n > 2 ? w[2] : "644", NULL, 8);
	}
	return tree_create(s->t, dir, last, &what, &a);
}

static int do_write(struct script *s, char **w, bool from_file)
{
	static uint8_t buf[1 << 20];
	struct tree_file *f;
	struct tree_attr a;
	uint64_t off = devscript_number(w[2]);
	ssize_t got = open_path(s, w[1], true, &f, &a);
	FILE *in = NULL;
	uint64_t len = from_file ? UINT64_MAX : devscript_number(w[3]);

	if (got)
		return (int)got;
	if (from_file && !(in = fopen(w[3], "rb")))
		got = -errno;
	if (!from_file)
		memset(buf, (int)devscript_number(w[4]), sizeof(buf));
	while (got >= 0 && len) {
		size_t n = (size_t)min_of(len, (uint64_t)sizeof(buf));

		if (in && !(n = fread(buf, 1, sizeof(buf), in)))
			break;
		got = tree_write(s->t, f, buf, n, off);
		off += n;
		len -= n;
		if (got >= 0 && (size_t)got != n)
			got = -EIO;
	}
	if (in)
		fclose(in);
	tree_release(s->t, f);
	return got < 0 ? (int)got : 0;
}

static size_t from_hex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;
	unsigned v;

	while (n < max && sscanf(text + 2 * n, "%2x", &v) == 1 && text[2 * n])
		out[n++] = (uint8_t)v;
	return n;
}

static int do_setattr(struct script *s, char **w)
{
	struct tree_attr set = { 0 }, a;
	unsigned mask = TREE_SET_SIZE;
	int ret = walk(s->t, w[1], &a);

	if (ret)
		return ret;
	set.size = *w[0] == 't' ? devscript_number(w[2]) : 0;
	if (!strcmp(w[0], "chmod")) {
		mask = TREE_SET_MODE;
		set.mode = (mode_t)strtoul(w[2], NULL, 8);
	} else if (!strcmp(w[0], "chown")) {
		mask = TREE_SET_UID | TREE_SET_GID;
		set.uid = (uid_t)devscript_number(w[2]);
		set.gid = (gid_t)devscript_number(w[3]);
	} else if (!strcmp(w[0], "utime")) {
		mask = TREE_SET_ATIME | TREE_SET_MTIME;
		set.atime.tv_sec = set.mtime.tv_sec =
			(time_t)devscript_number(w[2]);
	}
	return tree_setattr(s->t, a.id, &set, mask, &a);
}

static int do_allocate(struct script *s, char **w)
{
	struct tree_file *f;
	struct tree_attr a;
	int ret = open_path(s, w[1], true, &f, &a);

	if (ret)
		return ret;
	ret = tree_allocate(s->t, f, (int)devscript_number(w[2]),
			    devscript_number(w[3]), devscript_number(w[4]));
	tree_release(s->t, f);
	return ret;
}

static int do_setx(struct script *s, char **w)
{
	static uint8_t value[1 << 16];
	struct tree_attr a;
	int ret = walk(s->t, w[1], &a);
	size_t n = *w[0] == 's' && w[3] ? from_hex(w[3], value, sizeof(value))
					: 0;

	if (ret)
		return ret;
	return *w[0] == 'd' ? tree_removexattr(s->t, a.id, w[2])
			    : tree_setxattr(s->t, a.id, w[2], value, n, 0);
}

static int do_put(struct script *s, char **w)
{
	char mode[] = "644", zero[] = "0", create[] = "create",
	     write[] = "writef";
	char *c[] = { create, w[2], mode };
	char *d[] = { write, w[2], zero, w[1] };
	int ret = do_name(s, c, 3);

	return ret ? ret : do_write(s, d, true);
}

/* Changing commands. Returns 0 when it was none of them. */
static int write_command(struct script *s, char **w, int n, int *ret)
{
	static const char *const names[] = { "create", "mkdir", "symlink",
		"link", "unlink", "rmdir", "rename" };
	struct tree_attr a;

	for (size_t i = 0; n > 1 && i < ARRAY_LEN(names); i++) {
		if (strcmp(w[0], names[i]))
			continue;
		*ret = do_name(s, w, n);
		return 1;
	}
	if (n == 5 && !strcmp(w[0], "write"))
		*ret = do_write(s, w, false);
	else if (n == 4 && !strcmp(w[0], "writef"))
		*ret = do_write(s, w, true);
	else if (n == 3 && !strcmp(w[0], "put"))
		*ret = do_put(s, w);
	else if (n >= 3 &&
		 (!strcmp(w[0], "truncate") || !strcmp(w[0], "chmod") ||
		  !strcmp(w[0], "chown") || !strcmp(w[0], "utime")))
		*ret = do_setattr(s, w);
	else if (n == 5 && !strcmp(w[0], "allocate"))
		*ret = do_allocate(s, w);
	else if (n >= 3 && (!strcmp(w[0], "setx") || !strcmp(w[0], "delx")))
		*ret = do_setx(s, w);
	else if (n == 1 && !strcmp(w[0], "sync"))
		*ret = tree_sync(s->t, 0, false);
	else if (n == 2 && !strcmp(w[0], "fsync"))
		*ret = (*ret = walk(s->t, w[1], &a)) ? *ret
			: tree_sync(s->t, a.id, false);
	else
		return 0;
	return 1;
}

static int find_handle(struct script *s, const char *name)
{
	for (int i = 0; i < HANDLES; i++)
		if (s->handles[i].f ? !strcmp(s->handles[i].name, name)
				    : !*name)
			return i;
	return -1;
}

static int handle_command(struct script *s, char **w, int n)
{
	static uint8_t buf[1 << 20];
	struct tree_attr a;
	ssize_t ret;
	int i;

	if (n == 4 && !strcmp(w[0], "open")) {
		i = find_handle(s, "");
		ret = open_path(s, w[1], *w[3] == 'w', &s->handles[i].f, &a);
		if (ret)
			s->handles[i].f = NULL;
		snprintf(s->handles[i].name, 32, "%s", w[2]);
		answer(s, (int)ret);
	} else if (n == 2 && !strcmp(w[0], "close")) {
		i = find_handle(s, w[1]);
		tree_release(s->t, s->handles[i].f);
		s->handles[i].f = NULL;
		answer(s, 0);
	} else if (n == 4 && !strcmp(w[0], "hread")) {
		i = find_handle(s, w[1]);
		ret = tree_read(s->t, s->handles[i].f, buf,
				devscript_number(w[3]), devscript_number(w[2]));
		if (ret < 0)
			answer(s, (int)ret);
		else
			print_hex(s, buf, ret);
	} else {
		return 0;
	}
	return 1;
}

static int other_command(struct script *s, char **w, int n)
{
	struct diag why = DIAG_INIT;
	struct tree_file *f;
	struct tree_attr a;
	struct statvfs v;
	off_t off;
	int ret;

	if (n == 1 && !strcmp(w[0], "kill")) {
		fflush(s->out);
		_exit(9);
	} else if (n == 1 && !strcmp(w[0], "check")) {
		ret = tree_check_write(s->t, &why);
		if (ret)
			fprintf(s->out, "error %s: %s\n",
				devscript_error(ret), why.text);
		else
			answer(s, 0);
	} else if (n == 1 && !strcmp(w[0], "writing")) {
		fprintf(s->out, "%d\n", s->t->writing);
	} else if (n == 1 && !strcmp(w[0], "statfs")) {
		ret = tree_statfs(s->t, &v);
		if (ret)
			answer(s, ret);
		else
			fprintf(s->out, "%lu %lu %lu\n", v.f_frsize,
				v.f_blocks, v.f_bfree);
	} else if (n == 4 && !strcmp(w[0], "seek")) {
		ret = open_path(s, w[1], false, &f, &a);
		off = ret ? ret : tree_seek(s->t, f,
			(off_t)devscript_number(w[2]),
			*w[3] == 'd' ? SEEK_DATA : SEEK_HOLE);
		if (!ret)
			tree_release(s->t, f);
		if (off < 0)
			answer(s, (int)off);
		else
			fprintf(s->out, "%lld\n", (long long)off);
	} else if (n == 4 && !strcmp(w[0], "map")) {
		do_map(s, w[1], devscript_number(w[2]), devscript_number(w[3]));
	} else {
		return 0;
	}
	return 1;
}

int treescript_run(struct tree *t, FILE *in, FILE *out)
{
	struct script s = { .t = t, .out = out };
	char *line = NULL, *w[8];
	size_t room = 0;
	int ret = 0;

	while (!ret && getline(&line, &room, in) > 0) {
		int n = 0, code;

		memset(w, 0, sizeof(w));
		for (char *p = strtok(line, " \t\n"); p && n < 7;
		     p = strtok(NULL, " \t\n")) {
			unescape(p);
			w[n++] = p;
		}
		if (!n || read_command(&s, w, n) || handle_command(&s, w, n) ||
		    other_command(&s, w, n)) {
			fflush(out);
			continue;
		}
		if (write_command(&s, w, n, &code)) {
			answer(&s, code);
		} else {
			fprintf(stderr, "what is \"%s\" with %d words?\n",
				w[0], n);
			ret = -EINVAL;
		}
		fflush(out);
	}
	for (int i = 0; i < HANDLES; i++)
		if (s.handles[i].f)
			tree_release(t, s.handles[i].f);
	free(line);
	return ret;
}
