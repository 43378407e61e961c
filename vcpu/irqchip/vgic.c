// SPDX-License-Identifier: Apache-2.0
/*
 * The GIC model's core: reset, who is to look at what, and interrupts that come in.
 *
 * A vCPU looks only when its dirty flag is set. It is set under the lock, after the state that it
 * speaks of, and followed by a kick; vgic_fill() reads it last before entry. So a change is either
 * seen by that fill or its kick ends the run.
 *
 * Locking: vgic->lock, except where vgic.h says so. [IHI 0069]
 */
#include "kernel/assert.h"
#include "kernel/string.h"
#include "vcpu/irqchip/vgic_impl.h"

void vgic_lock_synced(struct vgic *vgic, unsigned cpu)
{
    const struct vgic_cpu *c = &vgic->cpus[cpu];

    lock_take(&vgic->lock);
    if (c->running && (c->state.used | c->state.evicted) != 0)
        vgic_lr_sync(vgic, cpu);
}

void vgic_unlock(struct vgic *vgic, unsigned self)
{
    uint32_t kicks = vgic->kicks & ~((uint32_t)1 << self);

    vgic->kicks = 0;
    lock_drop(&vgic->lock);
    for (; kicks != 0; kicks &= kicks - 1)
        vgic->owner->kick(vgic->owner, bit_lowest(kicks));
}

void vgic_unlock_synced(struct vgic *vgic, unsigned self)
{
    struct vgic_cpu *c = &vgic->cpus[self];

    if (c->running && atomic_load_explicit(&c->dirty, memory_order_relaxed)) {
        vgic_lr_fill(vgic, self); /* What it finds out itself is in the slots then. */
        atomic_store_explicit(&c->dirty, false, memory_order_relaxed);
    }
    vgic_unlock(vgic, self);
}

void vgic_notify_cpu(struct vgic *vgic, unsigned cpu)
{
    atomic_store_explicit(&vgic->cpus[cpu].dirty, true, memory_order_release);
    vgic->kicks |= (uint32_t)1 << cpu;
}

void vgic_notify(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    unsigned target = vgic_route(vgic, cpu, irq);

    if (irq >= VGIC_PRIVATE && (bank->in_lr | bank->evicted) & vgic_bit(irq))
        target = bank->home[irq % 32];
    if (target < vgic->cpu_count)
        vgic_notify_cpu(vgic, target);
}

void vgic_bank_refresh(struct vgic *vgic, struct vgic_bank *bank)
{
    uint32_t group = atomic_load_explicit(&bank->group, memory_order_relaxed);
    uint32_t ready = 0;

    if (vgic->state.ctlr & GICD_CTLR_ENABLE_GRP0)
        ready |= ~group;
    if (vgic->state.ctlr & GICD_CTLR_ENABLE_GRP1)
        ready |= group;
    ready &= bank->enabled & ~bank->evicted & ~(bank->active & ~bank->in_lr);
    atomic_store_explicit(&bank->ready, ready, memory_order_relaxed);
}

void vgic_bank_pend(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t look = bits & (bank->in_lr | atomic_load_explicit(&bank->ready, memory_order_relaxed));

    bank->pending |= bits;
    if (index > 0)
        vgic->state.spi_busy |= (uint32_t)1 << (index - 1);
    for (; look != 0; look &= look - 1)
        vgic_notify(vgic, cpu, 32 * index + bit_lowest(look));
}

/* On QEMU's virt, index and affinity agree: 16 to a cluster. Other numberings are searched for. */
unsigned vgic_find_cpu(const struct vgic *vgic, uint32_t affinity)
{
    unsigned guess = (affinity >> 8 & 0xff) * 16 + (affinity & 0xff);

    if (guess < vgic->cpu_count && vgic->cpus[guess].affinity == affinity)
        return guess;
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++)
        if (vgic->cpus[cpu].affinity == affinity)
            return cpu;
    return VGIC_NO_CPU;
}

