// SPDX-License-Identifier: Apache-2.0
/*
 * List registers: what hardware did comes back into the model, and what is most urgent goes out.
 *
 * A slow round (vgic_lr_fill) takes everything that is only pending out of the slots into the
 * model, and chooses anew. It is simple, and always right: disabled, rerouted, fallen and outranked
 * interrupts need no special case. What holds at entry:
 *
 * - An interrupt is in one slot at most, of one vCPU.
 * - A slot that is pending is at least as urgent as anything deliverable that is in none.
 * - If something deliverable is in no slot, some slot is pending and nothing else, and NPIE tells
 * us when the last one is acknowledged. So hardware always has something to acknowledge: NPIE does
 * not fire again at once.
 * - An active interrupt that had to make room is "evicted": hardware counts its end in EOIcount
 * (EOImode 0; ends are nested, so it is the most urgent one of them), or traps it (EOImode 1, TDIR
 * -> vgic_deactivate()).
 *
 * Locking: vgic->lock, and the pCPU where the vCPU is bound. [IHI 0069, 6.2 and 12.4]
 */
#include "kernel/assert.h"
#include "vcpu/irqchip/vgic_impl.h"

#define HCR_OURS (HCR_LRENPIE | HCR_NPIE | HCR_TDIR)

bool vgic_lr_offer(struct vgic_cpu *c, uint32_t irq, uint64_t flags)
{
    struct vgic_cpu_state *s = &c->state;
    struct vgic_bank *bank = &s->private;
    uint64_t empty, usable;
    unsigned slot;

    if (irq >= VGIC_PRIVATE || c->overflow ||
        !(atomic_load_explicit(&bank->ready, memory_order_relaxed) & vgic_bit(irq)))
        return false;
    empty = arch_virq_empty(c->arch) & c->slots;
    usable = empty & (uint64_t)(uint16_t)(~s->used | c->fresh);
    for (unsigned left = s->used; left != 0; left &= left - 1) {
        slot = bit_lowest(left);
        if (s->slot_irq[slot] != irq)
            continue;
        /* Ended, or still there. The books of the last one serve for the next one of its kind. */
        usable = (s->lr[slot] ^ flags) & LR_HW ? 0 : empty & BIT(slot);
        break;
    }
    if (usable == 0)
        return false;
    slot = bit_lowest(usable);
    flags |= LR_PENDING | irq | field_put(LR_PRIORITY, vgic_priority(bank, irq));
    if (atomic_load_explicit(&bank->group, memory_order_relaxed) & vgic_bit(irq))
        flags |= LR_GROUP1;
    if (!(s->used & BIT(slot)) || s->slot_irq[slot] != irq)
        c->fresh |= (uint16_t)BIT(slot);
    s->used |= (uint16_t)BIT(slot);
    s->slot_irq[slot] = (uint16_t)irq;
    s->lr[slot] = flags;
    c->direct |= (uint16_t)BIT(slot);
    c->slot_of[irq] = (uint8_t)slot;
    c->running = true;
    arch_virq_write(c->arch, slot, flags);
    return true;
}

/* --- From hardware --- */

static void lr_hw_end(struct vgic *vgic, unsigned cpu, struct vgic_bank *bank, uint32_t irq)
{
    bank->hw_held &= ~vgic_bit(irq);
    if (vgic->owner->hw_end)
        vgic->owner->hw_end(vgic->owner, cpu, irq, bank->physical[irq % 32]);
}

/* State of the slot, after what others asked for. */
static uint64_t lr_requests(struct vgic *vgic, unsigned cpu, struct vgic_bank *bank, uint32_t irq,
                            uint64_t lr)
{
    uint32_t bit = vgic_bit(irq);
    uint64_t state = lr & LR_STATE;

    if (bank->drop & bit && !(bank->hw_held & bit))
        state &= ~LR_PENDING;
    if (bank->deactivate & bit && state & LR_ACTIVE) {
        state &= ~LR_ACTIVE;
        if (bank->hw_held & bit)
            lr_hw_end(vgic, cpu, bank, irq); /* Whatever LR.HW: the guest has not told hardware. */
    } else if (bank->activate & bit && !(bank->hw_held & bit)) {
        state |= LR_ACTIVE;
    }
    bank->drop &= ~bit;
    bank->activate &= ~bit;
    bank->deactivate &= ~bit;
    return state;
}

