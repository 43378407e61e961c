/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interval timer of a PC: an 8254 with its three counters, and port 0x61, which gates counter 2
 * and shows its output: what an x86 guest calibrates its clocks by. Counter 0 interrupts.
 * [Intel 8254 data sheet, September 1993; ICH9 data sheet, "NMI Status and Control Register"]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/bus.h"
#include "vcpu/chips/alarm.h"

#define VPIT_HZ           1193182u
#define VPIT_SIZE         4u
#define VPIT_SPEAKER_SIZE 1u
#define VPIT_COUNTERS     3u
/* Counter 0 interrupts no more often than each so many cycles (100 us): faster ones are merged. */
#define VPIT_CYCLES_MIN   119u

enum vpit_phase {
    VPIT_IDLE,    /* No count, or none triggered. */
    VPIT_PAUSED,  /* By its gate; after `start` cycles. */
    VPIT_RUNNING, /* Since cycle `start`. */
};

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. */
struct vpit_state {
    struct vpit_counter {
        uint8_t mode, access;
        bool bcd, gate;
        bool loaded; /* A count was written since the mode was. */
        enum vpit_phase phase;
        uint64_t start;
        uint32_t count;     /* 1 to 65536. */
        uint32_t next;      /* The count after this one; 0: the same. */
        uint64_t next_from; /* Modes 2 and 3: the cycle from which it counts. */
        uint8_t low;        /* The half that was written first; */
        bool low_written;
        bool low_read;
        uint8_t latched; /* Bytes of latch that wait to be read. */
        uint16_t latch;
        bool status_latched;
        uint8_t status;
    } counters[VPIT_COUNTERS];
    uint64_t edge; /* The cycle in which counter 0's output rises next; UINT64_MAX: never. */
    bool speaker;
    bool level; /* Of the interrupt wire. */
};

struct vpit {
    struct vdev vdev, speaker; /* Both to be put on the bus of ports. */
    struct lock lock;          /* RANK_DEVICE: guards state. */
    struct vpit_state state;
    struct alarm alarm;
    bool paused;
    uint64_t zero; /* Ticks at which its clock would have begun, */
    uint64_t base; /* if it did not come from a snapshot, so many cycles on. */
};

/* home: a pCPU of the guest's. The interrupt is the one of pit->vdev. */
void vpit_init(struct vpit *pit, uint64_t base, uint64_t speaker, uint32_t irq, unsigned home);
/*
 * Its clock stands still, or goes on with paused_ticks in all left out. Between the two no register
 * is accessed.
 */
void vpit_set_paused(struct vpit *pit, bool paused, uint64_t paused_ticks);
/* As alarm_stop(). */
void vpit_stop(struct vpit *pit);
