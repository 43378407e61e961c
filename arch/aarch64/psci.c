/* SPDX-License-Identifier: Apache-2.0 */
/* Our calls to the firmware: PSCI [Arm DEN0022], by the conduit that the platform names. */
#include "arch/aarch64/boot.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/page.h"

#define PSCI_CPU_ON        0xc4000003u
#define PSCI_SYSTEM_OFF    0x84000008u
#define PSCI_SYSTEM_RESET  0x84000009u

#define PSCI_NOT_SUPPORTED (-1)
#define PSCI_INVALID_PARAM (-2)
#define PSCI_ALREADY_ON    (-4)

static int64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    if (platform.psci != CONDUIT_SMC) /* HVC at EL2 would call ourselves. */
        return PSCI_NOT_SUPPORTED;
    /* The firmware may change x4-x17 too [SMCCC 2.6]. */
    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                       "x16", "x17", "memory");
    return (int32_t)x0;
}

enum err arch_cpu_start(struct pcpu *cpu)
{
    char *trap_stack = page_alloc(0);

    if (!trap_stack)
        return E_NOMEM;
    cpu->arch.trap_stack_top = trap_stack + PAGE_SIZE;
    /* It reads its struct with the MMU off. */
    arch_cache_clean(cpu, sizeof(*cpu));
    switch (psci_call(PSCI_CPU_ON, cpu->hw_id, (uintptr_t)start_secondary, (uintptr_t)cpu)) {
    case 0:
        return OK;
    case PSCI_NOT_SUPPORTED:
        return E_UNSUPPORTED;
    case PSCI_INVALID_PARAM:
        return E_INVALID;
    case PSCI_ALREADY_ON:
        return E_EXISTS;
    default:
        return E_IO;
    }
}

void arch_machine_off(void)
{
    psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    log_error("the firmware did not power off");
}

void arch_machine_reset(void)
{
    psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
    log_error("the firmware did not reset");
}

/* PSCI has nothing of the kind. */
enum err arch_console_write(const char *, size_t)
{
    return E_UNSUPPORTED;
}

int arch_console_read(void)
{
    return -1;
}
