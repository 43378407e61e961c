/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that a riscv64 guest sees: Goldfish's, as QEMU's virt has it: nanoseconds since 1970,
 * and an alarm. [Google, "Goldfish virtual hardware" (GOLDFISH-VIRTUAL-HARDWARE.TXT), section on
 * the RTC]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"

#define VGOLDFISH_RTC_SIZE 0x1000u

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vgoldfish_rtc_state {
    uint64_t offset;    /* The time = nanoseconds of arch_ticks() + offset, modulo 2^64. */
    uint64_t match;     /* Of the alarm, in the guest's time. */
    uint32_t time_high; /* As latched by a read of the lower half. */
    uint32_t set_high, alarm_high; /* As written; they count when the lower half is. */
    bool enabled;                  /* The interrupt is. */
    bool running;                  /* The alarm is to come. */
    bool pending;
    bool level; /* Of the interrupt wire. */
};

struct vgoldfish_rtc {
    struct vdev vdev;
    struct lock lock; /* RANK_DEVICE: guards state. */
    struct vgoldfish_rtc_state state;
    uint64_t epoch; /* Nanoseconds since 1970 at arch_ticks() == 0. */
    struct alarm alarm;
};

/* home: a pCPU of the guest's. epoch: Unix time at arch_ticks() == 0; 0 when unknown. */
void vgoldfish_rtc_init(struct vgoldfish_rtc *rtc, uint64_t base, uint32_t irq, uint64_t epoch,
                        unsigned home);
/* As alarm_stop(). */
void vgoldfish_rtc_stop(struct vgoldfish_rtc *rtc);
