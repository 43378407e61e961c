/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM of up to four vCPUs for tests of the GIC model, and the part of a processor that a guest
 * sees: a CPU interface that works on the fake's list registers as hardware does [IHI
 * 0069, 6.2, 12.4].
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/irqchip/vgic.h"
#include "vcpu/irqchip/vgic_regs.h"

#define GUEST_CPUS 4u
#define SPURIOUS   1023u

struct guest_cpu {
    struct arch_vcpu arch;
    unsigned running[64]; /* Priorities under way, innermost last. */
    unsigned depth;
    bool eoi_mode1;
    bool kicked;
    bool bound;
};

struct guest {
    struct vgic_owner owner;
    struct vgic vgic;
    unsigned cpus, slots;
    struct guest_cpu cpu[GUEST_CPUS];
    bool line[GUEST_CPUS][VGIC_IRQS_MAX];     /* SPIs: in [0]. */
    bool physical[GUEST_CPUS][VGIC_IRQS_MAX]; /* Active physical interrupt behind it. */
    unsigned hw_ends, kicks, line_asks;
};

extern struct guest guest;

/* Everything enabled, group 1, priority 0xa0, private and SPIs; SPIs edge, to vCPU 0; all bound. */
void guest_start(unsigned cpus, unsigned slots);
/* As after guest_start(), but registers as after reset. */
void guest_start_raw(unsigned cpus, unsigned slots);

uint32_t guest_dist_read(uint32_t offset);
void guest_dist_write(unsigned cpu, uint32_t offset, uint32_t v);
uint32_t guest_sgi_read(unsigned cpu, uint32_t offset);
void guest_sgi_write(unsigned cpu, uint32_t offset, uint32_t v);
/* By interrupt: the distributor's register or the redistributor's; base as GICD's. */
void guest_set_bit(unsigned cpu, enum vgic_reg reg, uint32_t irq);
bool guest_get_bit(unsigned cpu, enum vgic_reg reg, uint32_t irq);
void guest_set_priority(unsigned cpu, uint32_t irq, uint8_t priority);
void guest_set_edge(unsigned cpu, uint32_t irq, bool edge);
void guest_route(uint32_t irq, unsigned cpu);
void guest_set_line(unsigned cpu, uint32_t irq, bool high);
void guest_hw(unsigned cpu, uint32_t irq);

/* vgic_fill(), and what must hold at entry. */
void guest_enter(unsigned cpu);
/* Whether hardware asks for maintenance. */
bool guest_maintenance(unsigned cpu);
/* After anything that the guest did: exits for maintenance and kicks. */
void guest_settle(unsigned cpu);
uint32_t guest_ack(unsigned cpu);
void guest_eoi(unsigned cpu, uint32_t irq);
void guest_dir(unsigned cpu, uint32_t irq);
void guest_unbind(unsigned cpu);
