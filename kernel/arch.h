/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seam 1: what a processor owes the kernel. Each architecture (and tests/fake) gives two headers:
 *
 * arch_types.h   struct arch_pcpu, struct arch_vcpu, struct arch_trap_frame;
 *                ARCH_NAME, ARCH_MACHINE
 * arch_inline.h  arch_this_cpu()  arch_relax()
 *                arch_ticks() arch_tick_hz()  arch_wmb() arch_rmb() arch_mb()
 *                arch_read8/16/32/64() arch_write8/16/32/64() for device registers; on x86
 *                addresses below 64 KiB are I/O ports
 *
 * The hypervisor runs with interrupts masked, always: they end a guest's run, or arch_idle(), and
 * are then taken by irq_handle().
 */
#pragma once

#include "kernel/err.h"
#include "kernel/irq.h"
#include "kernel/types.h"

struct pcpu;
struct platform;
struct pt_format;
struct fmt_sink;

#include "arch_inline.h"
#include "arch_types.h"

/* --- This processor --- */

/* Vectors, control registers, features. First thing on every pCPU; logs and stops it if unfit. */
void arch_cpu_init(struct pcpu *cpu);
/* What the hardware and the firmware's tables call this processor. */
uint64_t arch_hw_id(void);
/* One line for the log: model and features in use. Size as for fmt_buf(). */
void arch_cpu_describe(char *buf, size_t size);
/* Wait until an interrupt is pending, or longer than needed; it is left for irq_handle(). */
void arch_idle(void);
/* Go on in fn on another stack; what was on the present one is given up. */
[[gnu::noreturn]] void arch_stack_use(void *top, void (*fn)(void));
/* This pCPU does nothing any more. */
[[gnu::noreturn]] void arch_halt(void);
/* Return addresses of the calls under way, innermost first; frame NULL: of the caller. */
struct arch_trap_frame;
unsigned arch_backtrace(const struct arch_trap_frame *frame, uintptr_t *addrs, unsigned max);
void arch_trap_print(const struct arch_trap_frame *frame, struct fmt_sink *sink);

/* --- Other processors and the machine --- */

/*
 * Has the firmware start the processor; it arrives in secondary_main(cpu) on cpu->stack_top.
 * E_UNSUPPORTED, E_INVALID (no such processor), E_IO.
 */
enum err arch_cpu_start(struct pcpu *cpu);
/* Power off or restart the machine; does not return unless the firmware cannot. */
void arch_machine_off(void);
void arch_machine_reset(void);
/*
 * Writes all of it to the firmware's own console; what that does not take for too long is dropped.
 * In any context. E_UNSUPPORTED: there is none, which size 0 asks for.
 */
enum err arch_console_write(const char *text, size_t size);
/* A character that has been typed there, -1 when none. */
int arch_console_read(void);

/* --- Memory --- */

extern const struct pt_format *arch_host_format;
/* Run this pCPU on the tables. */
void arch_host_map_use(hpa_t root);
/* The host's mappings of the range have changed: all pCPUs must see it. */
void arch_host_flush(const void *start, size_t size);
/* Stage-2 translations of the VM in [start, start + size) have changed: flush them on all pCPUs. */
void arch_stage2_flush(uint16_t vmid, hpa_t root, gpa_t start, uint64_t size);
/* A page there may be written now: this pCPU must know, another one may fault for it once more. */
void arch_stage2_refresh(uint16_t vmid, hpa_t root, gpa_t page);
/*
 * From the return on hardware adds each page of the VM whose dirty bit it sets, and so does
 * arch_stage2_refresh(): one is in the log after the next arch_stage2_flush(). NULL: no longer, and
 * nobody has the former log in use. False: this hardware keeps none.
 */
struct dirty_log;
bool arch_stage2_log(uint16_t vmid, struct dirty_log *log);
/* Instructions and data written by us will be read by a guest whose caches are off. */
void arch_cache_clean(const void *start, size_t size);
/* Zeroes whole pages, by the fastest way there is. */
void arch_zero_pages(void *start, size_t size);

/* --- Interrupts and time --- */

/* The host interrupt controller of the platform, as found by drivers/. Boot processor only. */
enum err arch_irqchip_init(const struct platform *platform);
enum err arch_irqchip_init_cpu(void);
/*
 * Per-pCPU interrupts (arch_irq_is_percpu) are enabled on the calling pCPU only; others go to it.
 */
enum err arch_irq_enable(uint32_t irq, enum irq_trigger trigger);
bool arch_irq_is_percpu(uint32_t irq);
/*
 * Take the most urgent pending interrupt; false when there is none. IPIs are taken and ended
 * inside, through ipi_taken(), and not reported. After the handler: arch_irq_end(), where keep
 * leaves it active.
 */
bool arch_irq_take(uint32_t *irq);
void arch_irq_end(uint32_t irq, bool keep);
/*
 * A per-pCPU interrupt's state on this pCPU: active ones do not arrive until their guest ends them.
 */
void arch_irq_set_active(uint32_t irq, bool active);
/* Make pcpu take an IPI. Writes to memory before it are visible to the receiver. */
void arch_ipi_send(struct pcpu *cpu);
/* Set this pCPU's timer to an absolute time of arch_ticks(); TICKS_NEVER turns it off. */
void arch_timer_set(uint64_t deadline);
/* The timer's interrupt calls timer_expire(). */
enum err arch_timer_init_cpu(void);
