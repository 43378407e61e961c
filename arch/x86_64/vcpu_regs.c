/* SPDX-License-Identifier: Apache-2.0 */
/* The complete register file of a vCPU: taken, given back, and in words. */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/insn_exec.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define FPU_COMPONENTS 512 /* Offset in the area of XSAVE. */

static struct regs_limits regs_limits(void)
{
    return (struct regs_limits){
        .cpuid = &virt_guest_cpuid,
        .processor = virt_guest_processor,
        .components = fpu_components(),
        .mxcsr = fpu_mxcsr(),
        .gpa_bits = virt_caps.gpa_bits,
    };
}

/* Components that no guest can have touched hold nothing: they are not among those that are set. */
static void regs_get_fpu(const struct arch_vcpu *vcpu, uint8_t *fpu)
{
    const struct regs_limits limits = regs_limits();
    uint64_t present;

    memcpy(fpu, vcpu->fpu, ARCH_FPU_SIZE);
    memcpy(&present, fpu + FPU_COMPONENTS, sizeof(present));
    present &= regs_fpu_components(&limits);
    memcpy(fpu + FPU_COMPONENTS, &present, sizeof(present));
}

void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *result)
{
    struct x86_regs *regs = &result->x86;

    assert(!vcpu->bound);
    memset(regs, 0, sizeof(*regs));
    regs->arch = ARCH_TAG;
    regs->processor = virt_guest_processor;
    memcpy(regs->gpr, vcpu->gpr, sizeof(regs->gpr));
    regs->rip = vcpu->rip;
    virt_backend->get_regs(vcpu, regs);
    memcpy(&regs->reg[REG_DR0], vcpu->debug_addr, sizeof(vcpu->debug_addr));
    regs->reg[REG_XCR0] = vcpu->xcr0;
    regs->reg[REG_TSC_AUX] = vcpu->tsc_aux;
    insn_exec_save(vcpu->exec, &regs->insn);
    regs_get_fpu(vcpu, regs->fpu);
}

static enum err regs_ok(const struct arch_vcpu *vcpu, const struct x86_regs *regs)
{
    const struct regs_limits limits = regs_limits();
    const char *why;

    if (regs->arch != ARCH_TAG) {
        log_error("registers of a vCPU are refused: they are of another architecture");
        return E_INVALID;
    }
    why = regs_check(regs, &limits);
    if (why) {
        log_error("registers of a vCPU are refused: %s", why);
        return E_RANGE;
    }
    return virt_backend->regs_ok(vcpu, regs);
}

enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *from)
{
    const struct x86_regs *regs = &from->x86;
    bool going_on;

    assert(!vcpu->bound);
    TRY(regs_ok(vcpu, regs));
    virt_backend->reset(vcpu);
    code_forget(vcpu);
    vcpu->port_string = false;
    memcpy(vcpu->gpr, regs->gpr, sizeof(regs->gpr));
    vcpu->rip = regs->rip;
    vcpu->code_base = regs->segment[SEGMENT_CS].base;
    virt_backend->set_regs(vcpu, regs);
    memcpy(vcpu->debug_addr, &regs->reg[REG_DR0], sizeof(vcpu->debug_addr));
    vcpu->xcr0 = regs->reg[REG_XCR0];
    vcpu->tsc_aux = regs->reg[REG_TSC_AUX];
    going_on = insn_exec_restore(vcpu->exec, &regs->insn, virt_caps.gpa_bits);
    assert(going_on);
    memcpy(vcpu->fpu, regs->fpu, sizeof(regs->fpu));
    return OK;
}

/* Bound or not. */
static uint64_t regs_read(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    switch (reg) {
    case REG_DR0:
    case REG_DR1:
    case REG_DR2:
    case REG_DR3:
        return vcpu_debug_addr(vcpu, reg - REG_DR0);
    case REG_XCR0:
        return fpu_xcr0(vcpu);
    case REG_TSC_AUX:
        return vcpu->tsc_aux;
    case REG_CR8:
        return arch_virq_read(vcpu, VIRQ_SLOT_TPR) >> 4;
    default:
        return virt_backend->reg(vcpu, reg);
    }
}

static const char *const gpr_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const reg_names[] = {
#define X(name, text, field) text,
#define OURS(name, text)     text,
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
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
    fmt_print(out, "  rip     %016llx  in %s-bit code at CPL %u\n", (unsigned long long)vcpu->rip,
              modes[vcpu_mode(vcpu)], virt_backend->cpl(vcpu));
    for (unsigned i = 0; i < ARCH_REGS; i++)
        print_reg(out, i, reg_names[i], regs_read(vcpu, (enum arch_reg)i));
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
