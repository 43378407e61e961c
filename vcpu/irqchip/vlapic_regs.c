/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's registers, as a page of memory (xAPIC) and as MSRs (x2APIC): the same ones, by
 * number, with a table of who may do what to which bits. [SDM; sections by name]
 */
#include "kernel/assert.h"
#include "vcpu/irqchip/vlapic_impl.h"

/* Registers by number: bits 9:4 of the offset in the page, bits 5:0 of the MSR. */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_LVT_LAST = 0x37,
    REG_INITIAL = 0x38,
    REG_COUNT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
    REGS = 0x40,
};

#define VERSION       0x14u
#define VERSION_LVTS  BITS(23, 16) /* The highest index. */
#define VERSION_NOEOI BIT(24)      /* EOI broadcasts can be suppressed. */
#define LVT_READ_ONLY (BIT(14) | BIT(12))
#define BASE_ADDRESS  BITS(63, 12)

/* Who may: X in xAPIC mode, X2 in x2APIC mode. */
enum { X_READ = 1, X_WRITE = 2, X2_READ = 4, X2_WRITE = 8 };
enum { READ = X_READ | X2_READ, WRITE = X_WRITE | X2_WRITE, BOTH = READ | WRITE };

static const struct {
    uint8_t may;
    uint64_t bits; /* Not reserved for writes. */
} regs[REGS] = {
    [REG_ID] = {READ, 0},
    [REG_VERSION] = {READ, 0},
    [REG_TPR] = {BOTH, 0xff},
    [REG_PPR] = {READ, 0},
    [REG_EOI] = {WRITE, 0},
    [REG_LDR] = {READ | X_WRITE, 0xff000000},
    [REG_DFR] = {X_READ | X_WRITE, 0xf0000000},
    [REG_SVR] = {BOTH, 0x13ff},
    [REG_ISR... REG_ISR + 7] = {READ, 0},
    [REG_TMR... REG_TMR + 7] = {READ, 0},
    [REG_IRR... REG_IRR + 7] = {READ, 0},
    [REG_ESR] = {BOTH, 0},
    [REG_ICR] = {BOTH, ICR_DEST | 0xcdfff}, /* Delivery status is ignored rather than reserved. */
    [REG_ICR_HIGH] = {X_READ | X_WRITE, 0xff000000},
    [REG_LVT] = {BOTH, 0x710ff},      /* Timer, */
    [REG_LVT + 1] = {BOTH, 0x117ff},  /* thermal sensor, */
    [REG_LVT + 2] = {BOTH, 0x117ff},  /* performance counters, */
    [REG_LVT + 3] = {BOTH, 0x1f7ff},  /* LINT0, */
    [REG_LVT + 4] = {BOTH, 0x1f7ff},  /* LINT1, */
    [REG_LVT_LAST] = {BOTH, 0x110ff}, /* error. */
    [REG_INITIAL] = {BOTH, UINT32_MAX},
    [REG_COUNT] = {READ, 0},
    [REG_DIVIDE] = {BOTH, 0xb},
    [REG_SELF_IPI] = {X2_WRITE, 0xff},
};

_Static_assert(REG_LVT_LAST - REG_LVT == LVT_ERROR && VLAPIC_LVTS == LVT_ERROR + 1,
               "lvt[] is in the order of the registers");

/* --- Reads --- */

static uint32_t word_half(const _Atomic uint64_t *words, unsigned reg)
{
    uint64_t word = atomic_load_explicit(&words[reg / 2], memory_order_relaxed);

    return (uint32_t)(word >> (reg % 2 * 32));
}

static uint32_t read_bits(const struct vlapic_state *s, unsigned reg)
{
    if (reg >= REG_IRR)
        return word_half(s->irr, reg - REG_IRR);
    if (reg >= REG_TMR)
        return word_half(s->tmr, reg - REG_TMR);
    return (uint32_t)(s->isr[(reg - REG_ISR) / 2] >> (reg % 2 * 32));
}

