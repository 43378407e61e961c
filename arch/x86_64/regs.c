/* SPDX-License-Identifier: Apache-2.0 */
/* See regs.h. */
#include "arch/x86_64/regs.h"

#include "arch/x86_64/guest_cpuid.h"
#include "arch/x86_64/guest_msr.h"
#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/insn_exec.h"
#include "arch/x86_64/svm_event.h"
#include "kernel/string.h"

#define FPU_MXCSR      24 /* Offsets in the area of XSAVE. */
#define FPU_COMPONENTS 512
#define FPU_COMPACTED  520
#define FPU_RESERVED   528
#define FPU_HEADER_END 576
#define XCR0_RESET     1u
#define FPU_LEGACY     3u /* x87 and SSE. */

#define SEGMENT_KNOWN  BITS(11, 0) /* Attributes. */
#define TABLE_LIMIT    0xffffu     /* Of GDTR and IDTR. */
#define ERROR_CODE     BITS(14, 0)

struct check {
    const struct x86_regs *regs;
    const struct regs_limits *limits;
    const char *why;
};

static void check(struct check *c, bool refused, const char *why)
{
    if (refused && !c->why)
        c->why = why;
}

static bool is_zero(const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < size; i++)
        if (byte[i])
            return false;
    return true;
}

enum insn_mode regs_mode(const struct x86_regs *regs)
{
    uint16_t code = regs->segment[SEGMENT_CS].attributes;

    if ((regs->reg[REG_EFER] & EFER_LMA) && (code & SEGMENT_LONG))
        return INSN_MODE_64;
    return code & SEGMENT_BIG ? INSN_MODE_32 : INSN_MODE_16;
}

bool regs_in_pae(const struct x86_regs *regs)
{
    return (regs->reg[REG_CR0] & CR0_PG) && (regs->reg[REG_CR4] & CR4_PAE) &&
           !(regs->reg[REG_EFER] & EFER_LMA);
}

static void check_layout(struct check *c)
{
    const struct x86_regs *regs = c->regs;

    check(c, regs->processor != c->limits->processor,
          "they are of a processor on which CPUID tells guests something else");
    check(c,
          !is_zero(&regs->reg[ARCH_REGS], sizeof(uint64_t) * (ARCH_REGS_MAX - ARCH_REGS)) ||
              !is_zero(regs->reserved, sizeof(regs->reserved)) ||
              !is_zero(regs->reserved_more, sizeof(regs->reserved_more)),
          "what is reserved is not zero");
}

static void check_control(struct check *c)
{
    const uint64_t *reg = c->regs->reg;
    uint64_t cr0 = reg[REG_CR0], cr4 = reg[REG_CR4], efer = reg[REG_EFER];
    bool paging = cr0 & CR0_PG, lma = efer & EFER_LMA;

    check(c, paging && !(cr0 & CR0_PE), "CR0.PG is set and CR0.PE is not");
    check(c, cr4 & ~guest_cpuid_cr4(c->limits->cpuid), "CR4 has bits that this guest cannot set");
    check(c, efer & ~guest_cpuid_efer(c->limits->cpuid),
          "EFER has bits that this guest cannot set");
    check(c, lma != (paging && (efer & EFER_LME)), "EFER.LMA is not as EFER.LME and CR0.PG say");
    check(c, lma && !(cr4 & CR4_PAE), "EFER.LMA is set and CR4.PAE is not");
    check(c, !lma && (cr4 & CR4_PCIDE), "CR4.PCIDE is set outside of long mode");
    check(c, !guest_msr_pat_valid(reg[REG_PAT]), "PAT has a memory type that there is not");
    check(c, (reg[REG_DR6] | reg[REG_DR7]) >> 32, "DR6 or DR7 has bits above 31");
    check(c, reg[REG_TSC_AUX] >> 32, "TSC_AUX has bits above 31");
    check(c, reg[REG_CR8] >> 4, "CR8 has bits above 3");
}

static void check_flags(struct check *c)
{
    const struct x86_regs *regs = c->regs;
    uint64_t rflags = regs->reg[REG_RFLAGS];
    bool protected = regs->reg[REG_CR0] & CR0_PE, v86 = rflags & RFLAGS_VM;

    check(c, rflags & ~RFLAGS_GUEST, "RFLAGS has bits that must be zero");
    check(c, !(rflags & RFLAGS_FIXED), "RFLAGS lacks the bit that must be one");
    check(c, v86 && (!protected || (regs->reg[REG_EFER] & EFER_LMA)),
          "RFLAGS.VM is set in long mode or in real mode");
    check(c, regs->cpl > 3 || (v86 && regs->cpl != 3) || (!protected && regs->cpl != 0),
          "the CPL is none that there is in this mode");
}

