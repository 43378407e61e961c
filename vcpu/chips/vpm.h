/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's fixed hardware of a PC as far as our tables tell of it: the PM1a event and control blocks,
 * and the power-management timer, of 32 bits (FADT: TMR_VAL_EXT). There is no SMI command port, so
 * ACPI mode is always on; no GPE block and no buttons. [ACPI 6.5, section 4.8]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"

/* Blocks within the window, and their lengths, for the FADT. */
#define VPM_SIZE        0x10u
#define VPM_EVENT       0x0u
#define VPM_EVENT_LEN   4u
#define VPM_CONTROL     0x4u
#define VPM_CONTROL_LEN 2u
#define VPM_TIMER       0x8u
#define VPM_TIMER_LEN   4u
#define VPM_TIMER_HZ    3579545u
#define VPM_S5          5u /* SLP_TYP of soft-off, for the DSDT's \_S5. */

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vpm_state {
    uint16_t status, enable, control;
    uint64_t half; /* How often the timer's highest bit has changed, as last seen. */
    bool level;    /* Of the interrupt wire. */
};

struct vpm {
    struct vdev vdev; /* Its interrupt is the SCI: level-triggered. */
    struct lock lock; /* RANK_DEVICE: guards state. */
    struct vpm_state state;
    struct alarm alarm;
    bool paused;
    uint64_t zero; /* Ticks at which its clock would have begun, */
    uint64_t base; /* if it did not come from a snapshot, so many cycles on. */
    /* The guest turns itself off. Set by the VM; called without the lock. */
    void (*power_off)(struct vpm *pm);
};

/* home: a pCPU of the guest's. */
void vpm_init(struct vpm *pm, uint64_t base, uint32_t irq, unsigned home);
/*
 * Its clock stands still, or goes on with paused_ticks in all left out. Between the two no register
 * is accessed.
 */
void vpm_set_paused(struct vpm *pm, bool paused, uint64_t paused_ticks);
/* As alarm_stop(). */
void vpm_stop(struct vpm *pm);
