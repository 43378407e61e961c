/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the hardware's cause (ESR_EL2) to the portable exit, and the completion of accesses. The
 * common path counts instructions: see `make bench`. [Arm ARM D19.2.40, ESR_EL2]
 */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/sysreg.h"
#include "arch/aarch64/vcpu.h"
#include "kernel/assert.h"

static void exit_call(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr, bool firmware)
{
    exit->kind = EXIT_HYPERCALL;
    exit->advance = firmware; /* The return address of a trapped SMC is the SMC itself. */
    exit->call.nr = vcpu->x[0];
#pragma GCC unroll 6
    for (unsigned i = 0; i < 6; i++) /* Not memcpy(): with strict alignment that is a call. */
        exit->call.args[i] = vcpu->x[1 + i];
    exit->call.imm = (uint16_t)esr;
    exit->call.firmware = firmware;
}

static void exit_sysreg(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    exit->kind = esr & ISS_SYS_READ ? EXIT_SYSREG_READ : EXIT_SYSREG_WRITE;
    exit->advance = true;
    exit->sysreg.addr = (uint32_t)(esr & ISS_SYS_REG);
    exit->sysreg.reg = (uint8_t)field_get(ISS_SYS_RT, esr);
    exit->sysreg.value = arch_vcpu_gpr(vcpu, exit->sysreg.reg);
}

static uint64_t exit_mask(unsigned width)
{
    return width == 8 ? ~0ull : BIT(width * 8) - 1;
}

/* The guest-physical address of a stage-2 translation fault, from HPFAR_EL2. */
static gpa_t exit_gpa(uint64_t far)
{
    return gpa(field_get(BITS(43, 4), sysreg_read("hpfar_el2")) << PAGE_SHIFT |
               (far & (PAGE_SIZE - 1)));
}

/*
 * Of any stage-2 fault. HPFAR_EL2 is unknown for permission faults outside of table walks [Arm ARM
 * D19.2.62]: those are translated again. False: the guest has changed its tables meanwhile; let it
 * run into what is there now.
 */
static bool exit_gpa_any(const struct arch_vcpu *vcpu, uint64_t esr, uint64_t far, gpa_t *addr)
{
    if ((esr & FSC_TYPE) == FSC_PERMISSION && !(esr & ISS_S1PTW))
        return arch_vcpu_translate(vcpu, gva(far), ACCESS_NONE, NULL, addr) == OK;
    *addr = exit_gpa(far);
    return true;
}

static bool exit_is_stage2(uint64_t esr)
{
    uint64_t type = esr & FSC_TYPE;

    return type == FSC_TRANSLATION || type == FSC_PERMISSION || type == FSC_ACCESS;
}

static void exit_stage2_fault(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr,
                              uint64_t far, bool execute)
{
    exit->advance = false;
    exit->kind = EXIT_NOTHING;
    if (!exit_gpa_any(vcpu, esr, far, &exit->fault.gpa))
        return;
    exit->kind = EXIT_STAGE2_FAULT;
    exit->fault.gva = gva(far);
    exit->fault.gva_valid = true;
    exit->fault.execute = execute;
    exit->fault.write = !execute && (esr & ISS_WNR);
    exit->fault.table_walk = esr & ISS_S1PTW;
    exit->fault.delivery = false;
}

static void exit_unknown(struct vcpu_exit *exit, uint64_t esr)
{
    exit->kind = EXIT_UNKNOWN;
    exit->advance = false;
    exit->code = esr;
}

/* An access that the syndrome describes. */
static void exit_mmio(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    exit->advance = true;
    exit->mmio.width = (uint8_t)(1u << field_get(ISS_SAS, esr));
    exit->mmio.reg = (uint8_t)field_get(ISS_SRT, esr);
    exit->mmio.reg_width = esr & ISS_SF ? 8 : 4;
    exit->mmio.sign_extend = esr & ISS_SSE;
    exit->kind = EXIT_MMIO_READ;
    if (esr & ISS_WNR) {
        exit->kind = EXIT_MMIO_WRITE;
        exit->mmio.data = arch_vcpu_gpr(vcpu, exit->mmio.reg) & exit_mask(exit->mmio.width);
    }
}

[[gnu::noinline]] static void exit_data_abort_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                                   uint64_t esr, uint64_t far)
{
    if (!exit_is_stage2(esr)) {
        exit_unknown(exit, esr);
    } else if ((esr & ISS_CM) && (esr & FSC_TYPE) != FSC_PERMISSION) {
        /* Cache maintenance where no memory is: nothing to be done. */
        exit->kind = EXIT_NOTHING;
        exit->advance = false;
        vcpu_step_over(vcpu, 4);
    } else if (!(esr & ISS_ISV) || (esr & (ISS_S1PTW | ISS_CM))) {
        exit_stage2_fault(vcpu, exit, esr, far, false);
    } else if (exit_gpa_any(vcpu, esr, far, &exit->mmio.gpa)) {
        exit_mmio(vcpu, exit, esr);
    } else {
        exit->kind = EXIT_NOTHING;
        exit->advance = false;
    }
}