void vgic_init(struct vgic *vgic, unsigned cpus, unsigned spis, struct vgic_owner *owner)
{
    assert(cpus > 0 && cpus <= VGIC_CPUS_MAX);
    assert(spis <= VGIC_SPIS_MAX);
    memset(vgic, 0, sizeof(*vgic));
    lock_init(&vgic->lock, RANK_IRQCHIP, "vgic");
    vgic->owner = owner;
    vgic->cpu_count = cpus;
    vgic->spi_banks = (uint16_t)((spis + 31) / 32);
    vgic->typer = (uint32_t)(field_put(GICD_TYPER_LINES, vgic->spi_banks) | GICD_TYPER_MBIS |
                             field_put(GICD_TYPER_IDBITS, 9) | GICD_TYPER_NO1N);
}

void vgic_cpu_init(struct vgic *vgic, unsigned cpu, struct arch_vcpu *arch, uint64_t mpidr,
                   unsigned slots)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    assert(cpu < vgic->cpu_count);
    assert(slots > 0 && slots <= VGIC_SLOTS_MAX);
    c->arch = arch;
    c->slots = (uint16_t)(BIT(slots) - 1);
    c->affinity = (uint32_t)((mpidr >> 32 & 0xff) << 24 | (mpidr & 0xffffff));
    if (c->affinity >> 24 != 0)
        vgic->typer |= (uint32_t)GICD_TYPER_A3V;
    if ((c->affinity & 0xff) > 15)
        vgic->typer |= (uint32_t)GICD_TYPER_RSS;
}

static void vgic_reset_cpu(struct vgic_cpu *c)
{
    memset(&c->state, 0, sizeof(c->state));
    c->state.asleep = true;         /* As after power-on [12.11.42]. */
    c->state.private.edge = 0xffff; /* SGIs are edge-triggered. */
    c->running = false;
    c->overflow = false;
    c->fresh = 0;
    c->direct = 0;
    c->stale = c->slots; /* Whatever they hold goes. */
    c->control = UINT32_MAX;
    atomic_store_explicit(&c->dirty, true, memory_order_release);
}

void vgic_reset(struct vgic *vgic)
{
    uint8_t first;

    lock_take(&vgic->lock);
    memset(&vgic->state, 0, sizeof(vgic->state));
    first = (uint8_t)vgic_find_cpu(vgic, 0);
    for (unsigned i = 0; i < VGIC_SPIS_MAX; i++)
        atomic_store_explicit(&vgic->state.route[i], first, memory_order_relaxed);
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++)
        vgic_reset_cpu(&vgic->cpus[cpu]);
    if (vgic->v2)
        vgic_v2_reset(vgic);
    vgic->kicks = 0;
    lock_drop(&vgic->lock);
}

/* Its line may have changed: a rise is an edge to a line that is configured so. */
static void vgic_accept_line(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint32_t bit = vgic_bit(irq);
    uint32_t was = bank->level & bit;
    uint32_t now = vgic->owner->line(vgic->owner, cpu, irq) ? bit : 0;

    bank->level = (bank->level & ~bit) | now;
    if (now && irq >= VGIC_PRIVATE)
        vgic->state.spi_busy |= (uint32_t)1 << (irq / 32 - 1);
    if (bank->edge & bit) {
        if (now && !was)
            vgic_bank_pend(vgic, cpu, irq / 32, bit);
    } else if ((atomic_load_explicit(&bank->ready, memory_order_relaxed) | bank->in_lr) & bit) {
        vgic_notify(vgic, cpu, irq);
    }
}

void vgic_accept(struct vgic *vgic, unsigned cpu, uint32_t irq, bool edge)
{
    if (irq >= vgic_irq_count(vgic) || cpu >= vgic->cpu_count)
        return;
    lock_take(&vgic->lock);
    if (edge)
        vgic_bank_pend(vgic, cpu, irq / 32, vgic_bit(irq));
    else
        vgic_accept_line(vgic, cpu, irq);
    vgic_unlock(vgic, cpu);
}

