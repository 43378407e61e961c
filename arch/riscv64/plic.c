/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PLIC: a context for each hart at supervisor level, with enable bits, a threshold, and a
 * register that claims an interrupt when it is read and completes it when it is written. [RISC-V
 * PLIC 1.0.0, chapters 3 to 10]
 */
#include "arch/riscv64/irqchip.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"

#define PLIC_PRIORITY(irq)    (4u * (irq))
#define PLIC_ENABLE(context)  (0x2000u + 0x80u * (context))
#define PLIC_CONTEXT(context) (0x200000u + 0x1000u * (context))
#define CONTEXT_THRESHOLD     0u
#define CONTEXT_CLAIM         4u

static volatile char *plic;
static uint32_t plic_end; /* First number beyond the sources. */

enum err plic_init(const struct platform *platform)
{
    volatile void *regs;

    TRY(hostmap_device(platform->plic, platform->plic_size, &regs));
    plic = regs;
    plic_end = MIN(platform->plic_sources + 1, ARCH_IRQ_GUEST_FILE);
    for (uint32_t irq = 1; irq < plic_end; irq++)
        arch_write32(plic + PLIC_PRIORITY(irq), 0); /* Never. */
    return OK;
}

enum err plic_init_cpu(struct pcpu *cpu)
{
    uint32_t context = platform.cpus[cpu->id].plic_context;

    if (PLIC_CONTEXT((uint64_t)context) + 0x1000 > platform.plic_size) {
        log_error("cpu%u: its context %u is not in the PLIC", cpu->id, context);
        return E_RANGE;
    }
    cpu->arch.plic_enable = plic + PLIC_ENABLE(context);
    cpu->arch.plic_claim = plic + PLIC_CONTEXT(context) + CONTEXT_CLAIM;
    for (uint32_t irq = 0; irq < plic_end; irq += 32)
        arch_write32((volatile char *)cpu->arch.plic_enable + irq / 8, 0);
    arch_write32(plic + PLIC_CONTEXT(context) + CONTEXT_THRESHOLD, 0);
    return OK;
}

enum err plic_enable(uint32_t irq)
{
    volatile char *word = (volatile char *)this_cpu()->arch.plic_enable + irq / 32 * 4;

    if (irq == 0 || irq >= plic_end)
        return E_RANGE;
    arch_write32(plic + PLIC_PRIORITY(irq), 1);
    arch_write32(word, arch_read32(word) | (uint32_t)BIT(irq % 32));
    return OK;
}

uint32_t plic_claim(void)
{
    return arch_read32(this_cpu()->arch.plic_claim);
}

void plic_complete(uint32_t irq)
{
    arch_write32(this_cpu()->arch.plic_claim, irq);
}
