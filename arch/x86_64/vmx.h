/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the VMX backend, and what it gives to backend.h. */
#pragma once

#include "arch/x86_64/vcpu.h"
#include "arch/x86_64/vmx_check.h"
#include "arch/x86_64/vmx_event.h"
#include "arch/x86_64/vmx_fields.h"
#include "arch/x86_64/x86.h"

extern const struct virt_backend vmx_backend;

/* What this processor can and has to, set up on the boot processor. */
struct vmx_host {
    uint32_t revision;
    uint32_t pin, cpu, cpu2, exit, entry; /* Controls that guests begin with. */
    bool leaves_1gib, dirty_bits, log;
    uint8_t apic; /* What it does of a guest's local APIC by itself: VMX_APIC_*. */
    struct vmx_limits limits;
};

#define VMX_APIC_VECTORS BIT(0) /* Takes and ends vectors, */
#define VMX_APIC_READS   BIT(1) /* answers reads of what that changes, */
#define VMX_APIC_POSTED  BIT(2) /* and takes those of other pCPUs while the guest runs; */
#define VMX_APIC_WINDOW  BIT(3) /* and all but the reads in xAPIC mode as well. */

extern struct vmx_host vmx_host;

/* Of the current VMCS: that of the bound vCPU, or of one that is borrowed. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"((uint64_t)field) : "cc", "memory");
}

/* CR0 as the guest reads it. */
static inline uint64_t vmx_cr0(const struct arch_vcpu *vcpu)
{
    return (vmread(VMCS_GUEST_CR0) & ~VMX_CR0_OURS) | vcpu->cr0_ours;
}

static inline void vmx_set_cr0_shadow(struct arch_vcpu *vcpu, uint64_t value)
{
    vcpu->cr0_ours = value & VMX_CR0_OURS;
    vmwrite(VMCS_CR0_SHADOW, value);
}

/* vmx_entry.S: runs the guest until it exits. False: the entry failed at once. */
bool vmx_enter(struct arch_vcpu *vcpu, bool launched);
extern const char vmx_exit_point[]; /* Where exits come. */

/* vmx.c: fields of a vCPU that is not bound are reached between these; of one that is, at once. */
void vmx_borrow(const struct arch_vcpu *vcpu);
void vmx_give_back(const struct arch_vcpu *vcpu);
/* Forgets what this pCPU's TLB has of the stage 2 that changed; it may be logged now, or not. */
void vmx_flush_stage2(struct arch_vcpu *vcpu);
/* The guest's own translations may be others now. */
void vmx_flush_linear(struct arch_vcpu *vcpu);
/* After an entry that failed: whether the block counts as launched depends on what it was. Bound.
 */
void vmx_not_entered(struct arch_vcpu *vcpu);
void vmx_set_cpu_controls(struct arch_vcpu *vcpu, uint32_t value);

/* vmx_msr.c: what all guests do without an exit, and with the local APIC in hardware. */
void vmx_fill_maps(void);
const void *vmx_msr_map(bool apic);

/* vmx_regs.c: registers and segments of virt_backend. */
uint64_t vmx_reg(const struct arch_vcpu *vcpu, enum arch_reg reg);
void vmx_set_reg(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value);
struct arch_segment vmx_segment(const struct arch_vcpu *vcpu, enum arch_segment_index index);
void vmx_set_segment(struct arch_vcpu *vcpu, enum arch_segment_index index,
                     struct arch_segment segment);
unsigned vmx_cpl(const struct arch_vcpu *vcpu);
void vmx_get_all(const struct arch_vcpu *vcpu, struct x86_regs *regs);
enum err vmx_regs_ok(const struct arch_vcpu *vcpu, const struct x86_regs *regs);
void vmx_set_all(struct arch_vcpu *vcpu, const struct x86_regs *regs);
/* Registers that the hardware does not exchange: they are the guest's while it is bound. */
void vmx_load_live(struct arch_vcpu *vcpu);
void vmx_store_live(struct arch_vcpu *vcpu);
/* After a change of ours of what PAE paging depends on. Bound. */
void vmx_load_pdptes(struct arch_vcpu *vcpu);
/* What the current VMCS has. */
void vmx_read_fields(struct vmx_fields *fields);

/* vmx_exit.c */
void vmx_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
void vmx_step_over(struct arch_vcpu *vcpu, unsigned length);
/* As in struct virt_backend. */
void vmx_trap_breakpoints(struct arch_vcpu *vcpu, bool on);
void vmx_inject(struct arch_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error);

/* vmx_apic.c: see arch_apic_*(). */
/* What this pCPU can and boot options leave of it: VMX_APIC_*. */
uint8_t vmx_apic_find(void);
void vmx_apic_print(uint8_t features);
/* What is at the address of guests' local APICs; 0: nothing. */
hpa_t vmx_apic_window(void);
enum err vmx_apic_init(struct arch_vcpu *vcpu);
void vmx_apic_load(struct arch_vcpu *vcpu, const struct arch_apic *apic);
void vmx_apic_store(struct arch_vcpu *vcpu, struct arch_apic *apic);
void vmx_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level);
bool vmx_apic_pending(struct arch_vcpu *vcpu, uint32_t *ppr);
bool vmx_apic_send(struct arch_vcpu *vcpu, unsigned vector);
uint64_t vmx_apic_take(struct arch_vcpu *vcpu, unsigned word);
/* Takes in what others have posted. Bound. */
void vmx_apic_sync(struct arch_vcpu *vcpu);
/* Its TPR, where that is loaded. */
uint32_t vmx_apic_tpr(const struct arch_vcpu *vcpu);
void vmx_apic_set_tpr(struct arch_vcpu *vcpu, uint32_t value);
/* What the guest has written to the register at the offset. */
uint32_t vmx_apic_written(const struct arch_vcpu *vcpu, unsigned offset);

/* With those of the local APIC while it is in hardware. */
void vmx_apic_set_controls2(struct arch_vcpu *vcpu);

/* vmx_log.c: see arch_stage2_log(). */
/* Whether this pCPU can, and a boot option leaves it. */
bool vmx_log_find(void);
enum err vmx_log_init(struct arch_vcpu *vcpu);
/* Turns it on or off, as its VM has a log now. Bound; so is: */
void vmx_log_switch(struct arch_vcpu *vcpu);
void vmx_log_drain(struct arch_vcpu *vcpu);
/* That of the vCPU that is bound here, if there is one. */
void vmx_log_gather(void);

/* vmx_print.c */
void vmx_print(const struct arch_vcpu *vcpu, struct fmt_sink *out);
void vmx_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out);

/* vmx_virq.c: see arch_virq_*(). */
uint64_t vmx_virq_read(const struct arch_vcpu *vcpu, unsigned slot);
void vmx_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value);
uint64_t vmx_virq_empty(const struct arch_vcpu *vcpu);
void vmx_virq_set_control(struct arch_vcpu *vcpu, uint64_t value);
