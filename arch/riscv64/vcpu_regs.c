/* SPDX-License-Identifier: Apache-2.0 */
/* The complete register file of a vCPU: taken, given back, and in words. */
#include "arch/riscv64/regs.h"
#include "arch/riscv64/vcpu.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/string.h"

void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *regs)
{
    const struct arch_csr_access *access = &vcpu->access;

    assert(!vcpu->bound);
    memset(regs, 0, sizeof(*regs));
    regs->arch = ARCH_TAG;
    regs->hart = vcpu->index;
    regs->isa = rv64_regs_hash(virt_caps.isa);
    memcpy(regs->x, vcpu->x, sizeof(regs->x));
    regs->pc = vcpu->pc;
    regs->supervisor = vcpu_in_supervisor(vcpu);
    regs->hvip = vcpu->hvip & INT_VS; /* QEMU shows the host's own SEI there as well. */
    if (access->active)
        regs->access = (struct arch_access_regs){.op = access->op,
                                                 .csr = access->csr,
                                                 .reg = access->reg,
                                                 .operand = access->operand,
                                                 .read = access->read};
    regs->fp = vcpu->fp;
#define X(name, text, present)                                                                     \
    if (present)                                                                                   \
        regs->csr[CSR_##name] = vcpu->csr[CSR_##name];
#include "arch/riscv64/csr.def"
#undef X
}

/*
 * Whether the hart keeps the value: one that it changes is no guest's. Nothing runs by it, but
 * walks of the guest's tables may be guessed, so their results are dropped.
 */
#define csr_keeps(text, value)                                                                     \
    ({                                                                                             \
        uint64_t before_ = csr_swap(text, value), kept_ = csr_swap(text, before_);                 \
        kept_ == (value);                                                                          \
    })

static const char *regs_check_csrs(const struct arch_regs *regs)
{
    const char *wrong = NULL;

#define X(name, text, present)                                                                     \
    if ((present) ? !csr_keeps(text, regs->csr[CSR_##name]) : regs->csr[CSR_##name] != 0)          \
        wrong = text;
#include "arch/riscv64/csr.def"
#undef X
    __asm__ volatile(".option push; .option arch, +h; hfence.vvma; .option pop" : : : "memory");
    return wrong;
}

static enum err regs_refuse(const struct arch_vcpu *vcpu, const char *why, enum err err)
{
    log_error("registers of vCPU %u are refused: %s", vcpu->index, why);
    return err;
}

/* A guest does not move to another processor without noticing. */
static enum err regs_check(const struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    const struct rv64_regs_plain plain = {
        .x0 = regs->x[0],
        .supervisor = regs->supervisor,
        .hvip = regs->hvip,
        .fcsr = regs->fp.fcsr,
        .access = regs->access,
    };
    const char *wrong;

    if (regs->arch != ARCH_TAG)
        return regs_refuse(vcpu, "they are of another architecture", E_INVALID);
    if (regs->hart != vcpu->index)
        return regs_refuse(vcpu, "they are another vCPU's", E_INVALID);
    if (regs->isa != rv64_regs_hash(virt_caps.isa))
        return regs_refuse(vcpu, "they are of a processor with another ISA", E_INVALID);
    wrong = rv64_regs_check(&plain);
    if (!wrong)
        wrong = regs_check_csrs(regs);
    return wrong ? regs_refuse(vcpu, wrong, E_RANGE) : OK;
}

enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    const struct arch_access_regs *access = &regs->access;

    assert(!vcpu->bound);
    TRY(regs_check(vcpu, regs));
    memcpy(vcpu->x, regs->x, sizeof(regs->x));
    vcpu->pc = regs->pc;
    vcpu->sstatus = SSTATUS_SPP * regs->supervisor | field_put(SSTATUS_UXL, XL_64);
    vcpu->hstatus = (vcpu->hstatus & ~HSTATUS_SPVP) | HSTATUS_SPVP * regs->supervisor;
    vcpu->hvip = regs->hvip;
    vcpu->access = (struct arch_csr_access){.active = access->op != 0,
                                            .op = (uint8_t)access->op,
                                            .reg = (uint8_t)access->reg,
                                            .csr = (uint16_t)access->csr,
                                            .operand = access->operand,
                                            .read = access->read};
    vcpu->fp = regs->fp;
    memcpy(vcpu->csr, regs->csr, sizeof(regs->csr));
    vcpu->fresh = true;
    return OK;
}

/* --- In words --- */

/* Those that this CPU has, three in a line. */
static void print_csrs(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    unsigned count = 0;

#define X(name, text, present)                                                                     \
    if (present)                                                                                   \
        fmt_print(out, "  %-10s %016llx%s", text, (unsigned long long)vcpu_csr(vcpu, CSR_##name),  \
                  ++count % 3 == 0 ? "\n" : "");
#include "arch/riscv64/csr.def"
#undef X
    if (count % 3 != 0)
        fmt_print(out, "\n");
}

static void print_fp(const struct arch_fp_state *fp, struct fmt_sink *out)
{
    for (unsigned i = 0; i < 32; i++)
        fmt_print(out, "  f%-2u %016llx%s", i, (unsigned long long)fp->f[i],
                  i % 3 == 2 ? "\n" : "");
    fmt_print(out, "  fcsr %02llx\n", (unsigned long long)fp->fcsr);
}

void arch_vcpu_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    uint64_t vscause = vcpu_csr(vcpu, CSR_VSCAUSE), vsepc = vcpu_csr(vcpu, CSR_VSEPC);

    for (unsigned i = 1; i < 32; i++)
        fmt_print(out, "  x%-2u %016llx%s", i, (unsigned long long)vcpu->x[i],
                  i % 3 == 0 ? "\n" : "");
    fmt_print(out, "\n  pc  %016llx  in %s-mode  hvip %03llx\n", (unsigned long long)vcpu->pc,
              vcpu_in_supervisor(vcpu) ? "VS" : "VU",
              (unsigned long long)(vcpu->bound ? csr_read("hvip") : vcpu->hvip));
    print_csrs(vcpu, out);
    if (!vcpu->bound)
        print_fp(&vcpu->fp, out);
    if (vscause != 0 || vsepc != 0)
        fmt_print(out, "  its own last trap: %s, at %016llx\n", trap_text(vscause),
                  (unsigned long long)vsepc);
}
