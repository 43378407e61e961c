/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List registers of the GICv3 virtual interface, by number, and their save and restore with a vCPU;
 * the GICv2's are behind the same functions in gicv2.c. [IHI 0069, 12.4]
 */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/assert.h"
#include "kernel/percpu.h"
#include "vcpu/arch_vcpu.h"

/*
 * Encodings: ICH_LR0-7 are s3_4_c12_c12_n, ICH_LR8-15 s3_4_c12_c13_n; ICH_AP<g>R<n>
 * s3_4_c12_c<8+g>_n.
 */
/* clang-format off */
/* From the last down: saving and loading all fall through from the highest. */
#define LR_LIST(X)                                              \
    X(15, "c13_7") X(14, "c13_6") X(13, "c13_5") X(12, "c13_4") \
    X(11, "c13_3") X(10, "c13_2") X(9, "c13_1") X(8, "c13_0")   \
    X(7, "c12_7") X(6, "c12_6") X(5, "c12_5") X(4, "c12_4")     \
    X(3, "c12_3") X(2, "c12_2") X(1, "c12_1") X(0, "c12_0")
/* clang-format on */

static uint64_t lr_read(unsigned slot)
{
    switch (slot) {
#define X(n, reg)                                                                                  \
    case n:                                                                                        \
        return sysreg_read("s3_4_c12_" reg);
        LR_LIST(X)
#undef X
    }
    unreachable();
}

static void lr_write(unsigned slot, uint64_t value)
{
    if (likely(slot == 0)) { /* Spares the timer's path a jump table. */
        sysreg_write("s3_4_c12_c12_0", value);
        return;
    }
    switch (slot) {
#define X(n, reg)                                                                                  \
    case n:                                                                                        \
        sysreg_write("s3_4_c12_" reg, value);                                                      \
        return;
        LR_LIST(X)
#undef X
    }
    unreachable();
}

/* All that there are, from the last down: one jump, then straight on. */
static void lr_store_all(uint64_t *lr, unsigned count)
{
    switch (count) {
#define X(n, reg)                                                                                  \
    case n + 1:                                                                                    \
        lr[n] = sysreg_read("s3_4_c12_" reg);                                                      \
        [[fallthrough]];
        LR_LIST(X)
#undef X
    case 0:
        return;
    }
}

static void lr_load_all(const uint64_t *lr, unsigned count)
{
    switch (count) {
#define X(n, reg)                                                                                  \
    case n + 1:                                                                                    \
        sysreg_write("s3_4_c12_" reg, lr[n]);                                                      \
        [[fallthrough]];
        LR_LIST(X)
#undef X
    case 0:
        return;
    }
}

uint64_t arch_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    if (likely(vcpu->gic_version_bound == 3))
        return lr_read(slot);
    return vcpu->bound ? gicv2_lr_read(slot) : vcpu->gic.lr[slot];
}

void arch_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    if (likely(vcpu->gic_version_bound == 3))
        lr_write(slot, value);
    else if (vcpu->bound)
        gicv2_lr_write(slot, value);
    else
        vcpu->gic.lr[slot] = value;
}

uint64_t arch_virq_empty(const struct arch_vcpu *vcpu)
{
    uint64_t empty = 0;

    if (likely(vcpu->gic_version_bound == 3))
        return sysreg_read(ICH_ELRSR_EL2);
    if (vcpu->bound)
        return gicv2_empty();
    /* Neither pending nor active, and no notice of an end outstanding. */
    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        if (!(vcpu->gic.lr[i] & BITS(63, 62)) && !(vcpu->gic.ended & BIT(i)))
            empty |= BIT(i);
    return empty;
}

uint64_t arch_virq_ended(const struct arch_vcpu *vcpu)
{
    if (!vcpu->bound)
        return vcpu->gic.ended;
    return gic_version == 3 ? sysreg_read(ICH_EISR_EL2) : gicv2_ended();
}

