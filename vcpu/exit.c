/* SPDX-License-Identifier: Apache-2.0 */
/* The names of exits. */
#include "vcpu/exit.h"

const char *exit_kind_text(enum exit_kind kind)
{
    static const char *const names[EXIT_KINDS] = {
        [EXIT_NOTHING] = "nothing",
        [EXIT_INTERRUPT] = "interrupt",
        [EXIT_HYPERCALL] = "hypercall",
        [EXIT_MMIO_READ] = "mmio-read",
        [EXIT_MMIO_WRITE] = "mmio-write",
        [EXIT_PIO_IN] = "pio-in",
        [EXIT_PIO_OUT] = "pio-out",
        [EXIT_SYSREG_READ] = "sysreg-read",
        [EXIT_SYSREG_WRITE] = "sysreg-write",
        [EXIT_STAGE2_FAULT] = "stage2-fault",
        [EXIT_HALT] = "halt",
        [EXIT_IDLE] = "idle",
        [EXIT_WFI] = "wfi",
        [EXIT_WFE] = "wfe",
        [EXIT_CPU_UP] = "cpu-up",
        [EXIT_CPU_DOWN] = "cpu-down",
        [EXIT_SEND_IPI] = "send-ipi",
        [EXIT_SYSTEM_DOWN] = "system-down",
        [EXIT_SYSTEM_RESET] = "system-reset",
        [EXIT_SHUTDOWN] = "shutdown",
        [EXIT_DEBUG] = "debug",
        [EXIT_INTERRUPT_WINDOW] = "interrupt-window",
        [EXIT_PREEMPTION_TIMER] = "preemption-timer",
        [EXIT_INTERRUPT_END] = "interrupt-end",
        [EXIT_FAIL_ENTRY] = "fail-entry",
        [EXIT_CANCELLED] = "cancelled",
        [EXIT_INTERNAL_ERROR] = "internal-error",
        [EXIT_UNKNOWN] = "unknown",
    };

    return kind < EXIT_KINDS ? names[kind] : "?";
}
