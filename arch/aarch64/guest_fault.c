/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hardware leaves to software: loads and stores to devices for which it gives no syndrome
 * (pairs, write-back), exceptions that we make the guest take, and the words for an exit. [Arm ARM
 * D1.3]
 */
#include "arch/aarch64/insn.h"
#include "arch/aarch64/sysreg.h"
#include "arch/aarch64/vcpu.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/string.h"

#define MMFR1_PAN      BITS(23, 20)
#define PFR1_SSBS      BITS(7, 4)

/* SYS instructions with CRn = 7: IC, DC. [Arm ARM C5.4] */
#define SYS_CACHE      0xd5087000u
#define SYS_CACHE_MASK 0xfff8f000u

/* A base register; 31 is the stack pointer of the mode that the guest is in. */
static uint64_t insn_base(const struct arch_vcpu *vcpu, unsigned reg)
{
    if (reg != INSN_REG_ZERO)
        return vcpu->x[reg];
    return (vcpu->pstate & 1) ? vcpu_sys(vcpu, SYS_SP_EL1) : vcpu_sys(vcpu, SYS_SP_EL0);
}

static void insn_set_base(struct arch_vcpu *vcpu, unsigned reg, uint64_t value)
{
    if (reg != INSN_REG_ZERO)
        vcpu->x[reg] = value;
    else if (vcpu->pstate & 1)
        sysreg_write("sp_el1", value);
    else
        sysreg_write("sp_el0", value);
}

bool arch_vcpu_decode(struct arch_vcpu *vcpu, const void *insn, unsigned size,
                      [[maybe_unused]] const struct arch_guest_memory *memory,
                      struct vcpu_exit *exit)
{
    struct arch_insn_state *state = &vcpu->insn;
    uint64_t base, addr;
    uint32_t word;

    assert(vcpu->bound && exit->kind == EXIT_STAGE2_FAULT);
    if (vcpu->pstate & PSTATE_A32)
        return false; /* Another instruction set. */
    if (size != sizeof(word) || exit->fault.execute || exit->fault.table_walk)
        return false;
    memcpy(&word, insn, sizeof(word));
    if ((word & SYS_CACHE_MASK) == SYS_CACHE) { /* Of ROM, that it may not write. */
        vcpu_step_over(vcpu, 4);
        exit->kind = EXIT_NOTHING;
        return true;
    }
    if (!a64_insn_decode(word, &state->access) || state->access.offset_reg)
        return false;
    if (state->access.load == exit->fault.write)
        return false;
    base = insn_base(vcpu, state->access.base);
    addr = base + (uint64_t)state->access.offset;
    /* Of a pair, the first must be what faulted: then both are in the device. Tags are ignored. */
    if ((addr ^ exit->fault.gva.v) & BITS(55, 0))
        return false;
    state->word = word;
    state->gpa = exit->fault.gpa.v;
    state->base = base + (uint64_t)state->access.index;
    state->done = 0;
    state->cause[0] = exit->cause[0];
    state->cause[1] = exit->cause[1];
    state->active = true;
    insn_next(vcpu, exit);
    return true;
}

bool arch_vcpu_midway(const struct arch_vcpu *vcpu)
{
    return vcpu->insn.active;
}

void insn_next(const struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct arch_insn_state *state = &vcpu->insn;
    const struct a64_insn_access *access = &state->access;
    uint64_t mask = access->width == 8 ? ~0ull : BIT(access->width * 8) - 1;

    exit->kind = access->load ? EXIT_MMIO_READ : EXIT_MMIO_WRITE;
    exit->advance = true;
    exit->cause[0] = state->cause[0];
    exit->cause[1] = state->cause[1];
    exit->mmio.gpa = gpa(state->gpa + (uint64_t)state->done * access->width);
    exit->mmio.width = access->width;
    exit->mmio.reg = state->done ? access->reg2 : access->reg;
    exit->mmio.reg_width = access->reg_width;
    exit->mmio.sign_extend = access->sign_extend;
    exit->mmio.data = arch_vcpu_gpr(vcpu, exit->mmio.reg) & mask;
}

void insn_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct arch_insn_state *state = &vcpu->insn;
    const struct a64_insn_access *access = &state->access;

    if (exit->kind == EXIT_MMIO_READ)
        vcpu_load_reg(vcpu, exit->mmio.reg, exit->mmio.data, exit->mmio.width, exit->mmio.reg_width,
                      exit->mmio.sign_extend);
    if (access->pair && state->done++ == 0)
        return;
    state->active = false;
    if (access->writeback)
        insn_set_base(vcpu, access->base, state->base);
    vcpu_step_over(vcpu, 4);
}

