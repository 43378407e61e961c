/* SPDX-License-Identifier: Apache-2.0 */
/* The short functions that riscv64 owes the kernel (see kernel/arch.h). */
#pragma once

#include "kernel/platform.h"
#include "kernel/types.h"

struct pcpu;

/* tp is ours while we run; the guest's is exchanged with its other registers. */
register struct pcpu *arch_tp __asm__("tp");

static inline struct pcpu *arch_this_cpu(void)
{
    return arch_tp;
}

/* Zihintpause's PAUSE: a FENCE that does nothing where it is not known. */
static inline void arch_relax(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" : : : "memory");
}

static inline uint64_t arch_ticks(void)
{
    uint64_t ticks;

    __asm__ volatile("rdtime %0" : "=r"(ticks) : : "memory");
    return ticks;
}

static inline uint64_t arch_tick_hz(void)
{
    return platform.timer_hz;
}

static inline void arch_mb(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

static inline void arch_wmb(void)
{
    __asm__ volatile("fence ow, ow" : : : "memory");
}

static inline void arch_rmb(void)
{
    __asm__ volatile("fence ir, ir" : : : "memory");
}

/* Device registers: single loads and stores by hand, so that the compiler cannot merge them. */
static inline uint8_t arch_read8(const volatile void *reg)
{
    uint8_t v;

    __asm__ volatile("lbu %0, 0(%1)" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint16_t arch_read16(const volatile void *reg)
{
    uint16_t v;

    __asm__ volatile("lhu %0, 0(%1)" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint32_t arch_read32(const volatile void *reg)
{
    uint32_t v;

    __asm__ volatile("lw %0, 0(%1)" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline uint64_t arch_read64(const volatile void *reg)
{
    uint64_t v;

    __asm__ volatile("ld %0, 0(%1)" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write8(volatile void *reg, uint8_t v)
{
    __asm__ volatile("sb %z0, 0(%1)" : : "rJ"(v), "r"(reg) : "memory");
}

static inline void arch_write16(volatile void *reg, uint16_t v)
{
    __asm__ volatile("sh %z0, 0(%1)" : : "rJ"(v), "r"(reg) : "memory");
}

static inline void arch_write32(volatile void *reg, uint32_t v)
{
    __asm__ volatile("sw %z0, 0(%1)" : : "rJ"(v), "r"(reg) : "memory");
}

static inline void arch_write64(volatile void *reg, uint64_t v)
{
    __asm__ volatile("sd %z0, 0(%1)" : : "rJ"(v), "r"(reg) : "memory");
}
