/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vendor's extension owes to what the vendors share. One of them is chosen at boot. What is
 * on the way of every exit is called by name, behind a branch that is always the same; the rest
 * through the table.
 */
#pragma once

#include "arch/x86_64/svm.h"
#include "arch/x86_64/vmx.h"

struct virt_backend {
    const char *name;
    /* This pCPU has it, and it is not locked; else says why. Then fills virt_caps, once. */
    enum err (*probe)(void);
    /* Turns it on, on this pCPU. */
    enum err (*enable)(void);
    const struct pt_format *(*stage2_format)(void);
    /* Allocates the hardware's block and sets what never changes. */
    enum err (*init)(struct arch_vcpu *vcpu);
    /* Forgets all events; registers are set one by one then. Unbound. */
    void (*reset)(struct arch_vcpu *vcpu);
    void (*set_time)(struct arch_vcpu *vcpu);
    void (*bind)(struct arch_vcpu *vcpu);
    void (*unbind)(struct arch_vcpu *vcpu);

    /* Bound or not. */
    uint64_t (*reg)(const struct arch_vcpu *vcpu, enum arch_reg reg);
    void (*set_reg)(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value);
    struct arch_segment (*segment)(const struct arch_vcpu *vcpu, enum arch_segment_index index);
    void (*set_segment)(struct arch_vcpu *vcpu, enum arch_segment_index index,
                        struct arch_segment segment);
    unsigned (*cpl)(const struct arch_vcpu *vcpu);

    /* Of the register file what is not in struct arch_vcpu; regs is zero before. Unbound. */
    void (*get_regs)(const struct arch_vcpu *vcpu, struct x86_regs *regs);
    /* Whether the hardware would run it; else says why not. */
    enum err (*regs_ok)(const struct arch_vcpu *vcpu, const struct x86_regs *regs);
    /* After reset(). */
    void (*set_regs)(struct arch_vcpu *vcpu, const struct x86_regs *regs);

    /* INT3 exits, or is the guest's. Bound. */
    void (*trap_breakpoints)(struct arch_vcpu *vcpu, bool on);
    /* An exception for the guest to take. */
    void (*inject)(struct arch_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error);
    void (*print)(const struct arch_vcpu *vcpu, struct fmt_sink *out);
    void (*exit_print)(const struct vcpu_exit *exit, struct fmt_sink *out);
};

extern const struct virt_backend *virt_backend;
extern bool virt_is_vmx; /* Which of the two it is. */

static inline void virt_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (virt_is_vmx)
        vmx_run(vcpu, exit);
    else
        svm_run(vcpu, exit);
}

static inline void virt_step_over(struct arch_vcpu *vcpu, unsigned length)
{
    if (virt_is_vmx)
        vmx_step_over(vcpu, length);
    else
        svm_step_over(vcpu, length);
}

static inline uint64_t virt_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    return virt_is_vmx ? vmx_virq_read(vcpu, slot) : svm_virq_read(vcpu, slot);
}

static inline void virt_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    if (virt_is_vmx)
        vmx_virq_write(vcpu, slot, value);
    else
        svm_virq_write(vcpu, slot, value);
}

static inline uint64_t virt_virq_empty(const struct arch_vcpu *vcpu)
{
    return virt_is_vmx ? vmx_virq_empty(vcpu) : svm_event_open(svm_vmcb(vcpu), vcpu->nmi_blocked);
}

static inline void virt_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    if (virt_is_vmx)
        vmx_virq_set_control(vcpu, value);
    else
        svm_virq_set_control(vcpu, value);
}
