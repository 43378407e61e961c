/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an exit of VMX to the portable exit. The order of the cases is that of how often they come.
 * Instructions that exit have a length that the hardware says; accesses to devices are decoded.
 * [SDM 3, 26.1, 28.2 and appendix C]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/vcpu_exit.h"
#include "arch/x86_64/vmx.h"
#include "kernel/percpu.h"

#define CR0_KNOWN                                                                                  \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     CR0_PG)

/* --- Going on after an instruction. --- */

static bool vmx_in_long_code(void)
{
    return (vmread(VMCS_GUEST_CS_RIGHTS) & VMX_RIGHTS_LONG) &&
           (vmread(VMCS_ENTRY_CONTROLS) & VMX_ENTRY_GUEST_LONG);
}

/* A step, or events that the instruction before has blocked. */
[[gnu::noinline]] static void vmx_step_over_rare(uint64_t rflags, uint64_t blocked)
{
    vmwrite(VMCS_GUEST_BLOCKED, blocked & ~VMX_BLOCKED_SHADOW);
    if (rflags & RFLAGS_TF)
        vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | VMX_PENDING_STEP);
}

void vmx_step_over(struct arch_vcpu *vcpu, unsigned length)
{
    uint64_t rip = vcpu->rip + length, rflags = vmread(VMCS_GUEST_RFLAGS);
    uint64_t blocked = vmread(VMCS_GUEST_BLOCKED);

    if (unlikely((rip ^ vcpu->rip) >> 32) && !vmx_in_long_code())
        rip = (uint32_t)rip;
    vcpu->rip = rip;
    if (rflags & RFLAGS_RF) /* As after every violation. */
        vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
    if (unlikely((rflags & RFLAGS_TF) || (blocked & VMX_BLOCKED_SHADOW)))
        vmx_step_over_rare(rflags, blocked);
}

/* Its delivery ends what blocks others. */
void vmx_trap_breakpoints([[maybe_unused]] struct arch_vcpu *vcpu, bool on)
{
    uint64_t others = vmread(VMCS_EXCEPTIONS) & ~BIT(VECTOR_BP);

    vmwrite(VMCS_EXCEPTIONS, others | (on ? BIT(VECTOR_BP) : 0));
}

void vmx_inject(struct arch_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error)
{
    uint64_t event =
        has_error ? svm_event_error(vector, error) : svm_event(SVM_EVENT_EXCEPTION, vector);

    vcpu->event = vmx_event_fit(event, vmread(VMCS_GUEST_CR0) & CR0_PE);
    vmwrite(VMCS_GUEST_BLOCKED, vmread(VMCS_GUEST_BLOCKED) & ~VMX_BLOCKED_SHADOW);
}

static void exit_length(struct arch_vcpu *vcpu)
{
    vcpu->insn_length = (uint8_t)vmread(VMCS_INSTRUCTION_LENGTH);
}

/* --- The frequent ones. --- */

static void exit_call(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (unlikely(vmread(VMCS_GUEST_SS_RIGHTS) & SEGMENT_DPL)) {
        vcpu_exit_gone(exit);
        vcpu_inject(vcpu, VECTOR_UD);
        return;
    }
    exit_length(vcpu);
    vcpu_exit_call(vcpu, exit, true);
}

/* IRET had opened NMIs before it met the violation, and is done again. [SDM 3, 28.2.3] */
static void exit_block_nmi(void)
{
    vmwrite(VMCS_GUEST_BLOCKED, vmread(VMCS_GUEST_BLOCKED) | VMX_BLOCKED_NMI);
}

/* While the guest was taking an event, it is not the instruction at RIP that made the access. */
static void exit_access(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t info,
                        uint64_t addr)
{
    bool delivery = vcpu->interrupted;

    if (unlikely(info & VMX_EPT_IRET) && !delivery)
        exit_block_nmi();
    exit->advance = false;
    vcpu->port_string = false;
    exit->kind = EXIT_STAGE2_FAULT;
    exit->fault.gpa = gpa(addr);
    exit->fault.gva_valid = info & VMX_EPT_LINEAR_VALID;
    exit->fault.gva = gva(vmread(VMCS_GUEST_LINEAR));
    exit->fault.write = info & VMX_EPT_WRITE;
    exit->fault.execute = info & VMX_EPT_FETCH;
    exit->fault.table_walk = !(info & VMX_EPT_TRANSLATED);
    exit->fault.delivery = delivery;
}

