/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the hardware's cause to the portable exit, and the completion of accesses. The order of the
 * cases is that of how often they come. [hypervisor.adoc, Trap Cause Codes; Transformed
 * Instruction]
 */
#include "arch/riscv64/insn.h"
#include "arch/riscv64/vcpu.h"
#include "kernel/assert.h"

#define INSN_WFI     0x10500073u
#define INSN_WRS_NTO 0x00d00073u
#define INSN_WRS_STO 0x01d00073u

static void exit_call(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->kind = EXIT_HYPERCALL;
    exit->advance = false;
    vcpu->pc += 4; /* There is no compressed ECALL. */
    exit->call.nr = vcpu->x[17];
    exit->call.function = vcpu->x[16];
#pragma GCC unroll 6
    for (unsigned i = 0; i < 6; i++)
        exit->call.args[i] = vcpu->x[10 + i];
    exit->call.firmware = true;
}

static uint64_t exit_mask(unsigned width)
{
    return width == 8 ? ~0ull : BIT(width * 8) - 1;
}

/* The instruction at pc, read as the guest would; 0, which is no instruction, when it cannot be. */
static uint32_t exit_fetch(const struct arch_vcpu *vcpu)
{
    int32_t low = guest_fetch(vcpu->pc), high;

    if (low < 0)
        return 0;
    if ((low & 3) != 3)
        return (uint32_t)low;
    high = guest_fetch(vcpu->pc + 2);
    return high < 0 ? 0 : (uint32_t)high << 16 | (uint32_t)low;
}

static enum err exit_read_entry(void *, gpa_t addr, uint64_t *entry)
{
    return guest_load(addr.v, entry) ? OK : E_ABSENT;
}

/*
 * Where the access went; false: the guest's tables are in part where no memory is. Hardware may
 * leave htval 0 [hypervisor.adoc, htval]: then by these tables. The guest may have changed them
 * since, but gets no further so than by an access to there.
 */
static bool exit_gpa(const struct arch_vcpu *vcpu, const struct vcpu_exit *exit, uint64_t htval,
                     gpa_t *addr)
{
    static const struct arch_guest_memory memory = {.read = exit_read_entry};

    *addr = gpa(htval << 2 | (exit->cause[1] & 3));
    return htval != 0 ||
           arch_vcpu_translate(vcpu, gva(exit->cause[1]), ACCESS_NONE, &memory, addr) == OK;
}

static void exit_stage2_fault(const struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t cause,
                              uint64_t htinst, uint64_t htval)
{
    bool found = exit_gpa(vcpu, exit, htval, &exit->fault.gpa);

    exit->kind = EXIT_STAGE2_FAULT;
    exit->advance = false;
    exit->fault.gva = gva(exit->cause[1]);
    exit->fault.gva_valid = true;
    exit->fault.execute = cause == CAUSE_FETCH_GUEST_PAGE;
    exit->fault.write = cause == CAUSE_STORE_GUEST_PAGE;
    exit->fault.table_walk = !found || htinst == HTINST_WALK_READ || htinst == HTINST_WALK_WRITE;
    exit->fault.delivery = false;
}

static void exit_mmio(const struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                      const struct rv64_insn_access *access, gpa_t addr)
{
    exit->advance = true;
    exit->mmio.gpa = addr;
    exit->mmio.width = access->width;
    exit->mmio.reg = access->reg;
    exit->mmio.reg_width = 8;
    exit->mmio.sign_extend = access->sign_extend;
    exit->kind = EXIT_MMIO_READ;
    if (!access->load) {
        exit->kind = EXIT_MMIO_WRITE;
        exit->mmio.data = vcpu->x[access->reg] & exit_mask(access->width);
    }
}

/*
 * Hardware left it to us to read the instruction. The guest may have changed it since: then it must
 * still be of the kind that faulted, and go to where the fault was.
 */
static bool exit_decode(const struct arch_vcpu *vcpu, const struct vcpu_exit *exit, uint64_t cause,
                        struct rv64_insn_access *access)
{
    return rv64_insn_decode(exit_fetch(vcpu), access) &&
           access->load == (cause == CAUSE_LOAD_GUEST_PAGE) &&
           vcpu->x[access->base] + (uint64_t)(int64_t)access->offset == exit->cause[1];
}

/* Hardware did not say all. Faults of the guest's own table walk are no instructions. */
[[gnu::noinline]] static void exit_data_fault_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                                   uint64_t cause, uint64_t htinst, uint64_t htval)
{
    struct rv64_insn_access access;
    gpa_t addr;

    if (!exit_gpa(vcpu, exit, htval, &addr) ||
        !(htinst == 0 ? exit_decode(vcpu, exit, cause, &access)
                      : rv64_insn_transformed(htinst, &access))) {
        exit_stage2_fault(vcpu, exit, cause, htinst, htval);
        return;
    }
    vcpu->insn_length = access.length;
    exit_mmio(vcpu, exit, &access, addr);
}

