/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC model's state in a snapshot. No vCPU is bound, so nothing that is pending is in a list
 * register, and what is active there is kept as evicted: it comes back into whatever registers
 * there are when its vCPU runs. What others asked of a vCPU and it has not seen yet is carried out,
 * but for ends of what is active, which may have to tell the hardware.
 */
#include "kernel/assert.h"
#include "vcpu/irqchip/vgic_impl.h"
#include "vcpu/state.h"

#define SGI_LINES 0xffffu

/* A bank as it is kept: held lines are active, or about to end. */
struct vgic_bank_state {
    uint32_t enabled, edge, group, pending, level, message, active;
    uint32_t held, hw, hw_held, deactivate;
    uint8_t priority[32], home[32];
};

/* What may be the hardware's: in a bank of private lines one bit, in others none. */
struct vgic_bank_limits {
    uint32_t hw;
    uint32_t sgis; /* Always edge-triggered. */
    unsigned cpu_count;
    uint16_t physical;
};

static void bank_take(const struct vgic_bank *bank, struct vgic_bank_state *b)
{
    uint32_t held = (bank->in_lr | bank->evicted) & (bank->active | bank->deactivate);

    *b = (struct vgic_bank_state){
        .enabled = bank->enabled,
        .edge = bank->edge,
        .group = atomic_load_explicit(&bank->group, memory_order_relaxed),
        .pending = bank->pending | bank->lr_pending,
        .level = bank->level,
        .message = bank->message,
        .active = bank->active,
        .held = held,
        .hw = bank->hw,
        .hw_held = bank->hw_held & held,
        .deactivate = bank->deactivate & held,
    };
    for (unsigned i = 0; i < 32; i++) {
        b->priority[i] = atomic_load_explicit(&bank->priority[i], memory_order_relaxed);
        b->home[i] = held >> i & 1 ? bank->home[i] : 0;
    }
}

static void bank_fields(struct state *s, struct vgic_bank_state *b)
{
    STATE(s, b->enabled);
    STATE(s, b->edge);
    STATE(s, b->group);
    STATE(s, b->pending);
    STATE(s, b->level);
    STATE(s, b->message);
    STATE(s, b->active);
    STATE(s, b->held);
    STATE(s, b->hw);
    STATE(s, b->hw_held);
    STATE(s, b->deactivate);
    STATE_ARRAY(s, b->priority);
    STATE_ARRAY(s, b->home);
}

static void bank_require(struct state *s, const struct vgic_bank_state *b,
                         const struct vgic_bank_limits *limits)
{
    state_require(s, !((b->hw | b->hw_held) & ~limits->hw),
                  "an interrupt of the hardware that guests do not have");
    state_require(s, !(b->hw & ~b->pending) && !(b->hw_held & ~b->held),
                  "an interrupt of the hardware that is neither pending nor active");
    state_require(s, !(b->held & ~(b->active | b->deactivate)) && !(b->deactivate & ~b->held),
                  "a vCPU has an interrupt that is not active");
    state_require(s, (b->edge & limits->sgis) == limits->sgis, "an SGI that is a level");
    for (unsigned i = 0; i < 32; i++) {
        state_require(s, !(b->priority[i] & ~VGIC_PRIORITY_MASK), "no such priority");
        state_require(s, b->home[i] < limits->cpu_count, "no such vCPU");
    }
}

static void bank_put(struct vgic_bank *bank, const struct vgic_bank_state *b, uint16_t physical)
{
    bank->enabled = b->enabled;
    bank->edge = b->edge;
    atomic_store_explicit(&bank->group, b->group, memory_order_relaxed);
    bank->pending = b->pending;
    bank->level = b->level;
    bank->message = b->message;
    bank->active = b->active;
    bank->in_lr = bank->lr_pending = bank->drop = bank->activate = 0;
    bank->evicted = b->held;
    bank->hw = b->hw;
    bank->hw_held = b->hw_held;
    bank->deactivate = b->deactivate;
    for (unsigned i = 0; i < 32; i++) {
        atomic_store_explicit(&bank->priority[i], b->priority[i], memory_order_relaxed);
        bank->home[i] = b->home[i];
        bank->physical[i] = physical;
    }
}

/* cpu: whose private lines it has. */
static void bank_state(struct vgic *vgic, unsigned cpu, unsigned index, struct state *s,
                       const struct vgic_bank_limits *limits)
{
    struct vgic_bank *bank = vgic_bank(vgic, cpu, index);
    struct vgic_bank_state b;

    bank_take(bank, &b);
    bank_fields(s, &b);
    bank_require(s, &b, limits);
    if (!state_loading(s) || !state_ok(s))
        return;
    bank_put(bank, &b, limits->physical);
    for (uint32_t bits = b.held; bits != 0; bits &= bits - 1)
        vgic->cpus[index == 0 ? cpu : b.home[bit_lowest(bits)]].state.evicted++;
}

/* --- GICv2: who sent the SGIs --- */

