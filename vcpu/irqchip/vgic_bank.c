// SPDX-License-Identifier: Apache-2.0
/*
 * Registers of many lines, which the distributor (SPIs) and the redistributors (private interrupts)
 * share.
 *
 * The pending and active state of lines in list registers is exact for the vCPU that does the
 * access (the caller has synced it) and for vCPUs that are not bound; of one that runs elsewhere it
 * is what its last sync found, which the architecture allows: such a read races with that PE's
 * acknowledges [IHI 0069, 4.1.2, 12.9.20]. Changes of what another vCPU holds become requests that
 * its next fill carries out.
 *
 * Locking: vgic->lock, except for reads of priorities.
 */
#include "vcpu/irqchip/vgic_impl.h"

/* Homes or targets of the lines are to look. Private lines may be in slots that nobody else knows
 * of. */
static void bank_touch(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    if (index == 0) {
        if (bits != 0)
            vgic_notify_cpu(vgic, cpu);
        return;
    }
    bits &= bank->pending | bank->level | bank->message | bank->in_lr | bank->evicted;
    for (; bits != 0; bits &= bits - 1)
        vgic_notify(vgic, cpu, 32 * index + bit_lowest(bits));
}

static uint32_t bank_pending(struct vgic *vgic, unsigned cpu, unsigned index)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    vgic_bank_ask(vgic, cpu, index, UINT32_MAX);
    return bank->pending | bank->lr_pending | (~bank->edge & (bank->level | bank->message));
}

uint32_t vgic_bank_read(struct vgic *vgic, unsigned cpu, unsigned index, enum vgic_reg reg)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    switch (reg) {
    case VGIC_IGROUPR:
        return atomic_load_explicit(&bank->group, memory_order_relaxed);
    case VGIC_ISENABLER:
    case VGIC_ICENABLER:
        return bank->enabled;
    case VGIC_ISPENDR:
    case VGIC_ICPENDR:
        return bank_pending(vgic, cpu, index);
    case VGIC_ISACTIVER:
    case VGIC_ICACTIVER:
        return bank->active;
    }
    return 0;
}

static void bank_set_group(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t v)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t changed = v ^ atomic_load_explicit(&bank->group, memory_order_relaxed);

    atomic_store_explicit(&bank->group, v, memory_order_relaxed);
    vgic_bank_refresh(vgic, bank);
    bank_touch(vgic, cpu, index, changed);
}

static void bank_set_enabled(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t v)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t changed = v ^ bank->enabled;

    bank->enabled = v;
    vgic_bank_refresh(vgic, bank);
    bank_touch(vgic, cpu, index, changed);
}

/* The hardware's own cannot be cleared: its line is high as far as we know. */
static void bank_clear_pending(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    bits &= ~bank->hw;
    bank->pending &= ~bits;
    bank->lr_pending &= ~(bits & ~bank->hw_held);
    bits &= bank->in_lr | (index == 0 ? UINT32_MAX : 0);
    bank->drop |= bits;
    bank_touch(vgic, cpu, index, bits);
}

/* A line that nobody holds becomes active, as if its vCPU had acknowledged it: that can end it too.
 */
static void bank_activate_free(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    for (; bits != 0; bits &= bits - 1) {
        unsigned n = bit_lowest(bits);
        unsigned home = vgic_route(vgic, cpu, 32 * index + n);

        if (home >= vgic->cpu_count)
            continue;
        bank->evicted |= (uint32_t)1 << n;
        bank->home[n] = (uint8_t)home;
        vgic->cpus[home].state.evicted++;
    }
}

static void bank_activate(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    uint32_t held = bank->in_lr | bank->evicted;

    bits &= ~bank->active;
    bank->active |= bits;
    bank->deactivate &= ~bits;
    bank->activate |= bits & bank->in_lr;
    bank_activate_free(vgic, cpu, index, bits & ~held);
    vgic_bank_refresh(vgic, bank);
    bank_touch(vgic, cpu, index, bits);
}

