/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base types. Addresses are one-member structs, so that a guest-physical address is never passed
 * where a host-physical one is meant; the conversions are named and few.
 */
#pragma once

#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB        ((uint64_t)1 << 10)
#define MIB        ((uint64_t)1 << 20)
#define GIB        ((uint64_t)1 << 30)

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((uint64_t)1 << PAGE_SHIFT)

typedef struct {
    uint64_t v;
} hpa_t; /* Host-physical address. */
typedef struct {
    uint64_t v;
} gpa_t; /* Guest-physical address: what a guest takes for physical. */
typedef struct {
    uint64_t v;
} gva_t; /* Guest-virtual address. */

static inline hpa_t hpa(uint64_t v)
{
    return (hpa_t){v};
}

static inline gpa_t gpa(uint64_t v)
{
    return (gpa_t){v};
}

static inline gva_t gva(uint64_t v)
{
    return (gva_t){v};
}

/*
 * We run with all of RAM mapped at its physical address, so a host-physical address in RAM and a
 * pointer are the same number. On the host build (tests) the same holds: "physical" memory there is
 * memory of the test program.
 */
static inline void *phys_to_ptr(hpa_t addr)
{
    return (void *)(uintptr_t)addr.v;
}

static inline hpa_t ptr_to_phys(const volatile void *ptr)
{
    return (hpa_t){(uintptr_t)ptr};
}

#define ARRAY_SIZE(a)                  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                      ((a) < (b) ? (a) : (b))
#define MAX(a, b)                      ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, field) ((type *)((char *)(ptr)-offsetof(type, field)))

/* Alignment must be a power of two. */
#define ALIGN_DOWN(x, a)               ((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a)                 ALIGN_DOWN((x) + (uint64_t)(a)-1, a)
#define IS_ALIGNED(x, a)               (((x) & ((uint64_t)(a)-1)) == 0)

#define likely(x)                      __builtin_expect(!!(x), 1)
#define unlikely(x)                    __builtin_expect(!!(x), 0)

#define CPUS_MAX                       64u /* pCPUs that we use; more are left parked. */
