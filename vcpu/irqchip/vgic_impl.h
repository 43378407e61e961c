/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the GIC model. Unless it says otherwise, a function wants vgic->lock held.
 */
#pragma once

#include "kernel/bits.h"
#include "vcpu/irqchip/vgic.h"
#include "vcpu/irqchip/vgic_regs.h"

#define VGIC_PRIORITY_MASK 0xf8u /* 5 bits. */

static inline uint32_t vgic_bit(uint32_t irq)
{
    return (uint32_t)1 << (irq % 32);
}

static inline unsigned vgic_irq_count(const struct vgic *vgic)
{
    return VGIC_PRIVATE + 32 * vgic->spi_banks;
}

/* Bank 0: the private lines of cpu; from 1 on: SPIs. */
static inline struct vgic_bank *vgic_bank(struct vgic *vgic, unsigned cpu, unsigned index)
{
    return index == 0 ? &vgic->cpus[cpu].state.private : &vgic->state.spi[index - 1];
}

/* vCPU that an interrupt is for; VGIC_NO_CPU: none. No lock needed. */
static inline unsigned vgic_route(const struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    if (irq < VGIC_PRIVATE)
        return cpu;
    return atomic_load_explicit(&vgic->state.route[irq - VGIC_PRIVATE], memory_order_relaxed);
}

/* Whether it is an SGI of one of several senders. */
static inline bool vgic_has_senders(const struct vgic *vgic, uint32_t irq)
{
    return unlikely(vgic->v2) && irq < VGIC_SGIS;
}

static inline uint8_t vgic_priority(const struct vgic_bank *bank, uint32_t irq)
{
    return atomic_load_explicit(&bank->priority[irq % 32], memory_order_relaxed);
}

/* vgic.c */

/* Takes the lock, and what the slots of cpu (the calling pCPU's) hold is made known. */
void vgic_lock_synced(struct vgic *vgic, unsigned cpu);
/* Drops it; what the sync took out of the slots, and what is new, goes there before. */
void vgic_unlock_synced(struct vgic *vgic, unsigned self);

/* Drops the lock, and kicks whom vgic_notify() named, except self. */
void vgic_unlock(struct vgic *vgic, unsigned self);
/* The state of the interrupt changed: its home, or else the vCPU it is for, is to look before it
 * runs on. */
void vgic_notify(struct vgic *vgic, unsigned cpu, uint32_t irq);
/* That vCPU is to look before it runs on. */
void vgic_notify_cpu(struct vgic *vgic, unsigned cpu);
/* bank->ready from what it depends on. */
void vgic_bank_refresh(struct vgic *vgic, struct vgic_bank *bank);
/* Latch bits of the bank (of cpu, if 0) as pending. */
void vgic_bank_pend(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits);
/* vCPU with that affinity, VGIC_NO_CPU if none. No lock needed. */
unsigned vgic_find_cpu(const struct vgic *vgic, uint32_t affinity);

/* vgic_dist.c */

/* GICD_CTLR: the enables of the groups. */
void vgic_dist_set_ctlr(struct vgic *vgic, uint32_t v);

/* vgic_v2.c */

void vgic_v2_reset(struct vgic *vgic);
/* The SGI goes into a slot: of one sender. What others have sent is pending behind it. */
void vgic_v2_sgi_put(struct vgic *vgic, unsigned cpu, uint32_t irq);
/* It is taken out of its slot, still pending. */
void vgic_v2_sgi_unpend(struct vgic *vgic, unsigned cpu, uint32_t irq);

/* vgic_lr.c: list registers; c is of the calling pCPU and bound. */

/*
 * Put a private interrupt, pending, into a list register; false when that takes more thought (latch
 * it then, and let vgic_fill() do it). flags: LR_HW and LR_PINTID. Needs no lock: writes only what
 * is the pCPU's own.
 */
bool vgic_lr_offer(struct vgic_cpu *c, uint32_t irq, uint64_t flags);
/*
 * The shortest way, for what comes again and again: the slot that it had, empty now, takes what it
 * held. Whatever would make that value wrong has set dirty. No lock needed.
 */
static inline bool vgic_lr_again(struct vgic_cpu *c, uint32_t irq, uint64_t flags)
{
    unsigned slot = c->slot_of[irq % VGIC_PRIVATE];

    if (c->state.slot_irq[slot] != irq || !(c->direct >> slot & 1) ||
        (c->state.lr[slot] ^ flags) & LR_HW ||
        atomic_load_explicit(&c->dirty, memory_order_relaxed) ||
        !(arch_virq_empty(c->arch) >> slot & 1))
        return false;
    arch_virq_write(c->arch, slot, c->state.lr[slot]);
    return true;
}
/* What hardware did goes into the model; slots keep nothing but active interrupts. */
void vgic_lr_sync(struct vgic *vgic, unsigned cpu);
/* What is pending goes into slots, most urgent first. */
void vgic_lr_fill(struct vgic *vgic, unsigned cpu);
/* Lines of the bank that are pending and may be delivered, to whomever; asks the level of lines
 * that were high. */
uint32_t vgic_deliverable(struct vgic *vgic, unsigned cpu, unsigned index);
/* Asks the level of those lines of the bank that were high. */
void vgic_bank_ask(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits);

/* An active interrupt that is in no slot of its home ends. */
void vgic_end_evicted(struct vgic *vgic, unsigned home, uint32_t irq);

/* vgic_bank.c: registers that distributor and redistributor share. cpu: whose private lines; index:
 * bank. */

uint32_t vgic_bank_read(struct vgic *vgic, unsigned cpu, unsigned index, enum vgic_reg reg);
void vgic_bank_write(struct vgic *vgic, unsigned cpu, unsigned index, enum vgic_reg reg,
                     uint32_t v);
/* Clear active of the lines, wherever they are. */
void vgic_bank_deactivate(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits);
/* IPRIORITYR: width 1, or 4 where irq is a multiple of 4. Reading needs no lock. */
uint32_t vgic_priority_read(struct vgic *vgic, unsigned cpu, uint32_t irq, unsigned width);
void vgic_priority_write(struct vgic *vgic, unsigned cpu, uint32_t irq, unsigned width, uint32_t v);
/* ICFGR: the 16 lines of the half. */
uint32_t vgic_config_read(const struct vgic_bank *bank, unsigned half);
void vgic_config_write(struct vgic *vgic, unsigned cpu, unsigned index, unsigned half, uint32_t v);