[[gnu::noinline]] static void exit_violation_any(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    exit_access(vcpu, exit, exit->cause[1], vmread(VMCS_GUEST_PHYSICAL));
}

static void exit_violation(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t info = vmread(VMCS_QUALIFICATION);

    exit->cause[1] = info;
    if (likely((info & (VMX_EPT_FETCH | VMX_EPT_TRANSLATED)) == VMX_EPT_TRANSLATED &&
               !vcpu->interrupted && vmx_in_long_code()) &&
        vcpu_exit_mov(vcpu, exit, vmx_cr0(vcpu), vmread(VMCS_GUEST_CR3),
                      vmread(VMCS_GUEST_PHYSICAL), info & VMX_EPT_WRITE))
        return;
    exit_violation_any(vcpu, exit);
}

static void exit_msr(struct arch_vcpu *vcpu, struct vcpu_exit *exit, bool write)
{
    exit_length(vcpu);
    vcpu_exit_msr(vcpu, exit, write);
}

static void exit_io(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t info = vmread(VMCS_QUALIFICATION);
    uint16_t port = (uint16_t)field_get(VMX_IO_PORT, info);

    exit->cause[1] = info;
    if (unlikely(info & VMX_IO_STRING)) {
        vcpu_exit_port_string(vcpu, exit);
        return;
    }
    exit_length(vcpu);
    vcpu_exit_port(vcpu, exit, port, (uint8_t)(field_get(VMX_IO_WIDTH, info) + 1),
                   info & VMX_IO_IN);
}

static void exit_simple(struct arch_vcpu *vcpu, struct vcpu_exit *exit, enum exit_kind kind)
{
    exit_length(vcpu);
    exit->kind = kind;
    exit->advance = true;
}

/* --- Control registers. --- */

/* Done, or the guest gets a #GP(0). */
static void exit_checked(struct arch_vcpu *vcpu, bool done)
{
    exit_length(vcpu);
    if (done)
        vmx_step_over(vcpu, vcpu->insn_length);
    else
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
}

/*
 * MOV to CR0 that changes a bit of ours: it is noted where the guest reads it, and the guest does
 * the instruction again, which does not exit now. False: it is a #GP(0) there, so nothing is noted.
 * [SDM 3, 26.3]
 */
static bool exit_cr0(struct arch_vcpu *vcpu, uint64_t value)
{
    uint64_t old = vmread(VMCS_GUEST_CR0), efer = vmread(VMCS_GUEST_EFER);
    uint64_t cr4 = vmread(VMCS_GUEST_CR4);
    bool paging = value & CR0_PG, begins = paging && !(old & CR0_PG);

    if ((value >> 32) || (paging && !(value & CR0_PE)))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (begins && (efer & EFER_LME) &&
        (!(cr4 & CR4_PAE) || (vmread(VMCS_GUEST_CS_RIGHTS) & VMX_RIGHTS_LONG)))
        return false;
    if (!paging && ((cr4 & CR4_PCIDE) || ((old & CR0_PG) && vmx_in_long_code())))
        return false;
    vmx_set_cr0_shadow(vcpu, value & CR0_KNOWN);
    code_forget(vcpu);
    return true;
}

static void exit_mov_to_cr(struct arch_vcpu *vcpu, struct vcpu_exit *exit, unsigned number,
                           uint64_t value)
{
    if (number == 0) {
        if (!exit_cr0(vcpu, value))
            vcpu_inject_error(vcpu, VECTOR_GP, 0);
    } else if (number == 4) {
        exit_checked(vcpu, sysreg_set_cr4(vcpu, value));
    } else if (value > 15) {
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
    } else {
        exit_length(vcpu);
        vcpu_exit_cr8(exit, value);
    }
}

/* In 64-bit code, where alone it exists, CR8 is a register of 64 bits. */
static void exit_cr(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t info = vmread(VMCS_QUALIFICATION);
    unsigned number = (unsigned)field_get(VMX_CR_NUMBER, info);
    uint64_t *gpr = &vcpu->gpr[field_get(VMX_CR_GPR, info)];
    uint64_t kind = field_get(VMX_CR_KIND, info);

    exit->cause[1] = info;
    if (kind == VMX_CR_MOV_TO && (number == 0 || number == 4 || number == 8)) {
        exit_mov_to_cr(vcpu, exit, number, vmx_in_long_code() ? *gpr : (uint32_t)*gpr);
    } else if (kind == VMX_CR_MOV_FROM && number == 8) {
        *gpr = vcpu->tpr >> 4;
        exit_length(vcpu);
        vmx_step_over(vcpu, vcpu->insn_length);
    } else {
        exit->kind = EXIT_UNKNOWN;
        exit->code = VMX_REASON_CR;
    }
}

