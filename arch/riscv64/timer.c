/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's own timer: stimecmp where there is Sstc [sstc.adoc], else the firmware's [SBI
 * TIME]. */
#include "kernel/timer.h"
#include "arch/riscv64/csr.h"
#include "arch/riscv64/sbi.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

/*
 * TICKS_NEVER is the time that never comes, and takes a pending interrupt back. The firmware is not
 * called for that: a disabled interrupt does as well, in one instruction.
 */
void arch_timer_set(uint64_t deadline)
{
    if (likely(cpu_has.sstc)) {
        csr_write("stimecmp", deadline);
    } else if (deadline == TICKS_NEVER) {
        csr_clear("sie", INT_STI);
    } else {
        sbi_timer_set(deadline);
        csr_set("sie", INT_STI);
    }
}

static enum irq_result timer_irq([[maybe_unused]] uint32_t irq, [[maybe_unused]] void *arg)
{
    timer_expire();
    return IRQ_DONE;
}

enum err arch_timer_init_cpu(void)
{
    if (platform.timer_hz == 0) {
        log_error("the firmware does not say how fast time goes");
        return E_ABSENT;
    }
    arch_timer_set(TICKS_NEVER);
    if (this_cpu()->id != 0)
        return OK; /* irq_init_cpu() enables it. */
    return irq_attach(ARCH_IRQ_TIMER, IRQ_LEVEL, timer_irq, NULL);
}
