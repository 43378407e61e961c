/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From #VMEXIT to the portable exit. The order of the cases is that of how often they come. Where
 * the hardware does not say how long the instruction is (next RIP is optional), it is read.
 * [AMD APM 2, 15.6 to 15.14, appendix C]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/vcpu_exit.h"
#include "kernel/fmt.h"

/* --- Lengths. --- */

/* False: there is no such instruction any more. */
static inline bool exit_find_length(struct arch_vcpu *vcpu, const struct vmcb *vmcb,
                                    enum insn_known known, unsigned *length)
{
    const struct arch_code_insn *insn;

    if (svm_host.features & SVM_NEXT_RIP) {
        *length = (uint8_t)(vmcb->control.next_rip - vcpu->rip);
        return true;
    }
    insn = code_known(vcpu, vmcb->save.cr0, vmcb->save.cr3);
    if (unlikely(!insn || insn->known != known)) {
        *length = code_length(vcpu, known);
        return *length != 0;
    }
    *length = insn->length;
    return true;
}

/* Finds out insn_length. False: there is none, and *exit says so. */
static inline bool exit_length(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                               enum insn_known known)
{
    unsigned length;

    if (unlikely(!exit_find_length(vcpu, svm_vmcb(vcpu), known, &length)))
        return vcpu_exit_gone(exit);
    vcpu->insn_length = (uint8_t)length;
    return true;
}

/* The injection leaves to us what else delivery does. [AMD APM 2, 13.1.1, 15.20] */
void svm_inject_debug(struct vmcb *vmcb, uint64_t dr6)
{
    vmcb->save.dr6 |= dr6;
    vmcb->save.dr7 &= ~DR7_GD;
    svm_dirty(vmcb, VMCB_CLEAN_DEBUG);
    vmcb->control.event_inj = svm_event(SVM_EVENT_EXCEPTION, VECTOR_DB);
}

void svm_step_flags(struct vmcb *vmcb)
{
    vmcb->save.rflags &= ~RFLAGS_RF;
    if (vmcb->save.rflags & RFLAGS_TF)
        svm_inject_debug(vmcb, DR6_STEP);
}

/* --- The frequent ones. --- */

/* It is stepped over at once. */
static inline void exit_call(struct arch_vcpu *vcpu, const struct vmcb *vmcb,
                             struct vcpu_exit *exit)
{
    unsigned length;

    if (unlikely(vmcb->save.cpl != 0)) {
        vcpu_exit_gone(exit);
        vcpu_inject(vcpu, VECTOR_UD);
        return;
    }
    if (unlikely(!exit_find_length(vcpu, vmcb, INSN_KNOWN_VMMCALL, &length))) {
        vcpu_exit_gone(exit);
        return;
    }
    vcpu_exit_call(vcpu, exit, false);
    svm_step_over(vcpu, length);
}

static bool exit_in_long_code(const struct vmcb *vmcb)
{
    return (vmcb->save.segment[SEGMENT_CS].attributes & SEGMENT_LONG) &&
           (vmcb->save.efer & EFER_LMA);
}

/* While the guest was taking an event, it is not the instruction at RIP that made the access. */
[[gnu::noinline]] static void exit_fault(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb_control *control = &svm_vmcb(vcpu)->control;
    uint64_t info = control->exit_info[0];

    exit->advance = false;
    vcpu->port_string = false;
    exit->kind = EXIT_STAGE2_FAULT;
    exit->fault.gpa = gpa(control->exit_info[1]);
    exit->fault.gva_valid = false;
    exit->fault.write = info & VMEXIT_NPF_WRITE;
    exit->fault.execute = info & VMEXIT_NPF_FETCH;
    exit->fault.table_walk = info & VMEXIT_NPF_TABLE;
    exit->fault.delivery = control->exit_int_info & VMCB_EVENT_VALID;
}

