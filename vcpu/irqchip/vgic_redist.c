// SPDX-License-Identifier: Apache-2.0
/*
 * GICR: the two frames of a vCPU's redistributor (RD_base, SGI_base); SGIs; deactivation by
 * ICC_DIR_EL1.
 *
 * GICR_WAKER is kept but does not hold back interrupts: a guest that sleeps has masked them, and
 * wakes by them.
 *
 * Locking: taken here, but for an SGI to the sender itself, which mostly needs none. [IHI
 * 0069, 12.11, 12.2]
 */
#include "vcpu/irqchip/vgic_impl.h"

static bool redist_read_control(struct vgic *vgic, unsigned target, uint32_t offset, uint64_t *v)
{
    switch (offset) {
    case GICR_IIDR:
        *v = GIC_IIDR_ARM;
        return true;
    case GICR_WAKER:
        if (vgic->cpus[target].state.asleep)
            *v = GICR_WAKER_PROCESSOR_SLEEP | GICR_WAKER_CHILDREN_ASLEEP;
        return true;
    case GICR_CTLR: /* No LPIs; writes take effect at once. */
    case GICR_STATUSR:
        return true;
    case GIC_PIDR2:
        *v = GIC_PIDR2_GICV3;
        return true;
    }
    return offset >= GIC_IDREGS && offset < GICR_FRAME;
}

static uint64_t redist_typer(const struct vgic *vgic, unsigned target)
{
    return field_put(GICR_TYPER_AFFINITY, vgic->cpus[target].affinity) |
           field_put(GICR_TYPER_PROCESSOR, target) |
           (target + 1 == vgic->cpu_count ? GICR_TYPER_LAST : 0);
}

static bool redist_write_control(struct vgic *vgic, unsigned target, uint32_t offset, uint64_t v)
{
    switch (offset) {
    case GICR_WAKER:
        lock_take(&vgic->lock);
        vgic->cpus[target].state.asleep = (v & GICR_WAKER_PROCESSOR_SLEEP) != 0;
        lock_drop(&vgic->lock);
        return true;
    case GICR_CTLR:
    case GICR_STATUSR:
        return true;
    }
    return offset >= GIC_IDREGS && offset < GICR_FRAME;
}

static bool redist_lines(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                         uint64_t *v, bool write)
{
    enum vgic_reg reg = (enum vgic_reg)(offset / 0x80);

    if (offset % 0x80 != 0)
        return true; /* Of more private interrupts than we have: RAZ/WI. */
    if (reg >= VGIC_ISPENDR && cpu == target)
        vgic_lock_synced(vgic, cpu);
    else
        lock_take(&vgic->lock);
    if (write)
        vgic_bank_write(vgic, target, 0, reg, (uint32_t)*v);
    else
        *v = vgic_bank_read(vgic, target, 0, reg);
    vgic_unlock_synced(vgic, cpu);
    return true;
}

static bool redist_priority(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                            unsigned width, uint64_t *v, bool write)
{
    uint32_t irq = offset - GICD_IPRIORITYR;

    if (width != 4 && width != 1)
        return false;
    if (irq >= VGIC_PRIVATE)
        return true;
    if (!write) {
        *v = vgic_priority_read(vgic, target, irq, width);
        return true;
    }
    lock_take(&vgic->lock);
    vgic_priority_write(vgic, target, irq, width, (uint32_t)*v);
    vgic_unlock(vgic, cpu);
    return true;
}

/* SGI_base: the same layout as the distributor's. */
static bool redist_sgi_access(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                              unsigned width, uint64_t *v, bool write)
{
    unsigned half = (offset - GICD_ICFGR) / 4;

    if (offset >= GICD_IPRIORITYR && offset < GICD_ITARGETSR)
        return redist_priority(vgic, cpu, target, offset, width, v, write);
    if (width != 4)
        return false;
    if (offset >= 0x80 && offset < GICD_IPRIORITYR)
        return redist_lines(vgic, cpu, target, offset, v, write);
    if (offset < GICD_ICFGR || offset >= GICD_SGIR)
        return false;
    if (offset >= GICD_IGRPMODR || half > 1)
        return true; /* IGRPMODR, NSACR: RAZ/WI with one security state. */
    lock_take(&vgic->lock);
    if (write)
        vgic_config_write(vgic, target, 0, half, (uint32_t)*v);
    else
        *v = vgic_config_read(vgic_bank(vgic, target, 0), half);
    vgic_unlock(vgic, cpu);
    return true;
}

