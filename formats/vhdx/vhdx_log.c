/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: finding the log's active sequence and replaying it (FORMAT.md 9). */
#include <stdlib.h>
#include <string.h>

#include "formats/base/crc.h"
#include "formats/base/dev_ram.h"
#include "formats/vhdx/vhdx_int.h"

/* What one replay may zero: more than the largest BAT twice over; each page
 * costs a slot of the overlay's map. */
#define ZERO_MAX	(1ULL << 30)
/* The price of looking at an entry that was verified before, in bytes. */
#define STEP_COST	32u

/* Logged metadata begins behind the identifier and the headers. */
#define FIRST_TARGET	VHDX_REGION_OFF(0)

struct entry {
	uint32_t pos, len, tail, count;
	uint64_t seq, flushed_size, last_size;
	bool valid;
};

struct scan {
	struct vhdx *x;
	struct map seen;	/* pos / page + 1 -> struct entry, owned */
	uint64_t budget;	/* bytes that may still be verified */
	uint32_t *run;		/* positions of the run at hand, owned */
	size_t n, cap;
	struct entry last;	/* of the run */
	/* The best run so far: its part from the tail on. */
	struct entry best;
	size_t best_n;		/* 0: none */
};

static int read_page(struct vhdx *x, uint64_t pos, void *page)
{
	pos %= x->hdr.log_length;
	return dev_read(x->file, page, VHDX_PAGE, x->hdr.log_offset + pos);
}

static uint32_t desc_pages(uint32_t count)
{
	uint64_t bytes = sizeof(struct vhdx_disk_entry) +
			 (uint64_t)count * sizeof(struct vhdx_disk_desc);

	return (uint32_t)div_up(bytes, VHDX_PAGE);
}

static bool head_decode(const struct vhdx *x, const void *page, uint32_t pos,
			struct entry *e)
{
	const struct vhdx_disk_entry *raw = page;

	*e = (struct entry) {
		.pos = pos, .len = le32(raw->len), .tail = le32(raw->tail),
		.count = le32(raw->count), .seq = le64(raw->seq),
		.flushed_size = le64(raw->flushed_size),
		.last_size = le64(raw->last_size),
	};
	return !memcmp(raw->sig, "loge", 4) &&
	       guid_eq(&raw->log, &x->hdr.log) && e->seq &&
	       e->len >= VHDX_PAGE && e->len % VHDX_PAGE == 0 &&
	       e->len <= x->hdr.log_length && e->tail % VHDX_PAGE == 0 &&
	       e->tail < x->hdr.log_length &&
	       e->count <= e->len / sizeof(struct vhdx_disk_desc) &&
	       desc_pages(e->count) <= e->len / VHDX_PAGE;
}

/* Descriptors of one page; adds the data descriptors to *data. */
static bool descs_ok(const uint8_t *page, uint32_t idx, const struct entry *e,
		     uint32_t *data)
{
	uint32_t first = idx ? VHDX_FIRST_DESCS + (idx - 1) * 128 : 0;
	uint32_t n = min_of(e->count - first,
			    idx ? 128u : (uint32_t)VHDX_FIRST_DESCS);
	const struct vhdx_disk_desc *d = (const void *)(idx ? page :
				page + sizeof(struct vhdx_disk_entry));

	for (; n--; d++) {
		bool is_data = !memcmp(d->sig, "desc", 4);

		if ((!is_data && memcmp(d->sig, "zero", 4)) ||
		    le64(d->seq) != e->seq)
			return false;
		*data += is_data;
	}
	return true;
}

static bool data_ok(const void *page, uint64_t seq)
{
	const struct vhdx_disk_data *d = page;

	return !memcmp(d->sig, "data", 4) &&
	       le32(d->seq_high) == (uint32_t)(seq >> 32) &&
	       le32(d->seq_low) == (uint32_t)seq;
}

/* All pages of an entry whose head is in page. 1, 0 (not valid) or -errno. */
static int verify(struct scan *s, const struct entry *e, uint8_t *page)
{
	uint32_t n_desc = desc_pages(e->count), n_data = 0;
	uint32_t want = le32(((const struct vhdx_disk_entry *)page)->crc);
	uint32_t crc = ~0u;

	memset(page + offsetof(struct vhdx_disk_entry, crc), 0, 4);
	for (uint32_t i = 0; i < e->len / VHDX_PAGE; i++) {
		int ret = i ? read_page(s->x, (uint64_t)e->pos + (uint64_t)i *
					VHDX_PAGE, page) : 0;

		if (ret)
			return ret;
		if (s->budget < VHDX_PAGE)
			return -ERR_CORRUPT;
		s->budget -= VHDX_PAGE;
		if (i < n_desc ? !descs_ok(page, i, e, &n_data)
			       : !data_ok(page, e->seq))
			return 0;
		crc = crc32c_update(crc, page, VHDX_PAGE);
	}
	return ~crc == want && n_desc + n_data == e->len / VHDX_PAGE;
}

