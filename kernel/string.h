/* SPDX-License-Identifier: Apache-2.0 */
/* The part of C's <string.h> that a freestanding program owes the compiler and libfdt, and ours. */
#pragma once

#include "kernel/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *in, int byte, size_t size);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
unsigned long strtoul(const char *s, char **end, int base);

/* Copies s into a buffer of size bytes, always ended by NUL; false when it had to be cut. */
bool str_copy(char *to, size_t size, const char *s);
/*
 * A whole number, decimal or 0x…, with nothing behind it; with units also "64K", "512M", "2G"
 * (powers of 1024). False when it is not one or does not fit.
 */
bool str_to_u64(const char *s, uint64_t *value);
bool str_to_size(const char *s, uint64_t *value);
