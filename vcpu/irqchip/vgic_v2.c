// SPDX-License-Identifier: Apache-2.0
/*
 * The distributor of a GICv2, as a view of the same lines: registers of private interrupts are
 * banked by the CPU that accesses them, SPIs have a mask of targets, and an SGI is pending once for
 * each vCPU that sent it. A GIC without the Security Extensions: interrupts start in group 0, which
 * the CPU interface signals as IRQ unless the guest sets FIQEn. SGIs are always enabled, as in a
 * GIC-400.
 *
 * Of an SGI's senders one at a time is in a list register, the lowest first; the others stay
 * pending behind it, and its end is told to us (LR_EOI). An SPI with several targets goes to the
 * lowest one. Where a guest deactivates by GICV_DIR (EOImode 1), and more is active than there are
 * list registers, hardware counts the ends of those that are in none without saying which: they are
 * taken to end in order of priority.
 *
 * Locking: taken here, but for the functions of vgic_impl.h. [IHI 0048B, 4.3, 5.2, 5.3]
 */
#include "kernel/assert.h"
#include "kernel/string.h"
#include "vcpu/irqchip/vgic_impl.h"

#define SGI_LINES 0xffffu

_Static_assert(VGIC_V2_CPUS <= 8, "a target is a bit of a byte");

void vgic_v2_init(struct vgic *vgic, unsigned cpus, unsigned spis, struct vgic_owner *owner)
{
    assert(cpus <= VGIC_V2_CPUS);
    vgic_init(vgic, cpus, spis, owner);
    vgic->v2 = true;
}

void vgic_v2_reset(struct vgic *vgic)
{
    memset(vgic->v2_sgis, 0, sizeof(vgic->v2_sgis));
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++)
        vgic_bank(vgic, cpu, 0)->enabled = SGI_LINES;
    /* No target: pending until there is one. Of one vCPU, that is the target of all. */
    for (unsigned i = 0; i < VGIC_SPIS_MAX && vgic->cpu_count > 1; i++)
        atomic_store_explicit(&vgic->state.route[i], VGIC_NO_CPU, memory_order_relaxed);
}

static uint8_t v2_all_cpus(const struct vgic *vgic)
{
    return (uint8_t)(BIT(vgic->cpu_count) - 1);
}

/* --- SGIs --- */

void vgic_v2_sgi_put(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    struct vgic_v2_sgis *s = &vgic->v2_sgis[cpu];

    assert(s->senders[irq] != 0); /* For the line is pending. */
    s->sender[irq] = (uint8_t)bit_lowest(s->senders[irq]);
    s->senders[irq] &= (uint8_t)(s->senders[irq] - 1);
    if (s->senders[irq] != 0)
        vgic_bank(vgic, cpu, 0)->pending |= vgic_bit(irq);
}

void vgic_v2_sgi_unpend(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    struct vgic_v2_sgis *s = &vgic->v2_sgis[cpu];

    s->senders[irq] |= (uint8_t)BIT(s->sender[irq]);
}

/* The SGI is pending at the target, from all of those. Lock held. */
static void v2_sgi_pend(struct vgic *vgic, unsigned target, uint32_t irq, uint8_t senders)
{
    if (senders == 0)
        return;
    vgic->v2_sgis[target].senders[irq] |= senders;
    vgic_bank_pend(vgic, target, 0, vgic_bit(irq));
}

/* GICD_SGIR. */
static void v2_sgi_send(struct vgic *vgic, unsigned cpu, uint32_t v)
{
    uint32_t irq = (uint32_t)field_get(SGIR_V2_INTID, v), targets = 0;

    switch (field_get(SGIR_V2_FILTER, v)) {
    case SGIR_V2_LIST:
        targets = (uint32_t)field_get(SGIR_V2_TARGETS, v);
        break;
    case SGIR_V2_OTHERS:
        targets = ~(uint32_t)BIT(cpu);
        break;
    case SGIR_V2_SELF:
        targets = (uint32_t)BIT(cpu);
        break;
    }
    lock_take(&vgic->lock);
    for (targets &= v2_all_cpus(vgic); targets != 0; targets &= targets - 1)
        v2_sgi_pend(vgic, bit_lowest(targets), irq, (uint8_t)BIT(cpu));
    vgic_unlock(vgic, cpu);
}