/* Offset of the vector for an exception that the guest takes now [Arm ARM D1.3.1.5]. */
static uint64_t fault_vector(uint64_t pstate)
{
    if (pstate & PSTATE_A32)
        return 0x600; /* From AArch32 EL0. */
    switch (pstate & 0xf) {
    case 0:
        return 0x400; /* From EL0. */
    case PSTATE_EL1H:
        return 0x200;
    default:
        return 0x000;
    }
}

/*
 * As an exception to EL1 leaves it [Arm ARM J1, AArch64.TakeException]. Absent features' bits must
 * stay 0.
 */
static uint64_t fault_pstate(uint64_t old)
{
    uint64_t sctlr = sysreg_read("sctlr_el1");
    uint64_t keep = PSTATE_NZCV | PSTATE_PAN | (old & PSTATE_A32 ? 0 : PSTATE_DIT);
    uint64_t pstate = (old & keep) | PSTATE_EL1H | PSTATE_DAIF;

    if (field_get(MMFR1_PAN, sysreg_read("id_aa64mmfr1_el1")) && !(sctlr & SCTLR_SPAN))
        pstate |= PSTATE_PAN;
    if (field_get(PFR1_SSBS, sysreg_read("id_aa64pfr1_el1")) && (sctlr & SCTLR_DSSBS))
        pstate |= PSTATE_SSBS;
    return pstate;
}

void arch_vcpu_inject_fault(struct arch_vcpu *vcpu, enum arch_fault fault,
                            const struct vcpu_exit *exit)
{
    bool lower = (vcpu->pstate & PSTATE_A32) || !(vcpu->pstate & 0xc);
    uint64_t esr = ESR_IL;

    assert(vcpu->bound);
    switch (fault) {
    case FAULT_UNDEFINED:
        esr |= field_put(ESR_EC, EC_UNKNOWN);
        break;
    case FAULT_DATA_ABORT: /* A synchronous external abort. */
        esr |= field_put(ESR_EC, lower ? EC_DATA_ABORT_LOWER : EC_DATA_ABORT) | 0x10 |
               (exit->cause[0] & ISS_WNR);
        sysreg_write("far_el1", exit->cause[1]);
        break;
    case FAULT_FETCH_ABORT:
        esr |= field_put(ESR_EC, lower ? EC_FETCH_ABORT_LOWER : EC_FETCH_ABORT) | 0x10;
        sysreg_write("far_el1", exit->cause[1]);
        break;
    }
    sysreg_write("esr_el1", esr);
    sysreg_write("elr_el1", vcpu->pc);
    sysreg_write("spsr_el1", vcpu->pstate);
    vcpu->insn.active = false;
    vcpu->pc = sysreg_read("vbar_el1") + fault_vector(vcpu->pstate);
    vcpu->pstate = fault_pstate(vcpu->pstate);
}

static const char *fault_class(uint64_t esr)
{
    switch (field_get(ESR_EC, esr)) {
    case EC_UNKNOWN:
        return "undefined instruction or state";
    case EC_WFX:
        return "WFI or WFE";
    case EC_HVC64:
        return "HVC";
    case EC_SMC64:
        return "SMC";
    case EC_SYSREG:
        return "system register access";
    case EC_SVE:
        return "SVE access";
    case EC_ILLEGAL_STATE:
        return "illegal execution state";
    case EC_FETCH_ABORT_LOWER:
        return "instruction abort";
    case EC_DATA_ABORT_LOWER:
        return "data abort";
    case EC_PC_ALIGN:
        return "misaligned pc";
    case EC_SERROR:
        return "SError";
    }
    return "exception";
}

static const char *fault_status(uint64_t esr)
{
    switch (esr & FSC_TYPE) {
    case FSC_TRANSLATION:
        return "translation fault";
    case FSC_ACCESS:
        return "access flag fault";
    case FSC_PERMISSION:
        return "permission fault";
    case 0x10:
        return "synchronous external abort";
    case 0x20:
        return "alignment fault or conflict";
    }
    return "fault";
}

void arch_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    uint64_t esr = exit->cause[0];
    unsigned ec = (unsigned)field_get(ESR_EC, esr);

    fmt_print(out, "  cause: %s (ESR %08llx", fault_class(esr), (unsigned long long)esr);
    if (ec != EC_DATA_ABORT_LOWER && ec != EC_FETCH_ABORT_LOWER) {
        fmt_print(out, ")\n");
        return;
    }
    fmt_print(out, ", FAR %016llx): stage-2 %s, level %u%s%s\n", (unsigned long long)exit->cause[1],
              fault_status(esr), (unsigned)(esr & 3),
              ec == EC_DATA_ABORT_LOWER ? (esr & ISS_WNR ? ", a write" : ", a read") : ", a fetch",
              esr & ISS_S1PTW ? ", by a table walk" : "");
}
