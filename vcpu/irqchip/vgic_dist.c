// SPDX-License-Identifier: Apache-2.0
/*
 * GICD: the distributor's frame, as with GICD_CTLR.DS = 1 and affinity routing: registers of
 * private interrupts are RAZ/WI here. Everything that a guest can ask for is checked: offset,
 * width, interrupt.
 *
 * Locking: taken here. [IHI 0069, 12.9]
 */
#include "vcpu/irqchip/vgic_impl.h"

static uint32_t dist_ctlr(const struct vgic *vgic)
{
    return (uint32_t)(vgic->state.ctlr | GICD_CTLR_ARE | GICD_CTLR_DS);
}

void vgic_dist_set_ctlr(struct vgic *vgic, uint32_t v)
{
    v &= (uint32_t)(GICD_CTLR_ENABLE_GRP0 | GICD_CTLR_ENABLE_GRP1);
    if (v == vgic->state.ctlr)
        return;
    vgic->state.ctlr = v;
    for (unsigned i = 0; i < vgic->spi_banks; i++)
        vgic_bank_refresh(vgic, &vgic->state.spi[i]);
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++) {
        vgic_bank_refresh(vgic, &vgic->cpus[cpu].state.private);
        vgic_notify_cpu(vgic, cpu);
    }
}

/* GICD_SETSPI_NSR, GICD_CLRSPI_NSR: a message in place of a wire. Edges only start
 * [12.9.9, 12.9.33]. */
static void dist_message(struct vgic *vgic, unsigned cpu, uint32_t irq, bool set)
{
    unsigned index = irq / 32;
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    if (bank->edge & vgic_bit(irq)) {
        vgic_bank_write(vgic, cpu, index, set ? VGIC_ISPENDR : VGIC_ICPENDR, vgic_bit(irq));
        return;
    }
    bank->message &= ~vgic_bit(irq);
    if (set)
        bank->message |= vgic_bit(irq);
    vgic->state.spi_busy |= (uint32_t)1 << (index - 1);
    vgic_notify(vgic, cpu, irq);
}

/* Registers below 0x80. */
static bool dist_read_control(struct vgic *vgic, uint32_t offset, uint64_t *v)
{
    switch (offset) {
    case GICD_CTLR:
        *v = dist_ctlr(vgic);
        return true;
    case GICD_TYPER:
        *v = vgic->typer;
        return true;
    case GICD_IIDR:
        *v = GIC_IIDR_ARM;
        return true;
    case GICD_TYPER2:
    case GICD_STATUSR: /* No errors are reported. */
        return true;
    }
    return false;
}

static bool dist_write_control(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width,
                               uint64_t v)
{
    uint32_t irq = (uint32_t)v & 0x3ff;

    switch (offset) {
    case GICD_CTLR:
        if (width != 4)
            return false;
        lock_take(&vgic->lock);
        vgic_dist_set_ctlr(vgic, (uint32_t)v);
        vgic_unlock(vgic, cpu);
        return true;
    case GICD_SETSPI_NSR:
    case GICD_CLRSPI_NSR:
        if (width != 4 && width != 2)
            return false;
        if (irq < VGIC_PRIVATE || irq >= vgic_irq_count(vgic))
            return true;
        vgic_lock_synced(vgic, cpu);
        dist_message(vgic, cpu, irq, offset == GICD_SETSPI_NSR);
        vgic_unlock_synced(vgic, cpu);
        return true;
    case GICD_STATUSR:
        return width == 4;
    }
    return false;
}

/* GICD_IROUTER<n> is at 0x6000 + 8n; Aff3 in its upper word. Returns the SPI's index, or -1. */
static int dist_router_index(const struct vgic *vgic, uint32_t offset, unsigned width)
{
    uint32_t irq = (offset - GICD_IROUTER) / 8;

    if (width < 4 || irq < VGIC_PRIVATE || irq >= vgic_irq_count(vgic))
        return -1;
    return (int)(irq - VGIC_PRIVATE);
}

static bool dist_read_router(struct vgic *vgic, uint32_t offset, unsigned width, uint64_t *v)
{
    int i = dist_router_index(vgic, offset, width);
    uint64_t router;

    if (i < 0)
        return width >= 4;
    lock_take(&vgic->lock);
    router = (uint64_t)(vgic->state.router[i] >> 24) << 32 | (vgic->state.router[i] & 0xffffff);
    lock_drop(&vgic->lock);
    router >>= offset & 4 ? 32 : 0;
    *v = width == 4 ? (uint32_t)router : router;
    return true;
}