/* Nothing is left in the slot. */
static void lr_release(struct vgic *vgic, unsigned cpu, unsigned slot)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    uint32_t irq = c->state.slot_irq[slot];
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);

    bank->in_lr &= ~vgic_bit(irq);
    bank->active &= ~vgic_bit(irq);
    c->state.used &= (uint16_t)~BIT(slot);
    c->state.lr[slot] = 0;
    vgic_bank_refresh(vgic, bank);
    if ((bank->pending | (bank->level & ~bank->edge) | bank->message) & vgic_bit(irq))
        vgic_notify(vgic, cpu, irq); /* The vCPU that it is for: this or another. */
}

/* What is pending in a slot is pending in the model again. */
static void lr_unpend(struct vgic *vgic, struct vgic_bank *bank, uint32_t irq)
{
    uint32_t bit = vgic_bit(irq);

    if (bank->hw_held & bit) {
        bank->hw_held &= ~bit;
        bank->hw |= bit;
        bank->pending |= bit;
    } else if ((bank->edge | bank->lr_pending) & bit) {
        bank->pending |= bit;
    } /* Else its line says it, or no more. */
    if (irq >= VGIC_PRIVATE)
        vgic->state.spi_busy |= (uint32_t)1 << (irq / 32 - 1);
}

/* The fast path told nobody. Others may have made it active meanwhile. */
static void lr_adopt(struct vgic_cpu *c, struct vgic_bank *bank, uint32_t irq, uint64_t lr)
{
    bank->in_lr |= vgic_bit(irq);
    if (bank->evicted & vgic_bit(irq)) {
        bank->evicted &= ~vgic_bit(irq);
        bank->activate |= vgic_bit(irq);
        c->state.evicted--;
    }
    if (!(lr & LR_HW))
        return;
    bank->hw_held |= vgic_bit(irq);
    bank->physical[irq % 32] = (uint16_t)field_get(LR_PINTID, lr);
}

static void lr_take(struct vgic *vgic, unsigned cpu, unsigned slot)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    uint32_t irq = c->state.slot_irq[slot], bit = vgic_bit(irq);
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint64_t lr = arch_virq_read(c->arch, slot);
    uint64_t state;

    if (c->fresh & BIT(slot))
        lr_adopt(c, bank, irq, c->state.lr[slot]);
    state = lr_requests(vgic, cpu, bank, irq, lr);
    if (state & LR_PENDING) {
        lr_unpend(vgic, bank, irq);
        if (vgic_has_senders(vgic, irq))
            vgic_v2_sgi_unpend(vgic, cpu, irq);
    }
    bank->lr_pending &= ~bit;
    if (state & LR_ACTIVE) {
        bank->active |= bit;
        if (state & LR_PENDING)
            vgic_notify_cpu(vgic, cpu);
        c->state.lr[slot] = (lr & ~LR_STATE) | LR_ACTIVE;
        if (c->state.lr[slot] != lr)
            c->stale |= (uint16_t)BIT(slot);
        return;
    }
    if (bank->hw_held & bit) {
        bank->hw_held &= ~bit;
        if (!(lr & LR_HW))
            lr_hw_end(vgic, cpu, bank, irq);
    }
    if (lr & LR_STATE || (lr & (LR_HW | LR_EOI)) == LR_EOI)
        c->stale |= (uint16_t)BIT(slot);
    lr_release(vgic, cpu, slot);
}

/* The most urgent interrupt that is evicted from the vCPU (and to be deactivated, if so asked); -1:
 * none. */
