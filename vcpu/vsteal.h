/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stolen time: how long a vCPU that wanted to run did not. It is told to the guest in a piece of
 * memory, in the layout that its architecture has for it, before the vCPU runs again. Pure: who
 * calls says what the time is. Touched on the vCPU's own pCPU.
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/types.h"

struct guestmap;
struct vcpu;

#define VSTEAL_SIZE 64u /* Of the piece, and its alignment. */

/* Offsets in it. */
struct vsteal_layout {
    uint8_t steal;    /* 64 bits: nanoseconds. */
    uint8_t sequence; /* 32 bits: odd while `steal` is written. VSTEAL_NONE: there is none. */
};

#define VSTEAL_NONE 0xffu

#define VSTEAL_MSR  0x4b564d03u /* x86. [Linux: virt/kvm/x86/msr.rst] */

extern const struct vsteal_layout vsteal_arm; /* [Arm DEN0057A, 3.2.2] */
extern const struct vsteal_layout vsteal_sbi; /* [RISC-V SBI 2.0, "Steal-time Accounting"] */
extern const struct vsteal_layout vsteal_kvm; /* [Linux: virt/kvm/x86/msr.rst] */

/* All zeroes: off. Plain numbers, so that it can be copied with the rest of the vCPU. */
struct vsteal {
    bool on, begun;
    uint32_t sequence;
    uint64_t place;   /* Guest-physical. */
    uint64_t base_ns; /* What was stolen before the guest first wanted to know, */
    uint64_t told_ns; /* and from then on, as it was told last. */
};

/*
 * From now on at this place, which is zeroed; stolen_ns: up to now, from whenever on. What is told
 * counts from the first start. False, and nothing is changed: misaligned, or no memory of ours.
 */
bool vsteal_start(struct vsteal *s, struct guestmap *map, gpa_t place, uint64_t stolen_ns);
/* It is on. When the place is no memory any more, it ends. */
void vsteal_tell(struct vsteal *s, struct guestmap *map, const struct vsteal_layout *layout,
                 uint64_t stolen_ns);

/* vsteal_msr.c: x86's interface, of the vCPU that is bound here. False: #GP(0). */
uint64_t vsteal_msr_read(const struct vcpu *vcpu);
bool vsteal_msr_write(struct vcpu *vcpu, uint64_t value);
