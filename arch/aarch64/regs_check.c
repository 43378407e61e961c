/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a register file may hold: nothing that a guest could not have put there by itself, and
 * nothing that reaches beyond it. A snapshot may be crafted. [Arm ARM C5.2.18, D1.4; IHI 0069,
 * 12.4; IHI 0048B, 5.3]
 */
#include "arch/aarch64/gicv2_lr.h"
#include "arch/aarch64/regs.h"
#include "arch/aarch64/sysreg.h"

#define PSTATE_A64                                                                                 \
    (PSTATE_MODE | PSTATE_DAIF | PSTATE_BTYPE | PSTATE_SSBS | PSTATE_ALLINT | PSTATE_IL |          \
     PSTATE_SS | PSTATE_PAN | PSTATE_UAO | PSTATE_DIT | PSTATE_TCO | PSTATE_NZCV)
#define PSTATE_A32_USER 0x10u

/* Of ICH_HCR_EL2: what the model of the controller sets, and the count of ends. */
#define HCR_MAY         (ICH_HCR_EN | BITS(3, 1) | BIT(14) | BITS(31, 27))
/* Masks, binary points and controls; GICH_VMCR has them at the same places. */
#define VMCR_MAY        (BITS(31, 18) | BIT(9) | BITS(4, 0))
#define LR_MAY_HW       (LR3_VID | LR3_PID | LR3_PRIORITY | LR3_GROUP1 | LR3_HW | LR3_STATE)
#define LR_MAY          (LR3_VID | LR3_SENDER | LR3_EOI | LR3_PRIORITY | LR3_GROUP1 | LR3_STATE)
#define INTID_END       1020u

const char *a64_regs_check_pstate(uint64_t pstate, bool a32)
{
    if ((pstate & PSTATE_MODE) == PSTATE_A32_USER) {
        if (!a32)
            return "pstate: this processor has no AArch32";
        return pstate >> 32 ? "pstate: reserved bits" : NULL;
    }
    switch (pstate & PSTATE_MODE) {
    case 0:
    case PSTATE_EL1T:
    case PSTATE_EL1H:
        return pstate & ~PSTATE_A64 ? "pstate: reserved bits" : NULL;
    }
    return "pstate: a mode that is not a guest's";
}

/* An interrupt in a list register that names a physical one deactivates that at its end. */
static const char *check_lr(uint64_t lr, const struct a64_gic_limits *limits)
{
    if (lr & ~(lr & LR3_HW ? LR_MAY_HW : LR_MAY))
        return "a list register: reserved bits";
    if (field_get(LR3_VID, lr) >= INTID_END)
        return "a list register: no such interrupt";
    if (lr & LR3_HW && field_get(LR3_PID, lr) != limits->physical_irq)
        return "a list register: a physical interrupt that is not the guest's";
    return NULL;
}

/* The same one in two list registers is unpredictable. */
static bool lr_is_twice(const struct arch_gic_state *gic, unsigned slot)
{
    for (unsigned i = 0; i < slot; i++)
        if (gic->lr[i] & LR3_STATE && gic->lr[slot] & LR3_STATE &&
            !((gic->lr[i] ^ gic->lr[slot]) & LR3_VID))
            return true;
    return false;
}

const char *a64_regs_check_gic(const struct arch_gic_state *gic,
                               const struct a64_gic_limits *limits)
{
    if (gic->hcr & ~HCR_MAY || gic->vmcr & ~VMCR_MAY)
        return "the GIC's CPU interface: reserved bits";
    for (unsigned i = 0; i < ARCH_LIST_REGISTERS; i++) {
        const char *wrong = check_lr(gic->lr[i], limits);

        if (wrong)
            return wrong;
        if (i >= limits->slots && gic->lr[i] != 0)
            return "more list registers than there are here";
        if (lr_is_twice(gic, i))
            return "two list registers hold one interrupt";
    }
    for (unsigned i = 0; i < ARRAY_SIZE(gic->ap0r); i++)
        if ((i >= limits->aprs && (gic->ap0r[i] | gic->ap1r[i])) ||
            (limits->version == 2 && gic->ap1r[i]))
            return "more active priorities than there are here";
    if (gic->ended >> limits->slots)
        return "more list registers than there are here";
    return NULL;
}

const char *a64_regs_check_insn(const struct arch_insn_regs *insn, uint64_t pstate,
                                unsigned gpa_bits)
{
    struct a64_insn_access access;

    if (insn->word == 0)
        return NULL;
    if (pstate & PSTATE_A32 || !a64_insn_decode(insn->word, &access) || access.offset_reg)
        return "the instruction under way: not one that is emulated";
    if (insn->done > (access.pair ? 1u : 0u))
        return "the instruction under way: more accesses than it has";
    if (insn->gpa >> gpa_bits)
        return "the instruction under way: no such address";
    return NULL;
}