static int lr_find_evicted(struct vgic *vgic, unsigned cpu, bool deactivate_only)
{
    unsigned best_priority = 256;
    int best = -1;

    for (unsigned index = 0; index <= vgic->spi_banks; index++) {
        const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
        uint32_t bits = bank->evicted & (deactivate_only ? bank->deactivate : UINT32_MAX);

        for (; bits != 0; bits &= bits - 1) {
            unsigned n = bit_lowest(bits);

            if ((index == 0 || bank->home[n] == cpu) && vgic_priority(bank, n) < best_priority) {
                best_priority = vgic_priority(bank, n);
                best = (int)(32 * index + n);
            }
        }
    }
    return best;
}

void vgic_end_evicted(struct vgic *vgic, unsigned cpu, uint32_t irq)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint32_t bit = vgic_bit(irq);

    bank->evicted &= ~bit;
    bank->active &= ~bit;
    bank->deactivate &= ~bit;
    vgic->cpus[cpu].state.evicted--;
    if (bank->hw_held & bit)
        lr_hw_end(vgic, cpu, bank, irq);
    vgic_bank_refresh(vgic, bank);
    vgic_notify(vgic, cpu, irq);
}

/* Ends of active interrupts that were in no slot: those that hardware counted, and those asked for
 * by others. */
static void lr_sync_evicted(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    uint64_t control;
    int irq;

    if (c->state.evicted == 0)
        return;
    control = arch_virq_control(c->arch);
    for (unsigned n = (unsigned)field_get(HCR_EOICOUNT, control); n > 0; n--) {
        irq = lr_find_evicted(vgic, cpu, false);
        if (irq < 0)
            break;
        vgic_end_evicted(vgic, cpu, (uint32_t)irq);
    }
    if (field_get(HCR_EOICOUNT, control) != 0)
        arch_virq_set_control(c->arch, control & ~HCR_EOICOUNT);
    while (c->state.evicted > 0 && (irq = lr_find_evicted(vgic, cpu, true)) >= 0)
        vgic_end_evicted(vgic, cpu, (uint32_t)irq);
}

static void lr_take_all(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    struct vgic_bank *private = &c->state.private;

    lr_sync_evicted(vgic, cpu);
    for (unsigned left = c->state.used; left != 0; left &= left - 1)
        lr_take(vgic, cpu, bit_lowest(left));
    c->fresh = 0;
    c->direct = 0;
    /* Requests that found nothing in a slot. */
    private->drop = private->activate = private->deactivate = 0;
}

static void lr_flush(struct vgic_cpu *c)
{
    for (; c->stale != 0; c->stale &= c->stale - 1) {
        unsigned slot = bit_lowest(c->stale);

        arch_virq_write(c->arch, slot, c->state.lr[slot]);
    }
}

void vgic_lr_sync(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    lr_take_all(vgic, cpu);
    lr_flush(c);
    /* What was pending in slots is to go there again, also if nothing else happens. */
    if (c->overflow || c->state.evicted > 0)
        vgic_notify_cpu(vgic, cpu);
}

/* --- What to deliver --- */

void vgic_bank_ask(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    for (bits &= bank->level & ~bank->edge; bits != 0; bits &= bits - 1) {
        unsigned n = bit_lowest(bits);

        if (!vgic->owner->line(vgic->owner, cpu, 32 * index + n))
            bank->level &= ~((uint32_t)1 << n);
    }
}

uint32_t vgic_deliverable(struct vgic *vgic, unsigned cpu, unsigned index)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t able = atomic_load_explicit(&bank->ready, memory_order_relaxed) & ~bank->in_lr;

    vgic_bank_ask(vgic, cpu, index, able & ~bank->pending);
    if (index > 0 && !(bank->pending | bank->level | bank->message))
        vgic->state.spi_busy &= ~((uint32_t)1 << (index - 1));
    return able & (bank->pending | (~bank->edge & (bank->level | bank->message)));
}

/* The most urgent ones, in order; max of them. */
struct lr_choice {
    unsigned count, max;
    bool more;
    uint16_t irq[VGIC_SLOTS_MAX];
    uint8_t priority[VGIC_SLOTS_MAX];
};

