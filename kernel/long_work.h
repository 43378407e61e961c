/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that takes long, in pieces of 0.2 ms, each of them work on one pCPU. In between that pCPU
 * takes its interrupts and runs its entities: the next piece comes at once while none of them wants
 * to run, else after a pause that leaves them their part of the time.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/ipi.h"
#include "kernel/timer.h"

struct long_work {
    /*
     * Does a little. E_BUSY: there is more to do. Else that was all, this is how it ended, and the
     * object is not touched any more: it may be gone, or have begun anew. Interrupts masked, no
     * locks held.
     */
    enum err (*step)(struct long_work *work);
    unsigned cpu;
    unsigned others; /* What entities get for each part of the time that it takes. */
    struct work piece;
    struct timer pause;
};

void long_work_init(struct long_work *work, unsigned cpu, unsigned others);
/*
 * It is not under way. The first piece is done here, by work on any pCPU. What the last step said,
 * or OK while there is more to do.
 */
enum err long_work_begin(struct long_work *work, enum err (*step)(struct long_work *work));
/* The same with the first piece on its pCPU, later. Any context. */
void long_work_queue(struct long_work *work, enum err (*step)(struct long_work *work));
