/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of host interrupts. irq_handle() is on the path of every interrupt of every guest, so
 * it is a take, one indexed call and an end, without a lock: a slot is filled in completely before
 * its handler is stored, and never emptied.
 */
#include "kernel/irq.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/log.h"

struct irq_slot {
    _Atomic irq_handler handler; /* NULL: nobody asked for this interrupt. */
    void *arg;
};

static struct irq_slot slots[IRQS_MAX];
static _Atomic uint64_t claimed[IRQS_MAX / 64];      /* Attached, or being attached. */
static _Atomic uint64_t edge[IRQS_MAX / 64];         /* The trigger it was attached with. */
static _Atomic uint64_t reported[IRQS_MAX / 64 + 1]; /* Warned about: nobody handles it. */
static _Atomic uint64_t unclaimed;

/* Sets the bit of the interrupt; returns whether it was set. */
static bool irq_mark(_Atomic uint64_t *map, uint32_t irq)
{
    return atomic_fetch_or(&map[irq / 64], BIT(irq % 64)) & BIT(irq % 64);
}

static bool irq_marked(_Atomic uint64_t *map, uint32_t irq)
{
    return atomic_load(&map[irq / 64]) & BIT(irq % 64);
}

enum err irq_attach(uint32_t irq, enum irq_trigger trigger, irq_handler handler, void *arg)
{
    enum err err;

    assert(handler);
    if (irq >= IRQS_MAX)
        return E_RANGE;
    if (irq_mark(claimed, irq))
        return E_EXISTS;
    if (trigger == IRQ_EDGE)
        irq_mark(edge, irq);
    slots[irq].arg = arg;
    atomic_store_explicit(&slots[irq].handler, handler, memory_order_release);
    err = arch_irq_enable(irq, trigger);
    if (err != OK) {
        atomic_store(&slots[irq].handler, NULL);
        atomic_fetch_and(&edge[irq / 64], ~BIT(irq % 64));
        atomic_fetch_and(&claimed[irq / 64], ~BIT(irq % 64));
    }
    return err;
}

/* It is counted always and told once: firmware may have left a device on that never stops. */
[[gnu::noinline, gnu::cold]] static void irq_handle_unclaimed(uint32_t irq)
{
    atomic_fetch_add_explicit(&unclaimed, 1, memory_order_relaxed);
    if (!irq_mark(reported, MIN(irq, IRQS_MAX))) /* All beyond the table share a bit. */
        log_warn("interrupt %u came, but nothing here handles it", irq);
}

void irq_handle(void)
{
    irq_handler handler = NULL;
    enum irq_result result = IRQ_DONE;
    uint32_t taken, irq;

    if (!arch_irq_take(&taken))
        return;
    irq = taken; /* In a register: the address of the other is known outside. */
    if (likely(irq < IRQS_MAX))
        handler = atomic_load_explicit(&slots[irq].handler, memory_order_acquire);
    if (likely(handler))
        result = handler(irq, slots[irq].arg);
    else
        irq_handle_unclaimed(irq);
    arch_irq_end(irq, result == IRQ_KEEP);
}

void irq_init_cpu(void)
{
    enum err err;

    for (uint32_t irq = 0; irq < IRQS_MAX; irq++) {
        if (!irq_marked(claimed, irq) || !arch_irq_is_percpu(irq))
            continue;
        err = arch_irq_enable(irq, irq_marked(edge, irq) ? IRQ_EDGE : IRQ_LEVEL);
        if (err != OK)
            log_error("interrupt %u cannot be enabled on this processor: %s", irq, err_text(err));
    }
}

uint64_t irq_unclaimed_count(void)
{
    return atomic_load_explicit(&unclaimed, memory_order_relaxed);
}