/* Among equals the lower INTID comes first: they are offered in that order. */
static void lr_choose_one(struct lr_choice *choice, uint32_t irq, uint8_t priority)
{
    unsigned at;

    if (choice->count == choice->max) {
        choice->more = true;
        if (choice->priority[choice->max - 1] <= priority)
            return;
        choice->count--;
    }
    for (at = choice->count++; at > 0 && choice->priority[at - 1] > priority; at--) {
        choice->irq[at] = choice->irq[at - 1];
        choice->priority[at] = choice->priority[at - 1];
    }
    choice->irq[at] = (uint16_t)irq;
    choice->priority[at] = priority;
}

static void lr_choose_bank(struct vgic *vgic, unsigned cpu, unsigned index,
                           struct lr_choice *choice)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t bits = vgic_deliverable(vgic, cpu, index);

    for (; bits != 0; bits &= bits - 1) {
        uint32_t irq = 32 * index + bit_lowest(bits);

        if (vgic_route(vgic, cpu, irq) == cpu)
            lr_choose_one(choice, irq, vgic_priority(bank, irq));
    }
}

static void lr_choose(struct vgic *vgic, unsigned cpu, struct lr_choice *choice)
{
    lr_choose_bank(vgic, cpu, 0, choice);
    for (uint32_t busy = vgic->state.spi_busy; busy != 0; busy &= busy - 1)
        lr_choose_bank(vgic, cpu, bit_lowest(busy) + 1, choice);
}

/* --- To hardware --- */

/* The line into the slot, in that state. */
static void lr_put(struct vgic *vgic, unsigned cpu, unsigned slot, uint32_t irq, uint64_t state)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint32_t bit = vgic_bit(irq);
    uint64_t lr = state | irq | field_put(LR_PRIORITY, vgic_priority(bank, irq));

    if (atomic_load_explicit(&bank->group, memory_order_relaxed) & bit)
        lr |= LR_GROUP1;
    if (bank->hw_held & bit)
        lr |= LR_HW | field_put(LR_PINTID, bank->physical[irq % 32]);
    else if (!(bank->edge & bit))
        lr |= LR_EOI; /* To ask the line again at its end. */
    if (vgic_has_senders(vgic, irq))
        lr |= field_put(LR_SENDER, vgic->v2_sgis[cpu].sender[irq]) |
              (bank->pending & bit ? LR_EOI : 0);
    bank->in_lr |= bit;
    bank->home[irq % 32] = (uint8_t)cpu;
    c->state.used |= (uint16_t)BIT(slot);
    c->state.slot_irq[slot] = (uint16_t)irq;
    c->state.lr[slot] = lr;
    c->stale |= (uint16_t)BIT(slot);
}

static void lr_put_pending(struct vgic *vgic, unsigned cpu, unsigned slot, uint32_t irq)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint32_t bit = vgic_bit(irq);

    if (bank->hw & bit) {
        bank->hw &= ~bit;
        bank->hw_held |= bit;
    }
    bank->lr_pending |=
        bank->pending & bit; /* The latch goes with it: the acknowledge uses it up. */
    bank->pending &= ~bit;
    if (vgic_has_senders(vgic, irq))
        vgic_v2_sgi_put(vgic, cpu, irq);
    lr_put(vgic, cpu, slot, irq, LR_PENDING);
}

/* The least urgent active interrupt leaves its slot. */
static void lr_evict(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    unsigned worst = bit_lowest(c->state.used), worst_priority = 0;
    struct vgic_bank *bank;
    uint32_t irq;

    for (unsigned left = c->state.used; left != 0; left &= left - 1) {
        irq = c->state.slot_irq[bit_lowest(left)];
        bank = vgic_bank(vgic, cpu, irq / 32);
        if (vgic_priority(bank, irq) >= worst_priority) {
            worst = bit_lowest(left);
            worst_priority = vgic_priority(bank, irq);
        }
    }
    irq = c->state.slot_irq[worst];
    bank = vgic_bank(vgic, cpu, irq / 32);
    bank->in_lr &= ~vgic_bit(irq);
    bank->evicted |= vgic_bit(irq);
    bank->home[irq % 32] = (uint8_t)cpu;
    c->state.evicted++;
    c->state.used &= (uint16_t)~BIT(worst);
    c->state.lr[worst] = 0;
    c->stale |= (uint16_t)BIT(worst);
    vgic_bank_refresh(vgic, bank);
}