/* Looks at a position, once. *e is NULL when no valid entry is there. */
static int entry_at(struct scan *s, uint32_t pos, const struct entry **e)
{
	uint64_t key = pos / VHDX_PAGE + 1;
	struct entry *known = map_get(&s->seen, key), found;
	uint8_t page[VHDX_PAGE];
	int ret;

	if (s->budget < STEP_COST)
		return -ERR_CORRUPT;
	s->budget -= STEP_COST;
	*e = NULL;
	if (!known) {
		ret = read_page(s->x, pos, page);
		if (ret || !head_decode(s->x, page, pos, &found))
			return ret;
		ret = verify(s, &found, page);
		if (ret < 0)
			return ret;
		found.valid = ret;
		known = mem_new(struct entry);
		if (!known || map_put(&s->seen, key, known)) {
			free(known);
			return -ENOMEM;
		}
		*known = found;
	}
	*e = known->valid ? known : NULL;
	return 0;
}

static int run_add(struct scan *s, uint32_t pos)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		uint32_t *bigger = mem_realloc(s->run, cap, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		s->run = bigger;
		s->cap = cap;
	}
	s->run[s->n++] = pos;
	return 0;
}

/* The entries from pos on that follow one another. */
static int run_collect(struct scan *s, uint32_t pos)
{
	uint64_t total = 0;
	const struct entry *e;
	int ret;

	s->n = 0;
	for (;;) {
		ret = entry_at(s, pos, &e);
		if (ret || !e || (s->n && e->seq != s->last.seq + 1))
			return ret;
		total += e->len;
		if (total > s->x->hdr.log_length)
			return 0;
		s->last = *e;
		ret = run_add(s, pos);
		if (ret)
			return ret;
		pos = (uint32_t)(((uint64_t)pos + e->len) %
				 s->x->hdr.log_length);
	}
}

/* Entries of the run from its last one's tail on; 0: the tail is elsewhere. */
static size_t run_active(const struct scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->run[i] == s->last.tail)
			return s->n - i;
	return 0;
}

static int find_active(struct scan *s)
{
	uint32_t length = s->x->hdr.log_length, tail = 0, next;

	for (;;) {
		int ret = run_collect(s, tail);
		size_t n = run_active(s);

		if (ret)
			return ret;
		if (n && (!s->best_n || s->last.seq > s->best.seq)) {
			s->best = s->last;
			s->best_n = n;
		}
		next = n ? (uint32_t)(((uint64_t)s->last.pos + s->last.len) %
				      length)
			 : (tail + VHDX_PAGE) % length;
		if (next <= tail)
			return 0;
		tail = next;
	}
}

static void scan_free(struct scan *s)
{
	uint64_t key;
	void *e;

	for (size_t i = 0; map_next(&s->seen, &i, &key, &e);)
		free(e);
	map_free(&s->seen);
	free(s->run);
}

/* May a descriptor change [off, off + len)? */
static int target_check(const struct vhdx *x, uint64_t off, uint64_t len,
			struct diag *why)
{
	if (off % VHDX_PAGE || len % VHDX_PAGE || off < FIRST_TARGET ||
	    !range_within(off, len, dev_size(x->ram)) ||
	    ranges_overlap(off, len, x->hdr.log_offset, x->hdr.log_length))
		return diag_fail_as(why, ERR_CORRUPT, OUT_DIRTY_LOG,
				    "vhdx: log, impossible target: 0x%llx",
				    (unsigned long long)off);
	return 0;
}

struct replay {
	struct vhdx *x;
	const struct entry *e;
	uint64_t data_pos;	/* of the next data page in the log */
	uint64_t zeroed;
	struct diag *why;
};

static int replay_result(struct replay *r, int ret)
{
	if (!ret)
		return 0;
	return diag_fail(r->why, ret, "vhdx: log: %s", strerror(-ret));
}

static int replay_zero(struct replay *r, const struct vhdx_disk_desc *d)
{
	uint64_t off = le64(d->off), len = le64_at(d->leading);
	int ret = target_check(r->x, off, len, r->why);

	if (ret)
		return ret;
	r->zeroed += len;
	if (len > ZERO_MAX || r->zeroed > ZERO_MAX)
		return diag_fail_as(r->why, ERR_UNSUPP, OUT_DIRTY_LOG,
				    "vhdx: log, zeroes too much: 0x%llx",
				    (unsigned long long)len);
	ret = dev_zero(r->x->ram, off, len, false);
	return replay_result(r, ret);
}

static int replay_data(struct replay *r, const struct vhdx_disk_desc *d)
{
	uint8_t page[VHDX_PAGE];
	int ret = target_check(r->x, le64(d->off), VHDX_PAGE, r->why);

	if (ret)
		return ret;
	ret = read_page(r->x, r->data_pos, page);
	if (!ret && !data_ok(page, r->e->seq))
		ret = -EIO;	/* changed since it was verified */
	memcpy(page, d->leading, sizeof(d->leading));
	memcpy(page + VHDX_PAGE - sizeof(d->trailing), d->trailing,
	       sizeof(d->trailing));
	if (!ret)
		ret = dev_write(r->x->ram, page, sizeof(page), le64(d->off));
	r->data_pos += VHDX_PAGE;
	return replay_result(r, ret);
}

