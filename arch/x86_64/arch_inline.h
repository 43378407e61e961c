/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short functions that x86_64 owes the kernel (see kernel/arch.h). Addresses of device
 * registers below 64 KiB are I/O ports: no device has its registers there in memory.
 */
#pragma once

#include "arch/x86_64/asm.h"
#include "kernel/types.h"

struct pcpu;

#define PORTS_END 0x10000u

extern uint64_t tsc_hz; /* Of the time stamp counter; timer.c. */
/* A pCPU wants something done on all of them, and this one has not done it yet; remote.c. */
extern _Atomic uint64_t remote_waiting;
void remote_answer(void);

/* GS is ours while we run; guests' is exchanged with their other registers. */
static inline struct pcpu *arch_this_cpu(void)
{
    struct pcpu *cpu;

    /* Not volatile, no memory clobber: it is constant for as long as any C function runs. */
    __asm__("movq %%gs:%c1, %0" : "=r"(cpu) : "i"(PCPU_SELF));
    return cpu;
}

/* Whoever waits answers those who wait for it, because interrupts are masked meanwhile. */
static inline void arch_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
    if (unlikely(atomic_load_explicit(&remote_waiting, memory_order_relaxed)))
        remote_answer();
}

/* LFENCE: not before what comes before [SDM 2, RDTSC]. */
static inline uint64_t arch_ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t arch_tick_hz(void)
{
    return tsc_hz;
}

static inline void arch_mb(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

/* Stores to device memory are strongly ordered; SFENCE is for write-combining ones. */
static inline void arch_wmb(void)
{
    __asm__ volatile("sfence" : : : "memory");
}

static inline void arch_rmb(void)
{
    __asm__ volatile("lfence" : : : "memory");
}

/* Device registers: single moves by hand, so that the compiler cannot merge them. */
static inline bool arch_is_port(const volatile void *reg)
{
    return (uintptr_t)reg < PORTS_END;
}

static inline uint8_t arch_read8(const volatile void *reg)
{
    uint8_t v;

    if (arch_is_port(reg))
        __asm__ volatile("inb %w1, %b0" : "=a"(v) : "d"(reg) : "memory");
    else
        __asm__ volatile("movb (%1), %b0" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write8(volatile void *reg, uint8_t v)
{
    if (arch_is_port(reg))
        __asm__ volatile("outb %b0, %w1" : : "a"(v), "d"(reg) : "memory");
    else
        __asm__ volatile("movb %b0, (%1)" : : "r"(v), "r"(reg) : "memory");
}

static inline uint16_t arch_read16(const volatile void *reg)
{
    uint16_t v;

    if (arch_is_port(reg))
        __asm__ volatile("inw %w1, %w0" : "=a"(v) : "d"(reg) : "memory");
    else
        __asm__ volatile("movw (%1), %w0" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write16(volatile void *reg, uint16_t v)
{
    if (arch_is_port(reg))
        __asm__ volatile("outw %w0, %w1" : : "a"(v), "d"(reg) : "memory");
    else
        __asm__ volatile("movw %w0, (%1)" : : "r"(v), "r"(reg) : "memory");
}

static inline uint32_t arch_read32(const volatile void *reg)
{
    uint32_t v;

    if (arch_is_port(reg))
        __asm__ volatile("inl %w1, %k0" : "=a"(v) : "d"(reg) : "memory");
    else
        __asm__ volatile("movl (%1), %k0" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write32(volatile void *reg, uint32_t v)
{
    if (arch_is_port(reg))
        __asm__ volatile("outl %k0, %w1" : : "a"(v), "d"(reg) : "memory");
    else
        __asm__ volatile("movl %k0, (%1)" : : "r"(v), "r"(reg) : "memory");
}

static inline uint64_t arch_read64(const volatile void *reg)
{
    uint64_t v;

    __asm__ volatile("movq (%1), %0" : "=r"(v) : "r"(reg) : "memory");
    return v;
}

static inline void arch_write64(volatile void *reg, uint64_t v)
{
    __asm__ volatile("movq %0, (%1)" : : "r"(v), "r"(reg) : "memory");
}