static inline void exit_npf(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t info = vmcb->control.exit_info[0];

    if (unlikely(info & (VMEXIT_NPF_FETCH | VMEXIT_NPF_TABLE)) ||
        unlikely(vmcb->control.exit_int_info & VMCB_EVENT_VALID) || !exit_in_long_code(vmcb) ||
        !vcpu_exit_mov(vcpu, exit, vmcb->save.cr0, vmcb->save.cr3, vmcb->control.exit_info[1],
                       info & VMEXIT_NPF_WRITE))
        exit_fault(vcpu, exit);
}

static inline void exit_msr(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    bool write = svm_vmcb(vcpu)->control.exit_info[0];

    if (exit_length(vcpu, exit, write ? INSN_KNOWN_WRMSR : INSN_KNOWN_RDMSR))
        vcpu_exit_msr(vcpu, exit, write);
}

/* The hardware says where the next instruction is. */
static void exit_io(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb *vmcb = svm_vmcb(vcpu);
    uint64_t info = vmcb->control.exit_info[0];
    uint16_t port = (uint16_t)field_get(VMEXIT_IO_PORT, info);

    if (unlikely(info & VMEXIT_IO_STRING)) {
        vcpu_exit_port_string(vcpu, exit);
        return;
    }
    vcpu->insn_length = (uint8_t)(vmcb->control.exit_info[1] - vcpu->rip);
    vcpu_exit_port(vcpu, exit, port, (uint8_t)field_get(VMEXIT_IO_WIDTH, info),
                   info & VMEXIT_IO_IN);
}

/* --- The rare ones. --- */

/* MOV to a control register: from which register. The ModRM byte is the last, before it 0F 22. */
static bool exit_mov_cr(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t *value)
{
    uint64_t info = svm_vmcb(vcpu)->control.exit_info[0];
    uint8_t bytes[INSN_LENGTH_MAX];
    unsigned count, length, reg;

    if (svm_host.features & SVM_DECODE_ASSISTS && info & VMEXIT_MOV_CR) {
        *value = vcpu->gpr[field_get(VMEXIT_MOV_CR_GPR, info)];
        return exit_length(vcpu, exit, INSN_KNOWN_MOV_CR);
    }
    count = code_fetch(vcpu, bytes);
    length = insn_length_known(bytes, count, vcpu_mode(vcpu), INSN_KNOWN_MOV_CR);
    if (length < 3)
        return vcpu_exit_gone(exit);
    reg = bytes[length - 1] & 7;
    if (length > 3 && vcpu_mode(vcpu) == INSN_MODE_64 && (bytes[length - 4] & 0xf1) == 0x41)
        reg |= 8; /* REX.B */
    vcpu->insn_length = (uint8_t)length;
    *value = vcpu->gpr[reg];
    return true;
}

/* Done, or the guest gets a #GP(0). */
static void exit_checked(struct arch_vcpu *vcpu, bool done)
{
    if (done)
        svm_step_over(vcpu, vcpu->insn_length);
    else
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
}

static void exit_cr4(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t value;

    if (exit_mov_cr(vcpu, exit, &value))
        exit_checked(vcpu, sysreg_set_cr4(vcpu, value));
}

static void exit_cr8(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t value;

    if (!exit_mov_cr(vcpu, exit, &value))
        return;
    if (value <= 15)
        vcpu_exit_cr8(exit, value);
    else
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
}

static void exit_xsetbv(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t value = vcpu->gpr[INSN_RDX] << 32 | (uint32_t)vcpu->gpr[INSN_RAX];
    const struct vmcb *vmcb = svm_vmcb(vcpu);

    if (!(vmcb->save.cr4 & CR4_OSXSAVE)) {
        vcpu_inject(vcpu, VECTOR_UD);
        return;
    }
    if (exit_length(vcpu, exit, INSN_KNOWN_XSETBV))
        exit_checked(vcpu, vmcb->save.cpl == 0 && (uint32_t)vcpu->gpr[INSN_RCX] == 0 &&
                               sysreg_set_xcr0(vcpu, value));
}