static void exit_data_abort(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    uint64_t far = sysreg_read("far_el2");

    exit->cause[1] = far;
    if (unlikely((esr & (ISS_ISV | ISS_CM | ISS_S1PTW | FSC_TYPE)) !=
                 (ISS_ISV | FSC_TRANSLATION))) {
        exit_data_abort_rare(vcpu, exit, esr, far);
        return;
    }
    exit->mmio.gpa = exit_gpa(far);
    exit_mmio(vcpu, exit, esr);
}

static void exit_debug(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    exit->kind = EXIT_DEBUG;
    exit->advance = false;
    exit->debug.pc = vcpu->pc;
    exit->debug.syndrome = esr;
    exit->debug.imm = (uint16_t)esr;
}

/* Instructions of features that we hide trap so; to the guest they do not exist. */
static bool exit_is_hidden(unsigned ec)
{
    return (ec >= EC_CP15_32 && ec <= EC_LS64) || ec == EC_MRRC || ec == EC_SVE || ec == EC_SME;
}

static void exit_other(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    if (exit_is_hidden((unsigned)field_get(ESR_EC, esr))) {
        arch_vcpu_inject_fault(vcpu, FAULT_UNDEFINED, exit);
        exit->kind = EXIT_NOTHING;
    } else {
        exit_unknown(exit, esr);
    }
}

/* Those that come seldom, or of which the cost does not matter. */
static void exit_sync_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    switch (field_get(ESR_EC, esr)) {
    case EC_WFX:
        exit->kind = esr & BIT(0) ? EXIT_WFE : EXIT_WFI;
        exit->advance = true;
        return;
    case EC_SMC64:
        exit_call(vcpu, exit, esr, true);
        return;
    case EC_FETCH_ABORT_LOWER:
        exit->cause[1] = sysreg_read("far_el2");
        if (exit_is_stage2(esr))
            exit_stage2_fault(vcpu, exit, esr, exit->cause[1], true);
        else
            exit_unknown(exit, esr);
        return;
    case EC_BREAKPOINT_LOWER:
    case EC_STEP_LOWER:
    case EC_WATCHPOINT_LOWER:
    case EC_BRK64:
        exit_debug(vcpu, exit, esr);
        return;
    default:
        exit_other(vcpu, exit, esr);
    }
}

static void exit_sync(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t esr)
{
    uint64_t ec = field_get(ESR_EC, esr);

    if (ec == EC_DATA_ABORT_LOWER)
        exit_data_abort(vcpu, exit, esr);
    else if (ec == EC_HVC64)
        exit_call(vcpu, exit, esr, false);
    else if (ec == EC_SYSREG)
        exit_sysreg(vcpu, exit, esr);
    else
        exit_sync_rare(vcpu, exit, esr);
}

/*
 * vcpu_entry.S keeps sp and the frame pointer for us, and nothing else: so the caller's registers
 * are saved once, around the whole run loop, and not at each entry. Returns the vector.
 */
static unsigned vcpu_enter_guest(struct arch_vcpu *vcpu)
{
    register uint64_t x0 __asm__("x0") = (uintptr_t)vcpu;

    __asm__ volatile("bl vcpu_enter"
                     : "+r"(x0)
                     :
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                       "x24", "x25", "x26", "x27", "x28", "x30", "cc", "memory");
    return (unsigned)x0;
}

void arch_vcpu_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    unsigned vector;

    if (unlikely(vcpu->insn.active)) {
        insn_next(vcpu, exit);
        return;
    }
    vector = vcpu_enter_guest(vcpu) & ~VECTOR_32BIT;
    if (vector == VECTOR_SYNC) {
        uint64_t esr = sysreg_read("esr_el2");

        exit->cause[0] = esr;
        exit_sync(vcpu, exit, esr);
        return;
    }
    exit->cause[0] = 0;
    exit->advance = false;
    if (vector == VECTOR_IRQ || vector == VECTOR_FIQ) {
        exit->kind = EXIT_INTERRUPT;
        return;
    }
    exit->kind = EXIT_INTERNAL_ERROR; /* A SError: what it was is in the syndrome. */
    exit->cause[0] = exit->code = sysreg_read("esr_el2");
}

void vcpu_load_reg(struct arch_vcpu *vcpu, unsigned reg, uint64_t value, unsigned width,
                   unsigned reg_width, bool sign_extend)
{
    unsigned unused = 64 - 8 * width; /* Bits above the value. */

    value <<= unused;
    value = sign_extend ? (uint64_t)((int64_t)value >> unused) : value >> unused;
    arch_vcpu_set_gpr(vcpu, reg, reg_width == 8 ? value : (uint32_t)value);
}

void arch_vcpu_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (unlikely(vcpu->insn.active)) {
        insn_finish(vcpu, exit);
        return;
    }
    if (exit->kind == EXIT_MMIO_READ)
        vcpu_load_reg(vcpu, exit->mmio.reg, exit->mmio.data, exit->mmio.width, exit->mmio.reg_width,
                      exit->mmio.sign_extend);
    else if (exit->kind == EXIT_SYSREG_READ)
        arch_vcpu_set_gpr(vcpu, exit->sysreg.reg, exit->sysreg.value);
    if (exit->advance)
        vcpu_step_over(vcpu, 2 + (exit->cause[0] >> 25 & 1) * 2); /* ESR_EL2.IL: 32 bits, or 16. */
}
