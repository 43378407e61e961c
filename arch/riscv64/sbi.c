/* SPDX-License-Identifier: Apache-2.0 */
/* Our calls to the firmware in M-mode [RISC-V SBI 2.0: Binary Encoding, and a chapter for each
 * extension]. */
#include "arch/riscv64/sbi.h"

#include "arch/riscv64/boot.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"

enum { HSM_HART_START };
enum { SRST_SHUTDOWN, SRST_COLD_REBOOT };
enum { DBCN_WRITE, DBCN_READ };

/* Extensions of SBI 0.1 have no functions and return one value, in a0 [Legacy Extensions]. */
#define SBI_LEGACY_PUTCHAR 1u
#define SBI_LEGACY_GETCHAR 2u

#define CONSOLE_TRIES_MAX  1000000u /* A second, more or less. */

/* A fence of more is one of everything: firmware may go page by page, and guests say how many. */
#define FENCE_SIZE_MAX     (256 * PAGE_SIZE)

struct sbi_result sbi_call(uint32_t extension, uint32_t function, uint64_t a, uint64_t b,
                           uint64_t c, uint64_t d, uint64_t e)
{
    register uint64_t a0 __asm__("a0") = a;
    register uint64_t a1 __asm__("a1") = b;
    register uint64_t a2 __asm__("a2") = c;
    register uint64_t a3 __asm__("a3") = d;
    register uint64_t a4 __asm__("a4") = e;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    /* All registers but a0 and a1 are kept [Binary Encoding]. */
    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
                     : "memory");
    return (struct sbi_result){(int64_t)a0, a1};
}

bool sbi_has(uint32_t extension)
{
    struct sbi_result result = sbi_call(SBI_EID_BASE, BASE_PROBE, extension, 0, 0, 0, 0);

    return result.error == SBI_SUCCESS && result.value != 0;
}

/*
 * A buffer of the debug console is named by its physical address, which is what our pointers are
 * [Debug Console Extension]. How many bytes went; < 0: there is no such extension.
 */
static int64_t sbi_console_debug(unsigned function, const char *text, size_t size)
{
    struct sbi_result result = sbi_call(SBI_EID_DBCN, function, size, (uintptr_t)text, 0, 0, 0);

    if (result.error == SBI_NOT_SUPPORTED)
        return -1;
    return result.error == SBI_SUCCESS ? (int64_t)MIN(result.value, size) : 0;
}

enum err arch_console_write(const char *text, size_t size)
{
    static bool stuck; /* A console that did not move is not waited for again until it does. */
    unsigned tries = stuck ? 1 : CONSOLE_TRIES_MAX;
    int64_t done;

    if (size == 0)
        return sbi_has(SBI_EID_DBCN) || sbi_has(SBI_LEGACY_PUTCHAR) ? OK : E_UNSUPPORTED;
    for (; size > 0 && tries > 0; tries--) {
        done = sbi_console_debug(DBCN_WRITE, text, size);
        if (done < 0)
            done = sbi_call(SBI_LEGACY_PUTCHAR, 0, (uint8_t)*text, 0, 0, 0, 0).error == SBI_SUCCESS;
        text += done;
        size -= (size_t)done;
        if (done > 0)
            tries = CONSOLE_TRIES_MAX;
    }
    stuck = size > 0;
    return OK;
}

int arch_console_read(void)
{
    char c;
    int64_t done = sbi_console_debug(DBCN_READ, &c, 1);

    if (done >= 0)
        return done == 1 ? (uint8_t)c : -1;
    done = sbi_call(SBI_LEGACY_GETCHAR, 0, 0, 0, 0, 0, 0).error;
    return done < 0 ? -1 : (uint8_t)done;
}

void sbi_timer_set(uint64_t deadline)
{
    sbi_call(SBI_EID_TIME, 0, deadline, 0, 0, 0, 0);
}

void sbi_ipi_send(uint64_t hart)
{
    sbi_call(SBI_EID_IPI, 0, 1, hart, 0, 0, 0);
}

void sbi_remote_fence(enum sbi_rfence_fid function, uint64_t pcpus, uint64_t start, uint64_t size,
                      uint64_t extra)
{
    if (size > FENCE_SIZE_MAX) {
        start = 0;
        size = UINT64_MAX;
    }
    /* Hart ids need not be dense: each call takes those of one window of 64. */
    while (pcpus) {
        uint64_t base = pcpu(bit_lowest(pcpus))->hw_id, mask = 0;

        for (uint64_t rest = pcpus; rest; rest &= rest - 1)
            base = MIN(base, pcpu(bit_lowest(rest))->hw_id);
        for (uint64_t rest = pcpus; rest; rest &= rest - 1) {
            unsigned id = bit_lowest(rest);

            if (pcpu(id)->hw_id - base >= 64)
                continue;
            mask |= BIT(pcpu(id)->hw_id - base);
            pcpus &= ~BIT(id);
        }
        sbi_call(SBI_EID_RFENCE, function, mask, base, start, size, extra);
    }
}

enum err arch_cpu_start(struct pcpu *cpu)
{
    char *trap_stack = page_alloc(0);

    if (!trap_stack)
        return E_NOMEM;
    cpu->arch.trap_stack_top = trap_stack + PAGE_SIZE;
    arch_mb();
    switch (sbi_call(SBI_EID_HSM, HSM_HART_START, cpu->hw_id, (uintptr_t)start_secondary,
                     (uintptr_t)cpu, 0, 0)
                .error) {
    case SBI_SUCCESS:
        return OK;
    case SBI_NOT_SUPPORTED:
        return E_UNSUPPORTED;
    case SBI_INVALID_PARAM:
        return E_INVALID;
    case SBI_ALREADY_AVAILABLE:
        return E_EXISTS;
    default:
        return E_IO;
    }
}

void arch_machine_off(void)
{
    sbi_call(SBI_EID_SRST, 0, SRST_SHUTDOWN, 0, 0, 0, 0);
    log_error("the firmware did not power off");
}

void arch_machine_reset(void)
{
    sbi_call(SBI_EID_SRST, 0, SRST_COLD_REBOOT, 0, 0, 0, 0);
    log_error("the firmware did not reset");
}
