/* SPDX-License-Identifier: Apache-2.0 */
/* GICv3: distributor, redistributors, CPU interface by system registers [IHI 0069]. */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"

#define GICD_SIZE     0x10000u
#define GICD_CTLR_RWP BIT(31)
#define GICD_CTLR_ARE BIT(4) /* As non-secure or single-state software sees it. */
#define GICD_CTLR_G1  BIT(1)

#define GICR_CTLR     0x0000u
#define GICR_CTLR_RWP BIT(3)
#define GICR_WAKER    0x0014u
#define GICR_TYPER    0x0008u
#define GICR_SGI      0x10000u
#define GICR_SIZE     0x20000u
#define GICR_SIZE_V4  0x40000u
#define WAKER_SLEEP   BIT(1)
#define WAKER_ASLEEP  BIT(2)
#define TYPER_VLPIS   BIT(1)
#define TYPER_LAST    BIT(4)

/* Waits until the bits of a register are clear: a controller without power never gets there. */
static enum err gicv3_wait(volatile char *reg, uint64_t bits, const char *what)
{
    uint64_t end = arch_ticks() + arch_tick_hz();

    while (arch_read32(reg) & bits) {
        if (arch_ticks() > end) {
            log_error("cpu%u: the GIC's %s does not finish", this_cpu()->id, what);
            return E_TIMEOUT;
        }
        arch_relax();
    }
    return OK;
}

enum err gicv3_init(const struct platform *platform)
{
    volatile void *regs;

    TRY(hostmap_device(platform->gicd, GICD_SIZE, &regs));
    gicd = regs;
    arch_write32(gicd + GICD_CTLR, 0);
    TRY(gicv3_wait(gicd + GICD_CTLR, GICD_CTLR_RWP, "distributor"));
    gicd_reset_spis();
    TRY(gicv3_wait(gicd + GICD_CTLR, GICD_CTLR_RWP, "distributor"));
    arch_write32(gicd + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_G1);
    return gicv3_wait(gicd + GICD_CTLR, GICD_CTLR_RWP, "distributor");
}

/* MPIDR affinity as GICR_TYPER has it: Aff3.Aff2.Aff1.Aff0 in 32 bits. */
static uint32_t gicv3_affinity(uint64_t mpidr)
{
    return (uint32_t)(field_get(BITS(39, 32), mpidr) << 24 | (mpidr & 0xffffff));
}

static volatile char *gicv3_search(const struct platform_region *region, uint32_t affinity)
{
    volatile void *regs;
    uint64_t step;

    for (uint64_t at = 0; at + GICR_SIZE <= region->size; at += step) {
        uint64_t typer;

        if (hostmap_device(region->base + at, GICR_SIZE, &regs) != OK)
            return NULL;
        typer = arch_read64((volatile char *)regs + GICR_TYPER);
        if (typer >> 32 == affinity)
            return regs;
        if (typer & TYPER_LAST)
            return NULL;
        step = typer & TYPER_VLPIS ? GICR_SIZE_V4 : GICR_SIZE;
    }
    return NULL;
}

static volatile char *gicv3_find(const struct pcpu *cpu)
{
    volatile void *regs;
    uint64_t named = platform.cpus[cpu->id].gicr;

    if (named)
        return hostmap_device(named, GICR_SIZE, &regs) == OK ? regs : NULL;
    for (unsigned i = 0; i < platform.gicr_count; i++) {
        volatile char *found = gicv3_search(&platform.gicr[i], gicv3_affinity(cpu->hw_id));

        if (found)
            return found;
    }
    return NULL;
}

enum err gicv3_init_cpu(struct pcpu *cpu)
{
    volatile char *gicr = gicv3_find(cpu);

    if (!gicr) {
        log_error("cpu%u: no GIC redistributor belongs to it", cpu->id);
        return E_ABSENT;
    }
    cpu->arch.gicr = gicr;
    cpu->arch.sgi_target = field_get(BITS(39, 32), cpu->hw_id) << 48 |
                           field_get(BITS(23, 16), cpu->hw_id) << 32 |
                           field_get(BITS(15, 8), cpu->hw_id) << 16 |
                           (cpu->hw_id & 0xf0) >> 4 << 44 | BIT(cpu->hw_id & 0xf);
    arch_write32(gicr + GICR_WAKER, (uint32_t)(arch_read32(gicr + GICR_WAKER) & ~WAKER_SLEEP));
    TRY(gicv3_wait(gicr + GICR_WAKER, WAKER_ASLEEP, "redistributor"));
    arch_write32(gicr + GICR_CTLR, 0); /* No LPIs: nobody here would end them. */
    arch_write32(gicr + GICR_SGI + GICD_ICENABLER, ~0u);
    TRY(gicv3_wait(gicr + GICR_CTLR, GICR_CTLR_RWP, "redistributor"));
    gicr += GICR_SGI;
    arch_write32(gicr + GICD_ICACTIVER, ~0u);
    arch_write32(gicr + GICD_ICPENDR, ~0u);
    arch_write32(gicr + GICD_IGROUPR, ~0u);
    for (unsigned i = 0; i < 32; i += 4)
        arch_write32(gicr + GICD_IPRIORITYR + i, GIC_PRIORITY * 0x01010101u);
    arch_write32(gicr + GICD_ISENABLER, 1u << GIC_SGI_KICK);

    sysreg_write(ICC_SRE_EL2, ICC_SRE_ALL | ICC_SRE_ENABLE);
    isb();
    if (!(sysreg_read(ICC_SRE_EL2) & BIT(0))) {
        log_error("cpu%u: the firmware keeps the GIC's system registers from us", cpu->id);
        return E_UNSUPPORTED;
    }
    sysreg_write(ICC_SRE_EL1, ICC_SRE_ALL); /* So guests find it, and cannot change it. */
    sysreg_write(ICC_SRE_EL2, ICC_SRE_ALL);
    isb();
    sysreg_write(ICC_AP1R0_EL1, 0); /* What the firmware may have left acknowledged. */
    sysreg_write(ICC_PMR_EL1, 0xff);
    sysreg_write(ICC_BPR1_EL1, 0);
    sysreg_write(ICC_CTLR_EL1, ICC_CTLR_EOIMODE);
    sysreg_write(ICC_IGRPEN1_EL1, 1);
    isb();
    return OK;
}
