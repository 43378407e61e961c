/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short functions of the fake architecture: which pCPU runs and what time it is, the test says.
 */
#pragma once

#include "kernel/types.h"

struct pcpu;

extern _Thread_local struct pcpu *fake_this_cpu; /* &pcpus[0] until a test says otherwise. */
extern _Atomic uint64_t fake_ticks;              /* Nanoseconds. */

static inline struct pcpu *arch_this_cpu(void)
{
    return fake_this_cpu;
}

static inline uint64_t arch_ticks(void)
{
    return atomic_load_explicit(&fake_ticks, memory_order_relaxed);
}

static inline uint64_t arch_tick_hz(void)
{
    return 1000000000;
}

static inline void arch_relax(void)
{
}

static inline void arch_mb(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

static inline void arch_wmb(void)
{
    atomic_thread_fence(memory_order_release);
}

static inline void arch_rmb(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* Device registers are plain memory; those below 64 KiB are I/O ports, as on x86. */
extern uint8_t fake_ports[0x10000 + 8]; /* Ones, until somebody writes there. */

static inline volatile void *fake_register(const volatile void *reg)
{
    return (uintptr_t)reg < 0x10000 ? fake_ports + (uintptr_t)reg : (volatile void *)reg;
}

#define FAKE_DEVICE_ACCESS(bits)                                                                   \
    static inline uint##bits##_t arch_read##bits(const volatile void *reg)                         \
    {                                                                                              \
        return *(const volatile uint##bits##_t *)fake_register(reg);                               \
    }                                                                                              \
    static inline void arch_write##bits(volatile void *reg, uint##bits##_t v)                      \
    {                                                                                              \
        *(volatile uint##bits##_t *)fake_register(reg) = v;                                        \
    }

FAKE_DEVICE_ACCESS(8)
FAKE_DEVICE_ACCESS(16)
FAKE_DEVICE_ACCESS(32)
FAKE_DEVICE_ACCESS(64)
#undef FAKE_DEVICE_ACCESS