static void check_segments(struct check *c)
{
    for (unsigned i = 0; i < ARCH_SEGMENTS; i++) {
        const struct arch_segment *segment = &c->regs->segment[i];
        bool table = i == SEGMENT_GDTR || i == SEGMENT_IDTR;

        check(c, segment->attributes & ~SEGMENT_KNOWN,
              "a segment has attributes that there are not");
        check(c,
              table && (segment->selector || segment->attributes || segment->limit > TABLE_LIMIT),
              "GDTR or IDTR has a selector, attributes, or a limit above 64 KiB");
    }
}

/* An interrupt is only injected when the guest takes it. */
static void check_event(struct check *c)
{
    const struct x86_regs *regs = c->regs;
    uint64_t event = regs->event, vector = field_get(VMCB_EVENT_VECTOR, event);
    bool exception = svm_event_is(event, SVM_EVENT_EXCEPTION),
         error = event & VMCB_EVENT_ERROR_VALID;

    check(c, !(event & VMCB_EVENT_VALID) && event, "an event is there and is not valid");
    check(c,
          (event & VMCB_EVENT_RESERVED) || !svm_event_valid(event) ||
              svm_event_is(event, SVM_EVENT_SOFTWARE),
          "the event to be injected is none that exists");
    check(c, svm_event_is(event, SVM_EVENT_NMI) && vector != VECTOR_NMI, "an NMI has a vector");
    check(c, svm_event_is(event, SVM_EVENT_INTR) && !(regs->reg[REG_RFLAGS] & RFLAGS_IF),
          "an interrupt is injected, and RFLAGS.IF is clear");
    check(c, error && (!exception || !svm_event_has_error((unsigned)vector)),
          "an event has an error code that has none");
    check(c, error ? field_get(VMCB_EVENT_ERROR, event) & ~ERROR_CODE : event >> 32,
          "the error code of an event has bits that must be zero");
    check(c, regs->blocked & ~(uint32_t)(REGS_BLOCKED_SHADOW | REGS_BLOCKED_NMI),
          "what blocks events has reserved bits");
    check(c, (regs->blocked & REGS_BLOCKED_SHADOW) == REGS_BLOCKED_SHADOW,
          "both STI and MOV SS block events");
}

uint64_t regs_fpu_components(const struct regs_limits *limits)
{
    return limits->components & (limits->cpuid->xcr0 | FPU_LEGACY);
}

/* What XRSTOR would trap on [SDM 1, 13.8.1]. */
static void check_fpu(struct check *c)
{
    const uint8_t *fpu = c->regs->fpu;
    uint64_t present, compacted, xcr0 = c->regs->reg[REG_XCR0];
    uint32_t mxcsr;

    memcpy(&mxcsr, fpu + FPU_MXCSR, sizeof(mxcsr));
    memcpy(&present, fpu + FPU_COMPONENTS, sizeof(present));
    memcpy(&compacted, fpu + FPU_COMPACTED, sizeof(compacted));
    check(c, mxcsr & ~c->limits->mxcsr, "MXCSR has bits that must be zero");
    check(c, xcr0 != XCR0_RESET && !guest_cpuid_xcr0_valid(c->limits->cpuid, xcr0),
          "XCR0 is none that this guest can set");
    if (!c->limits->components) /* FXRSTOR. */
        return;
    check(c, present & ~regs_fpu_components(c->limits),
          "the FPU has components that this guest cannot have");
    check(c, compacted || !is_zero(fpu + FPU_RESERVED, FPU_HEADER_END - FPU_RESERVED),
          "the FPU's state has a header that must be zero");
}

static void check_instruction(struct check *c)
{
    const struct insn_progress *insn = &c->regs->insn;
    struct insn_exec exec;

    check(c, !insn_exec_restore(&exec, insn, c->limits->gpa_bits),
          "the instruction under way is none, or cannot have come so far");
    check(c, insn->active && insn->mode != regs_mode(c->regs),
          "the instruction under way is of another mode");
}

const char *regs_check(const struct x86_regs *regs, const struct regs_limits *limits)
{
    struct check c = {.regs = regs, .limits = limits};

    check_layout(&c);
    check_control(&c);
    check_flags(&c);
    check_segments(&c);
    check_event(&c);
    check_fpu(&c);
    check_instruction(&c);
    return c.why;
}
