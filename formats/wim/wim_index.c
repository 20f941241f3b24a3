/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding nodes by name, and the nodes that are one file (FORMAT.md 7.7). */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntmeta.h"
#include "formats/wim/wim_int.h"

static uint32_t mix(uint64_t h, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8)
		h = (h ^ le64_at(p)) * 0x9e3779b97f4a7c15ULL, h ^= h >> 29;
	for (; len >= 2; p += 2, len -= 2)
		h = (h ^ le16_at(p)) * 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 32;
	return (uint32_t)(h * 0x94d049bb133111ebULL >> 32);
}

/* The slot of a name in dir, or the empty one where it belongs. */
static uint32_t *name_slot(const struct wim_meta *m, uint32_t dir,
			   const uint8_t *name, size_t units)
{
	uint32_t mask = m->n_names - 1;
	uint32_t i = mix(m->seed + dir, name, units * 2) & mask;

	for (; m->names[i]; i = (i + 1) & mask) {
		uint32_t node = m->names[i] - 1;
		size_t n;
		const uint8_t *other;

		if (m->nodes[node].parent != dir)
			continue;
		other = wim_name(wim_dentry(m, node), &n);
		if (n == units && !memcmp(other, name, n * 2))
			break;
	}
	return &m->names[i];
}

/* The first of equal names counts. */
static int index_names(struct wim_meta *m)
{
	m->n_names = 16;
	while (m->n_names < 2 * (uint64_t)m->n)
		m->n_names *= 2;
	m->names = mem_zalloc(m->n_names, sizeof(*m->names));
	if (!m->names)
		return -ENOMEM;
	for (uint32_t i = 1; i < m->n; i++) {
		size_t units;
		const uint8_t *name = wim_name(wim_dentry(m, i), &units);
		uint32_t *slot = name_slot(m, m->nodes[i].parent, name, units);

		if (*slot) {
			m->nodes[i].inode = WIM_NONE;
			m->n_hidden++;
		} else {
			*slot = i + 1;
		}
	}
	return 0;
}

/* Windows 7 has groups whose members have different contents: they are not
 * one file. */
static uint64_t group_of(const struct wim_disk_dentry *d, uint8_t key[28])
{
	static const uint8_t nothing[WIM_HASH];
	const uint8_t *hash;
	uint64_t id = le64(d->link_group);

	if (le32(d->attrs) & (NTMETA_REPARSE | NTMETA_DIRECTORY) || !id)
		return 0;
	hash = wim_stream_hash(d, WIM_S_DATA);
	memcpy(key, &id, 8);
	memcpy(key + 8, hash ? hash : nothing, WIM_HASH);
	return id;
}

static void join(struct wim_meta *m, uint32_t *slots, uint32_t mask, uint32_t i)
{
	uint8_t key[28], other[28];
	uint32_t at;

	if (m->nodes[i].inode == WIM_NONE ||
	    !group_of(wim_dentry(m, i), key))
		return;
	for (at = mix(m->seed, key, 28) & mask; slots[at];
	     at = (at + 1) & mask) {
		uint32_t first = slots[at] - 1;

		group_of(wim_dentry(m, first), other);
		if (memcmp(key, other, sizeof(key)))
			continue;
		m->nodes[i].inode = first;
		m->nodes[first].links++;
		return;
	}
	slots[at] = i + 1;
}

static int find_links(struct wim_meta *m)
{
	uint32_t n = 0, size = 16, *slots;
	uint8_t key[28];

	for (uint32_t i = 1; i < m->n; i++)
		n += group_of(wim_dentry(m, i), key) != 0;
	if (!n)
		return 0;
	while (size < 2 * (uint64_t)n)
		size *= 2;
	slots = mem_zalloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 1; i < m->n; i++)
		join(m, slots, size - 1, i);
	free(slots);
	return 0;
}

int wim_meta_index(struct wim_meta *m)
{
	struct guid random;
	int ret = guid_random(&random);

	if (ret)
		return ret;
	m->seed = le64_at(random.b);
	ret = index_names(m);
	if (!ret)
		ret = find_links(m);
	return ret;
}

int wim_meta_child(const struct wim_meta *m, uint32_t dir, const char *name,
		   uint32_t *out)
{
	uint8_t units[WIM_NAME_UNITS * 2];
	int n = utf8_to_utf16le(name, strlen(name), units, WIM_NAME_UNITS);
	uint32_t node;

	if (n <= 0)
		return -ENOENT;
	node = *name_slot(m, dir, units, (size_t)n);
	if (!node)
		return -ENOENT;
	*out = node - 1;
	return 0;
}

/* Enough for what link targets are made of: Latin, Greek, Cyrillic. */
static unsigned fold(unsigned c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7) ||
	    (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) ||
	    (c >= 0x430 && c <= 0x44f))
		return c - 32;
	if (c >= 0x100 && c < 0x130)
		return c & ~1u;
	return c;
}

static bool equal_nocase(const uint8_t *a, const uint8_t *b, size_t units)
{
	for (size_t i = 0; i < 2 * units; i += 2)
		if (fold(le16_at(a + i)) != fold(le16_at(b + i)))
			return false;
	return true;
}

int wim_meta_child_nocase(const struct wim_meta *m, uint32_t dir,
			  const char *name, uint32_t *out)
{
	uint8_t units[WIM_NAME_UNITS * 2];
	const struct wim_node *d = &m->nodes[dir];
	int n;

	if (!wim_meta_child(m, dir, name, out))
		return 0;
	n = utf8_to_utf16le(name, strlen(name), units, WIM_NAME_UNITS);
	for (uint32_t i = d->first; n > 0 && i < d->first + d->n; i++) {
		size_t len;
		const uint8_t *p = wim_name(wim_dentry(m, i), &len);

		if (len != (size_t)n || !equal_nocase(p, units, len) ||
		    m->nodes[i].inode == WIM_NONE)
			continue;
		*out = i;
		return 0;
	}
	return -ENOENT;
}
