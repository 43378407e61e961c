/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's clock for x86_64 guests: two MSRs by which a guest names places of its memory, and learns
 * there how its TSC counts nanoseconds, and what time it was when that was 0. So it has no need to
 * measure its TSC against a timer whose registers are slow to read. CPUID tells of it (KVM's leaf).
 * [Linux: virt/kvm/x86/msr.rst, cpuid.rst]
 */
#pragma once

#include "kernel/types.h"

struct guestmap;
struct state;

#define VKVMCLOCK_MSR_WALL   0x4b564d00u
#define VKVMCLOCK_MSR_SYSTEM 0x4b564d01u

/* Of each vCPU. All zeroes: off. */
struct vkvmclock {
    uint64_t system, wall; /* As the MSRs read. */
    uint32_t version;
};

struct vkvmclock_time {
    struct guestmap *map;
    uint64_t tsc_hz;
    uint64_t tsc_zero;   /* The guest's TSC when its system time was 0. */
    uint64_t wall_epoch; /* Unix time then, in nanoseconds; 0: not known. */
};

bool vkvmclock_read(const struct vkvmclock *clock, uint32_t msr, uint64_t *value);
/* False: not one of the two, or a place that is no memory: #GP(0). Own pCPU. */
bool vkvmclock_write(struct vkvmclock *clock, const struct vkvmclock_time *time, uint32_t msr,
                     uint64_t value);
/* To a snapshot, or from it (vcpu/state.h). What the guest was told is in its memory, and stays
 * right, for its TSC goes on. */
void vkvmclock_state(struct vkvmclock *clock, struct state *state);
/* The guest's TSC has made a leap. Own pCPU. */
void vkvmclock_update(struct vkvmclock *clock, const struct vkvmclock_time *time);
