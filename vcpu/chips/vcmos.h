/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real-time clock of a PC with its 128 bytes of CMOS memory, at ports 0x70 (index) and 0x71
 * (data): an MC146818 with the century in byte 0x32, as FADT tells. [Motorola MC146818A data sheet]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"

#define VCMOS_SIZE    2u
#define VCMOS_BYTES   128u
#define VCMOS_CENTURY 0x32u

struct vcmos_time {
    uint32_t year; /* In full. */
    uint8_t month, day, hour, minute, second;
    uint8_t weekday; /* 1: Sunday. */
};

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vcmos_state {
    /* Unix time = seconds + (nanoseconds of arch_ticks() + phase) / 10^9. */
    int64_t seconds;
    uint32_t phase;
    struct vcmos_time held; /* What the registers say while the clock stands. */
    int64_t seen;           /* The second at the last look, */
    int64_t alarm_at;       /* the next one in which the alarm's registers match; */
    uint64_t tick;          /* and the periodic interrupt's number. */
    uint8_t index;
    uint8_t a, b, flags;        /* Registers A, B, C without the bits that follow from others. */
    uint8_t bytes[VCMOS_BYTES]; /* Memory, and the alarm's registers as written. */
    bool level;                 /* Of the interrupt wire. */
};

struct vcmos {
    struct vdev vdev;
    struct lock lock; /* RANK_DEVICE: guards state. */
    struct vcmos_state state;
    struct alarm alarm;
    int64_t epoch; /* What `seconds` is where no guest has set the clock. */
};

/* home: a pCPU of the guest's. epoch: Unix time at arch_ticks() == 0; 0 when unknown. */
void vcmos_init(struct vcmos *cmos, uint64_t base, uint32_t irq, uint64_t epoch, unsigned home);
/* As alarm_stop(). */
void vcmos_stop(struct vcmos *cmos);
/*
 * What a PC's firmware leaves there, and other firmware reads: the size of memory, in KiB below
 * 1 MiB and above (twice), in 64 KiB above 16 MiB, and, as QEMU has it, in 64 KiB above 4 GiB. low,
 * high: bytes below and above 4 GiB. After a reset.
 */
void vcmos_set_memory(struct vcmos *cmos, uint64_t low, uint64_t high);
