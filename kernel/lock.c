/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticket locks: first come, first served. A pCPU draws a ticket from `next` and waits until `owner`
 * shows it. The 16-bit tickets wrap, which is right as long as fewer than 65536 pCPUs wait.
 *
 * ranks_held of the pCPU has the bit of each lock it holds. Each lock taken ranks above all of
 * them, so no two pCPUs can wait for each other, and a lock taken twice is caught as well.
 */
#include "kernel/lock.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/fmt.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

static const char *const rank_names[] = {
    [RANK_VM] = "vm",
    [RANK_DEVICE] = "device",
    [RANK_IRQCHIP] = "irqchip",
    [RANK_CONSOLE] = "console",
    [RANK_SCHED] = "sched",
    [RANK_TIMER] = "timer",
    [RANK_GUESTMAP] = "guest map",
    [RANK_HOSTMAP] = "host map",
    [RANK_PAGES] = "pages",
    [RANK_LOG] = "log",
    [RANK_UART] = "uart",
};

void lock_init(struct lock *lock, enum lock_rank rank, const char *name)
{
    *lock = (struct lock)LOCK_INIT(rank, name);
}

/* Does not return, but to whoever reports a panic: that may interrupt anything. */
static void lock_misordered(const struct pcpu *cpu, const struct lock *lock)
{
    unsigned held = bit_highest(cpu->ranks_held);
    char text[128];

    if (panic_here())
        return;
    fmt_buf(text, sizeof(text), "lock '%s' (rank %u) taken while holding one of rank '%s' (%u)",
            lock->name ? lock->name : "?", lock->rank,
            held < ARRAY_SIZE(rank_names) && rank_names[held] ? rank_names[held] : "?", held);
    assert_failed(text, __FILE__, __LINE__);
}

[[gnu::noinline]] static void lock_take_wait(const struct lock *lock, uint32_t ticket)
{
    while (atomic_load_explicit(&lock->owner, memory_order_acquire) != ticket) {
        arch_relax();
        if (likely(!panic_under_way()))
            continue;
        /* The owner may have been stopped for good: whoever reports goes on without it. */
        if (panic_here())
            return;
        arch_halt();
    }
}

/* What is rare is called last, so that nothing has to be saved for it. */
static inline void lock_take_ordered(struct pcpu *cpu, struct lock *lock)
{
    uint32_t ticket;

    cpu->ranks_held |= (uint32_t)1 << lock->rank;
    ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    if (unlikely(atomic_load_explicit(&lock->owner, memory_order_acquire) != ticket))
        lock_take_wait(lock, ticket);
}

[[gnu::noinline, gnu::cold]] static void lock_take_misordered(struct pcpu *cpu, struct lock *lock)
{
    lock_misordered(cpu, lock);
    lock_take_ordered(cpu, lock);
}

void lock_take(struct lock *lock)
{
    struct pcpu *cpu = this_cpu();

    if (unlikely(cpu->ranks_held >> lock->rank))
        lock_take_misordered(cpu, lock);
    else
        lock_take_ordered(cpu, lock);
}

void lock_drop(struct lock *lock)
{
    uint32_t ticket = atomic_load_explicit(&lock->owner, memory_order_relaxed);

    this_cpu()->ranks_held &= ~((uint32_t)1 << lock->rank);
    /* Only the holder writes `owner`, so load and store need not be one operation. */
    atomic_store_explicit(&lock->owner, ticket + 1, memory_order_release);
}

bool lock_held(const struct lock *lock)
{
    return atomic_load_explicit(&lock->next, memory_order_relaxed) !=
           atomic_load_explicit(&lock->owner, memory_order_relaxed);
}
