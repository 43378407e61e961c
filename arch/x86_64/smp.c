/* SPDX-License-Identifier: Apache-2.0 */
/* Other pCPUs, started one at a time by INIT and start-up IPIs; smp.S says what they find. */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/asm.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/trap.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"

#define LOW_END (640 * KIB)

/* Two pages below 640 KiB, kept: one that starts too late finds no pCPU there, and stops. */
static char *smp_place(void)
{
    static char *place;

    for (uint64_t at = PAGE_SIZE; !place && at < LOW_END; at += PAGE_SIZE)
        if (page_claim(hpa(at), 2 * PAGE_SIZE) == OK)
            place = phys_to_ptr(hpa(at));
    return place;
}

static void smp_prepare(char *place, struct pcpu *cpu)
{
    const void *early_root = early_tables();
    uint64_t entry = (uintptr_t)start_secondary;
    uint32_t root = (uint32_t)(uintptr_t)place + (uint32_t)PAGE_SIZE;

    assert(trampoline_end - trampoline <= TRAMPOLINE_DATA);
    memcpy(place, trampoline, (size_t)(trampoline_end - trampoline));
    memcpy(place + PAGE_SIZE, early_root, PAGE_SIZE);
    memcpy(place + TRAMPOLINE_ROOT, &root, sizeof(root));
    memcpy(place + TRAMPOLINE_ENTRY, &entry, sizeof(entry));
    memcpy(place + TRAMPOLINE_PCPU, &cpu, sizeof(cpu));
    arch_mb();
}

enum err arch_cpu_start(struct pcpu *cpu)
{
    char *place = smp_place(), *trap_stacks;

    if (!place) {
        log_warn("no free memory below 640 KiB, which other processors need to start");
        return E_NOMEM;
    }
    trap_stacks = page_alloc(TRAP_STACK_ORDER);
    if (!trap_stacks)
        return E_NOMEM;
    cpu->arch.trap_stack_top = trap_stacks + (PAGE_SIZE << TRAP_STACK_ORDER);
    smp_prepare(place, cpu);
    apic_start(cpu, (uint32_t)(uintptr_t)place);
    return OK;
}
