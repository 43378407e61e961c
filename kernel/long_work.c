/* SPDX-License-Identifier: Apache-2.0 */
/* Work in pieces; see long_work.h. It is in one place: running, or `piece` queued, or `pause`
 * armed. */
#include "kernel/long_work.h"

#include "kernel/arch.h"
#include "kernel/assert.h"
#include "kernel/irq.h"
#include "kernel/percpu.h"

#define PIECE_NS 200000u /* At least, if so much is left; and at most a step more. */

static enum err piece_do(struct long_work *work)
{
    uint64_t start = arch_ticks(), took;
    enum err err;

    while ((err = work->step(work)) == E_BUSY) {
        took = arch_ticks() - start;
        if (took < ticks_from_ns(PIECE_NS))
            continue;
        irq_handle(); /* Whom a timer woke meanwhile is one who wants to run. */
        if (this_cpu()->id == work->cpu)
            timer_arm(&work->pause, arch_ticks() + sched_work_pause(took, work->others));
        else
            ipi_work(work->cpu, &work->piece); /* It may be under way there from here on. */
        return OK;
    }
    return err;
}

static void piece_run(struct work *piece)
{
    err_ignore(piece_do(container_of(piece, struct long_work, piece))); /* Nobody waits for it. */
}

/* In an interrupt. */
static void pause_over(struct timer *timer)
{
    struct long_work *work = container_of(timer, struct long_work, pause);

    ipi_work(work->cpu, &work->piece);
}

void long_work_init(struct long_work *work, unsigned cpu, unsigned others)
{
    work->cpu = cpu;
    work->others = others;
    work->piece.fn = piece_run;
    timer_init(&work->pause, pause_over);
}

enum err long_work_begin(struct long_work *work, enum err (*step)(struct long_work *work))
{
    assert(!work->pause.armed);
    work->step = step;
    return piece_do(work);
}

void long_work_queue(struct long_work *work, enum err (*step)(struct long_work *work))
{
    assert(!work->pause.armed);
    work->step = step;
    ipi_work(work->cpu, &work->piece);
}
