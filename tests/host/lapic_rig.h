/* SPDX-License-Identifier: Apache-2.0 */
/* Local APICs whose owner notes what they say, for tests of the interrupt controllers of a PC. */
#pragma once

#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/irqchip/vlapic.h"

#define X2(offset) (VLAPIC_MSR_X2APIC + (offset) / 16) /* The MSR of a register of the page. */

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_LINT0 = 0x350,
    LVT_ERROR = 0x370,
    TIMER_INITIAL = 0x380,
    TIMER_COUNT = 0x390,
    TIMER_DIVIDE = 0x3e0,
    SELF_IPI = 0x3f0,
};

enum { BSP = 1 << 8, EXTD = 1 << 10, EN = 1 << 11, SVR_ON = 0x100, MASKED = 1 << 16 };

struct lapic_rig {
    struct vlapic_owner owner;
    struct vlapics all;
    uint32_t kicked, nmis, inits, startups; /* Bit per vCPU. */
    uint8_t page;                           /* Of the last start-up. */
    uint64_t deadline[VLAPICS_MAX];
    unsigned eois;
    uint8_t eoi; /* The last one. */
    void (*on_eoi)(uint8_t vector);
    uint64_t now;
};

/* Only one of them in a test program's file. */
static struct lapic_rig rig;

static void rig_kick(struct vlapic_owner *owner, unsigned index)
{
    ASSERT_EQ(owner, &rig.owner);
    rig.kicked |= 1u << index;
}

static void rig_nmi([[maybe_unused]] struct vlapic_owner *owner, unsigned index)
{
    rig.nmis |= 1u << index;
}

static void rig_init([[maybe_unused]] struct vlapic_owner *owner, unsigned index)
{
    rig.inits |= 1u << index;
}

static void rig_startup([[maybe_unused]] struct vlapic_owner *owner, unsigned index, uint8_t page)
{
    rig.startups |= 1u << index;
    rig.page = page;
}

static void rig_timer([[maybe_unused]] struct vlapic_owner *owner, unsigned index,
                      uint64_t deadline)
{
    rig.deadline[index] = deadline;
}

static void rig_eoi([[maybe_unused]] struct vlapic_owner *owner, uint8_t vector)
{
    rig.eois++;
    rig.eoi = vector;
    if (rig.on_eoi)
        rig.on_eoi(vector);
}

static inline uint32_t get(unsigned cpu, uint64_t offset)
{
    return (uint32_t)vlapic_read(&rig.all.cpu[cpu], rig.now, offset, 4);
}

static inline void set(unsigned cpu, uint64_t offset, uint32_t value)
{
    vlapic_write(&rig.all.cpu[cpu], rig.now, offset, 4, value);
}

static inline bool msr_set(unsigned cpu, uint32_t msr, uint64_t value)
{
    return vlapic_write_msr(&rig.all.cpu[cpu], rig.now, msr, value);
}

static inline uint64_t msr_get(unsigned cpu, uint32_t msr)
{
    uint64_t value = 0;

    ASSERT(vlapic_read_msr(&rig.all.cpu[cpu], rig.now, msr, &value));
    return value;
}

static inline bool msr_there(unsigned cpu, uint32_t msr)
{
    uint64_t value;

    return vlapic_read_msr(&rig.all.cpu[cpu], rig.now, msr, &value);
}

static inline unsigned highest(unsigned cpu)
{
    return vlapic_highest(&rig.all.cpu[cpu]);
}

/* What the vCPU takes next; 0: nothing. */
static inline unsigned take(unsigned cpu)
{
    unsigned vector = highest(cpu);

    if (vector != 0 && vlapic_accept(&rig.all.cpu[cpu], vector))
        vlapic_timer_taken(&rig.all.cpu[cpu], rig.now);
    return vector;
}

static inline void end(unsigned cpu)
{
    set(cpu, EOI, 0);
}

/* The owner's timer fires, asked for or not. */
static inline void fire(unsigned cpu)
{
    rig.deadline[cpu] = TICKS_NEVER;
    vlapic_timer(&rig.all.cpu[cpu], rig.now);
}

static inline void forget(void)
{
    rig.kicked = rig.nmis = rig.inits = rig.startups = 0;
    rig.eois = 0;
}

/* So many vCPUs in xAPIC mode, as an OS has them: enabled, flat logical ids. */
static inline void start(unsigned count)
{
    memset(&rig, 0, sizeof(rig));
    rig.owner =
        (struct vlapic_owner){rig_kick, rig_nmi, rig_init, rig_startup, rig_timer, rig_eoi, NULL};
    rig.now = 1000;
    vlapics_init(&rig.all, count, &rig.owner);
    for (unsigned i = 0; i < count; i++) {
        rig.deadline[i] = TICKS_NEVER;
        set(i, SVR, SVR_ON | 0xff);
        set(i, LDR, 1u << (24 + i % 8));
    }
}

static inline void go_x2apic(unsigned cpu)
{
    ASSERT(msr_set(cpu, VLAPIC_MSR_BASE, msr_get(cpu, VLAPIC_MSR_BASE) | EXTD));
}