void vgic_bank_deactivate(struct vgic *vgic, unsigned cpu, unsigned index, uint32_t bits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    /* What is evicted is in the model only, unless hardware has a part in it. */
    for (uint32_t end = bits & bank->evicted & ~bank->hw_held; end != 0; end &= end - 1) {
        unsigned n = bit_lowest(end);

        vgic_end_evicted(vgic, index == 0 ? cpu : bank->home[n], 32 * index + n);
    }
    bank->active &= ~bits;
    bank->activate &= ~bits;
    bank->deactivate |= bits & (bank->in_lr | bank->evicted | (index == 0 ? UINT32_MAX : 0));
    vgic_bank_refresh(vgic, bank);
    bank_touch(vgic, cpu, index, bits);
}

void vgic_bank_write(struct vgic *vgic, unsigned cpu, unsigned index, enum vgic_reg reg, uint32_t v)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    switch (reg) {
    case VGIC_IGROUPR:
        bank_set_group(vgic, cpu, index, v);
        break;
    case VGIC_ISENABLER:
        bank_set_enabled(vgic, cpu, index, bank->enabled | v);
        break;
    case VGIC_ICENABLER:
        bank_set_enabled(vgic, cpu, index, bank->enabled & ~v);
        break;
    case VGIC_ISPENDR:
        vgic_bank_pend(vgic, cpu, index, v);
        break;
    case VGIC_ICPENDR:
        bank_clear_pending(vgic, cpu, index, v);
        break;
    case VGIC_ISACTIVER:
        bank_activate(vgic, cpu, index, v);
        break;
    case VGIC_ICACTIVER:
        vgic_bank_deactivate(vgic, cpu, index, v);
        break;
    }
}

uint32_t vgic_priority_read(struct vgic *vgic, unsigned cpu, uint32_t irq, unsigned width)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);

    if (width == 1)
        return vgic_priority(bank, irq);
    return atomic_load_explicit(&bank->priorities[irq % 32 / 4], memory_order_relaxed);
}

void vgic_priority_write(struct vgic *vgic, unsigned cpu, uint32_t irq, unsigned width, uint32_t v)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, irq / 32);

    v &= VGIC_PRIORITY_MASK * 0x01010101u;
    if (width == 1)
        atomic_store_explicit(&bank->priority[irq % 32], (uint8_t)v, memory_order_relaxed);
    else
        atomic_store_explicit(&bank->priorities[irq % 32 / 4], v, memory_order_relaxed);
    bank_touch(vgic, cpu, irq / 32, (width == 1 ? 1u : 0xfu) << irq % 32);
}

/* Bit n of 16 goes to bit 2n + 1 [GICD_ICFGR: the upper bit of two says edge]. */
uint32_t vgic_config_read(const struct vgic_bank *bank, unsigned half)
{
    uint32_t v = bank->edge >> (16 * half) & 0xffff;

    v = (v | v << 8) & 0x00ff00ff;
    v = (v | v << 4) & 0x0f0f0f0f;
    v = (v | v << 2) & 0x33333333;
    v = (v | v << 1) & 0x55555555;
    return v << 1;
}

void vgic_config_write(struct vgic *vgic, unsigned cpu, unsigned index, unsigned half, uint32_t v)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);

    if (index == 0 && half == 0)
        return; /* SGIs are edge-triggered. */
    v = v >> 1 & 0x55555555;
    v = (v | v >> 1) & 0x33333333;
    v = (v | v >> 2) & 0x0f0f0f0f;
    v = (v | v >> 4) & 0x00ff00ff;
    v = (v | v >> 8) & 0x0000ffff;
    v = (bank->edge & ~(0xffffu << (16 * half))) | v << (16 * half);
    bank_touch(vgic, cpu, index, v ^ bank->edge);
    bank->edge = v;
}