[[gnu::noinline]] static void vgic_accept_hw_slow(struct vgic *vgic, unsigned cpu, uint32_t irq,
                                                  uint32_t physical_irq)
{
    struct vgic_bank *bank;

    assert(irq < vgic_irq_count(vgic));
    if (vgic_lr_offer(&vgic->cpus[cpu], irq, LR_HW | field_put(LR_PINTID, physical_irq))) {
        vgic_fill(vgic, cpu);
        return;
    }
    lock_take(&vgic->lock);
    bank = vgic_bank(vgic, cpu, irq / 32);
    bank->hw |= vgic_bit(irq);
    bank->physical[irq % 32] = (uint16_t)physical_irq;
    vgic_bank_pend(vgic, cpu, irq / 32, vgic_bit(irq));
    vgic_unlock(vgic, cpu);
    vgic_fill(vgic, cpu);
}

void vgic_accept_hw(struct vgic *vgic, unsigned cpu, uint32_t irq, uint32_t physical_irq)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    if (likely(vgic_lr_again(c, irq, LR_HW)))
        c->running = true; /* As a fill would; nothing else is to be filled. */
    else
        vgic_accept_hw_slow(vgic, cpu, irq, physical_irq);
}

bool vgic_hw_in_flight(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    const struct vgic_cpu *c = &vgic->cpus[cpu];
    const struct vgic_bank *bank = &c->state.private;

    assert(irq < VGIC_PRIVATE);
    if (c->running && (c->state.used | c->state.evicted) != 0) {
        vgic_lock_synced(vgic, cpu);
        vgic_unlock_synced(vgic, cpu);
    }
    /* Without lock: only this pCPU changes them. */
    return ((bank->hw | bank->hw_held) & vgic_bit(irq)) != 0;
}

[[gnu::noinline]] static void vgic_fill_dirty(struct vgic *vgic, unsigned cpu)
{
    lock_take(&vgic->lock);
    vgic_unlock_synced(vgic, cpu);
}

void vgic_fill(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    c->running = true;
    if (unlikely(atomic_load_explicit(&c->dirty, memory_order_acquire)))
        vgic_fill_dirty(vgic, cpu);
}

void vgic_sync(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    if ((c->state.used | c->state.evicted) == 0 && !c->overflow) {
        c->running = false; /* Slots are empty, and only this pCPU fills them. */
        return;
    }
    lock_take(&vgic->lock);
    vgic_lr_sync(vgic, cpu);
    c->running = false;
    vgic_unlock(vgic, cpu);
}

/* A request to deactivate counts too: what is pending behind it is known only after the next fill.
 */
static bool vgic_bank_waits(struct vgic *vgic, unsigned cpu, unsigned index)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t bits = vgic_deliverable(vgic, cpu, index);

    if (index == 0)
        return (bits | bank->deactivate) != 0;
    for (; bits != 0; bits &= bits - 1)
        if (vgic_route(vgic, cpu, 32 * index + bit_lowest(bits)) == cpu)
            return true;
    for (bits = bank->deactivate; bits != 0; bits &= bits - 1)
        if (bank->home[bit_lowest(bits)] == cpu)
            return true;
    return false;
}

/* Short cut: a slot is pending, and nothing has changed that could take it out. No lock needed. */
static bool vgic_slot_waits(const struct vgic_cpu *c)
{
    if (!c->running || atomic_load_explicit(&c->dirty, memory_order_relaxed))
        return false;
    for (unsigned left = c->state.used; left != 0; left &= left - 1)
        if ((arch_virq_read(c->arch, bit_lowest(left)) & LR_STATE) == LR_PENDING)
            return true;
    return false;
}

bool vgic_has_pending(struct vgic *vgic, unsigned cpu)
{
    bool found;

    if (vgic_slot_waits(&vgic->cpus[cpu]))
        return true;
    vgic_lock_synced(vgic, cpu);
    found = vgic_bank_waits(vgic, cpu, 0);
    for (uint32_t busy = vgic->state.spi_busy; busy != 0 && !found; busy &= busy - 1)
        found = vgic_bank_waits(vgic, cpu, bit_lowest(busy) + 1);
    vgic_unlock_synced(vgic, cpu);
    return found;
}

unsigned vgic_spi_target(const struct vgic *vgic, uint32_t irq)
{
    unsigned target;

    if (irq < VGIC_PRIVATE || irq >= vgic_irq_count(vgic))
        return 0;
    target = vgic_route(vgic, 0, irq);
    return target < vgic->cpu_count ? target : 0;
}
