/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory, with a counter that lets a test choose which allocation fails. */
#ifndef IMGFS_BASE_ALLOC_H
#define IMGFS_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

/* n * size zeroed bytes, or NULL (also when the product overflows). */
void *mem_zalloc(size_t n, size_t size)
	__attribute__((malloc, warn_unused_result));
/* The same, not zeroed. */
void *mem_alloc(size_t n, size_t size)
	__attribute__((malloc, warn_unused_result));
void *mem_realloc(void *p, size_t n, size_t size)
	__attribute__((warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));
char *mem_printf(const char *fmt, ...)
	__attribute__((malloc, warn_unused_result, format(printf, 1, 2)));

#define mem_new(type) ((type *)mem_zalloc(1, sizeof(type)))

/* Tests only: the n-th allocation from now on fails (1 = the next one);
 * 0 switches the trap off. Returns how many were made since the last call. */
unsigned long mem_fail_nth(unsigned long n);

#endif