/*
 * #DB and #AC are intercepted because their delivery can raise them again, without end. A machine
 * check is ours. An event whose delivery raised one is given up for it, as by a processor [SDM 3,
 * table 6-5: benign].
 */
static void exit_exception(struct arch_vcpu *vcpu, struct vcpu_exit *exit, unsigned vector)
{
    struct vmcb *vmcb = svm_vmcb(vcpu);

    switch (vector) {
    case VECTOR_DB:
        svm_inject_debug(vmcb, 0);
        return;
    case VECTOR_BP:
        vcpu_exit_breakpoint(vcpu, exit);
        return;
    case VECTOR_PF: /* This, and those after it: svm_iret.c. */
        virt_backend->set_reg(vcpu, REG_CR2, vmcb->control.exit_info[1]);
        [[fallthrough]];
    case VECTOR_TS:
    case VECTOR_NP:
    case VECTOR_SS:
    case VECTOR_GP:
    case VECTOR_AC:
        vcpu_inject_error(vcpu, vector, (uint32_t)vmcb->control.exit_info[0]);
        return;
    case VECTOR_MC:
        __asm__ volatile("int $18");
        return;
    }
    exit->kind = EXIT_UNKNOWN;
    exit->code = VMEXIT_EXCEPTION + vector;
}

/* Instructions that are none to the guest: those of SVM, MONITOR and its like, RSM outside of SMM.
 */
static bool exit_is_hidden(uint32_t code)
{
    return code == VMEXIT_RSM || code == VMEXIT_INVLPGA ||
           (code >= VMEXIT_VMRUN && code <= VMEXIT_RDPRU) ||
           (code >= VMEXIT_INVLPGB && code <= VMEXIT_TLBSYNC);
}

/* exit->kind is EXIT_NOTHING. */
static void exit_other(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint32_t code)
{
    switch (code) {
    case VMEXIT_CR4_WRITE:
        exit_cr4(vcpu, exit);
        return;
    case VMEXIT_CR8_WRITE:
        exit_cr8(vcpu, exit);
        return;
    case VMEXIT_XSETBV:
        exit_xsetbv(vcpu, exit);
        return;
    case VMEXIT_IRET:
        svm_iret(vcpu, exit);
        return;
    case VMEXIT_NMI: /* Ours: taken as soon as it could be. */
    case VMEXIT_SMI:
    case VMEXIT_INIT:
        return;
    case VMEXIT_INVD: /* What is in the caches is everybody's. */
        if (exit_length(vcpu, exit, INSN_KNOWN_INVD))
            svm_step_over(vcpu, vcpu->insn_length);
        return;
    case VMEXIT_WBINVD:
        if (exit_length(vcpu, exit, INSN_KNOWN_WBINVD))
            svm_step_over(vcpu, vcpu->insn_length);
        return;
    case VMEXIT_RDPMC: /* There are no counters. */
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
        return;
    }
    if (code >= VMEXIT_EXCEPTION && code < VMEXIT_EXCEPTION + 32) {
        exit_exception(vcpu, exit, code - VMEXIT_EXCEPTION);
    } else if (exit_is_hidden(code)) {
        vcpu_inject(vcpu, VECTOR_UD);
    } else {
        exit->kind = EXIT_UNKNOWN;
        exit->code = code;
    }
}

[[gnu::noinline]] static void exit_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                        uint32_t code)
{
    exit->kind = EXIT_NOTHING;
    exit->advance = false;
    switch (code) {
    case VMEXIT_SHUTDOWN:
        exit->kind = EXIT_SHUTDOWN;
        return;
    case VMEXIT_INVALID:
        exit->kind = EXIT_FAIL_ENTRY;
        exit->code = code;
        return;
    default:
        exit_other(vcpu, exit, code);
        return;
    }
}

static void exit_simple(struct arch_vcpu *vcpu, struct vcpu_exit *exit, enum exit_kind kind,
                        enum insn_known known)
{
    if (exit_length(vcpu, exit, known)) {
        exit->kind = kind;
        exit->advance = true;
    }
}

