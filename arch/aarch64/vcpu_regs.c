/* SPDX-License-Identifier: Apache-2.0 */
/* The complete register file of a vCPU: taken, given back, and in words. */
#include "arch/aarch64/gic.h"
#include "arch/aarch64/gicv2_lr.h"
#include "arch/aarch64/regs.h"
#include "arch/aarch64/vcpu.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/platform.h"
#include "kernel/string.h"

#define PFR0_EL0     BITS(3, 0)
#define PFR0_EL0_A32 2u

static const char *const idreg_names[] = {
#define X(name, value) #name,
#include "arch/aarch64/idreg.def"
#undef X
};

static const char *const sysreg_names[] = {
#define X(name, text) #name,
#include "arch/aarch64/sysreg.def"
#undef X
};

/* What is left in a list register whose interrupt has ended means nothing, but for its notice. */
static uint64_t regs_lr(uint64_t lr)
{
    return lr & LR3_STATE || (lr & (LR3_HW | LR3_EOI)) == LR3_EOI ? lr : 0;
}

void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *regs)
{
    const struct arch_insn_state *insn = &vcpu->insn;

    assert(!vcpu->bound);
    memset(regs, 0, sizeof(*regs));
    regs->arch = ARCH_TAG;
    regs->gic_version = gic_version;
    regs->mpidr = vcpu->vmpidr;
    regs->fp = vcpu->fp;
    memcpy(regs->x, vcpu->x, sizeof(regs->x));
    regs->pc = vcpu->pc;
    regs->pstate = vcpu->pstate;
    regs->gic = vcpu->gic;
    for (unsigned i = 0; i < VIRQ_SLOTS_MAX; i++)
        regs->gic.lr[i] = regs_lr(vcpu->gic.lr[i]);
    if (insn->active)
        regs->insn = (struct arch_insn_regs){.word = insn->word,
                                             .done = insn->done,
                                             .gpa = insn->gpa,
                                             .base = insn->base,
                                             .cause = {insn->cause[0], insn->cause[1]}};
    vcpu_identification(regs->id);
    memcpy(regs->sys, vcpu->sys, sizeof(regs->sys));
    regs->sys[SYS_MDSCR_EL1] &= MDSCR_GUEST; /* A debugger from outside may show in the others. */
}

static enum err regs_refuse(const struct arch_vcpu *vcpu, const char *why, enum err err)
{
    log_error("registers of vCPU %u are refused: %s", vcpu->index, why);
    return err;
}

/* A guest does not move to another processor without noticing. */
static enum err regs_check_identity(const struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    uint64_t id[IDREG_COUNT];

    if (regs->arch != ARCH_TAG)
        return regs_refuse(vcpu, "they are of another architecture", E_INVALID);
    if (regs->gic_version != gic_version)
        return regs_refuse(vcpu, "they are of another version of the GIC", E_INVALID);
    if (regs->mpidr != vcpu->vmpidr)
        return regs_refuse(vcpu, "they are another vCPU's", E_INVALID);
    vcpu_identification(id);
    for (unsigned i = 0; i < IDREG_COUNT; i++) {
        if (regs->id[i] == id[i])
            continue;
        log_error("%s: %016llx there, %016llx here", idreg_names[i],
                  (unsigned long long)regs->id[i], (unsigned long long)id[i]);
        return regs_refuse(vcpu, "they are of another processor", E_INVALID);
    }
    return OK;
}

static enum err regs_check(const struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    const struct a64_gic_limits limits = {
        .version = gic_version,
        .slots = virt_caps.virq_slots,
        .aprs = gic_version == 3 ? gich_apr_count() : 1,
        .physical_irq = platform.timer_irq_virt,
    };
    bool a32 = field_get(PFR0_EL0, regs->id[IDREG_ID_AA64PFR0_EL1]) == PFR0_EL0_A32;
    const char *wrong;

    TRY(regs_check_identity(vcpu, regs));
    wrong = a64_regs_check_pstate(regs->pstate, a32);
    if (!wrong)
        wrong = a64_regs_check_gic(&regs->gic, &limits);
    if (!wrong)
        wrong = a64_regs_check_insn(&regs->insn, regs->pstate, virt_caps.gpa_bits);
    if (!wrong && regs->sys[SYS_MDSCR_EL1] & ~MDSCR_GUEST)
        wrong = "MDSCR_EL1: more than a guest may set";
    return wrong ? regs_refuse(vcpu, wrong, E_RANGE) : OK;
}