/* Active ones come back while there is room: then hardware ends them itself. */
static void lr_reload(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    while (c->state.evicted > 0 && (uint16_t)(c->slots & ~c->state.used) != 0) {
        int irq = lr_find_evicted(vgic, cpu, false);
        struct vgic_bank *bank;

        assert(irq >= 0);
        bank = vgic_bank(vgic, cpu, (uint32_t)irq / 32);
        bank->evicted &= ~vgic_bit((uint32_t)irq);
        c->state.evicted--;
        lr_put(vgic, cpu, bit_lowest((uint16_t)(c->slots & ~c->state.used)), (uint32_t)irq,
               LR_ACTIVE);
        vgic_bank_refresh(vgic, bank);
    }
}

/*
 * Something is pending again while active in this slot. An edge goes there too (state 11); what
 * cannot (it is routed to another vCPU now, is the hardware's, or may have another sender) has us
 * told of the end.
 */
static void lr_pend_active(struct vgic *vgic, unsigned cpu, unsigned slot)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    uint32_t irq = c->state.slot_irq[slot], bit = vgic_bit(irq);
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);
    uint64_t lr = c->state.lr[slot];

    if (!(lr & LR_ACTIVE) ||
        !(bank->pending & atomic_load_explicit(&bank->ready, memory_order_relaxed) & bit))
        return;
    if (bank->edge & ~(bank->hw | bank->hw_held) & bit && vgic_route(vgic, cpu, irq) == cpu &&
        !vgic_has_senders(vgic, irq)) {
        bank->pending &= ~bit;
        bank->lr_pending |= bit;
        lr |= LR_PENDING;
    } else {
        if (lr & LR_HW)
            lr &= ~(LR_HW | LR_PINTID); /* hw_held stays: lr_take() calls hw_end(). */
        lr |= LR_EOI;
    }
    if (lr == c->state.lr[slot])
        return;
    c->state.lr[slot] = lr;
    c->stale |= (uint16_t)BIT(slot);
}

static void lr_set_control(struct vgic_cpu *c)
{
    uint32_t want = 0;

    if (c->overflow)
        want |= (uint32_t)HCR_NPIE;
    if (c->state.evicted > 0)
        want |= (uint32_t)(HCR_LRENPIE | HCR_TDIR);
    if (want == c->control)
        return;
    c->control = want;
    arch_virq_set_control(
        c->arch, (arch_virq_control(c->arch) & ~(HCR_OURS | HCR_UIE | HCR_EOICOUNT)) | want);
}

void vgic_lr_fill(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];
    struct lr_choice choice;
    unsigned free = 0;

    lr_take_all(vgic, cpu);
    for (unsigned left = c->slots & ~c->state.used & 0xffffu; left != 0; left &= left - 1)
        free++;
    choice.count = 0;
    choice.more = false;
    choice.max = MAX(free, 1);
    lr_choose(vgic, cpu, &choice);
    if (choice.count > 0 && free == 0)
        lr_evict(vgic, cpu);
    for (unsigned i = 0; i < choice.count; i++)
        lr_put_pending(vgic, cpu, bit_lowest((uint16_t)(c->slots & ~c->state.used)), choice.irq[i]);
    c->overflow = choice.more;
    lr_reload(vgic, cpu);
    for (unsigned left = c->state.used; left != 0; left &= left - 1)
        lr_pend_active(vgic, cpu, bit_lowest(left));
    lr_flush(c);
    lr_set_control(c);
}
