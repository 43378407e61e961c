/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86 guest wants by an exit: messages and ends of interrupts at its local APIC (by MSR or
 * in its page), power and reset by ports. [Intel SDM vol. 3, "Interrupt Command Register (ICR)"]
 */
#include "vcpu/intent.h"

#include "vcpu/chips/vpci_host.h"
#include "vcpu/chips/vpm.h"
#include "vcpu/irqchip/vlapic_impl.h"
#include "vcpu/machine.h"
#include "vcpu/machine_x86_64.h"
#include "vcpu/vm.h"

#define PAGE_EOI      0xb0u
#define PAGE_ICR      0x300u
#define MSR_EOI       (VLAPIC_MSR_X2APIC + PAGE_EOI / 16)
#define MSR_ICR       (VLAPIC_MSR_X2APIC + PAGE_ICR / 16)
#define MSR_SELF_IPI  (VLAPIC_MSR_X2APIC + 0x3fu)

#define SIPI_SHIFT    12
#define CONTROL_TYPE  BITS(12, 10)
#define CONTROL_SLEEP BIT(13)
#define RESET_CPU     BIT(2)

enum { SHORT_SELF = 1, SHORT_ALL, SHORT_OTHERS };

static void intent_end(struct vcpu_exit *exit)
{
    exit->kind = EXIT_INTERRUPT_END;
    exit->end.vector = UINT32_MAX;
}

static void intent_ipi(struct vcpu_exit *exit, uint64_t icr, uint64_t dest)
{
    unsigned shorthand = (unsigned)field_get(ICR_SHORTHAND, icr);

    exit->kind = EXIT_SEND_IPI;
    exit->ipi.targets = dest;
    exit->ipi.group = icr & ICR_LOGICAL ? 1 : 0;
    exit->ipi.vector = (uint32_t)(icr & ICR_VECTOR);
    exit->ipi.to_all = shorthand == SHORT_ALL || shorthand == SHORT_OTHERS;
    exit->ipi.to_self = shorthand == SHORT_SELF || shorthand == SHORT_ALL;
}

/* A SIPI to one processor starts it; an INIT of itself stops the one that sends it. */
static void intent_icr(const struct vcpu *vcpu, struct vcpu_exit *exit, uint64_t icr, uint64_t dest)
{
    bool one = !(icr & (ICR_SHORTHAND | ICR_LOGICAL));
    unsigned mode = (unsigned)field_get(ICR_MODE, icr);

    if (mode == VLAPIC_STARTUP && one) {
        exit->kind = EXIT_CPU_UP;
        exit->cpu.target = dest;
        exit->cpu.entry = (icr & ICR_VECTOR) << SIPI_SHIFT;
        exit->cpu.arg = 0;
    } else if (mode == VLAPIC_INIT && one && dest == vcpu->index) {
        exit->kind = EXIT_CPU_DOWN;
    } else {
        intent_ipi(exit, icr, dest);
    }
}

static void intent_msr(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t value = exit->sysreg.value;

    if (exit->sysreg.addr == MSR_EOI)
        intent_end(exit);
    else if (exit->sysreg.addr == MSR_ICR)
        intent_icr(vcpu, exit, value, field_get(ICR_DEST, value));
    else if (exit->sysreg.addr == MSR_SELF_IPI)
        intent_ipi(exit, field_put(ICR_SHORTHAND, SHORT_SELF) | (value & ICR_VECTOR), 0);
}

/* The upper half of the ICR is what the guest has left in the model. */
static void intent_page(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t offset = exit->mmio.gpa.v - VLAPIC_BASE;

    if (offset == PAGE_EOI)
        intent_end(exit);
    else if (offset == PAGE_ICR)
        intent_icr(vcpu, exit, exit->mmio.data, x86_64_lapic(vcpu)->state.icr >> 56);
}

static void intent_port(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t port = exit->pio.port, data = exit->pio.data;

    if (port == machine_device(vcpu->vm->layout, "pm")->base + VPM_CONTROL) {
        if ((data & CONTROL_SLEEP) && field_get(CONTROL_TYPE, data) == VPM_S5)
            exit->kind = EXIT_SYSTEM_DOWN;
    } else if (port == VPCI_RESET_PORT && (data & RESET_CPU)) {
        exit->kind = EXIT_SYSTEM_RESET;
    }
}

/* In the order in which they are passed by convention [KVM's hypercalls], and two more. */
static void intent_args(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    static const uint8_t regs[] = {3, 1, 2, 6, 7, 5}; /* rbx, rcx, rdx, rsi, rdi, rbp. */

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        exit->call.args[i] = arch_vcpu_gpr(&vcpu->arch, regs[i]);
}

void intent_x86_64(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_HYPERCALL:
        intent_args(vcpu, exit);
        break;
    case EXIT_SYSREG_WRITE:
        intent_msr(vcpu, exit);
        break;
    case EXIT_MMIO_WRITE:
        intent_page(vcpu, exit);
        break;
    case EXIT_PIO_OUT:
        intent_port(vcpu, exit);
        break;
    default:
        break;
    }
}
