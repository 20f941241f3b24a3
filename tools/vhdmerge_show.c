/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhdmerge: what is said while it works, and at the end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/guid.h"
#include "tools/vhdmerge.h"

/* Ten times a second for eyes; once for programs, which keep every line. */
#define FOR_EYES 0.1
#define FOR_PROGRAMS 1.0
/* Bad ranges that are told one by one; of more, the number. */
#define BAD_TOLD 64

const char *show_size(uint64_t bytes, char buf[32])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	int u = 0;

	for (; v >= 1024 && u < 4; u++)
		v /= 1024;
	snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return buf;
}

static double since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) +
	       (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void print_json(FILE *to, json_t *obj)
{
	json_dumpf(obj, to, JSON_COMPACT);
	fputc('\n', to);
	fflush(to);
	json_decref(obj);
}

/* Names are any bytes; JSON wants UTF-8. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);
	char safe[4096];
	size_t i = 0;

	if (j)
		return j;
	for (; s[i] && i < sizeof(safe) - 1; i++)
		safe[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	safe[i] = '\0';
	return json_string(safe);
}

static void job_event(struct show *s, const char *state, int percent,
		      const struct diag *why)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:i}", "job", s->id, "what",
			      s->what, "state", state, "percent", percent);

	if (why) {
		const struct outcome_row *row = outcome_find(why->out);

		json_object_set_new(j, "error", json_string(row->name));
		json_object_set_new(j, "code", json_integer(row->code));
		json_object_set_new(j, "msvm", json_integer(row->msvm));
		json_object_set_new(j, "hresult", json_integer(row->hresult));
		json_object_set_new(j, "text", text(why->text));
	}
	print_json(stdout, j);
}

void show_begin(struct show *s, const struct options *o, const char *what)
{
	struct guid id;

	*s = (struct show) {
		.o = o, .what = what,
		.tty = !o->quiet && !o->json && isatty(STDERR_FILENO),
	};
	clock_gettime(CLOCK_MONOTONIC, &s->start);
	s->last = s->start;
	if (!guid_random(&id))
		guid_format(&id, s->id);
	if (o->json)
		job_event(s, "starting", 0, NULL);
}

static void print_line(struct show *s, uint64_t done, uint64_t total,
		       int percent)
{
	double secs = since(&s->start);
	double rate = secs > 0 ? (double)(done - s->first) / secs : 0;
	unsigned eta = rate > 0 ? (unsigned)((double)(total - done) / rate) : 0;
	char bar[31], a[32], b[32];

	memset(bar, '.', 30);
	memset(bar, '#', (size_t)(percent * 30 / 100));
	bar[30] = '\0';
	fprintf(stderr, "\r%s [%s] %3d%% of %s, %s/s, %u:%02u left \033[K",
		s->what, bar, percent, show_size(total, a),
		show_size((uint64_t)rate, b), eta / 60, eta % 60);
	fflush(stderr);
}

void show_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct show *s = ctx;
	int percent = total ? (int)((double)done * 100 / (double)total) : 100;

	if (!s->begun) {
		s->begun = true;
		s->first = done;
	}
	if (!s->tty && !s->o->json)
		return;
	if (since(&s->last) < (s->o->json ? FOR_PROGRAMS : FOR_EYES))
		return;
	clock_gettime(CLOCK_MONOTONIC, &s->last);
	if (s->o->json)
		job_event(s, "running", percent, NULL);
	else
		print_line(s, done, total, percent);
}

void show_bad(void *ctx, uint64_t off, uint64_t len)
{
	struct show *s = ctx;

	if (s->n_bad++ >= BAD_TOLD)
		return;
	if (s->o->json)
		print_json(stdout, json_pack("{s:s, s:s, s:I, s:I}", "job",
					     s->id, "state", "unreadable",
					     "offset", (json_int_t)off,
					     "length", (json_int_t)len));
	else
		fprintf(stderr, "vhdmerge: cannot be read: %llu bytes at "
			"%llu\n", (unsigned long long)len,
			(unsigned long long)off);
}

int show_error(const struct options *o, const struct diag *why)
{
	const struct outcome_row *row = outcome_find(why->out);

	if (o->json)
		print_json(stdout, json_pack("{s:s, s:i, s:I, s:I, s:o}",
					     "error", row->name, "code",
					     row->code, "msvm",
					     (json_int_t)row->msvm, "hresult",
					     (json_int_t)row->hresult, "text",
					     text(why->text)));
	else
		fprintf(stderr, "vhdmerge: %s\n", why->text);
	return row->code;
}

int show_end(struct show *s, int ret, const struct diag *why)
{
	if (s->tty && s->begun)
		fputs("\r\033[K", stderr);
	if (s->n_bad > BAD_TOLD && !s->o->json)
		fprintf(stderr, "vhdmerge: and %u more that cannot be read\n",
			s->n_bad - BAD_TOLD);
	if (!ret) {
		if (s->o->json)
			job_event(s, "completed", 100, NULL);
		return OUT_OK;
	}
	if (!s->o->json)
		return show_error(s->o, why);
	job_event(s, why->code == -ECANCELED ? "suspended" : "exception", 0,
		  why);
	return (int)outcome_find(why->out)->code;
}

void show_notes(const struct options *o, const struct disk *d)
{
	for (size_t i = 0; !o->quiet && disk_note(d, i); i++)
		fprintf(stderr, "vhdmerge: %s\n", disk_note(d, i));
}

/* ---- plan and status ---- */

static const char *const roles[] = {
	"merged", "target", "below", "grandchild", "orphan",
};
static const char *const role_texts[] = {
	"is merged", "is merged into", "is read", "is linked to it instead",
	"IS LOST",
};
static const char *const steps[] = { "start", "copy", "relink", "finish" };

static void plan_json(const struct merge_plan *p)
{
	json_t *files = json_array();

	for (size_t i = 0; i < p->n_files; i++) {
		const struct merge_file *f = &p->files[i];

		json_array_append_new(files, json_pack(
			"{s:s, s:o, s:s, s:s, s:I}", "role", roles[f->role],
			"path", text(f->path), "id", f->id, "parent",
			f->parent, "size", (json_int_t)f->size));
	}
	print_json(stdout, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				     "s:o}", "size", (json_int_t)p->size,
				     "grow", (json_int_t)p->grow, "copy",
				     (json_int_t)p->copy, "zero",
				     (json_int_t)p->zero, "blocks",
				     (json_int_t)p->blocks, "need",
				     (json_int_t)p->need, "room",
				     (json_int_t)p->room, "files", files));
}