/*
 * GICD_SPENDSGIR and GICD_CPENDSGIR, a byte: the senders of one SGI to the accessing vCPU. Lock
 * held, and synced: none is pending in a slot.
 */
static uint8_t v2_sgi_byte(struct vgic *vgic, unsigned cpu, uint32_t irq, uint8_t v, bool set)
{
    uint8_t *senders = &vgic->v2_sgis[cpu].senders[irq];

    v &= v2_all_cpus(vgic);
    if (set) {
        v2_sgi_pend(vgic, cpu, irq, v);
    } else if (v != 0) {
        *senders &= (uint8_t)~v;
        if (*senders == 0)
            vgic_bank(vgic, cpu, 0)->pending &= ~vgic_bit(irq);
    }
    return *senders;
}

static void v2_sgi_pending(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width,
                           uint64_t *v)
{
    bool set = offset >= GICD_V2_SPENDSGIR;
    uint32_t irq = offset % VGIC_SGIS;
    uint64_t out = 0;

    vgic_lock_synced(vgic, cpu);
    for (unsigned i = 0; i < width; i++)
        out |= (uint64_t)v2_sgi_byte(vgic, cpu, irq + i, (uint8_t)(*v >> 8 * i), set) << 8 * i;
    vgic_unlock_synced(vgic, cpu);
    *v = out;
}

/* --- Targets --- */

/* GICD_ITARGETSR: a byte for each interrupt. With one vCPU: RAZ/WI. Lock held. */
static uint8_t v2_target_read(const struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    if (vgic->cpu_count == 1)
        return 0;
    return (uint8_t)(irq < VGIC_PRIVATE ? BIT(cpu) : vgic->state.router[irq - VGIC_PRIVATE]);
}

static void v2_target_write(struct vgic *vgic, unsigned cpu, uint32_t irq, uint8_t v)
{
    uint32_t i = irq - VGIC_PRIVATE;

    if (vgic->cpu_count == 1 || irq < VGIC_PRIVATE)
        return;
    v &= v2_all_cpus(vgic);
    vgic->state.router[i] = v;
    atomic_store_explicit(&vgic->state.route[i], (uint8_t)(v ? bit_lowest(v) : VGIC_NO_CPU),
                          memory_order_relaxed);
    vgic_notify(vgic, cpu, irq);
}

static void v2_targets(struct vgic *vgic, unsigned cpu, uint32_t irq, unsigned width, uint64_t *v,
                       bool write)
{
    uint64_t out = 0;

    lock_take(&vgic->lock);
    for (unsigned i = 0; i < width; i++) {
        if (write)
            v2_target_write(vgic, cpu, irq + i, (uint8_t)(*v >> 8 * i));
        else
            out |= (uint64_t)v2_target_read(vgic, cpu, irq + i) << 8 * i;
    }
    vgic_unlock(vgic, cpu);
    *v = out;
}

/* --- The rest of the frame --- */

/* IGROUPR to ICACTIVER. SGIs are always enabled, and made pending only by their own registers. */
static void v2_lines(struct vgic *vgic, unsigned cpu, uint32_t offset, uint64_t *v, bool write)
{
    enum vgic_reg reg = (enum vgic_reg)(offset / 0x80);
    unsigned index = offset % 0x80 / 4;

    if (index > vgic->spi_banks)
        return;
    if (reg >= VGIC_ISPENDR)
        vgic_lock_synced(vgic, cpu);
    else
        lock_take(&vgic->lock);
    if (index == 0 && reg >= VGIC_ISENABLER && reg <= VGIC_ICPENDR)
        *v &= ~(uint64_t)SGI_LINES;
    if (write)
        vgic_bank_write(vgic, cpu, index, reg, (uint32_t)*v);
    else
        *v = vgic_bank_read(vgic, cpu, index, reg);
    vgic_unlock_synced(vgic, cpu);
}

