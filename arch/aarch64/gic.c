/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host interrupt controller: what GICv2 and GICv3 share, and the choice between them. Priority
 * drop and deactivation are separate (EOImode 1), so that an interrupt can be left active for a
 * guest to end. [IHI 0069 for v3, IHI 0048 for v2]
 */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

unsigned gic_version;
volatile char *gicd;
uint32_t gic_spi_end;

/* Where the enable, active and configuration registers of an interrupt are. */
static volatile char *gic_frame(uint32_t irq)
{
    if (irq < 32 && gic_version == 3)
        return (volatile char *)this_cpu()->arch.gicr + 0x10000; /* SGI_base. */
    return gicd;
}

void gicd_reset_spis(void)
{
    uint32_t lines = 32 * ((arch_read32(gicd + GICD_TYPER) & 0x1f) + 1);

    gic_spi_end = MIN(lines, GIC_SPURIOUS);
    for (uint32_t irq = 32; irq < gic_spi_end; irq += 32) {
        arch_write32(gicd + GICD_ICENABLER + irq / 8, ~0u);
        arch_write32(gicd + GICD_ICPENDR + irq / 8, ~0u);
        arch_write32(gicd + GICD_ICACTIVER + irq / 8, ~0u);
        arch_write32(gicd + GICD_IGROUPR + irq / 8, gic_version == 3 ? ~0u : 0u);
    }
    for (uint32_t irq = 32; irq < gic_spi_end; irq += 4)
        arch_write32(gicd + GICD_IPRIORITYR + irq, GIC_PRIORITY * 0x01010101u);
    for (uint32_t irq = 32; irq < gic_spi_end; irq += 16)
        arch_write32(gicd + GICD_ICFGR + irq / 4, 0);
}

enum err arch_irqchip_init(const struct platform *platform)
{
    switch (platform->irqchip) {
    case IRQCHIP_GICV3:
        gic_version = 3;
        return gicv3_init(platform);
    case IRQCHIP_GICV2:
        gic_version = 2;
        return gicv2_init(platform);
    default:
        log_error("the firmware describes no GICv2 or GICv3");
        return E_ABSENT;
    }
}

enum err arch_irqchip_init_cpu(void)
{
    return gic_version == 3 ? gicv3_init_cpu(this_cpu()) : gicv2_init_cpu(this_cpu());
}

bool arch_irq_is_percpu(uint32_t irq)
{
    return irq < 32;
}

enum err arch_irq_enable(uint32_t irq, enum irq_trigger trigger)
{
    volatile char *frame = gic_frame(irq);
    uint32_t shift = irq % 16 * 2, config;

    if (irq >= gic_spi_end)
        return E_RANGE;
    if (irq >= 16) {
        config = arch_read32(frame + GICD_ICFGR + irq / 16 * 4) & ~(3u << shift);
        config |= (trigger == IRQ_EDGE ? 2u : 0u) << shift;
        arch_write32(frame + GICD_ICFGR + irq / 16 * 4, config);
    }
    if (irq >= 32 && gic_version == 3)
        arch_write64(gicd + GICD_IROUTER + 8 * irq, this_cpu()->hw_id);
    else if (irq >= 32)
        arch_write8(gicd + GICD_ITARGETSR + irq, (uint8_t)this_cpu()->arch.sgi_target);
    arch_write32(frame + GICD_ISENABLER + irq / 32 * 4, 1u << irq % 32);
    return OK;
}

void arch_irq_set_active(uint32_t irq, bool active)
{
    assert(irq < 32);
    arch_write32(gic_frame(irq) + (active ? GICD_ISACTIVER : GICD_ICACTIVER), 1u << irq);
    arch_mb();
}

/* Acknowledge: the interrupt's number; *iar is what is to be written back to end it. */
static uint32_t gic_ack(uint32_t *iar)
{
    if (unlikely(gic_version == 2)) {
        *iar = gicv2_ack();
        return *iar & 0x3ff; /* Above is the sender of a SGI. */
    }
    *iar = (uint32_t)sysreg_read(ICC_IAR1_EL1);
    dsb_sy(); /* The acknowledge is seen before what the handler does [IHI 0069, 4.1.1]. */
    return *iar;
}

bool arch_irq_take(uint32_t *irq)
{
    for (;;) {
        uint32_t iar, id = gic_ack(&iar);

        if (likely(id >= 16)) {
            *irq = id;
            return id < GIC_SPURIOUS || id > GIC_SPECIAL_MAX;
        }
        arch_irq_end(iar, false);
        ipi_taken();
    }
}

void arch_irq_end(uint32_t irq, bool keep)
{
    if (gic_version == 2) {
        gicv2_eoi(irq);
        if (!keep)
            gicv2_deactivate(irq);
        return;
    }
    sysreg_write(ICC_EOIR1_EL1, irq);
    if (!keep)
        sysreg_write(ICC_DIR_EL1, irq);
    isb();
}

void arch_ipi_send(struct pcpu *cpu)
{
    arch_mb(); /* What the receiver is to see comes first. */
    if (gic_version == 2) {
        gicv2_send_ipi(cpu);
        return;
    }
    sysreg_write(ICC_SGI1R_EL1, cpu->arch.sgi_target | (uint64_t)GIC_SGI_KICK << 24);
    isb();
}