void show_plan(const struct options *o, const struct merge_plan *p)
{
	char a[32], b[32];

	if (o->json) {
		plan_json(p);
		return;
	}
	for (size_t i = 0; i < p->n_files; i++)
		printf("%s: %s%s\n", p->files[i].path,
		       role_texts[p->files[i].role],
		       p->files[i].role == MERGE_MERGED && p->remove
		       ? ", then removed" : "");
	if (p->grow)
		printf("grows by %s first\n", show_size(p->grow, a));
	printf("%s to copy, %s become zeros, %llu new blocks\n",
	       show_size(p->copy, a), show_size(p->zero, b),
	       (unsigned long long)p->blocks);
	printf("%s of space at most, %s are free\n", show_size(p->need, a),
	       show_size(p->room, b));
	/* What one disk of today does, to tell minutes from hours. */
	printf("about %.0f s at 200 MiB/s\n",
	       (double)p->copy / (200.0 * (1 << 20)));
}

void show_status(const struct options *o, const char *target,
		 const struct merge_status *st)
{
	int percent = st->size ? (int)((double)st->done * 100 /
				       (double)st->size) : 0;

	if (o->json) {
		print_json(stdout, json_pack("{s:o, s:o, s:s, s:i}", "target",
					     text(target), "child",
					     text(st->child), "step",
					     steps[st->step], "percent",
					     percent));
		return;
	}
	printf("%s: merge of %s, step %s, %d%% copied for sure\n"
	       "go on: vhdmerge --resume %s\n", target, st->child,
	       steps[st->step], percent, target);
}

/* ---- tree ---- */

static const char *const states[] = {
	"base", "branch", "leaf", "orphan", "merged", "unreadable",
};
static const char *const formats[] = { "raw", "VHD", "VHDX" };

static json_t *image_json(const struct merge_graph *g,
			  const struct merge_image *img)
{
	json_t *j = json_pack("{s:o, s:s}", "path", text(img->path), "state",
			      states[img->state]);

	if (img->said) {
		json_object_set_new(j, "text", text(img->said));
		return j;
	}
	json_object_set_new(j, "format", json_string(formats[img->format]));
	json_object_set_new(j, "kind", json_string(img->kind));
	json_object_set_new(j, "id", json_string(img->id));
	json_object_set_new(j, "size", json_integer((json_int_t)img->size));
	if (*img->wants)
		json_object_set_new(j, "parent_id", json_string(img->wants));
	if (img->parent != SIZE_MAX)
		json_object_set_new(j, "parent",
				    text(g->images[img->parent].path));
	json_object_set_new(j, "children",
			    json_integer((json_int_t)img->n_children));
	json_object_set_new(j, "duplicate", json_boolean(img->duplicate));
	json_object_set_new(j, "merging", json_boolean(img->journal));
	return j;
}

static void print_image(const struct merge_image *img, int depth)
{
	char size[32];

	printf("%*s%s", 2 * depth, "", img->path);
	if (img->said) {
		printf("  unreadable: %s\n", img->said);
		return;
	}
	printf("  %s %s, %s, %s%s%s\n", formats[img->format], img->kind,
	       show_size(img->size, size), states[img->state],
	       img->duplicate ? ", DUPLICATE id" : "",
	       img->journal ? ", MERGE NOT FINISHED" : "");
}

static void print_below(const struct merge_graph *g, size_t i, int depth)
{
	print_image(&g->images[i], depth);
	/* Circles of identities end where nobody's chain does. */
	for (size_t k = 0; k < g->n && depth < DISK_CHAIN_MAX; k++)
		if (g->images[k].parent == i)
			print_below(g, k, depth + 1);
}

void show_tree(const struct options *o, const struct merge_graph *g)
{
	json_t *all = o->json ? json_array() : NULL;

	for (size_t i = 0; i < g->n; i++) {
		if (o->json)
			json_array_append_new(all, image_json(g,
							&g->images[i]));
		else if (g->images[i].parent == SIZE_MAX)
			print_below(g, i, 0);
	}
	if (o->json)
		print_json(stdout, all);
}