static void sgis_state(struct vgic *vgic, unsigned cpu, struct state *s)
{
    const struct vgic_bank *bank = vgic_bank(vgic, cpu, 0);
    struct vgic_v2_sgis *sgis = &vgic->v2_sgis[cpu];

    STATE_ARRAY(s, sgis->senders);
    STATE_ARRAY(s, sgis->sender);
    for (unsigned i = 0; i < VGIC_SGIS; i++) {
        state_require(s, sgis->senders[i] >> vgic->cpu_count == 0, "no such vCPU");
        state_require(s, sgis->sender[i] < vgic->cpu_count, "no such vCPU");
        state_require(s, !sgis->senders[i] == !(bank->pending >> i & 1),
                      "an SGI that nobody has sent");
    }
}

/* --- Routes --- */

static uint8_t route_of(const struct vgic *vgic, uint32_t router)
{
    if (!vgic->v2)
        return (uint8_t)vgic_find_cpu(vgic, router);
    if (vgic->cpu_count == 1)
        return 0;
    return router ? (uint8_t)bit_lowest(router) : VGIC_NO_CPU;
}

static void routes_state(struct vgic *vgic, struct state *s)
{
    for (unsigned i = 0; i < 32u * vgic->spi_banks; i++) {
        STATE(s, vgic->state.router[i]);
        state_require(s, !vgic->v2 || vgic->state.router[i] >> vgic->cpu_count == 0,
                      "no such vCPU");
    }
    for (unsigned i = 0; i < VGIC_SPIS_MAX && state_loading(s) && state_ok(s); i++)
        atomic_store_explicit(&vgic->state.route[i], route_of(vgic, vgic->state.router[i]),
                              memory_order_relaxed);
}

/* --- The whole --- */

/* Its registers came with list registers that the model has as evicted, and a count of ends. */
static void cpu_loaded(struct vgic *vgic, unsigned cpu)
{
    struct vgic_cpu *c = &vgic->cpus[cpu];

    assert(!c->running);
    for (unsigned left = c->slots; left != 0; left &= left - 1)
        arch_virq_write(c->arch, bit_lowest(left), 0);
    arch_virq_set_control(c->arch, arch_virq_control(c->arch) & ~HCR_EOICOUNT);
    c->stale = c->slots;
    c->control = UINT32_MAX;
    vgic_bank_refresh(vgic, &c->state.private);
    atomic_store_explicit(&c->dirty, true, memory_order_release);
}

static void vgic_loaded(struct vgic *vgic)
{
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++)
        cpu_loaded(vgic, cpu);
    vgic->state.spi_busy = 0;
    for (unsigned i = 0; i < vgic->spi_banks; i++) {
        struct vgic_bank *bank = &vgic->state.spi[i];

        vgic_bank_refresh(vgic, bank);
        if (bank->pending | bank->level | bank->message)
            vgic->state.spi_busy |= (uint32_t)1 << i;
    }
}

static void vgic_kind(const struct vgic *vgic, struct state *s)
{
    unsigned version = vgic->v2 ? 2 : 3, cpus = vgic->cpu_count, banks = vgic->spi_banks;

    STATE(s, version);
    STATE(s, cpus);
    STATE(s, banks);
    state_require(s, version == (vgic->v2 ? 2u : 3u), "another version of the GIC");
    state_require(s, cpus == vgic->cpu_count, "another number of vCPUs");
    state_require(s, banks == vgic->spi_banks, "another number of interrupts");
}

static void vgic_banks(struct vgic *vgic, struct state *s, uint32_t hw_irq, uint32_t physical_irq)
{
    struct vgic_bank_limits private = {
        .hw = vgic_bit(hw_irq),
        .sgis = SGI_LINES,
        .cpu_count = vgic->cpu_count,
        .physical = (uint16_t)physical_irq,
    };
    struct vgic_bank_limits shared = {.cpu_count = vgic->cpu_count};

    assert(hw_irq < VGIC_PRIVATE);
    for (unsigned cpu = 0; cpu < vgic->cpu_count; cpu++) {
        STATE(s, vgic->cpus[cpu].state.asleep);
        bank_state(vgic, cpu, 0, s, &private);
        if (vgic->v2)
            sgis_state(vgic, cpu, s);
    }
    for (unsigned i = 1; i <= vgic->spi_banks; i++)
        bank_state(vgic, 0, i, s, &shared);
}

void vgic_state(struct vgic *vgic, struct state *s, uint32_t hw_irq, uint32_t physical_irq)
{
    if (state_loading(s))
        vgic_reset(vgic);
    lock_take(&vgic->lock);
    state_section(s, "vgic", 1);
    vgic_kind(vgic, s);
    STATE(s, vgic->state.ctlr);
    state_require(s, !(vgic->state.ctlr & ~(GICD_CTLR_ENABLE_GRP0 | GICD_CTLR_ENABLE_GRP1)),
                  "no such groups");
    vgic_banks(vgic, s, hw_irq, physical_irq);
    routes_state(vgic, s);
    if (state_loading(s) && state_ok(s))
        vgic_loaded(vgic);
    lock_drop(&vgic->lock);
    if (state_loading(s) && !state_ok(s))
        vgic_reset(vgic);
}