static void exit_xsetbv(struct arch_vcpu *vcpu)
{
    uint64_t value = vcpu->gpr[INSN_RDX] << 32 | (uint32_t)vcpu->gpr[INSN_RAX];

    exit_checked(vcpu, (uint32_t)vcpu->gpr[INSN_RCX] == 0 && sysreg_set_xcr0(vcpu, value));
}

/* --- Events. --- */

/* A debug exception has not changed DR6 and DR7 yet. [SDM 3, 28.1] */
static void exit_debug(struct arch_vcpu *vcpu)
{
    uint64_t info = vmread(VMCS_QUALIFICATION) & VMX_DEBUG_DR6;
    uint64_t dr6 = vmx_reg(vcpu, REG_DR6) & ~BITS(3, 0);

    vmx_set_reg(vcpu, REG_DR6, dr6 | info);
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
    vcpu_inject(vcpu, VECTOR_DB);
}

/*
 * #DB and #AC are intercepted because their delivery can raise them again, without end. NMIs and
 * machine checks are ours.
 */
static void exit_exception(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t event = vmread(VMCS_EXIT_EVENT);
    unsigned vector = (unsigned)field_get(VMCB_EVENT_VECTOR, event);

    exit->cause[1] = event;
    if (svm_event_is(event, SVM_EVENT_NMI)) {
        __asm__ volatile("int $2");
        return;
    }
    if ((event & VMX_EVENT_NMI_UNBLOCKED) && !vcpu->interrupted)
        exit_block_nmi();
    switch (vector) {
    case VECTOR_DB:
        exit_debug(vcpu);
        return;
    case VECTOR_BP:
        vcpu_exit_breakpoint(vcpu, exit);
        return;
    case VECTOR_AC:
        vcpu_inject_error(vcpu, VECTOR_AC, 0);
        return;
    case VECTOR_MC:
        __asm__ volatile("int $18");
        return;
    }
    exit->kind = EXIT_UNKNOWN;
    exit->code = VMX_REASON_EXCEPTION;
}

static void exit_pending(struct vcpu_exit *exit)
{
    exit->kind = EXIT_INTERRUPT;
    exit->advance = false;
}

/* One that the exit has acknowledged is as if it had come in arch_irq_take(). */
static void exit_interrupt(struct vcpu_exit *exit)
{
    uint8_t vector;

    exit_pending(exit);
    if (!(vmx_host.exit & VMX_EXIT_ACKNOWLEDGE))
        return;
    vector = (uint8_t)field_get(VMCB_EVENT_VECTOR, vmread(VMCS_EXIT_EVENT));
    if (likely(vector != VECTOR_SPURIOUS))
        this_cpu()->arch.vector = vector;
}

static void exit_window(struct arch_vcpu *vcpu, struct vcpu_exit *exit, unsigned slot)
{
    vmx_virq_set_control(vcpu, vcpu->wanted & ~BIT(slot));
    exit->kind = EXIT_INTERRUPT_WINDOW;
}

/* --- Of the local APIC in hardware: each comes after what the guest did. --- */

static void exit_apic(struct vcpu_exit *exit, uint32_t addr, uint64_t value)
{
    exit->kind = EXIT_SYSREG_WRITE;
    exit->sysreg.addr = addr;
    exit->sysreg.both = false;
    exit->sysreg.value = value;
}

static void exit_apic_write(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    unsigned offset = (unsigned)field_get(VMX_APIC_OFFSET, exit->cause[1]);
    uint32_t value = vmx_apic_written(vcpu, offset);

    if (vcpu->apic_mode == VMX_APIC_MODE_X2APIC) {
        exit_apic(exit, MSR_X2APIC + offset / 16, value);
        return;
    }
    exit->kind = EXIT_MMIO_WRITE;
    exit->mmio.gpa = gpa(ARCH_APIC_BASE + (offset & ~3u));
    exit->mmio.width = 4;
    exit->mmio.data = value;
}

