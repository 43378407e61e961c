/* SPDX-License-Identifier: Apache-2.0 */
/* The complete register file of a vCPU: taken, given back, and in words. */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/insn_exec.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/string.h"

#define FPU_MXCSR      24 /* Offsets in the area of XSAVE. */
#define FPU_COMPONENTS 512
#define FPU_COMPACTED  520
#define FPU_RESERVED   528
#define FPU_HEADER_END 576
#define MXCSR_VALID    0xffffu

void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *regs)
{
    assert(!vcpu->bound);
    memset(regs, 0, sizeof(*regs));
    regs->arch = ARCH_TAG;
    memcpy(regs->gpr, vcpu->gpr, sizeof(regs->gpr));
    regs->rip = vcpu->rip;
    for (unsigned i = 0; i < ARCH_REGS; i++)
        regs->reg[i] = virt_backend->reg(vcpu, (enum arch_reg)i);
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++)
        regs->segment[i] = virt_backend->segment(vcpu, (enum arch_segment_index)i);
    memcpy(regs->debug_addr, vcpu->debug_addr, sizeof(regs->debug_addr));
    regs->xcr0 = vcpu->xcr0;
    regs->tsc_aux = vcpu->tsc_aux;
    regs->tpr = arch_virq_read(vcpu, VIRQ_SLOT_TPR);
    regs->events = virt_backend->events(vcpu);
    memcpy(regs->fpu, vcpu->fpu, sizeof(regs->fpu));
}

/* What XRSTOR would trap on [SDM 1, 13.8.1]. */
static bool regs_fpu_ok(const uint8_t *fpu)
{
    uint64_t present, compacted;
    uint32_t mxcsr;

    memcpy(&mxcsr, fpu + FPU_MXCSR, sizeof(mxcsr));
    if (mxcsr & ~MXCSR_VALID)
        return false;
    if (!fpu_components()) /* FXRSTOR. */
        return true;
    memcpy(&present, fpu + FPU_COMPONENTS, sizeof(present));
    memcpy(&compacted, fpu + FPU_COMPACTED, sizeof(compacted));
    for (unsigned i = FPU_RESERVED; i < FPU_HEADER_END; i++)
        if (fpu[i])
            return false;
    return !(present & ~fpu_components()) && compacted == 0;
}

static bool regs_ok(const struct arch_regs *regs)
{
    const uint64_t *reg = regs->reg;
    bool paging = reg[REG_CR0] & CR0_PG;

    if (reg[REG_CR4] & ~guest_cpuid_cr4(&virt_guest_cpuid))
        return false;
    if (reg[REG_EFER] & ~guest_cpuid_efer(&virt_guest_cpuid))
        return false;
    if (!(reg[REG_EFER] & EFER_LMA) != !(paging && (reg[REG_EFER] & EFER_LME)))
        return false;
    if (paging && !(reg[REG_CR0] & CR0_PE))
        return false;
    if (reg[REG_RFLAGS] & ~RFLAGS_GUEST || regs->tsc_aux > UINT32_MAX || regs->tpr > 0xff)
        return false;
    if (fpu_components() && !guest_cpuid_xcr0_valid(&virt_guest_cpuid, regs->xcr0))
        return false;
    return regs_fpu_ok(regs->fpu);
}

enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    assert(!vcpu->bound);
    if (regs->arch != ARCH_TAG)
        return E_INVALID;
    if (!regs_ok(regs))
        return E_RANGE;
    TRY(virt_backend->regs_ok(vcpu, regs));
    virt_backend->reset(vcpu);
    memset(vcpu->exec, 0, sizeof(*vcpu->exec));
    code_forget(vcpu);
    memcpy(vcpu->gpr, regs->gpr, sizeof(regs->gpr));
    vcpu->rip = regs->rip;
    vcpu->code_base = regs->segment[SEGMENT_CS].base;
    for (unsigned i = 0; i < ARCH_REGS; i++)
        virt_backend->set_reg(vcpu, (enum arch_reg)i, regs->reg[i]);
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++)
        virt_backend->set_segment(vcpu, (enum arch_segment_index)i, regs->segment[i]);
    memcpy(vcpu->debug_addr, regs->debug_addr, sizeof(regs->debug_addr));
    vcpu->xcr0 = regs->xcr0;
    vcpu->tsc_aux = regs->tsc_aux;
    virt_virq_write(vcpu, VIRQ_SLOT_TPR, regs->tpr);
    virt_backend->set_events(vcpu, regs->events);
    memcpy(vcpu->fpu, regs->fpu, sizeof(regs->fpu));
    return OK;
}

static const char *const gpr_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const reg_names[] = {
#define X(name, text, field) text,
#include "arch/x86_64/reg.def"
#undef X
};
static const char *const segment_names[] = {"es", "cs",   "ss",   "ds",   "fs",
                                            "gs", "gdtr", "ldtr", "idtr", "tr"};

static void print_reg(struct fmt_sink *out, unsigned index, const char *name, uint64_t value)
{
    fmt_print(out, "  %-7s %016llx%s", name, (unsigned long long)value, index % 4 == 3 ? "\n" : "");
}

static void print_segment(const struct arch_vcpu *vcpu, enum arch_segment_index index,
                          struct fmt_sink *out)
{
    struct arch_segment segment = virt_backend->segment(vcpu, index);

    fmt_print(out, "  %-4s %04x  base %016llx  limit %08x  attributes %03x\n", segment_names[index],
              segment.selector, (unsigned long long)segment.base, segment.limit,
              segment.attributes);
}

void arch_vcpu_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    static const char *const modes[] = {
        [INSN_MODE_16] = "16", [INSN_MODE_32] = "32", [INSN_MODE_64] = "64"};

    for (unsigned i = 0; i < ARRAY_SIZE(gpr_names); i++)
        print_reg(out, i, gpr_names[i], vcpu->gpr[i]);
    fmt_print(out, "  rip     %016llx  in %s-bit code at CPL %u  xcr0 %llx\n",
              (unsigned long long)vcpu->rip, modes[vcpu_mode(vcpu)], virt_backend->cpl(vcpu),
              (unsigned long long)fpu_xcr0(vcpu));
    for (unsigned i = 0; i < ARCH_REGS; i++)
        print_reg(out, i, reg_names[i], virt_backend->reg(vcpu, (enum arch_reg)i));
    if (ARCH_REGS % 4)
        fmt_print(out, "\n");
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++)
        print_segment(vcpu, (enum arch_segment_index)i, out);
    virt_backend->print(vcpu, out);
}

void arch_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    virt_backend->exit_print(exit, out);
}
