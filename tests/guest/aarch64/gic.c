/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC of an arm64 guest: set-up, lines, SGIs. The device tree says which: a GICv3 [IHI 0069],
 * or a GICv2 [IHI 0048], for which the guests that are about the GICv3 itself are not meant.
 */
#include "arm.h"

#define GICC_CTLR (GICC_BASE + 0x00)
#define GICC_PMR  (GICC_BASE + 0x04)
#define GICC_IAR  (GICC_BASE + 0x0c)
#define GICC_EOIR (GICC_BASE + 0x10)
#define GICD_SGIR (GICD_BASE + 0xf00)

static bool v2;

/* Where the registers of this line are. */
static uint64_t gic_frame(unsigned irq)
{
    return irq < 32 && !v2 ? gicr_base(cpu_id()) + GICR_SGI_FRAME : GICD_BASE;
}

uint64_t gic_bank(unsigned irq, unsigned base)
{
    return gic_frame(irq) + base + irq / 32 * 4;
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
    *(volatile uint8_t *)(gic_frame(irq) + GICD_IPRIORITYR + irq) = (uint8_t)priority;
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
    if (v2)
        mmio_write(GICD_SGIR, 1u << (16 + cpu) | IPI_IRQ);
    else
        SYSREG_WRITE(ICC_SGI1R, (uint64_t)IPI_IRQ << 24 | 1u << cpu);
}

unsigned gic_take(void)
{
    return (v2 ? mmio_read(GICC_IAR) : (unsigned)SYSREG_READ(ICC_IAR1)) & 0xffffff;
}

void gic_end(unsigned iar)
{
    if (v2)
        mmio_write(GICC_EOIR, iar);
    else
        SYSREG_WRITE(ICC_EOIR1, iar);
}

/* On CPU 0: all SPIs level, off, to CPU 0; a GICv3 with group 1 and affinity routing. */
void gic_setup_first(void)
{
    unsigned lines = ((mmio_read(GICD_BASE + GICD_TYPER) & 31) + 1) * 32;

    v2 = fdt_is_compatible("arm,cortex-a15-gic");
    mmio_write(GICD_BASE + GICD_CTLR, v2 ? 0 : 0x10); /* ARE. */
    for (unsigned irq = 32; irq < lines; irq += 32) {
        mmio_write(GICD_BASE + GICD_ICENABLER + irq / 8, ~0u);
        if (!v2)
            mmio_write(GICD_BASE + 0x80 + irq / 8, ~0u); /* GICD_IGROUPR. */
    }
    for (unsigned irq = 32; irq < lines; irq += 4) {
        mmio_write(GICD_BASE + GICD_IPRIORITYR + irq, PRIORITY_USUAL * 0x01010101u);
        if (v2)
            mmio_write(GICD_BASE + 0x800 + irq, 0x01010101u); /* GICD_ITARGETSR. */
    }
    mmio_write(GICD_BASE + GICD_CTLR, v2 ? 1 : 0x12); /* Group 0; ARE and group 1. */
}

static void gic_private_setup(uint64_t base)
{
    mmio_write(base + GICD_ICENABLER, 0xffff0000u);
    if (!v2)
        mmio_write(base + 0x80, ~0u); /* GICR_IGROUPR0. */
    for (unsigned irq = 0; irq < 32; irq += 4)
        mmio_write(base + GICD_IPRIORITYR + irq, PRIORITY_USUAL * 0x01010101u);
    mmio_write(base + GICD_ISENABLER, 0xffffu);
}

/* CPU interface of this CPU, and its private lines: all SGIs are on, PPIs off. */
void gic_setup(void)
{
    uint64_t base = gicr_base(cpu_id());

    if (v2) {
        gic_private_setup(GICD_BASE);
        mmio_write(GICC_PMR, 0xff);
        mmio_write(GICC_CTLR, 1);
        return;
    }
    mmio_write(base + GICR_WAKER, 0);
    while (mmio_read(base + GICR_WAKER) & 4) /* ChildrenAsleep. */
        cpu_relax();
    gic_private_setup(base + GICR_SGI_FRAME);
    SYSREG_WRITE(ICC_SRE, SYSREG_READ(ICC_SRE) | 1);
    SYSREG_WRITE(ICC_PMR, 0xff);
    SYSREG_WRITE(ICC_BPR1, 0);
    SYSREG_WRITE(ICC_CTLR, 0);
    SYSREG_WRITE(ICC_IGRPEN1, 1);
}
