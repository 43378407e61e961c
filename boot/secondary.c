/* SPDX-License-Identifier: Apache-2.0 */
/* The other processors: woken one after the other, each met when it has entered its scheduler. */
#include "boot/boot.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"
#include "vcpu/arch_vcpu.h"

#define STACK_SIZE   (16 * KIB)
#define WAIT_TIME_NS 1000000000u

void secondary_main(struct pcpu *cpu)
{
    arch_cpu_init(cpu);
    timer_init_cpu();
    sched_init_cpu();
    if (arch_irqchip_init_cpu() != OK || arch_timer_init_cpu() != OK || arch_virt_enable() != OK) {
        log_warn("cpu%u cannot be used", cpu->id);
        arch_halt();
    }
    irq_init_cpu();
    sched_loop();
}

static bool secondary_wait(const struct pcpu *cpu)
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_TIME_NS);

    while (!atomic_load_explicit(&cpu->online, memory_order_acquire)) {
        if (arch_ticks() > end)
            return false;
        arch_relax();
    }
    return true;
}

void secondary_start_all(void)
{
    for (unsigned id = 1; id < pcpu_count; id++) {
        struct pcpu *cpu = pcpu(id);
        enum err err = E_NOMEM;

        cpu->stack_top = hostmap_stack_alloc(STACK_SIZE);
        if (cpu->stack_top)
            err = arch_cpu_start(cpu);
        if (err == OK && !secondary_wait(cpu))
            err = E_TIMEOUT;
        if (err != OK)
            log_warn("cpu%u (%#llx) did not start: %s", id, (unsigned long long)cpu->hw_id,
                     err_text(err));
    }
}