/* IPRIORITYR and ITARGETSR: bytes. *v: as for v2_access(). */
static bool v2_bytes(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v,
                     bool write)
{
    uint32_t irq = offset % (GICD_ITARGETSR - GICD_IPRIORITYR);

    if (width != 4 && width != 1)
        return false;
    if (irq >= vgic_irq_count(vgic))
        return true;
    if (offset >= GICD_ITARGETSR) {
        v2_targets(vgic, cpu, irq, width, v, write);
        return true;
    }
    if (!write) {
        *v = vgic_priority_read(vgic, cpu, irq, width);
        return true;
    }
    lock_take(&vgic->lock);
    vgic_priority_write(vgic, cpu, irq, width, (uint32_t)*v);
    vgic_unlock(vgic, cpu);
    return true;
}

static void v2_config(struct vgic *vgic, unsigned cpu, uint32_t offset, uint64_t *v, bool write)
{
    unsigned half = (offset - GICD_ICFGR) / 4;

    if (half / 2 > vgic->spi_banks)
        return;
    lock_take(&vgic->lock);
    if (write)
        vgic_config_write(vgic, cpu, half / 2, half % 2, (uint32_t)*v);
    else
        *v = vgic_config_read(vgic_bank(vgic, cpu, half / 2), half % 2);
    vgic_unlock(vgic, cpu);
}

static uint64_t v2_control_read(const struct vgic *vgic, uint32_t offset)
{
    switch (offset) {
    case GICD_CTLR:
        return vgic->state.ctlr;
    case GICD_TYPER:
        return field_put(GICD_TYPER_LINES, vgic->spi_banks) |
               field_put(GICD_V2_TYPER_CPUS, vgic->cpu_count - 1);
    case GICD_IIDR:
        return GIC_IIDR_ARM;
    case GICD_V2_PIDR2:
        return GIC_PIDR2_GICV2;
    }
    return 0;
}

/* Below IGROUPR, SGIR and identification: words. */
static bool v2_control(struct vgic *vgic, unsigned cpu, uint32_t offset, uint64_t *v, bool write)
{
    if (!write) {
        *v = v2_control_read(vgic, offset);
    } else if (offset == GICD_CTLR) {
        lock_take(&vgic->lock);
        vgic_dist_set_ctlr(vgic, (uint32_t)*v);
        vgic_unlock(vgic, cpu);
    } else if (offset == GICD_SGIR) {
        v2_sgi_send(vgic, cpu, (uint32_t)*v);
    }
    return offset <= GICD_IIDR || offset == GICD_SGIR || offset >= GICD_V2_IDREGS;
}

/* *v: the value to write, or 0 for the one read. */
static bool v2_access(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v,
                      bool write)
{
    if (offset >= GICD_V2_SIZE || (width != 1 && width != 4) || offset % width != 0)
        return false;
    if (offset >= GICD_IPRIORITYR && offset < GICD_ICFGR)
        return v2_bytes(vgic, cpu, offset, width, v, write);
    if (offset >= GICD_V2_CPENDSGIR && offset < GICD_V2_SPENDSGIR + VGIC_SGIS) {
        v2_sgi_pending(vgic, cpu, offset, width, v);
        return true;
    }
    if (width != 4)
        return false;
    if (offset >= 0x80 && offset < GICD_IPRIORITYR)
        v2_lines(vgic, cpu, offset, v, write);
    else if (offset >= GICD_ICFGR && offset < GICD_IGRPMODR)
        v2_config(vgic, cpu, offset, v, write);
    else
        return v2_control(vgic, cpu, offset, v, write);
    return true;
}

bool vgic_v2_read(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v)
{
    *v = 0;
    return v2_access(vgic, cpu, offset, width, v, false);
}

bool vgic_v2_write(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t v)
{
    return v2_access(vgic, cpu, offset, width, &v, true);
}
