/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv2: distributor with banked private registers, memory-mapped CPU interface (GICC), and the
 * virtual interface control (GICH), whose list registers are shown in the GICv3's layout. [IHI
 * 0048B]
 */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/gicv2_lr.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"
#include "vcpu/arch_vcpu.h"

#define GICD_SIZE         0x1000u
#define GICC_SIZE         0x2000u
#define GICH_SIZE         0x1000u

#define GICC_CTLR         0x0000u
#define GICC_PMR          0x0004u
#define GICC_BPR          0x0008u
#define GICC_IAR          0x000cu
#define GICC_EOIR         0x0010u
#define GICC_DIR          0x1000u
#define GICC_CTLR_EOIMODE BIT(9)

#define GICH_HCR          0x000u
#define GICH_VTR          0x004u
#define GICH_VMCR         0x008u
#define GICH_EISR0        0x020u
#define GICH_ELSR0        0x030u
#define GICH_APR          0x0f0u
#define GICH_LR           0x100u

static volatile char *gicc, *gich;

enum err gicv2_init(const struct platform *platform)
{
    volatile void *regs;

    if (!platform->gich || !platform->gicv) {
        log_error("this GICv2 has no virtualization extensions");
        return E_UNSUPPORTED;
    }
    TRY(hostmap_device(platform->gicd, GICD_SIZE, &regs));
    gicd = regs;
    TRY(hostmap_device(platform->gicc, GICC_SIZE, &regs));
    gicc = regs;
    TRY(hostmap_device(platform->gich, GICH_SIZE, &regs));
    gich = regs;
    arch_write32(gicd + GICD_CTLR, 0);
    gicd_reset_spis();
    arch_write32(gicd + GICD_CTLR, 1);
    return OK;
}

enum err gicv2_init_cpu(struct pcpu *cpu)
{
    /* The banked target register of an SGI says which CPU interface is ours. */
    cpu->arch.sgi_target = arch_read32(gicd + GICD_ITARGETSR) & 0xff;
    if (cpu->arch.sgi_target == 0)
        cpu->arch.sgi_target = 1; /* One processor: reads as zero. */
    arch_write32(gicd + GICD_ICENABLER, ~0u);
    arch_write32(gicd + GICD_ICACTIVER, ~0u);
    arch_write32(gicd + GICD_ICPENDR, ~0u);
    arch_write32(gicd + GICD_IGROUPR, 0);
    for (unsigned i = 0; i < 32; i += 4)
        arch_write32(gicd + GICD_IPRIORITYR + i, GIC_PRIORITY * 0x01010101u);
    arch_write32(gicd + GICD_ISENABLER, 1u << GIC_SGI_KICK);
    arch_write32(gicc + GICC_PMR, 0xff);
    arch_write32(gicc + GICC_BPR, 0);
    arch_write32(gicc + GICC_CTLR, (uint32_t)(GICC_CTLR_EOIMODE | 1));
    arch_write32(gich + GICH_HCR, 0);
    return OK;
}

uint32_t gicv2_ack(void)
{
    uint32_t iar = arch_read32(gicc + GICC_IAR);

    arch_mb(); /* The acknowledge is seen before what the handler does. */
    return iar;
}

void gicv2_eoi(uint32_t iar)
{
    arch_write32(gicc + GICC_EOIR, iar);
}

void gicv2_deactivate(uint32_t iar)
{
    arch_write32(gicc + GICC_DIR, iar);
}

void gicv2_send_ipi(const struct pcpu *cpu)
{
    arch_write32(gicd + GICD_SGIR, (uint32_t)cpu->arch.sgi_target << 16 | GIC_SGI_KICK);
}

unsigned gicv2_slots(void)
{
    return (arch_read32(gich + GICH_VTR) & 0x3f) + 1;
}

uint64_t gicv2_lr_read(unsigned slot)
{
    return gicv2_lr_to_v3(arch_read32(gich + GICH_LR + 4 * slot));
}

void gicv2_lr_write(unsigned slot, uint64_t v)
{
    arch_write32(gich + GICH_LR + 4 * slot, gicv2_lr_from_v3(v));
}

uint64_t gicv2_empty(void)
{
    return arch_read32(gich + GICH_ELSR0);
}

uint64_t gicv2_ended(void)
{
    return arch_read32(gich + GICH_EISR0);
}

/* HCR's low bits and EOIcount are where the GICv3 has them; TDIR does not exist here. */
uint64_t gicv2_control(void)
{
    return arch_read32(gich + GICH_HCR);
}

void gicv2_set_control(uint64_t value)
{
    arch_write32(gich + GICH_HCR, (uint32_t)(value & (BITS(31, 27) | BITS(7, 0))));
}

void gicv2_load(const struct arch_gic_state *state)
{
    arch_write32(gich + GICH_VMCR, (uint32_t)state->vmcr);
    arch_write32(gich + GICH_APR, state->ap0r[0]);
    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        gicv2_lr_write(i, state->lr[i]);
    gicv2_set_control(state->hcr | ICH_HCR_EN);
}

void gicv2_store(struct arch_gic_state *state)
{
    state->vmcr = arch_read32(gich + GICH_VMCR);
    state->hcr = gicv2_control();
    state->ended = gicv2_ended();
    state->ap0r[0] = arch_read32(gich + GICH_APR);
    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        state->lr[i] = gicv2_lr_read(i);
    arch_write32(gich + GICH_HCR, 0);
}