uint64_t arch_virq_control(const struct arch_vcpu *vcpu)
{
    if (!vcpu->bound)
        return vcpu->gic.hcr;
    return gic_version == 3 ? sysreg_read(ICH_HCR_EL2) : gicv2_control();
}

void arch_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    vcpu->gic.hcr = value | ICH_HCR_EN;
    if (!vcpu->bound)
        return;
    if (gic_version == 3)
        sysreg_write(ICH_HCR_EL2, value | ICH_HCR_EN);
    else
        gicv2_set_control(value | ICH_HCR_EN);
}

/* Active priority registers: as many as there are preemption bits [ICH_AP1R<n>_EL2]. */
unsigned gich_apr_count(void)
{
    unsigned bits = (unsigned)field_get(ICH_VTR_PREBITS, sysreg_read(ICH_VTR_EL2)) + 1;

    return bits <= 5 ? 1 : bits == 6 ? 2 : 4;
}

static void gich_load_aprs(const struct arch_gic_state *state, unsigned count)
{
    sysreg_write("s3_4_c12_c8_0", state->ap0r[0]);
    sysreg_write("s3_4_c12_c9_0", state->ap1r[0]);
    if (count < 2)
        return;
    sysreg_write("s3_4_c12_c8_1", state->ap0r[1]);
    sysreg_write("s3_4_c12_c9_1", state->ap1r[1]);
    if (count < 4)
        return;
    sysreg_write("s3_4_c12_c8_2", state->ap0r[2]);
    sysreg_write("s3_4_c12_c8_3", state->ap0r[3]);
    sysreg_write("s3_4_c12_c9_2", state->ap1r[2]);
    sysreg_write("s3_4_c12_c9_3", state->ap1r[3]);
}

static void gich_store_aprs(struct arch_gic_state *state, unsigned count)
{
    state->ap0r[0] = (uint32_t)sysreg_read("s3_4_c12_c8_0");
    state->ap1r[0] = (uint32_t)sysreg_read("s3_4_c12_c9_0");
    if (count < 2)
        return;
    state->ap0r[1] = (uint32_t)sysreg_read("s3_4_c12_c8_1");
    state->ap1r[1] = (uint32_t)sysreg_read("s3_4_c12_c9_1");
    if (count < 4)
        return;
    state->ap0r[2] = (uint32_t)sysreg_read("s3_4_c12_c8_2");
    state->ap0r[3] = (uint32_t)sysreg_read("s3_4_c12_c8_3");
    state->ap1r[2] = (uint32_t)sysreg_read("s3_4_c12_c9_2");
    state->ap1r[3] = (uint32_t)sysreg_read("s3_4_c12_c9_3");
}

void gich_load(const struct arch_gic_state *state)
{
    if (gic_version == 2) {
        gicv2_load(state);
        return;
    }
    sysreg_write(ICH_VMCR_EL2, state->vmcr);
    gich_load_aprs(state, gich_apr_count());
    lr_load_all(state->lr, virt_caps.virq_slots);
    sysreg_write(ICH_HCR_EL2, state->hcr | ICH_HCR_EN);
}

void gich_store(struct arch_gic_state *state)
{
    if (gic_version == 2) {
        gicv2_store(state);
        return;
    }
    state->vmcr = sysreg_read(ICH_VMCR_EL2);
    state->hcr = sysreg_read(ICH_HCR_EL2);
    state->ended = sysreg_read(ICH_EISR_EL2);
    gich_store_aprs(state, gich_apr_count());
    lr_store_all(state->lr, virt_caps.virq_slots);
    sysreg_write(ICH_HCR_EL2, 0); /* No maintenance interrupt while no guest is bound. */
}

unsigned gich_slots(void)
{
    unsigned slots = gic_version == 3
                         ? (unsigned)(field_get(ICH_VTR_LISTREGS, sysreg_read(ICH_VTR_EL2)) + 1)
                         : gicv2_slots();

    return MIN(slots, VIRQ_SLOTS_MAX);
}
