// SPDX-License-Identifier: Apache-2.0
/* The guest's processors for tests of the GIC model: see test_vgic.h. */
#include "tests/host/test_vgic.h"

struct guest guest;

static void guest_kick(struct vgic_owner *owner, unsigned cpu)
{
    ASSERT(owner == &guest.owner);
    ASSERT(!lock_held(&guest.vgic.lock));
    guest.kicks++;
    guest.cpu[cpu].kicked = true;
}

static bool guest_line(struct vgic_owner *owner, unsigned cpu, uint32_t irq)
{
    ASSERT(owner == &guest.owner);
    guest.line_asks++;
    return guest.line[irq < VGIC_PRIVATE ? cpu : 0][irq];
}

static void guest_hw_end(struct vgic_owner *owner, unsigned cpu, uint32_t irq, uint32_t physical)
{
    unsigned of = irq < VGIC_PRIVATE ? cpu : 0;

    ASSERT(owner == &guest.owner);
    ASSERT_EQ(physical, irq + 1000);
    ASSERT(guest.physical[of][irq]);
    guest.physical[of][irq] = false;
    guest.hw_ends++;
}

void guest_start_raw(unsigned cpus, unsigned slots)
{
    memset(&guest, 0, sizeof(guest));
    guest.owner = (struct vgic_owner){guest_kick, guest_line, guest_hw_end};
    guest.cpus = cpus;
    guest.slots = slots;
    vgic_init(&guest.vgic, cpus, VGIC_SPIS_MAX, &guest.owner);
    for (unsigned i = 0; i < cpus; i++) {
        vgic_cpu_init(&guest.vgic, i, &guest.cpu[i].arch, 0x80000000u | i, slots);
        guest.cpu[i].bound = true;
    }
    vgic_reset(&guest.vgic);
}

void guest_start(unsigned cpus, unsigned slots)
{
    guest_start_raw(cpus, slots);
    guest_dist_write(0, GICD_CTLR, 3);
    for (uint32_t i = 0; i < VGIC_SPIS_MAX / 32; i++) {
        guest_dist_write(0, 0x84 + 4 * i, UINT32_MAX);
        guest_dist_write(0, 0x104 + 4 * i, UINT32_MAX);
        guest_dist_write(0, GICD_ICFGR + 8 + 8 * i, 0xaaaaaaaa);
        guest_dist_write(0, GICD_ICFGR + 12 + 8 * i, 0xaaaaaaaa);
    }
    for (uint32_t i = 32; i < VGIC_IRQS_MAX; i += 4)
        guest_dist_write(0, GICD_IPRIORITYR + i, 0xa0a0a0a0);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        guest_sgi_write(cpu, 0x80, UINT32_MAX);
        guest_sgi_write(cpu, 0x100, UINT32_MAX);
        for (uint32_t i = 0; i < 32; i += 4)
            guest_sgi_write(cpu, GICD_IPRIORITYR + i, 0xa0a0a0a0);
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        guest_enter(cpu);
    guest.kicks = 0;
}

uint32_t guest_dist_read(uint32_t offset)
{
    uint64_t v;

    guest.cpu[0].kicked = true; /* It does the access: it has exited for that. */
    ASSERT(vgic_dist_read(&guest.vgic, 0, offset, 4, &v));
    ASSERT_EQ(v >> 32, 0);
    return (uint32_t)v;
}

void guest_dist_write(unsigned cpu, uint32_t offset, uint32_t v)
{
    ASSERT(vgic_dist_write(&guest.vgic, cpu, offset, 4, v));
}

uint32_t guest_sgi_read(unsigned cpu, uint32_t offset)
{
    uint64_t v;

    ASSERT(vgic_redist_read(&guest.vgic, cpu, cpu, GICR_FRAME + offset, 4, &v));
    ASSERT_EQ(v >> 32, 0);
    return (uint32_t)v;
}

void guest_sgi_write(unsigned cpu, uint32_t offset, uint32_t v)
{
    ASSERT(vgic_redist_write(&guest.vgic, cpu, cpu, GICR_FRAME + offset, 4, v));
}

void guest_set_bit(unsigned cpu, enum vgic_reg reg, uint32_t irq)
{
    if (irq < VGIC_PRIVATE)
        guest_sgi_write(cpu, 0x80 * reg, 1u << irq);
    else
        guest_dist_write(cpu, 0x80 * reg + irq / 32 * 4, 1u << irq % 32);
}

bool guest_get_bit(unsigned cpu, enum vgic_reg reg, uint32_t irq)
{
    uint64_t v;

    if (irq < VGIC_PRIVATE)
        return guest_sgi_read(cpu, 0x80 * reg) >> irq & 1;
    ASSERT(vgic_dist_read(&guest.vgic, cpu, 0x80 * reg + irq / 32 * 4, 4, &v));
    return v >> irq % 32 & 1;
}

void guest_set_priority(unsigned cpu, uint32_t irq, uint8_t priority)
{
    if (irq < VGIC_PRIVATE)
        ASSERT(vgic_redist_write(&guest.vgic, cpu, cpu, GICR_FRAME + GICD_IPRIORITYR + irq, 1,
                                 priority));
    else
        ASSERT(vgic_dist_write(&guest.vgic, cpu, GICD_IPRIORITYR + irq, 1, priority));
}