/* What a violation of EPT in the window's place would have said. This comes before it. */
[[gnu::cold]] static void exit_apic_access(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    static const uint8_t infos[] = {
        [VMX_APIC_READ] = 0,
        [VMX_APIC_STORE] = VMX_EPT_WRITE,
        [VMX_APIC_FETCH] = VMX_EPT_FETCH,
        [VMX_APIC_DELIVERY] = 0,
    };
    uint64_t kind = field_get(VMX_APIC_KIND, exit->cause[1]), info = 0;
    uint64_t addr = ARCH_APIC_BASE + field_get(VMX_APIC_OFFSET, exit->cause[1]);

    if (kind < ARRAY_SIZE(infos))
        info = infos[kind] | VMX_EPT_LINEAR_VALID | VMX_EPT_TRANSLATED;
    if (kind > VMX_APIC_STORE || vcpu->interrupted || !vmx_in_long_code() ||
        !vcpu_exit_mov(vcpu, exit, vmx_cr0(vcpu), vmread(VMCS_GUEST_CR3), addr,
                       kind == VMX_APIC_STORE))
        exit_access(vcpu, exit, info, addr);
}

/* --- The rare ones. --- */

/* Instructions that are none to the guest: those of VMX, MONITOR and its like, RSM outside of SMM.
 */
static bool exit_is_hidden(unsigned reason)
{
    switch (reason) {
    case VMX_REASON_GETSEC:
    case VMX_REASON_RSM:
    case VMX_REASON_MWAIT:
    case VMX_REASON_MONITOR:
    case VMX_REASON_INVEPT:
    case VMX_REASON_INVVPID:
    case VMX_REASON_VMFUNC:
        return true;
    }
    return reason >= VMX_REASON_VMCLEAR && reason <= VMX_REASON_VMXON;
}

/* Before the access that there is no place for. It may be IRET's, as in exit_violation_any(). */
static void exit_log_full(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    if ((exit->cause[1] & VMX_EPT_IRET) && !vcpu->interrupted)
        exit_block_nmi();
    vmx_log_drain(vcpu);
}

/* exit->kind is EXIT_NOTHING. */
[[gnu::cold]] static void exit_other(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                     unsigned reason)
{
    switch (reason) {
    case VMX_REASON_CR:
        exit_cr(vcpu, exit);
        return;
    case VMX_REASON_XSETBV:
        exit_xsetbv(vcpu);
        return;
    case VMX_REASON_EXCEPTION:
        exit_exception(vcpu, exit);
        return;
    case VMX_REASON_VECTOR_END:
        exit_apic(exit, ARCH_SYSREG_APIC_END, field_get(VMX_END_VECTOR, exit->cause[1]));
        return;
    case VMX_REASON_APIC_WRITE:
        exit_apic_write(vcpu, exit);
        return;
    case VMX_REASON_APIC_ACCESS:
        exit_apic_access(vcpu, exit);
        return;
    case VMX_REASON_LOG_FULL:
        exit_log_full(vcpu, exit);
        return;
    case VMX_REASON_NMI_WINDOW:
        exit_window(vcpu, exit, VIRQ_SLOT_NMI);
        return;
    case VMX_REASON_TRIPLE_FAULT:
        exit->kind = EXIT_SHUTDOWN;
        return;
    case VMX_REASON_EPT_MISCONFIGURED:
        exit->kind = EXIT_INTERNAL_ERROR;
        exit->code = reason;
        exit->cause[1] = vmread(VMCS_GUEST_PHYSICAL);
        return;
    case VMX_REASON_INIT: /* Ours. */
    case VMX_REASON_SIPI:
    case VMX_REASON_IO_SMI:
    case VMX_REASON_SMI:
        return;
    case VMX_REASON_INVD: /* What is in the caches is everybody's. */
    case VMX_REASON_WBINVD:
        exit_length(vcpu);
        vmx_step_over(vcpu, vcpu->insn_length);
        return;
    case VMX_REASON_RDPMC: /* There are no counters. */
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
        return;
    }
    if (exit_is_hidden(reason)) {
        vcpu_inject(vcpu, VECTOR_UD);
    } else {
        exit->kind = EXIT_UNKNOWN;
        exit->code = reason;
    }
}

[[gnu::noinline]] static void exit_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                        uint32_t reason)
{
    vcpu_exit_gone(exit);
    exit->cause[1] = vmread(VMCS_QUALIFICATION);
    if (reason & VMX_REASON_ENTRY) {
        exit->kind = EXIT_FAIL_ENTRY;
        exit->code = reason;
        vmx_not_entered(vcpu);
        if (field_get(VMX_REASON, reason) == VMX_REASON_MACHINE_CHECK)
            __asm__ volatile("int $18");
        return;
    }
    exit_other(vcpu, exit, (unsigned)field_get(VMX_REASON, reason));
}