[[gnu::noinline]] static void exit_cpuid(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (!exit_length(vcpu, exit, INSN_KNOWN_CPUID))
        return;
    sysreg_cpuid(vcpu);
    svm_step_over(vcpu, vcpu->insn_length);
    vcpu_exit_gone(exit);
}

static inline void exit_interrupt(struct vcpu_exit *exit, enum exit_kind kind)
{
    exit->kind = kind;
    exit->advance = false;
}

static void exit_decode(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint32_t code)
{
    switch (code) {
    case VMEXIT_INTR:
        /* In the window's place it stays pending, and comes again at the next entry. */
        exit_interrupt(exit, svm_virq_nmi_window(vcpu) ? EXIT_INTERRUPT_WINDOW : EXIT_INTERRUPT);
        return;
    case VMEXIT_HLT:
        exit_simple(vcpu, exit, EXIT_HALT, INSN_KNOWN_HLT);
        return;
    case VMEXIT_VINTR:
        svm_virq_window(vcpu, VIRQ_SLOT_VECTOR);
        exit_interrupt(exit, EXIT_INTERRUPT_WINDOW);
        return;
    case VMEXIT_IOIO:
        exit_io(vcpu, exit);
        return;
    case VMEXIT_CPUID:
        exit_cpuid(vcpu, exit);
        return;
    case VMEXIT_PAUSE:
        exit_simple(vcpu, exit, EXIT_WFE, INSN_KNOWN_PAUSE);
        return;
    default:
        exit_rare(vcpu, exit, code);
        return;
    }
}

/* svm_entry.S; gives back the vCPU's block. */
static inline struct vmcb *svm_enter(struct arch_vcpu *vcpu)
{
    struct vmcb *vmcb = svm_vmcb(vcpu), *after;

    __asm__ volatile("call svm_enter"
                     : "=S"(after), "+a"(vmcb)
                     : "b"(vcpu)
                     : "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "cc", "memory");
    return after;
}

/* Until #VMEXIT, whose code is the cause. */
static inline const struct vmcb *svm_round(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vmcb *vmcb;

    if (unlikely(vcpu->flushes != virt_flushes(vcpu))) {
        code_forget(vcpu);
        svm_renew_asid(vcpu);
    }
    vmcb = svm_enter(vcpu);
    vmcb->control.clean = VMCB_CLEAN_ALL;
    vmcb->control.tlb_control = VMCB_TLB_KEEP;
    vmcb->control.event_inj = 0;
    if (unlikely(vmcb->control.exit_int_info & VMCB_EVENT_VALID))
        vmcb->control.event_inj = svm_event_again(vmcb->control.exit_int_info);
    exit->cause[0] = vmcb->control.exit_code;
    return vmcb;
}

/* In one place called, it becomes part of that. */
inline void svm_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb *vmcb = svm_round(vcpu, exit);
    uint32_t code = (uint32_t)exit->cause[0];

    if (code == VMEXIT_VMMCALL) {
        exit_call(vcpu, vmcb, exit);
        return;
    }
    exit->cause[1] = vmcb->control.exit_info[0];
    if (code == VMEXIT_NPF)
        exit_npf(vcpu, exit);
    else if (code == VMEXIT_MSR)
        exit_msr(vcpu, exit);
    else if (code == VMEXIT_INTR && !(vcpu->wanted & BIT(VIRQ_SLOT_NMI)))
        exit_interrupt(exit, EXIT_INTERRUPT);
    else
        exit_decode(vcpu, exit, code);
}

[[gnu::cold]] void svm_run_iret(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb *vmcb = svm_round(vcpu, exit);
    uint32_t code = (uint32_t)exit->cause[0];

    exit->cause[1] = vmcb->control.exit_info[0];
    if (code == VMEXIT_NPF)
        exit_fault(vcpu, exit);
    else
        exit_decode(vcpu, exit, code);
}