static int replay_entry(struct replay *r)
{
	const struct entry *e = r->e;
	uint8_t page[VHDX_PAGE];
	size_t at = sizeof(struct vhdx_disk_entry);
	uint64_t pos = e->pos;
	int ret = read_page(r->x, pos, page);

	r->data_pos = pos + (uint64_t)desc_pages(e->count) * VHDX_PAGE;
	for (uint32_t i = 0; i < e->count && !ret; i++) {
		const struct vhdx_disk_desc *d;

		if (at == VHDX_PAGE) {
			pos += VHDX_PAGE;
			at = 0;
			ret = read_page(r->x, pos, page);
			if (ret)
				break;
		}
		d = (const void *)(page + at);
		ret = memcmp(d->sig, "zero", 4) ? replay_data(r, d)
						: replay_zero(r, d);
		at += sizeof(*d);
	}
	return replay_result(r, ret);
}

static int replay_all(struct scan *s, struct diag *why)
{
	struct replay r = { .x = s->x, .why = why };
	uint32_t pos = s->best.tail;
	int ret = 0;

	for (size_t i = 0; i < s->best_n && !ret; i++) {
		ret = entry_at(s, pos, &r.e);
		if (ret || !r.e)
			return diag_fail(why, ret ? ret : -EIO,
					 "vhdx: log: unreadable");
		ret = replay_entry(&r);
		pos = (uint32_t)(((uint64_t)pos + r.e->len) %
				 s->x->hdr.log_length);
	}
	return ret;
}

/* The overlay, as large as the newest entry says that the file was. */
static int overlay_new(struct scan *s, struct diag *why)
{
	struct vhdx *x = s->x;
	uint64_t size = dev_size(x->file);
	int ret;

	if (s->best.flushed_size > size)
		return diag_fail_as(why, ERR_CORRUPT, OUT_DIRTY_LOG,
				    "vhdx: the file was cut short: %llu bytes, "
				    "its log knows %llu", (unsigned long long)
				    size, (unsigned long long)
				    s->best.flushed_size);
	if (s->best.last_size > VHDX_FILE_MAX)
		return diag_fail_as(why, ERR_CORRUPT, OUT_DIRTY_LOG,
				    "vhdx: log, impossible file size: 0x%llx",
				    (unsigned long long)s->best.last_size);
	ret = dev_ram_new(x->file, &x->ram, why);
	if (!ret && s->best.last_size > size)
		ret = dev_resize(x->ram, s->best.last_size, why);
	return ret;
}

int vhdx_log_load(struct vhdx *x, struct diag *why)
{
	struct scan s = { .x = x };
	int ret;

	/* One pass, and some more for runs that lead nowhere. */
	s.budget = 8ULL * x->hdr.log_length;
	if (s.budget > 2ULL << 30)
		s.budget = 2ULL << 30;
	ret = find_active(&s);
	if (ret)
		diag_fail_as(why, ret, OUT_DIRTY_LOG, "vhdx: log: %s",
			     ret == -ERR_CORRUPT ? "too tangled to be ours"
			     : strerror(-ret));
	else if (!s.best_n)
		ret = diag_fail_as(why, ERR_CORRUPT, OUT_DIRTY_LOG, "vhdx: the "
				   "log is in use, but holds no valid entry");
	else
		ret = overlay_new(&s, why);
	if (!ret) {
		s.budget = UINT64_MAX;
		ret = replay_all(&s, why);
	}
	x->info.log_dirty = true;
	x->info.log_entries = (unsigned)s.best_n;
	scan_free(&s);
	x->io = ret ? x->file : x->ram;
	return ret;
}

/* FORMAT.md 9.7: until the last step the log stays valid, so a crash in
 * between only means that it is replayed again. */
int vhdx_log_to_file(struct vhdx *x, struct diag *why)
{
	int ret = guid_random(&x->hdr.file_write);

	if (!ret)
		ret = vhdx_header_write(x);
	if (!ret)
		ret = vhdx_barrier(x);
	if (!ret)
		ret = dev_file_extend(x->file, dev_size(x->ram));
	if (!ret)
		ret = dev_ram_apply(x->ram);
	if (!ret)
		ret = vhdx_barrier(x);
	if (!ret) {
		x->hdr.log = (struct guid) { { 0 } };
		ret = vhdx_header_update(x);
	}
	if (ret)
		return diag_fail(why, ret, "vhdx: the log cannot be replayed: "
				 "%s", strerror(-ret));
	x->stamped = true;
	x->io = x->file;
	dev_close(x->ram);
	x->ram = NULL;
	return 0;
}