static bool redist_is_valid(const struct vgic *vgic, unsigned target, uint32_t offset,
                            unsigned width)
{
    return target < vgic->cpu_count && offset < 2 * GICR_FRAME &&
           (width == 1 || width == 2 || width == 4 || width == 8) && offset % width == 0;
}

bool vgic_redist_read(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                      unsigned width, uint64_t *v)
{
    *v = 0;
    if (!redist_is_valid(vgic, target, offset, width))
        return false;
    if (offset >= GICR_FRAME)
        return redist_sgi_access(vgic, cpu, target, offset - GICR_FRAME, width, v, false);
    if (width < 4)
        return false;
    if (ALIGN_DOWN(offset, 8) == GICR_TYPER) {
        *v = redist_typer(vgic, target) >> (offset & 4 ? 32 : 0);
        if (width == 4)
            *v = (uint32_t)*v;
        return true;
    }
    return width == 4 && redist_read_control(vgic, target, offset, v);
}

bool vgic_redist_write(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                       unsigned width, uint64_t v)
{
    if (!redist_is_valid(vgic, target, offset, width))
        return false;
    if (offset >= GICR_FRAME)
        return redist_sgi_access(vgic, cpu, target, offset - GICR_FRAME, width, &v, true);
    return width == 4 && redist_write_control(vgic, target, offset, v);
}

/* --- SGIs --- */

/* ICC_SGI1R_EL1 makes SGIs of both groups where there is one security state; SGI0R only of group 0.
 */
static void sgi_to_cpu(struct vgic *vgic, unsigned cpu, uint32_t irq, bool group1)
{
    const struct vgic_bank *bank = &vgic->cpus[cpu].state.private;

    if (group1 || !(atomic_load_explicit(&bank->group, memory_order_relaxed) & vgic_bit(irq)))
        vgic_bank_pend(vgic, cpu, 0, vgic_bit(irq));
}

static void sgi_to_others(struct vgic *vgic, unsigned cpu, uint32_t irq, bool group1)
{
    lock_take(&vgic->lock);
    for (unsigned other = 0; other < vgic->cpu_count; other++)
        if (other != cpu)
            sgi_to_cpu(vgic, other, irq, group1);
    vgic_unlock(vgic, cpu);
}

/* To those in the list of the cluster: Aff3.Aff2.Aff1 and the range selector, as an affinity. */
[[gnu::noinline]] static void sgi_to_list(struct vgic *vgic, unsigned cpu, uint32_t irq,
                                          uint32_t cluster, uint32_t list, bool group1)
{
    lock_take(&vgic->lock);
    for (; list != 0; list &= list - 1) {
        unsigned target = vgic_find_cpu(vgic, cluster | bit_lowest(list));

        if (target < vgic->cpu_count)
            sgi_to_cpu(vgic, target, irq, group1);
    }
    vgic_unlock(vgic, cpu);
}

void vgic_send_sgi(struct vgic *vgic, unsigned cpu, uint64_t value, bool group1)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    uint32_t irq = (uint32_t)field_get(SGIR_INTID, value);
    uint32_t list = (uint32_t)field_get(SGIR_TARGETS, value);
    uint32_t cluster =
        (uint32_t)(field_get(SGIR_AFF3, value) << 24 | field_get(SGIR_AFF2, value) << 16 |
                   field_get(SGIR_AFF1, value) << 8 | field_get(SGIR_RS, value) << 4);

    if (value & SGIR_IRM) {
        sgi_to_others(vgic, cpu, irq, group1);
        return;
    }
    /* To itself alone, and a list register is free: no lock. */
    if (group1 && c->affinity >> 4 == cluster >> 4 && list == 1u << (c->affinity & 15) &&
        (vgic_lr_again(c, irq, 0) || vgic_lr_offer(c, irq, 0)))
        return;
    sgi_to_list(vgic, cpu, irq, cluster, list, group1);
}

void vgic_deactivate(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    if (irq >= vgic_irq_count(vgic))
        return;
    vgic_lock_synced(vgic, cpu);
    vgic_bank_deactivate(vgic, cpu, irq / 32, vgic_bit(irq));
    vgic_unlock_synced(vgic, cpu);
}
