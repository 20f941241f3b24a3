/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The only mutable globals of the library; only tests set them. */
static atomic_ulong made;
static atomic_ulong fail_at;

unsigned long mem_fail_nth(unsigned long n)
{
	unsigned long before = atomic_exchange(&made, 0);

	atomic_store(&fail_at, n);
	return before;
}

static int trapped(void)
{
	unsigned long nth =
		atomic_load_explicit(&fail_at, memory_order_relaxed);

	if (!nth)
		return 0;
	return atomic_fetch_add(&made, 1) + 1 == nth;
}

void *mem_realloc(void *p, size_t n, size_t size)
{
	size_t len;

	if (trapped() || __builtin_mul_overflow(n, size, &len))
		return NULL;
	return realloc(p, len ? len : 1);
}

void *mem_alloc(size_t n, size_t size)
{
	return mem_realloc(NULL, n, size);
}

void *mem_zalloc(size_t n, size_t size)
{
	size_t len;

	/* calloc sees an overflow too, but a sanitizer's stops there. */
	if (trapped() || __builtin_mul_overflow(n, size, &len))
		return NULL;
	return calloc(1, len ? len : 1);
}

char *mem_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = mem_alloc(1, len);

	return copy ? memcpy(copy, s, len) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	if (trapped())
		return NULL;
	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}
