/* SPDX-License-Identifier: Apache-2.0 */
/* What a RISC-V guest wants by an exit: SBI, ends of interrupts, the test device. */
#include "vcpu/intent.h"

#include "kernel/bits.h"
#include "vcpu/chips/vtest.h"
#include "vcpu/machine.h"
#include "vcpu/machine_riscv64.h"
#include "vcpu/vm.h"
#include "vcpu/vsbi.h"

#define PLIC_CONTEXTS     0x200000u
#define PLIC_CONTEXT_SIZE 0x1000u
#define PLIC_COMPLETE     0x4u

static void intent_test(struct vcpu_exit *exit)
{
    switch (exit->mmio.data & 0xffff) {
    case TEST_FAIL:
    case TEST_POWEROFF:
        exit->kind = EXIT_SYSTEM_DOWN;
        break;
    case TEST_RESET:
        exit->kind = EXIT_SYSTEM_RESET;
        break;
    }
}

/* Each context's claim register completes by a store [PLIC, "Interrupt Completion"]. */
static bool is_complete(uint64_t offset)
{
    return offset >= PLIC_CONTEXTS && offset % PLIC_CONTEXT_SIZE == PLIC_COMPLETE;
}

static void intent_store(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct machine_device *test = machine_device(vcpu->vm->layout, "test");
    const struct machine_device *plic = machine_device(vcpu->vm->layout, "plic");
    uint64_t addr = exit->mmio.gpa.v, data = exit->mmio.data;

    if (addr == test->base) {
        intent_test(exit);
    } else if (vcpu->vm->config->irqchip == CONFIG_PLIC && addr - plic->base < plic->size &&
               is_complete(addr - plic->base)) {
        exit->kind = EXIT_INTERRUPT_END;
        exit->end.vector = (uint32_t)data;
    }
}

void intent_riscv64(const struct vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_HYPERCALL:
        vsbi_intent(exit);
        break;
    case EXIT_MMIO_WRITE:
        intent_store(vcpu, exit);
        break;
    case EXIT_SYSREG_WRITE:
        if (exit->sysreg.addr == CSR_STOPEI) { /* Of a file by software. */
            exit->kind = EXIT_INTERRUPT_END;
            exit->end.vector = UINT32_MAX;
        }
        break;
    default:
        break;
    }
}
