/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake architecture, seen from the tests: what the kernel asked of it, and what it shall
 * answer. Everything here returns to its initial state before each test.
 */
#pragma once

#include <setjmp.h>

#include "kernel/types.h"
#include "vcpu/arch_vcpu.h"

#define FAKE_IRQS_MAX 64u

struct fake_range {
    uint64_t start, size;
};

struct fake {
    /* What was asked. */
    unsigned apic_notifies; /* x86. */
    unsigned ipis;          /* In all; per pCPU: struct arch_pcpu. */
    unsigned idles;
    unsigned cpu_starts;
    unsigned machine_offs, machine_resets;
    unsigned host_flushes, stage2_flushes, stage2_refreshes, cache_cleans;
    struct fake_range host_flush, stage2_flush, cache_clean; /* The last ones. */
    uint16_t stage2_flush_vmid;
    bool stage2_logs; /* Hardware keeps a log of dirty pages, this one: */
    struct dirty_log *stage2_log;
    hpa_t host_root;       /* Of arch_host_map_use(). */
    uint64_t zeroed_bytes; /* By arch_zero_pages(). */
    bool irq_enabled[1024];
    bool irq_is_edge[1024];
    bool irq_active[32];
    unsigned irq_ends, irq_keeps;
    uint32_t irq_ended; /* The last one. */

    /* What shall happen. */
    uint32_t irqs[FAKE_IRQS_MAX]; /* Pending host interrupts, taken in order. */
    unsigned irq_count;
    enum err cpu_start_result;
    uint64_t zero_page_ns;            /* What arch_zero_pages() takes for a page. */
    void (*on_idle)(void);            /* In arch_idle(). */
    void (*on_ipi)(struct pcpu *cpu); /* In arch_ipi_send(). */
    void (*on_stage2_flush)(uint16_t vmid, gpa_t start, uint64_t size);
    bool console;              /* The firmware has one; */
    const char *console_input; /* what is typed there. */
    char console_output[1024]; /* What was written there. */
    enum err virt_enable_result;
    enum err vcpu_init_result;
    unsigned vcpus_freed;
    bool guest_timer; /* RISC-V: arch_vcpu_timer_set() succeeds. */
    unsigned file_watches, file_writes;
    struct arch_guest_file files[4]; /* Guest interrupt files, of whatever pCPU. */
    uint64_t files_pending;          /* Bit per guest interrupt file. */
    unsigned fences;
    enum arch_fence fence; /* Of the last one: */
    uint64_t fence_pcpus, fence_start, fence_size, fence_asid;
};

extern struct fake fake;

void fake_reset(void);
/* Continue as another pCPU. */
void fake_be_cpu(unsigned id);
void fake_advance(uint64_t ns);
/* A host interrupt becomes pending. */
void fake_irq_raise(uint32_t irq);
/*
 * Gives the page allocator (emptied first) so many bytes of fresh RAM, aligned to 2 MiB; returns
 * it.
 */
void *fake_ram(uint64_t size);

/* For ASSERT_DIES(). */
extern jmp_buf fake_death;
void fake_expect_death(bool expected);