/* VMLAUNCH or VMRESUME did not get as far as looking at the guest. */
[[gnu::noinline]] static void exit_not_entered(struct vcpu_exit *exit)
{
    vcpu_exit_gone(exit);
    exit->kind = EXIT_FAIL_ENTRY;
    exit->cause[0] = VMX_REASON_ENTRY;
    exit->cause[1] = vmread(VMCS_INSTRUCTION_ERROR);
    exit->code = exit->cause[1];
}

static void exit_decode(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint32_t reason)
{
    switch (reason) {
    case VMX_REASON_INTR:
        exit_interrupt(exit);
        return;
    case VMX_REASON_RDMSR:
        exit_msr(vcpu, exit, false);
        return;
    case VMX_REASON_HLT:
        exit_simple(vcpu, exit, EXIT_HALT);
        return;
    case VMX_REASON_INTR_WINDOW:
        exit_window(vcpu, exit, VIRQ_SLOT_VECTOR);
        exit->advance = false;
        return;
    case VMX_REASON_IO:
        exit_io(vcpu, exit);
        return;
    case VMX_REASON_CPUID:
        sysreg_cpuid(vcpu);
        exit_length(vcpu);
        vmx_step_over(vcpu, vcpu->insn_length);
        vcpu_exit_gone(exit);
        return;
    case VMX_REASON_PAUSE:
        exit_simple(vcpu, exit, EXIT_WFE);
        return;
    default:
        exit_rare(vcpu, exit, reason);
        return;
    }
}

/* An NMI under way is to be injected again: until then NMIs are not blocked. */
[[gnu::noinline]] static void vmx_interrupted(struct arch_vcpu *vcpu, uint64_t interrupted)
{
    vcpu->event =
        vmx_event_again((uint32_t)interrupted, (uint32_t)vmread(VMCS_INTERRUPTED_EVENT_ERROR));
    vcpu->interrupted = true;
    if (svm_event_is(vcpu->event, SVM_EVENT_NMI))
        vmwrite(VMCS_GUEST_BLOCKED, vmread(VMCS_GUEST_BLOCKED) & ~VMX_BLOCKED_NMI);
}

/* What has been asked for since the last run. */
[[gnu::noinline]] static void vmx_prepare(struct arch_vcpu *vcpu)
{
    if (vcpu->flushes != virt_flushes(vcpu))
        vmx_flush_stage2(vcpu);
    if (vcpu->stale & VMX_STALE_PDPTES)
        vmx_load_pdptes(vcpu);
    if (vcpu->stale & VMX_STALE_POSTED)
        vmx_apic_sync(vcpu);
}

/* The hardware forgets it when it exits. */
static void vmx_put_event(struct arch_vcpu *vcpu)
{
    vmwrite(VMCS_ENTRY_EVENT, (uint32_t)vcpu->event);
    if (vcpu->event & VMCB_EVENT_ERROR_VALID)
        vmwrite(VMCS_ENTRY_EVENT_ERROR, vcpu->event >> 32);
    vcpu->event = 0;
}

void vmx_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t interrupted;
    uint32_t reason;

    if (unlikely(this_cpu()->arch.vector)) { /* Acknowledged, and not taken yet. */
        exit_pending(exit);
        return;
    }
    if (unlikely(vcpu->stale || vcpu->flushes != virt_flushes(vcpu)))
        vmx_prepare(vcpu);
    if (vcpu->event)
        vmx_put_event(vcpu);
    if (unlikely(!vmx_enter(vcpu, vcpu->launched))) {
        exit_not_entered(exit);
        return;
    }
    vcpu->launched = true;
    vcpu->interrupted = false;
    reason = (uint32_t)vmread(VMCS_EXIT_REASON);
    interrupted = vmread(VMCS_INTERRUPTED_EVENT);
    exit->cause[0] = reason;
    if (unlikely(interrupted & VMCB_EVENT_VALID) && !(reason & VMX_REASON_ENTRY))
        vmx_interrupted(vcpu, interrupted);
    if (reason == VMX_REASON_VMCALL)
        exit_call(vcpu, exit);
    else if (reason == VMX_REASON_EPT_VIOLATION)
        exit_violation(vcpu, exit);
    else if (reason == VMX_REASON_WRMSR)
        exit_msr(vcpu, exit, true);
    else
        exit_decode(vcpu, exit, reason);
}
