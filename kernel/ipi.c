/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work for other pCPUs, without a lock. Each pCPU has a stack of work that anybody pushes to and
 * only it takes from, all at once.
 *
 * Nothing is lost, because each side writes before it reads:
 *
 *     sender                                  receiver, in ipi_taken()
 *     1. push the work (or write a flag)      1. ipi_under_way: true -> false
 *     2. ipi_under_way: -> true               2. look at the work; the caller looks at its flags
 *     3. it was false: send the IPI
 *
 * If step 2 of the sender finds true, the receiver has yet to do its step 1, and as both are
 * read-modify-write operations, that reads what the sender wrote and sees its step 1 as well.
 *
 * In the same way `queued` of a work item is cleared by an exchange just before its fn is called:
 * who found it set knows that fn has yet to be entered, and that it will see what he wrote before.
 */
#include "kernel/ipi.h"

#include "kernel/arch.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

void ipi_kick(unsigned id)
{
    struct pcpu *cpu = pcpu(id);

    /* One that is not online looks at everything when it comes; we ourselves are awake. */
    if (cpu == this_cpu() || !atomic_load(&cpu->online))
        return;
    if (!atomic_exchange(&cpu->ipi_under_way, true))
        arch_ipi_send(cpu);
}

bool ipi_work(unsigned id, struct work *work)
{
    struct pcpu *cpu = pcpu(id);
    struct work *head;

    if (atomic_exchange(&work->queued, true))
        return false;
    head = atomic_load_explicit(&cpu->work, memory_order_relaxed);
    do {
        work->next = head;
    } while (!atomic_compare_exchange_weak(&cpu->work, &head, work));
    if (cpu == this_cpu())
        atomic_store_explicit(&cpu->sched.leave, true, memory_order_relaxed);
    else
        ipi_kick(id);
    return true;
}

/* The stack, newest first, turned into a list, oldest first. */
static struct work *work_reverse(struct work *work)
{
    struct work *reversed = NULL, *next;

    for (; work; work = next) {
        next = work->next;
        work->next = reversed;
        reversed = work;
    }
    return reversed;
}

void ipi_run_work(void)
{
    struct work *work = work_reverse(atomic_exchange(&this_cpu()->work, NULL)), *next;

    for (; work; work = next) {
        next = work->next; /* From the exchange on, the item may be queued again. */
        atomic_exchange(&work->queued, false);
        work->fn(work);
    }
}

void ipi_taken(void)
{
    struct pcpu *cpu = this_cpu();

    if (unlikely(panic_under_way()))
        arch_halt();
    atomic_exchange(&cpu->ipi_under_way, false);
    if (atomic_load_explicit(&cpu->work, memory_order_relaxed))
        atomic_store_explicit(&cpu->sched.leave, true, memory_order_relaxed);
    sched_ipi_taken();
}