void guest_set_edge(unsigned cpu, uint32_t irq, bool edge)
{
    uint32_t offset = GICD_ICFGR + irq / 16 * 4, bit = 2u << 2 * (irq % 16), v;

    v = irq < VGIC_PRIVATE ? guest_sgi_read(cpu, offset) : guest_dist_read(offset);
    v = edge ? v | bit : v & ~bit;
    if (irq < VGIC_PRIVATE)
        guest_sgi_write(cpu, offset, v);
    else
        guest_dist_write(cpu, offset, v);
}

void guest_route(uint32_t irq, unsigned cpu)
{
    guest.cpu[0].kicked = true;
    ASSERT(vgic_dist_write(&guest.vgic, 0, GICD_IROUTER + 8 * irq, 8, cpu));
}

void guest_set_line(unsigned cpu, uint32_t irq, bool high)
{
    guest.line[irq < VGIC_PRIVATE ? cpu : 0][irq] = high;
    vgic_accept(&guest.vgic, cpu, irq, false);
}

void guest_hw(unsigned cpu, uint32_t irq)
{
    unsigned of = irq < VGIC_PRIVATE ? cpu : 0;

    ASSERT(!guest.physical[of][irq]); /* An active one does not fire. */
    guest.physical[of][irq] = true;
    vgic_accept_hw(&guest.vgic, cpu, irq, irq + 1000);
}

bool guest_maintenance(unsigned cpu)
{
    const struct arch_vcpu *arch = &guest.cpu[cpu].arch;
    bool pending = false;

    for (unsigned i = 0; i < guest.slots; i++)
        pending |= (arch->slots[i] & LR_STATE) == LR_PENDING;
    return arch_virq_ended(arch) != 0 || (arch->control & HCR_NPIE && !pending) ||
           (arch->control & HCR_LRENPIE && field_get(HCR_EOICOUNT, arch->control) != 0);
}

static bool guest_slots_differ(const struct arch_vcpu *arch)
{
    for (unsigned i = 0; i < guest.slots; i++)
        for (unsigned k = 0; k < i; k++)
            if (arch->slots[i] & LR_STATE && arch->slots[k] & LR_STATE &&
                (uint32_t)arch->slots[i] == (uint32_t)arch->slots[k])
                return false;
    return true;
}

void guest_enter(unsigned cpu)
{
    const struct arch_vcpu *arch = &guest.cpu[cpu].arch;

    guest.cpu[cpu].kicked = false;
    guest.cpu[cpu].bound = true;
    vgic_fill(&guest.vgic, cpu);
    ASSERT(!guest_maintenance(cpu));
    ASSERT(guest_slots_differ(arch));
    for (unsigned i = 0; i < guest.slots; i++) /* Not allowed with HW = 1 [12.4]. */
        ASSERT(!(arch->slots[i] & LR_HW) || (arch->slots[i] & LR_STATE) != LR_STATE);
}

void guest_settle(unsigned cpu)
{
    if (guest_maintenance(cpu))
        vgic_sync(&guest.vgic, cpu);
    guest_enter(cpu);
    for (unsigned round = 0; round < 2; round++) /* One vCPU may pass on to another. */
        for (unsigned i = 0; i < guest.cpus; i++)
            if (guest.cpu[i].kicked && guest.cpu[i].bound)
                guest_enter(i);
}

uint32_t guest_ack(unsigned cpu)
{
    struct guest_cpu *c = &guest.cpu[cpu];
    unsigned running = c->depth ? c->running[c->depth - 1] : 256, best = SPURIOUS;

    for (unsigned i = 0; i < guest.slots; i++) {
        unsigned priority = (unsigned)field_get(LR_PRIORITY, c->arch.slots[i]);

        if ((c->arch.slots[i] & LR_STATE) == LR_PENDING && priority < running) {
            running = priority;
            best = i;
        }
    }
    if (best == SPURIOUS)
        return SPURIOUS;
    c->arch.slots[best] ^= LR_STATE; /* Pending becomes active. */
    ASSERT(c->depth < 64);
    c->running[c->depth++] = running;
    return (uint32_t)c->arch.slots[best];
}

static void guest_end(unsigned cpu, uint32_t irq)
{
    struct arch_vcpu *arch = &guest.cpu[cpu].arch;

    for (unsigned i = 0; i < guest.slots; i++) {
        if (!(arch->slots[i] & LR_ACTIVE) || (uint32_t)arch->slots[i] != irq)
            continue;
        arch->slots[i] &= ~LR_ACTIVE;
        if (!(arch->slots[i] & LR_HW))
            return;
        ASSERT_EQ(field_get(LR_PINTID, arch->slots[i]), irq + 1000);
        ASSERT(guest.physical[irq < VGIC_PRIVATE ? cpu : 0][irq]);
        guest.physical[irq < VGIC_PRIVATE ? cpu : 0][irq] = false;
        return;
    }
    arch->control += field_put(HCR_EOICOUNT, 1);
}

void guest_eoi(unsigned cpu, uint32_t irq)
{
    ASSERT(guest.cpu[cpu].depth > 0);
    guest.cpu[cpu].depth--;
    if (!guest.cpu[cpu].eoi_mode1)
        guest_end(cpu, irq);
}

void guest_dir(unsigned cpu, uint32_t irq)
{
    if (guest.cpu[cpu].arch.control & HCR_TDIR)
        vgic_deactivate(&guest.vgic, cpu, irq);
    else
        guest_end(cpu, irq);
}

void guest_unbind(unsigned cpu)
{
    vgic_sync(&guest.vgic, cpu);
    guest.cpu[cpu].bound = false;
}
