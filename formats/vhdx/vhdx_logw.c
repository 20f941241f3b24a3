/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: writing the log (FORMAT.md 9, 10.2, 10.3).
 *
 * What is written between two barriers leaves the whole sequence before alone
 * (from the tail that its last entry names), until the new one is durable: at
 * no instant is there a LogGuid without a valid sequence.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* One descriptor page, so 126 pages at most. */
#define ENTRY_MAX	VHDX_FIRST_DESCS
/* Entries of a failed attempt may lie complete behind the head: the next
 * number is out of their reach, they can't continue it. */
#define SEQ_GAP		(1u << 20)

static size_t entry_len(size_t n)
{
	return (1 + n) * VHDX_PAGE;
}

static void put_page(const struct vhdx_image *page, uint64_t seq,
		     struct vhdx_disk_desc *desc, struct vhdx_disk_data *data)
{
	*desc = (struct vhdx_disk_desc) {
		.sig = { 'd', 'e', 's', 'c' },
		.off = to_le64(page->off),
		.seq = to_le64(seq),
	};
	memcpy(desc->leading, page->data, sizeof(desc->leading));
	memcpy(desc->trailing, page->data + VHDX_PAGE - sizeof(desc->trailing),
	       sizeof(desc->trailing));
	memcpy(data->sig, "data", 4);
	data->seq_high = to_le32((uint32_t)(seq >> 32));
	memcpy(data->body, page->data + sizeof(desc->leading),
	       sizeof(data->body));
	data->seq_low = to_le32((uint32_t)seq);
}

void vhdx_logw_encode(const struct vhdx *x, const struct vhdx_image *pages,
		      size_t n, uint8_t *buf)
{
	struct vhdx_disk_entry *head = (void *)buf;
	struct vhdx_disk_desc *desc = (void *)(head + 1);
	struct vhdx_disk_data *data = (void *)(buf + VHDX_PAGE);

	memset(buf, 0, VHDX_PAGE);
	*head = (struct vhdx_disk_entry) {
		.sig = { 'l', 'o', 'g', 'e' },
		.len = to_le32((uint32_t)entry_len(n)),
		.tail = to_le32(x->log.tail),
		.seq = to_le64(x->log.seq),
		.count = to_le32((uint32_t)n),
		.log = x->hdr.log,
		.flushed_size = to_le64(x->log.flushed_size),
		.last_size = to_le64(x->log.last_size),
	};
	for (size_t i = 0; i < n; i++)
		put_page(&pages[i], x->log.seq, &desc[i], &data[i]);
	head->crc = to_le32(vhdx_crc(buf, entry_len(n),
				     offsetof(struct vhdx_disk_entry, crc)));
}

static size_t ring_pages(size_t n)
{
	return n + div_up(n, ENTRY_MAX);
}

size_t vhdx_logw_room(const struct vhdx *x, size_t n)
{
	uint32_t length = x->hdr.log_length;
	size_t total = length / VHDX_PAGE - 1, third = total / 3;
	size_t kept = (x->log.head + (uint64_t)length - x->log.kept) % length /
		      VHDX_PAGE;

	/* A sequence of its own, beside the one before. */
	if (x->log.tail == x->log.head &&
	    ring_pages(n) <= min_of(total / 2, total - kept))
		return n;
	/* Parts of one flush: the second needs the first, and both stay until
	 * the third is durable. */
	return min_of(n, third - div_up(third, ENTRY_MAX + 1));
}

/* The entry at the head, split where the ring ends. */
static int write_entry(struct vhdx *x, const uint8_t *buf, size_t len)
{
	size_t first = min_of(len, (size_t)(x->hdr.log_length - x->log.head));
	int ret = dev_write(x->file, buf, first,
			    x->hdr.log_offset + x->log.head);

	if (!ret && len > first)
		ret = dev_write(x->file, buf + first, len - first,
				x->hdr.log_offset);
	if (!ret) {
		x->log.head = (uint32_t)((x->log.head + len) %
					 x->hdr.log_length);
		x->log.seq++;
	}
	return ret;
}

int vhdx_logw_append(struct vhdx *x, const struct vhdx_image *pages, size_t n)
{
	uint8_t *buf = mem_alloc(1, entry_len(min_of(n, ENTRY_MAX)));
	uint32_t head = x->log.head;
	int ret = buf ? 0 : -ENOMEM;

	do {
		size_t k = min_of(n, ENTRY_MAX);

		if (ret)
			break;
		vhdx_logw_encode(x, pages, k, buf);
		ret = write_entry(x, buf, entry_len(k));
		pages += k;
		n -= k;
	} while (n);
	free(buf);
	if (ret) {
		x->log.head = head;
		x->log.seq += SEQ_GAP;
	}
	return ret;
}

int vhdx_logw_start(struct vhdx *x)
{
	struct vhdx_image nothing = { 0 };
	int ret;

	x->log.seq = 1;
	x->log.head = x->log.tail = x->log.kept = 0;
	ret = guid_random(&x->hdr.log);
	if (!ret)
		ret = vhdx_logw_append(x, &nothing, 0);
	if (!ret)
		ret = vhdx_barrier(x);
	if (ret) {
		x->hdr.log = (struct guid) { { 0 } };
		return ret;
	}
	ret = vhdx_header_update(x);
	/* One header may name the log or none: only a reopen can tell. */
	if (ret)
		vhdx_fail(x);
	else
		x->log.active = true;
	return ret;
}
