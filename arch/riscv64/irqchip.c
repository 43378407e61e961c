/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host interrupts: those of the hart (timer, IPI, guest interrupt files), and behind "external" the
 * controller that the platform has, a PLIC or an AIA. Numbers are the sources of PLIC or APLIC;
 * those of the hart are in arch_types.h.
 */
#include "arch/riscv64/irqchip.h"

#include "arch/riscv64/csr.h"
#include "arch/riscv64/sbi.h"
#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

static bool irqchip_aia; /* Set once in arch_irqchip_init(). */

enum err arch_irqchip_init(const struct platform *platform)
{
    switch (platform->irqchip) {
    case IRQCHIP_AIA:
        if (!cpu_has.aia) {
            log_error("the firmware describes an IMSIC that this hart does not have");
            return E_ABSENT;
        }
        irqchip_aia = true;
        return aia_init(platform);
    case IRQCHIP_PLIC:
        return plic_init(platform);
    default:
        log_error("the firmware describes no PLIC and no IMSIC");
        return E_ABSENT;
    }
}

enum err arch_irqchip_init_cpu(void)
{
    TRY(irqchip_aia ? aia_init_cpu(this_cpu()) : plic_init_cpu(this_cpu()));
    csr_clear("sip", INT_SSI);
    csr_set("sie", INT_SSI | INT_SEI);
    return OK;
}

bool arch_irq_is_percpu(uint32_t irq)
{
    return irq >= ARCH_IRQ_GUEST_FILE;
}

enum err arch_irq_enable(uint32_t irq, enum irq_trigger trigger)
{
    switch (irq) {
    case ARCH_IRQ_TIMER:
        csr_set("sie", INT_STI);
        return OK;
    case ARCH_IRQ_GUEST_FILE:
        csr_set("hie", INT_SGEI);
        return OK;
    }
    return irqchip_aia ? aia_enable(irq, trigger) : plic_enable(irq);
}

/* None of the hart's own can be handed to a guest: guests have a timer of their own, or none. */
void arch_irq_set_active([[maybe_unused]] uint32_t irq, [[maybe_unused]] bool active)
{
    unreachable();
}

static bool irqchip_take_external(uint32_t *irq)
{
    *irq = irqchip_aia ? aia_claim() : plic_claim();
    return *irq != 0;
}

/* By the order of priority that hardware has: external, software, timer [supervisor.adoc, sip and
 * sie]. */
bool arch_irq_take(uint32_t *irq)
{
    uint64_t pending = csr_read("sip") & csr_read("sie");

    if (pending & INT_SEI && irqchip_take_external(irq))
        return true;
    if (pending & INT_SSI) {
        csr_clear("sip", INT_SSI);
        ipi_taken();
    }
    if (pending & INT_STI) {
        *irq = ARCH_IRQ_TIMER;
        return true;
    }
    if (unlikely(csr_read("hip") & csr_read("hie") & INT_SGEI)) {
        *irq = ARCH_IRQ_GUEST_FILE;
        return true;
    }
    return false;
}

/* The hart's own have no end: their cause has been taken away. */
void arch_irq_end(uint32_t irq, bool keep)
{
    if (arch_irq_is_percpu(irq) || keep)
        return;
    if (irqchip_aia)
        aia_end(irq);
    else
        plic_complete(irq);
}

void arch_ipi_send(struct pcpu *cpu)
{
    arch_mb(); /* What the receiver is to see comes first. */
    if (irqchip_aia)
        aia_ipi_send(cpu);
    else
        sbi_ipi_send(cpu->hw_id);
}
