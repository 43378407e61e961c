/* SPDX-License-Identifier: Apache-2.0 */
/* What an Arm guest wants by an exit: PSCI, SGIs, ends of interrupts, its virtual timer. */
#include "vcpu/intent.h"

#include "kernel/bits.h"
#include "vcpu/irqchip/vgic_regs.h"
#include "vcpu/machine.h"
#include "vcpu/machine_aarch64.h"
#include "vcpu/vm.h"
#include "vcpu/vpsci.h"

#define DIR_INTID BITS(23, 0)

static void intent_sgi(struct vcpu_exit *exit, uint64_t value)
{
    exit->kind = EXIT_SEND_IPI;
    exit->ipi.targets = field_get(SGIR_TARGETS, value);
    exit->ipi.group = field_get(SGIR_RS, value) << 24 | field_get(SGIR_AFF3, value) << 16 |
                      field_get(SGIR_AFF2, value) << 8 | field_get(SGIR_AFF1, value);
    exit->ipi.vector = (uint32_t)field_get(SGIR_INTID, value);
    exit->ipi.to_all = value & SGIR_IRM;
    exit->ipi.to_self = false;
}

/* A GICv2's, in its distributor. */
static void intent_sgi_v2(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct machine_device *gicd = machine_device(vcpu->vm->layout, "gicd");
    uint64_t value = exit->mmio.data;

    if (virt_caps.gic_version != 2 || exit->mmio.gpa.v != gicd->base + GICD_SGIR)
        return;
    exit->kind = EXIT_SEND_IPI;
    exit->ipi.targets = field_get(SGIR_V2_TARGETS, value);
    exit->ipi.group = 0;
    exit->ipi.vector = (uint32_t)field_get(SGIR_V2_INTID, value);
    exit->ipi.to_all = field_get(SGIR_V2_FILTER, value) == SGIR_V2_OTHERS;
    exit->ipi.to_self = field_get(SGIR_V2_FILTER, value) == SGIR_V2_SELF;
}

static void intent_sysreg(struct vcpu_exit *exit)
{
    uint64_t value = exit->sysreg.value;

    switch (exit->sysreg.addr) {
    case ICC_SGI1R_EL1:
    case ICC_SGI0R_EL1:
    case ICC_ASGI1R_EL1:
        intent_sgi(exit, value);
        break;
    case ICC_DIR_EL1:
        exit->kind = EXIT_INTERRUPT_END;
        exit->end.vector = (uint32_t)field_get(DIR_INTID, value);
        break;
    }
}

/* The maintenance interrupt, for a list register that asked for it; or the guest's own timer. */
static void intent_interrupt(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t ended = arch_virq_ended(&vcpu->arch);

    if (ended) {
        uint64_t slot = arch_virq_read(&vcpu->arch, (unsigned)bit_lowest(ended));

        exit->kind = EXIT_INTERRUPT_END;
        exit->end.vector = (uint32_t)field_get(LR_VINTID, slot);
    } else if (arch_ticks() >= arch_vcpu_timer_deadline(&vcpu->arch)) {
        exit->kind = EXIT_PREEMPTION_TIMER;
    }
}

void intent_aarch64(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_HYPERCALL:
        vpsci_intent(exit);
        break;
    case EXIT_SYSREG_WRITE:
        intent_sysreg(exit);
        break;
    case EXIT_MMIO_WRITE:
        intent_sgi_v2(vcpu, exit);
        break;
    case EXIT_INTERRUPT:
        intent_interrupt(vcpu, exit);
        break;
    default:
        break;
    }
}
