/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the x86_64 backends: what SVM and VMX share. */
#pragma once

#include "arch/x86_64/guest_cpuid.h"
#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/guest_walk.h"
#include "arch/x86_64/insn.h"
#include "vcpu/arch_vcpu.h"

/* Functions that call nothing and are on the way of every exit. */
#define HOT_LEAF [[gnu::optimize("omit-frame-pointer")]]

/* --- virt.c --- */

extern struct guest_cpuid virt_guest_cpuid; /* What guests are told, */
extern uint64_t virt_guest_processor;       /* and a print of it. */
extern _Atomic uint64_t virt_flush_counts[];

#define VIRT_VMIDS_MAX 256u

/* How often translations of the VM's stage 2 were taken away: the TLB may hold them until it is
 * flushed for the vCPU. */
static inline uint64_t virt_flushes(const struct arch_vcpu *vcpu)
{
    return atomic_load_explicit(vcpu->flush_count, memory_order_acquire);
}

/* Of arch_stage2_log(); NULL: there is none. Good until this pCPU waits for something. */
struct dirty_log *virt_log(uint16_t vmid);

/* --- vcpu.c --- */

/* arch_vcpu_pc() where CS has a base. */
uint64_t vcpu_linear_pc(const struct arch_vcpu *vcpu);

static inline uint64_t vcpu_pc(const struct arch_vcpu *vcpu)
{
    return likely(vcpu->code_base == 0) ? vcpu->rip : vcpu_linear_pc(vcpu);
}

/* In which way the guest's instructions are to be understood. */
enum insn_mode vcpu_mode(const struct arch_vcpu *vcpu);
void vcpu_inject(struct arch_vcpu *vcpu, unsigned vector); /* No error code. */
void vcpu_inject_error(struct arch_vcpu *vcpu, unsigned vector, uint32_t error);
/* The instruction of length bytes is done. */
void vcpu_step_over(struct arch_vcpu *vcpu, unsigned length);

/* DR0 to DR3; bound or not. */
uint64_t vcpu_debug_addr(const struct arch_vcpu *vcpu, unsigned index);

/* What the guest's own translation depends on. */
struct guest_paging vcpu_paging(const struct arch_vcpu *vcpu);

/* --- vcpu_insn.c --- */

/* What has begun and goes on by further exits. */
[[gnu::noinline]] void vcpu_insn_next(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
[[gnu::noinline]] void vcpu_insn_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit);
bool vcpu_insn_active(const struct arch_vcpu *vcpu);

/* --- guest_sysreg.c --- */

/* Answered at once: writes of CR4 and XCR0, CPUID. False: the guest gets a #GP(0). */
bool sysreg_set_cr4(struct arch_vcpu *vcpu, uint64_t value);
bool sysreg_set_xcr0(struct arch_vcpu *vcpu, uint64_t value);
void sysreg_cpuid(struct arch_vcpu *vcpu);
bool sysreg_has_aux(void); /* TSC_AUX. */

/* --- code.c: the guest's instructions. --- */

/* Forgets the pages: CR4, EFER or stage 2 change, or it is another guest. */
void code_forget(struct arch_vcpu *vcpu);

/* Whether all that the page was found by is as it was, but for its address. */
static inline bool code_is_same(const struct arch_code *code, uint64_t cr0, uint64_t cr3)
{
    if (unlikely(code->cr3 != cr3 || code->cr0 != cr0))
        return false;
#pragma GCC unroll 4
    for (unsigned i = 0; i < ARCH_CODE_LEVELS; i++)
        if (unlikely(*(const volatile uint64_t *)code->slot[i] != code->entry[i]))
            return false;
    return true;
}

/* Where the instruction at RIP has its place: insns[rip / 4 % ARCH_CODE_INSNS], without shifting
 * down and up again. */
static inline struct arch_code_insn *code_insn(const struct arch_vcpu *vcpu)
{
    uint64_t at = vcpu->rip * (sizeof(struct arch_code_insn) / 4) &
                  (sizeof(vcpu->insns) - sizeof(struct arch_code_insn));

    return (struct arch_code_insn *)((char *)vcpu->insns + at);
}

/* What the instruction at RIP was decoded as when it exited last; NULL: its page, or the bytes
 * there, are not what they were. Others may write to those: read once. */
static inline const struct arch_code_insn *code_known(const struct arch_vcpu *vcpu, uint64_t cr0,
                                                      uint64_t cr3)
{
    const struct arch_code_insn *insn = code_insn(vcpu);
    uint64_t first, second;

    if (unlikely(insn->rip != vcpu->rip || vcpu->code_base != 0 ||
                 !code_is_same(insn->code, cr0, cr3)))
        return NULL;
    __builtin_memcpy(&first, insn->host, sizeof(first));
    __builtin_memcpy(&second, insn->host + sizeof(first), sizeof(second));
    return likely(first == insn->words[0] && second == insn->words[1]) ? insn : NULL;
}

/* The same, decoded anew as a move of 64-bit code. NULL: it is nowhere, or CS has a base. */
[[gnu::noinline]] const struct arch_code_insn *code_decode_mov(struct arch_vcpu *vcpu);
/* Where memory of the guest is; NULL: it is no RAM or ROM. Valid until the next entry. */
const void *code_memory(const struct arch_vcpu *vcpu, gpa_t addr);
/* Copies the bytes at RIP, across the end of a page too: how many there are. */
unsigned code_fetch(struct arch_vcpu *vcpu, uint8_t bytes[INSN_LENGTH_MAX]);
/* Length of an instruction that has exited; 0: something else is there now. Kept for code_known().
 */
unsigned code_length(struct arch_vcpu *vcpu, enum insn_known known);

/* --- fpu.c --- */

enum err fpu_init_cpu(void);
uint64_t fpu_components(void); /* All that is kept for a vCPU; 0: no XSAVE. */
uint32_t fpu_mxcsr(void);      /* Bits of MXCSR that the processor has. */
void fpu_reset(struct arch_vcpu *vcpu);
void fpu_load(struct arch_vcpu *vcpu);
void fpu_store(struct arch_vcpu *vcpu);
/* XCR0 of a guest. */
uint64_t fpu_xcr0(const struct arch_vcpu *vcpu);
void fpu_set_xcr0(struct arch_vcpu *vcpu, uint64_t value);
