/* SPDX-License-Identifier: Apache-2.0 */
/* The FP unit of x86_64, as the guest turns it on and off: CR0.TS and EM, CR4, XCR0. */
#include "x86.h"

bool fp_has_avx;

static void xsetbv(void *value)
{
    uint64_t v = *(uint64_t *)value;

    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static uint64_t xgetbv(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0) : "memory");
    return (uint64_t)high << 32 | low;
}

void fp_enable(void)
{
    uint32_t features = cpuid(1, 0).ecx;
    uint64_t all = 7;

    CR_WRITE(0, (CR_READ(0) | CR0_MP | CR0_NE) & ~(CR0_EM | CR0_TS));
    CR_WRITE(4, CR_READ(4) | CR4_OSFXSR | CR4_OSXMMEXCPT);
    if (!(features & 1u << 26) || !(features & 1u << 28))
        return;
    CR_WRITE(4, CR_READ(4) | CR4_OSXSAVE);
    xsetbv(&all);
    fp_has_avx = true;
}

static void use_x87(void *)
{
    __asm__ volatile("fnop" ::: "memory");
}

static void use_sse(void *)
{
    __asm__ volatile("movd %%xmm0, %%eax" ::: "eax", "memory");
}

static void use_avx(void *)
{
    __asm__ volatile("vmovd %%xmm0, %%eax" ::: "eax", "memory");
}

static void check_off(void)
{
    CR_WRITE(0, CR_READ(0) | CR0_TS);
    check_eq(probe(use_x87, NULL), VECTOR_NM, "with CR0.TS x87 traps to the guest");
    check_eq(probe(use_sse, NULL), VECTOR_NM, "and SSE");
    hypercall();
    cpu_yield();
    check(CR_READ(0) & CR0_TS, "CR0.TS is kept over an exit");
    check_eq(probe(use_x87, NULL), VECTOR_NM, "and still traps");
    __asm__ volatile("clts" ::: "memory");
    check_eq(probe(use_x87, NULL), NO_EXCEPTION, "CLTS ends it");
    CR_WRITE(0, CR_READ(0) | CR0_EM);
    check_eq(probe(use_sse, NULL), VECTOR_UD, "with CR0.EM SSE is undefined");
    CR_WRITE(0, CR_READ(0) & ~CR0_EM);
}

static void check_xcr0(void)
{
    uint64_t value;

    if (!fp_has_avx)
        return;
    check_eq(xgetbv(), 7, "XCR0 is what was written");
    value = 3;
    xsetbv(&value);
    hypercall();
    check_eq(probe(use_avx, NULL), VECTOR_UD, "without its bit in XCR0 AVX is undefined");
    check_eq(xgetbv(), 3, "XCR0 is kept over an exit");
    for (value = 0; value <= 6; value += 2)
        check_eq(probe(xsetbv, &value), VECTOR_GP, "XCR0 that makes no sense is refused");
    value = 1ull << 62 | 7;
    check_eq(probe(xsetbv, &value), VECTOR_GP, "and bits that are hidden");
    check_eq(xgetbv(), 3, "neither changes it");
    CR_WRITE(4, CR_READ(4) & ~CR4_OSXSAVE);
    value = 7;
    check_eq(probe(xsetbv, &value), VECTOR_UD, "without CR4.OSXSAVE there is no XSETBV");
    CR_WRITE(4, CR_READ(4) | CR4_OSXSAVE);
    xsetbv(&value);
}

/* fp_enable() has not run: a vCPU starts with none of it on. */
void fp_check(void)
{
    check_eq(CR_READ(0) & (CR0_TS | CR0_EM), 0, "a vCPU starts with x87 on");
    fp_enable();
    check_off();
    check_xcr0();
}
