/* SPDX-License-Identifier: Apache-2.0 */
/* The short functions that aarch64 owes the kernel (see kernel/arch.h). */
#pragma once

#include "kernel/types.h"

struct pcpu;

static inline struct pcpu *arch_this_cpu(void)
{
    struct pcpu *cpu;

    /* Not volatile, no memory clobber: it is constant for as long as any C function runs. */
    __asm__("mrs %0, tpidr_el2" : "=r"(cpu));
    return cpu;
}

static inline void arch_relax(void)
{
    __asm__ volatile("yield" : : : "memory");
}

static inline uint64_t arch_ticks(void)
{
    uint64_t ticks;

    __asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

static inline uint64_t arch_tick_hz(void)
{
    uint64_t hz;

    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}

static inline void arch_mb(void)
{
    __asm__ volatile("dsb sy" : : : "memory");
}

static inline void arch_wmb(void)
{
    __asm__ volatile("dsb st" : : : "memory");
}

static inline void arch_rmb(void)
{
    __asm__ volatile("dsb ld" : : : "memory");
}

/*
 * Device registers: single loads and stores by hand, so that the compiler can neither merge them
 * nor choose a form with write-back, which a hypervisor below us could not decode.
 */
static inline uint8_t arch_read8(const volatile void *reg)
{
    uint8_t v;

    __asm__ volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint16_t arch_read16(const volatile void *reg)
{
    uint16_t v;

    __asm__ volatile("ldrh %w0, [%1]" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint32_t arch_read32(const volatile void *reg)
{
    uint32_t v;

    __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint64_t arch_read64(const volatile void *reg)
{
    uint64_t v;

    __asm__ volatile("ldr %x0, [%1]" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write8(volatile void *reg, uint8_t v)
{
    __asm__ volatile("strb %w0, [%1]" : : "rZ"(v), "r"(reg) : "memory");
}

static inline void arch_write16(volatile void *reg, uint16_t v)
{
    __asm__ volatile("strh %w0, [%1]" : : "rZ"(v), "r"(reg) : "memory");
}

static inline void arch_write32(volatile void *reg, uint32_t v)
{
    __asm__ volatile("str %w0, [%1]" : : "rZ"(v), "r"(reg) : "memory");
}

static inline void arch_write64(volatile void *reg, uint64_t v)
{
    __asm__ volatile("str %x0, [%1]" : : "rZ"(v), "r"(reg) : "memory");
}
