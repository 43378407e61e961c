/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One 8259A interrupt controller to which nothing is wired. A PC has two; operating systems look
 * whether their mask registers hold what is written, and mask all. Interrupts come by the APICs.
 * [Intel 8259A data sheet, December 1988]
 */
#pragma once

#include "vcpu/bus.h"

#define VPIC_SIZE 2u

struct vpic {
    struct vdev vdev;
    /* All that a guest can observe; no pointers. Each is read and written by itself, without a
     * lock: vCPUs that race with each other find what one of them wrote. */
    struct vpic_state {
        _Atomic uint8_t mask;
        _Atomic uint8_t first; /* ICW1, while the words that it announces are waited for. */
        _Atomic uint8_t word;  /* The next of them: 2 to 4; 0: none, so the mask is written. */
    } state;
};

void vpic_init(struct vpic *pic, uint64_t base);