static void exit_data_fault(struct arch_vcpu *vcpu, struct vcpu_exit *exit, uint64_t cause)
{
    uint64_t htinst = csr_read("htinst"), htval = csr_read("htval");
    struct rv64_insn_access access;

    exit->cause[1] = csr_read("stval");
    if (unlikely(htval == 0 || !rv64_insn_transformed(htinst, &access))) {
        exit_data_fault_rare(vcpu, exit, cause, htinst, htval);
        return;
    }
    vcpu->insn_length = access.length;
    exit_mmio(vcpu, exit, &access, gpa(htval << 2 | (exit->cause[1] & 3)));
}

/* What is prevented because V = 1. All but the few that we answer are illegal to the guest, as its
 * manual says. */
static void exit_virtual(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint32_t insn = (uint32_t)csr_read("stval");

    if (insn == 0)
        insn = exit_fetch(vcpu);
    exit->cause[1] = insn;
    exit->advance = true;
    vcpu->insn_length = 4;
    if (vcpu_in_supervisor(vcpu)) {
        switch (insn) {
        case INSN_WFI:
            exit->kind = EXIT_WFI;
            return;
        case INSN_WRS_NTO:
        case INSN_WRS_STO:
            exit->kind = EXIT_WFE;
            return;
        }
        if (csr_access_start(vcpu, exit, insn))
            return;
    }
    arch_vcpu_inject_fault(vcpu, FAULT_UNDEFINED, exit);
    exit->kind = EXIT_NOTHING;
}

/* To be stepped over, if the caller wants that: EBREAK has 4 bytes, or compressed 2. */
static void exit_debug(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->kind = EXIT_DEBUG;
    exit->advance = false;
    exit->debug.pc = vcpu->pc;
    exit->debug.syndrome = CAUSE_BREAKPOINT;
    exit->debug.imm = 0;
    vcpu->insn_length = (exit_fetch(vcpu) & 3) == 3 ? 4 : 2;
}

/* Out of the way of the others: so these need few registers. */
[[gnu::noinline]] static void exit_rare(struct arch_vcpu *vcpu, struct vcpu_exit *exit,
                                        uint64_t cause)
{
    if (cause == CAUSE_VIRTUAL) {
        exit_virtual(vcpu, exit);
        return;
    }
    exit->cause[1] = csr_read("stval");
    if (cause == CAUSE_FETCH_GUEST_PAGE) {
        exit_stage2_fault(vcpu, exit, cause, csr_read("htinst"), csr_read("htval"));
        return;
    }
    if (cause == CAUSE_BREAKPOINT) {
        exit_debug(vcpu, exit);
        return;
    }
    exit->kind = EXIT_UNKNOWN;
    exit->advance = false;
    exit->code = cause;
}

/*
 * vcpu_entry.S keeps sp, the frame pointer and tp for us, and nothing else: so the caller's
 * registers are saved once, around the whole run loop, and not at each entry.
 */
static void vcpu_enter_guest(struct arch_vcpu *vcpu)
{
    register uint64_t a0 __asm__("a0") = (uintptr_t)vcpu;

    __asm__ volatile("call vcpu_enter"
                     : "+r"(a0)
                     :
                     : "ra", "t0", "t1", "t2", "s1", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2",
                       "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5",
                       "t6", "memory");
}

void arch_vcpu_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t cause;

    if (unlikely(vcpu->access.active)) {
        csr_access_next(vcpu, exit);
        return;
    }
    vcpu_enter_guest(vcpu);
    cause = csr_read("scause");
    exit->cause[0] = cause;
    if (cause & SCAUSE_INTERRUPT) {
        exit->kind = EXIT_INTERRUPT;
        exit->advance = false;
    } else if (cause == CAUSE_ECALL_VS) {
        exit_call(vcpu, exit);
    } else if (cause == CAUSE_LOAD_GUEST_PAGE || cause == CAUSE_STORE_GUEST_PAGE) {
        exit_data_fault(vcpu, exit, cause);
    } else {
        exit_rare(vcpu, exit, cause);
    }
}

static uint64_t exit_extend(uint64_t value, unsigned width, bool sign_extend)
{
    unsigned shift = 64 - 8 * width;

    return sign_extend ? (uint64_t)((int64_t)(value << shift) >> shift) : value << shift >> shift;
}

void arch_vcpu_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (likely(exit->kind == EXIT_MMIO_READ)) {
        vcpu->x[exit->mmio.reg] =
            exit_extend(exit->mmio.data, exit->mmio.width, exit->mmio.sign_extend);
        vcpu->x[0] = 0;
        vcpu->pc += vcpu->insn_length;
        return;
    }
    if (unlikely(vcpu->access.active)) {
        csr_access_finish(vcpu, exit);
        return;
    }
    if (exit->kind == EXIT_SYSREG_READ)
        arch_vcpu_set_gpr(vcpu, exit->sysreg.reg, exit->sysreg.value);
    if (exit->advance)
        vcpu->pc += vcpu->insn_length;
}

bool arch_vcpu_midway([[maybe_unused]] const struct arch_vcpu *vcpu)
{
    return false; /* Each instruction that we know has one access. */
}

/* Whatever could be decoded has been: see exit_decode(). */
bool arch_vcpu_decode([[maybe_unused]] struct arch_vcpu *vcpu, [[maybe_unused]] const void *insn,
                      [[maybe_unused]] unsigned size,
                      [[maybe_unused]] const struct arch_guest_memory *memory,
                      [[maybe_unused]] struct vcpu_exit *exit)
{
    return false;
}