/* IRM is RES0 (GICD_TYPER.No1N). An affinity that no vCPU has keeps the interrupt pending. */
static bool dist_write_router(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width,
                              uint64_t v)
{
    int i = dist_router_index(vgic, offset, width);
    uint32_t router;

    if (i < 0)
        return width >= 4;
    lock_take(&vgic->lock);
    router = vgic->state.router[i];
    if (offset & 4)
        router = (uint32_t)(v & 0xff) << 24 | (router & 0xffffff);
    else if (width == 4)
        router = (router & 0xff000000) | (v & 0xffffff);
    else
        router = (uint32_t)(v >> 32 & 0xff) << 24 | (v & 0xffffff);
    if (!(vgic->typer & GICD_TYPER_A3V))
        router &= 0xffffff;
    vgic->state.router[i] = router;
    atomic_store_explicit(&vgic->state.route[i], (uint8_t)vgic_find_cpu(vgic, router),
                          memory_order_relaxed);
    vgic_notify(vgic, cpu, VGIC_PRIVATE + (uint32_t)i);
    vgic_unlock(vgic, cpu);
    return true;
}

/* IGROUPR to ICACTIVER. */
static bool dist_lines(struct vgic *vgic, unsigned cpu, uint32_t offset, uint64_t *v, bool write)
{
    enum vgic_reg reg = (enum vgic_reg)(offset / 0x80);
    unsigned index = offset % 0x80 / 4;

    if (index == 0 || index > vgic->spi_banks)
        return true;
    if (reg >= VGIC_ISPENDR)
        vgic_lock_synced(vgic, cpu);
    else
        lock_take(&vgic->lock);
    if (write)
        vgic_bank_write(vgic, cpu, index, reg, (uint32_t)*v);
    else
        *v = vgic_bank_read(vgic, cpu, index, reg);
    vgic_unlock_synced(vgic, cpu);
    return true;
}

static bool dist_priority(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width,
                          uint64_t *v, bool write)
{
    uint32_t irq = offset - GICD_IPRIORITYR;

    if (irq < VGIC_PRIVATE || irq >= vgic_irq_count(vgic))
        return true;
    if (!write) {
        *v = vgic_priority_read(vgic, cpu, irq, width);
        return true;
    }
    lock_take(&vgic->lock);
    vgic_priority_write(vgic, cpu, irq, width, (uint32_t)*v);
    vgic_unlock(vgic, cpu);
    return true;
}

static bool dist_config(struct vgic *vgic, unsigned cpu, uint32_t offset, uint64_t *v, bool write)
{
    unsigned half = (offset - GICD_ICFGR) / 4;

    if (half < 2 || half / 2 > vgic->spi_banks)
        return true;
    lock_take(&vgic->lock);
    if (write)
        vgic_config_write(vgic, cpu, half / 2, half % 2, (uint32_t)*v);
    else
        *v = vgic_config_read(vgic_bank(vgic, cpu, half / 2), half % 2);
    vgic_unlock(vgic, cpu);
    return true;
}

/* From 0x80 on, but the routers. *v: the value to write, or 0 for the one read. */
static bool dist_access(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width,
                        uint64_t *v, bool write)
{
    if (offset >= GICD_IPRIORITYR && offset < GICD_ICFGR) {
        if (width != 4 && width != 1)
            return false;
        if (offset >= GICD_ITARGETSR)
            return true; /* RAZ/WI with affinity routing. */
        return dist_priority(vgic, cpu, offset, width, v, write);
    }
    if (width != 4)
        return false;
    if (offset < GICD_IPRIORITYR)
        return dist_lines(vgic, cpu, offset, v, write);
    if (offset < GICD_IGRPMODR)
        return dist_config(vgic, cpu, offset, v, write);
    if (offset < GICD_SGIR)
        return true; /* IGRPMODR and NSACR: RAZ/WI with one security state. */
    if (offset < GIC_IDREGS || offset >= 0x10000)
        return false;
    if (!write && offset == GIC_PIDR2)
        *v = GIC_PIDR2_GICV3;
    return true;
}

static bool dist_is_valid(uint32_t offset, unsigned width)
{
    return (width == 1 || width == 2 || width == 4 || width == 8) && offset % width == 0;
}

bool vgic_dist_read(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v)
{
    *v = 0;
    if (!dist_is_valid(offset, width))
        return false;
    if (offset < 0x80)
        return width == 4 && dist_read_control(vgic, offset, v);
    if (offset >= GICD_IROUTER && offset < GICD_IROUTER_END)
        return dist_read_router(vgic, offset, width, v);
    return dist_access(vgic, cpu, offset, width, v, false);
}

bool vgic_dist_write(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t v)
{
    if (!dist_is_valid(offset, width))
        return false;
    if (offset < 0x80)
        return dist_write_control(vgic, cpu, offset, width, v);
    if (offset >= GICD_IROUTER && offset < GICD_IROUTER_END)
        return dist_write_router(vgic, cpu, offset, width, v);
    return dist_access(vgic, cpu, offset, width, &v, true);
}