/* 32 bits, but for x2APIC's ICR. A register that may be read. */
static uint64_t read_reg(const struct vlapic *lapic, uint64_t now, unsigned reg)
{
    const struct vlapic_state *s = &lapic->state;

    switch (reg) {
    case REG_COUNT:
        return vlapic_timer_count(lapic, now);
    case REG_ICR:
        return s->icr;
    case REG_ICR_HIGH:
        return s->icr >> 32;
    case REG_TPR:
        return s->tpr;
    case REG_PPR:
        return vlapic_get(&s->ppr);
    case REG_ID:
        return vlapic_in_x2apic(lapic) ? lapic->index : lapic->index << 24;
    case REG_VERSION:
        return VERSION | field_put(VERSION_LVTS, VLAPIC_LVTS - 1) | VERSION_NOEOI;
    case REG_LDR:
        return vlapic_get(&s->ldr);
    case REG_DFR:
        return vlapic_get(&s->dfr);
    case REG_SVR:
        return vlapic_get(&s->svr);
    case REG_ESR:
        return s->esr;
    case REG_INITIAL:
        return s->initial;
    case REG_DIVIDE:
        return s->divide;
    case REG_LVT ... REG_LVT_LAST:
        return vlapic_get(&s->lvt[reg - REG_LVT]);
    case REG_ISR ... REG_IRR + 7:
        return read_bits(s, reg);
    }
    return 0;
}

/* --- Writes --- */

static void write_lvt(struct vlapic *lapic, uint64_t now, unsigned index, uint32_t value)
{
    struct vlapic_state *s = &lapic->state;

    value &= ~(uint32_t)LVT_READ_ONLY;
    if (!(vlapic_get(&s->svr) & SVR_ENABLE))
        value |= LVT_MASKED; /* "... After It Has Been Software Disabled" */
    if (index == LVT_TIMER)
        vlapic_timer_set_lvt(lapic, now, value);
    else
        vlapic_set(&s->lvt[index], value);
}

static void write_svr(struct vlapic *lapic, uint64_t now, uint32_t value)
{
    struct vlapic_state *s = &lapic->state;

    vlapic_set(&s->svr, value);
    if (value & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < VLAPIC_LVTS; i++)
        write_lvt(lapic, now, i, vlapic_get(&s->lvt[i]));
}

/* Any write shows what was noted since the one before ["Error Handling"]. */
static void write_esr(struct vlapic_state *s)
{
    s->esr = atomic_exchange_explicit(&s->errors, 0, memory_order_relaxed);
}

/* The low half of xAPIC's ICR sends, with the high half as it was left. */
static void write_icr(struct vlapic *lapic, uint64_t value)
{
    struct vlapic_state *s = &lapic->state;
    bool wide = vlapic_in_x2apic(lapic);

    if (!wide)
        value |= s->icr & ICR_DEST;
    s->icr = value & ~BIT(12); /* Delivery status: never busy. */
    vlapic_send_icr(lapic, s->icr, wide);
}

[[gnu::noinline]] static void write_rare(struct vlapic *lapic, uint64_t now, unsigned reg,
                                         uint64_t value)
{
    struct vlapic_state *s = &lapic->state;

    switch (reg) {
    case REG_ICR_HIGH:
        s->icr = (uint32_t)s->icr | value << 32;
        break;
    case REG_LDR:
        vlapic_set(&s->ldr, value);
        break;
    case REG_DFR:
        vlapic_set(&s->dfr, value | BITS(27, 0));
        break;
    case REG_SVR:
        write_svr(lapic, now, (uint32_t)value);
        break;
    case REG_ESR:
        write_esr(s);
        break;
    case REG_DIVIDE:
        vlapic_timer_set_divide(lapic, now, (uint32_t)value);
        break;
    case REG_LVT ... REG_LVT_LAST:
        write_lvt(lapic, now, reg - REG_LVT, (uint32_t)value);
        break;
    }
}

/* A register that may be written, no reserved bit set. */
static void write_reg(struct vlapic *lapic, uint64_t now, unsigned reg, uint64_t value)
{
    if (reg == REG_EOI)
        vlapic_end(lapic);
    else if (reg == REG_ICR)
        write_icr(lapic, value);
    else if (reg == REG_TPR)
        vlapic_write_tpr(lapic, (uint32_t)value);
    else if (reg == REG_INITIAL)
        vlapic_timer_set_initial(lapic, now, (uint32_t)value);
    else if (reg == REG_SELF_IPI)
        vlapic_send_self(lapic, (uint8_t)value);
    else
        write_rare(lapic, now, reg, value);
}

/* --- The page: xAPIC mode ["Local APIC Register Address Map"] --- */

/* Anything but 32 bits at a multiple of 16 is undefined there: it does nothing. */
static bool is_register(uint64_t offset, unsigned width)
{
    return width == 4 && offset % 16 == 0;
}

static uint64_t ones(unsigned width)
{
    return BITS(8 * width - 1, 0);
}

