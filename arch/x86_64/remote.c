/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of all pCPUs. x86 has no instruction that flushes another processor's TLB, and we run with
 * interrupts masked, so the others hear of it when they leave a guest, wake up, or wait for
 * something: arch_relax(), which is in every loop that waits, looks here. Two that call at once
 * therefore answer each other, and a lock held by a caller is no obstacle.
 *
 * One call at a time: who has set remote_busy owns remote_fn and remote_arg. A bit of
 * remote_waiting is set by the caller and cleared by its pCPU when that is done.
 */
#include "arch/x86_64/remote.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/trap.h"
#include "kernel/bits.h"
#include "kernel/percpu.h"

_Static_assert(CPUS_MAX <= 64, "one bit each");

_Atomic uint64_t remote_waiting;
static _Atomic bool remote_busy;
static void (*remote_fn)(void *arg);
static void *remote_arg;

static uint64_t remote_others(void)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < pcpu_count; i++)
        if (pcpu(i) != this_cpu() && atomic_load(&pcpu(i)->online))
            mask |= BIT(i);
    return mask;
}

void remote_answer(void)
{
    uint64_t own = BIT(this_cpu()->id);

    if (!(atomic_load_explicit(&remote_waiting, memory_order_acquire) & own))
        return;
    remote_fn(remote_arg);
    atomic_fetch_and_explicit(&remote_waiting, ~own, memory_order_release);
}

void remote_call(void (*fn)(void *arg), void *arg)
{
    uint64_t others = remote_others();

    fn(arg);
    if (!others)
        return;
    while (atomic_exchange(&remote_busy, true))
        arch_relax();
    remote_fn = fn;
    remote_arg = arg;
    atomic_store(&remote_waiting, others);
    for (uint64_t rest = others; rest; rest &= rest - 1)
        apic_send(pcpu(bit_lowest(rest)), VECTOR_REMOTE);
    while (atomic_load_explicit(&remote_waiting, memory_order_acquire))
        arch_relax();
    atomic_store(&remote_busy, false);
}