static void regs_set_insn(struct arch_insn_state *state, const struct arch_insn_regs *insn)
{
    memset(state, 0, sizeof(*state));
    state->active = insn->word != 0 && a64_insn_decode(insn->word, &state->access);
    state->word = insn->word;
    state->done = (uint8_t)insn->done;
    state->gpa = insn->gpa;
    state->base = insn->base;
    memcpy(state->cause, insn->cause, sizeof(state->cause));
}

/* What any pCPU has remembered of the vCPU's former tables and code. */
static void regs_drop_translations(const struct arch_vcpu *vcpu)
{
    arch_stage2_flush(vcpu->vmid, hpa(vcpu->vttbr & BITS(47, 1)), gpa(0), BIT(virt_caps.gpa_bits));
    __asm__ volatile("ic ialluis; dsb ish; isb" : : : "memory");
}

enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    assert(!vcpu->bound);
    TRY(regs_check(vcpu, regs));
    memcpy(vcpu->x, regs->x, sizeof(regs->x));
    vcpu->pc = regs->pc;
    vcpu->pstate = regs->pstate;
    vcpu->fp = regs->fp;
    vcpu->gic = regs->gic;
    regs_set_insn(&vcpu->insn, &regs->insn);
    memcpy(vcpu->sys, regs->sys, sizeof(regs->sys));
    regs_drop_translations(vcpu);
    return OK;
}

/* --- In words --- */

static void print_unbound(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    const struct arch_gic_state *gic = &vcpu->gic;

    for (unsigned i = 0; i < 32; i++) {
        uint64_t v[2];

        memcpy(v, vcpu->fp.v[i], sizeof(v));
        fmt_print(out, "  v%-2u %016llx%016llx%s", i, (unsigned long long)v[1],
                  (unsigned long long)v[0], i % 2 == 1 ? "\n" : "");
    }
    fmt_print(out, "  fpcr %08llx  fpsr %08llx  ICH: HCR %08llx  VMCR %08llx\n",
              (unsigned long long)vcpu->fp.fpcr, (unsigned long long)vcpu->fp.fpsr,
              (unsigned long long)gic->hcr, (unsigned long long)gic->vmcr);
    for (unsigned i = 0; i < ARRAY_SIZE(gic->ap0r); i++)
        if (gic->ap0r[i] | gic->ap1r[i])
            fmt_print(out, "  ICH_AP0R%u %08x  ICH_AP1R%u %08x\n", i, gic->ap0r[i], i,
                      gic->ap1r[i]);
    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        if (regs_lr(gic->lr[i]))
            fmt_print(out, "  ICH_LR%-2u %016llx\n", i, (unsigned long long)gic->lr[i]);
}

void arch_vcpu_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    for (unsigned i = 0; i < 31; i++)
        fmt_print(out, "  x%-2u %016llx%s", i, (unsigned long long)vcpu->x[i],
                  i % 3 == 2 ? "\n" : "");
    fmt_print(out, "\n  pc  %016llx  pstate %08llx\n", (unsigned long long)vcpu->pc,
              (unsigned long long)vcpu->pstate);
    for (unsigned i = 0; i < SYS_COUNT; i++)
        fmt_print(out, "  %-13s %016llx%s", sysreg_names[i], (unsigned long long)vcpu_sys(vcpu, i),
                  i % 3 == 2 ? "\n" : "");
    if (SYS_COUNT % 3)
        fmt_print(out, "\n");
    if (!vcpu->bound)
        print_unbound(vcpu, out);
}