uint64_t vlapic_read(struct vlapic *lapic, uint64_t now, uint64_t offset, unsigned width)
{
    uint64_t reg = offset / 16;

    if (unlikely(!vlapic_in_xapic(lapic)))
        return ones(width); /* As if nothing were there. */
    if (!is_register(offset, width))
        return 0;
    if (reg < REGS && (regs[reg].may & X_READ))
        return (uint32_t)read_reg(lapic, now, (unsigned)reg);
    if (reg >= REGS || !(regs[reg].may & X_WRITE))
        vlapic_error(lapic, ERROR_ADDRESS);
    return 0;
}

void vlapic_write(struct vlapic *lapic, uint64_t now, uint64_t offset, unsigned width,
                  uint64_t value)
{
    uint64_t reg = offset / 16;

    if (unlikely(!vlapic_in_xapic(lapic) || !is_register(offset, width)))
        return;
    if (reg < REGS && (regs[reg].may & X_WRITE))
        write_reg(lapic, now, (unsigned)reg, (uint32_t)(value & regs[reg].bits));
    else if (reg >= REGS || !(regs[reg].may & X_READ))
        vlapic_error(lapic, ERROR_ADDRESS);
}

/* --- The MSRs: x2APIC mode ["x2APIC Register Address Space", "Reserved Bit Checking"] --- */

static bool read_x2apic(const struct vlapic *lapic, uint64_t now, uint32_t reg, uint64_t *value)
{
    if (!vlapic_in_x2apic(lapic) || reg >= REGS || !(regs[reg].may & X2_READ))
        return false;
    *value = read_reg(lapic, now, reg);
    return true;
}

static bool write_x2apic(struct vlapic *lapic, uint64_t now, uint32_t reg, uint64_t value)
{
    if (!vlapic_in_x2apic(lapic) || reg >= REGS || !(regs[reg].may & X2_WRITE) ||
        (value & ~regs[reg].bits))
        return false;
    write_reg(lapic, now, reg, value);
    return true;
}

static uint64_t read_base(const struct vlapic *lapic)
{
    return VLAPIC_BASE | vlapic_get(&lapic->state.base);
}

/*
 * The modes that can follow each other ["x2APIC State Transitions"]. The page cannot be moved: the
 * guest's memory map is fixed; an attempt is refused as a reserved bit would be.
 */
static bool write_base(struct vlapic *lapic, uint64_t value)
{
    struct vlapic_state *s = &lapic->state;
    uint32_t mode = vlapic_get(&s->base) & (VLAPIC_BASE_ENABLED | BASE_EXTD);
    uint32_t next = (uint32_t)(value & (VLAPIC_BASE_ENABLED | BASE_EXTD));

    if ((value & BASE_ADDRESS) != VLAPIC_BASE ||
        (value & ~(BASE_ADDRESS | VLAPIC_BASE_ENABLED | BASE_EXTD | BASE_BSP)))
        return false;
    if (next == BASE_EXTD || (mode == 0 && (next & BASE_EXTD)) ||
        ((mode & BASE_EXTD) && next == VLAPIC_BASE_ENABLED))
        return false;
    vlapic_set(&s->base, value & (VLAPIC_BASE_ENABLED | BASE_EXTD | BASE_BSP));
    if (next == mode)
        return true;
    if (next == 0) {
        vlapic_init_reset(lapic); /* As it will be found when it is enabled again. */
    } else if (next & BASE_EXTD) {
        s->icr = (uint32_t)s->icr;
        vlapic_set(&s->ldr, vlapic_x2apic_ldr(lapic->index));
    }
    return true;
}

bool vlapic_read_msr(struct vlapic *lapic, uint64_t now, uint32_t msr, uint64_t *value)
{
    if (msr >= VLAPIC_MSR_X2APIC && msr <= VLAPIC_MSR_LAST)
        return read_x2apic(lapic, now, msr - VLAPIC_MSR_X2APIC, value);
    if (msr == VLAPIC_MSR_DEADLINE)
        *value = vlapic_timer_deadline(lapic, now);
    else if (msr == VLAPIC_MSR_BASE)
        *value = read_base(lapic);
    else
        return false;
    return true;
}

bool vlapic_write_msr(struct vlapic *lapic, uint64_t now, uint32_t msr, uint64_t value)
{
    if (msr >= VLAPIC_MSR_X2APIC && msr <= VLAPIC_MSR_LAST)
        return write_x2apic(lapic, now, msr - VLAPIC_MSR_X2APIC, value);
    if (msr == VLAPIC_MSR_BASE)
        return write_base(lapic, value);
    if (msr == VLAPIC_MSR_DEADLINE)
        vlapic_timer_set_deadline(lapic, now, value);
    return msr == VLAPIC_MSR_DEADLINE;
}
