/* SPDX-License-Identifier: Apache-2.0 */
/* The GICv3 of an arm64 guest: set-up, lines, SGIs. [IHI 0069] */
#include "arm.h"

uint64_t gic_bank(unsigned irq, unsigned base)
{
    if (irq < 32)
        return gicr_base(cpu_id()) + GICR_SGI_FRAME + base;
    return GICD_BASE + base + irq / 32 * 4;
}

bool gic_bit(unsigned irq, unsigned base)
{
    return mmio_read(gic_bank(irq, base)) >> irq % 32 & 1;
}

void gic_bit_write(unsigned irq, unsigned base)
{
    mmio_write(gic_bank(irq, base), 1u << irq % 32);
}

void gic_priority(unsigned irq, unsigned priority)
{
    uint64_t frame = irq < 32 ? gicr_base(cpu_id()) + GICR_SGI_FRAME : GICD_BASE;

    *(volatile uint8_t *)(frame + GICD_IPRIORITYR + irq) = (uint8_t)priority;
}

void gic_edge(unsigned irq, bool edge)
{
    uint64_t at =
        (irq < 32 ? gicr_base(cpu_id()) + GICR_SGI_FRAME : GICD_BASE) + GICD_ICFGR + irq / 16 * 4;
    uint32_t bit = 2u << irq % 16 * 2;

    mmio_write(at, edge ? mmio_read(at) | bit : mmio_read(at) & ~bit);
}

void gic_route(unsigned irq, unsigned cpu)
{
    *(volatile uint64_t *)(GICD_BASE + GICD_IROUTER + irq * 8ul) = cpu;
}

void irq_line_enable(unsigned irq)
{
    gic_bit_write(irq, GICD_ISENABLER);
}

void irq_line_disable(unsigned irq)
{
    gic_bit_write(irq, GICD_ICENABLER);
}

void ipi_send(unsigned cpu)
{
    __asm__ volatile("dsb ishst" ::: "memory");
    SYSREG_WRITE(ICC_SGI1R, (uint64_t)IPI_IRQ << 24 | 1u << cpu);
}

/* Distributor: group 1, affinity routing, all SPIs level, off, to CPU 0. */
void gic_setup_first(void)
{
    unsigned lines = ((mmio_read(GICD_BASE + GICD_TYPER) & 31) + 1) * 32;

    mmio_write(GICD_BASE + GICD_CTLR, 0x10); /* ARE. */
    for (unsigned irq = 32; irq < lines; irq += 32) {
        mmio_write(GICD_BASE + GICD_ICENABLER + irq / 8, ~0u);
        mmio_write(GICD_BASE + 0x80 + irq / 8, ~0u); /* GICD_IGROUPR. */
    }
    for (unsigned irq = 32; irq < lines; irq += 4)
        mmio_write(GICD_BASE + GICD_IPRIORITYR + irq, PRIORITY_USUAL * 0x01010101u);
    mmio_write(GICD_BASE + GICD_CTLR, 0x12); /* ARE, group 1. */
}

/* Redistributor and CPU interface of this CPU: all SGIs are on, PPIs off. */
void gic_setup(void)
{
    uint64_t base = gicr_base(cpu_id());

    mmio_write(base + GICR_WAKER, 0);
    while (mmio_read(base + GICR_WAKER) & 4) /* ChildrenAsleep. */
        cpu_relax();
    base += GICR_SGI_FRAME;
    mmio_write(base + GICD_ICENABLER, 0xffff0000u);
    mmio_write(base + 0x80, ~0u); /* GICR_IGROUPR0. */
    for (unsigned irq = 0; irq < 32; irq += 4)
        mmio_write(base + GICD_IPRIORITYR + irq, PRIORITY_USUAL * 0x01010101u);
    mmio_write(base + GICD_ISENABLER, 0xffffu);
    SYSREG_WRITE(ICC_SRE, SYSREG_READ(ICC_SRE) | 1);
    SYSREG_WRITE(ICC_PMR, 0xff);
    SYSREG_WRITE(ICC_BPR1, 0);
    SYSREG_WRITE(ICC_CTLR, 0);
    SYSREG_WRITE(ICC_IGRPEN1, 1);
}
