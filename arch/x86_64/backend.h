/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vendor's extension owes to what the vendors share. One of them is chosen at boot. What is
 * on the way of every exit is called by name, behind a branch that is always the same; the rest
 * through the table.
 */
#pragma once

#include "arch/x86_64/svm.h"

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
    struct arch_events (*events)(const struct arch_vcpu *vcpu);
    void (*set_events)(struct arch_vcpu *vcpu, struct arch_events events);
    /* Whether the hardware would run it. */
    enum err (*regs_ok)(const struct arch_vcpu *vcpu, const struct arch_regs *regs);

    /* An exception for the guest to take. */
    void (*inject)(struct arch_vcpu *vcpu, unsigned vector, bool has_error, uint32_t error);
    void (*print)(const struct arch_vcpu *vcpu, struct fmt_sink *out);
    void (*exit_print)(const struct vcpu_exit *exit, struct fmt_sink *out);
};

extern const struct virt_backend *virt_backend;
