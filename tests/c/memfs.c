/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A daemon in the foreground that shows a memtree: memfs [-s] [-d] [-o WORDS]
 * DIR. Says "ready" when the kernel has greeted it, and at the end "end CODE
 * SYNCS". dump=FILE writes the file /dump there after the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/glue/glue.h"
#include "tests/c/memtree.h"

struct memfs {
	struct memtree_opts tree;
	struct glue_opts glue;
	const char *words[16];
	size_t n_words;
	const char *dump;
};

static const struct {
	const char *word;
	unsigned cap;
} caps[] = {
	{ "seek_list", TREE_CAP_SEEK_LIST },
	{ "list_attr", TREE_CAP_LIST_ATTR },
	{ "no_owners", TREE_CAP_NO_OWNERS },
	{ "ignore_case", TREE_CAP_IGNORE_CASE },
};

static bool take(const char *word, const char *key, const char **value)
{
	size_t len = strlen(key);

	if (strncmp(word, key, len) || word[len] != '=')
		return false;
	*value = word + len + 1;
	return true;
}

static bool tree_word(struct memtree_opts *t, const char *w)
{
	const char *v;

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (!strcmp(w, caps[i].word)) {
			t->caps |= caps[i].cap;
			return true;
		}
	}
	if (!strcmp(w, "parallel_reads"))
		t->turns = TREE_PARALLEL_READS;
	else if (!strcmp(w, "parallel"))
		t->turns = TREE_PARALLEL;
	else if (!strcmp(w, "frozen"))
		t->frozen = true;
	else if (!strcmp(w, "ro"))
		t->writable = false;
	else if (!strcmp(w, "no_map"))
		t->no_map = true;
	else if (take(w, "host", &t->host))
		return true;
	else if (take(w, "eio_at", &v))
		t->eio_at = strtoull(v, NULL, 0);
	else if (take(w, "dirs", &v))
		t->dirs = (unsigned)strtoul(v, NULL, 0);
	else if (take(w, "files", &v))
		t->files = (unsigned)strtoul(v, NULL, 0);
	else if (take(w, "file_size", &v))
		t->file_size = strtoull(v, NULL, 0);
	else if (take(w, "slow", &v))
		t->slow = (unsigned)strtoul(v, NULL, 0);
	else
		return false;
	return true;
}

static bool glue_word(struct glue_opts *g, const char *w)
{
	const char *v;

	if (!strcmp(w, "glue_ro"))
		g->read_only = true;
	else if (!strcmp(w, "direct_io"))
		g->direct_io = true;
	else if (!strcmp(w, "fake_perms"))
		g->fake_perms = true;
	else if (take(w, "flush", &v))
		g->flush_seconds = (unsigned)strtoul(v, NULL, 0);
	else if (take(w, "uid", &v))
		g->has_uid = true, g->uid = (uid_t)strtoul(v, NULL, 0);
	else if (take(w, "gid", &v))
		g->has_gid = true, g->gid = (gid_t)strtoul(v, NULL, 0);
	else if (take(w, "umask", &v))
		g->has_umask = true, g->umask = (mode_t)strtoul(v, NULL, 8);
	else if (take(w, "fmask", &v))
		g->has_fmask = true, g->fmask = (mode_t)strtoul(v, NULL, 8);
	else if (take(w, "dmask", &v))
		g->has_dmask = true, g->dmask = (mode_t)strtoul(v, NULL, 8);
	else if (!take(w, "fsname", &g->fsname))
		return false;
	return true;
}

static void parse(struct memfs *m, char *words)
{
	for (char *w = strtok(words, ","); w; w = strtok(NULL, ",")) {
		if (tree_word(&m->tree, w) || glue_word(&m->glue, w) ||
		    take(w, "dump", &m->dump))
			continue;
		if (m->n_words < 16)
			m->words[m->n_words++] = w;
	}
}

static void say_ready(void *ctx)
{
	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		exit(1);
}

static void status(void *ctx, char *buf, size_t size)
{
	snprintf(buf, size, "memfs");
}

static void dump(struct tree *t, const char *to)
{
	char *buf = malloc(64 << 20);
	FILE *f = fopen(to, "wb");
	struct tree_file *h;
	struct tree_attr a;
	ssize_t n;

	if (!f || tree_lookup(t, TREE_ROOT, "dump", &a) ||
	    tree_open(t, a.id, false, &h))
		exit(1);
	n = tree_read(t, h, buf, 64 << 20, 0);
	if (n < 0 || fwrite(buf, 1, (size_t)n, f) != (size_t)n)
		exit(1);
	tree_release(t, h);
	fclose(f);
	free(buf);
}

static int run(struct memfs *m, const char *dir)
{
	struct diag why = DIAG_INIT;
	struct tree *t = NULL;
	struct glue *g = NULL;
	unsigned syncs;
	int ret = memtree_new(&m->tree, &t, &why);

	if (!ret)
		ret = glue_new(t, &m->glue, &g, &why);
	if (!ret)
		ret = glue_mount(g, dir, &why);
	if (ret) {
		fprintf(stderr, "memfs: %s\n", why.text);
		glue_free(g);
		tree_close(t);
		return 1;
	}
	ret = glue_loop(g);
	glue_free(g);
	if (m->dump)
		dump(t, m->dump);
	syncs = memtree_syncs(t);
	tree_close(t);
	printf("end %d %u\n", ret, syncs);
	return ret ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct memfs m = {
		.tree.writable = true, .glue = GLUE_OPTS_INIT,
		.tree.caps = TREE_CAP_SYMLINK | TREE_CAP_LINK | TREE_CAP_MKNOD,
	};
	int c;

	glue_block_signals();
	m.glue.fsname = "mem";
	m.glue.subtype = "memfs";
	while ((c = getopt(argc, argv, "sdo:")) != -1) {
		if (c == 's')
			m.glue.single_thread = true;
		else if (c == 'd')
			m.glue.debug = true;
		else if (c == 'o')
			parse(&m, optarg);
		else
			return 1;
	}
	if (optind + 1 != argc)
		return 1;
	if (!(m.tree.caps & TREE_CAP_NO_OWNERS))
		m.tree.caps |= TREE_CAP_SET_OWNERS;
	m.glue.ready = say_ready;
	m.glue.status = status;
	m.glue.mount_words = m.words;
	m.glue.n_mount_words = m.n_words;
	return run(&m, argv[optind]);
}
