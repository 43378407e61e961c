/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's own timer: the EL2 physical one, at absolute times of the system counter. */
#include "kernel/timer.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

void arch_timer_set(uint64_t deadline)
{
    if (deadline == TICKS_NEVER) {
        sysreg_write("cnthp_ctl_el2", 0);
    } else {
        sysreg_write("cnthp_cval_el2", deadline);
        sysreg_write("cnthp_ctl_el2", CNT_CTL_ENABLE);
    }
    isb(); /* The level must have dropped before the interrupt is ended. */
}

static enum irq_result timer_irq([[maybe_unused]] uint32_t irq, [[maybe_unused]] void *arg)
{
    timer_expire();
    return IRQ_DONE;
}

enum err arch_timer_init_cpu(void)
{
    if (platform.timer_irq_hyp == 0) {
        log_error("the firmware names no interrupt for the EL2 timer");
        return E_ABSENT;
    }
    arch_timer_set(TICKS_NEVER);
    if (this_cpu()->id != 0)
        return OK; /* irq_init_cpu() enables it. */
    return irq_attach(platform.timer_irq_hyp, IRQ_LEVEL, timer_irq, NULL);
}
