/* SPDX-License-Identifier: Apache-2.0 */
/* Work in pieces, on one pCPU, between which entities run. */
#include "kernel/irq.h"
#include "kernel/long_work.h"
#include "tests/host/vm_rig.h"

#define STEP_NS  60000u        /* What a step takes. */
#define PIECE_NS (4 * STEP_NS) /* The first that ends behind 0.2 ms. */
#define STEPS    10u           /* Two pieces of four, and one of two. */
#define FAKE_IRQ 77u

static struct long_work work;
static unsigned steps, step_cpu;

static enum err step(struct long_work *of)
{
    ASSERT(of == &work);
    fake_advance(STEP_NS);
    step_cpu = this_cpu()->id;
    return ++steps < STEPS ? E_BUSY : E_RANGE;
}

/* On pCPU 1, where a guest runs that never waits, or nobody. */
static void prepare(unsigned others, bool busy)
{
    rig_start();
    if (busy) {
        ASSERT_OK(vm_start(rig_vm("near", 1, 1)));
        rig_turns(2);
    }
    steps = 0;
    work = (struct long_work){};
    long_work_init(&work, 1, others);
}

TEST(long_work_leaves_its_part_to_who_wants_to_run)
{
    for (unsigned others = 1; others <= 9; others += 8) {
        prepare(others, true);
        long_work_queue(&work, step);
        rig_turn(1);
        ASSERT_EQ(steps, 4);
        rig_advance(others * PIECE_NS - 1);
        rig_turn(1);
        ASSERT_EQ(steps, 4);
        rig_advance(1);
        rig_turn(1);
        ASSERT_EQ(steps, 8);
        rig_end();
    }
}

TEST(long_work_goes_on_at_once_where_nobody_wants_to_run)
{
    prepare(9, false);
    fake_be_cpu(1);
    ASSERT_OK(long_work_begin(&work, step));
    fake_be_cpu(0);
    for (unsigned done = 4; done < STEPS; done = steps) {
        ASSERT_EQ(steps, done);
        rig_advance(0);
        rig_turn(1);
        ASSERT(steps > done);
    }
    ASSERT_EQ(steps, STEPS);
    rig_advance(RIG_MS);
    rig_turns(2);
    ASSERT_EQ(steps, STEPS); /* It has ended. */
    rig_end();
}

static struct sched_entity woken;

static void woken_run(struct sched_entity *entity)
{
    (void)sched_block(entity);
}

static enum irq_result wake_irq([[maybe_unused]] uint32_t irq, [[maybe_unused]] void *arg)
{
    sched_wake(&woken);
    return IRQ_DONE;
}

TEST(long_work_leaves_its_part_to_whom_an_interrupt_woke_during_a_piece)
{
    prepare(9, false);
    woken = (struct sched_entity){.run = woken_run};
    sched_add(&woken, 1, 0);
    ASSERT_OK(irq_attach(FAKE_IRQ, IRQ_EDGE, wake_irq, NULL));
    fake.irqs[0] = FAKE_IRQ;
    fake.irq_count = 1;
    fake_be_cpu(1);
    ASSERT_OK(long_work_begin(&work, step));
    rig_advance(9 * PIECE_NS - 1);
    rig_turn(1);
    ASSERT_EQ(steps, 4);
    rig_advance(1);
    rig_turn(1);
    ASSERT_EQ(steps, 8);
    rig_end();
}

TEST(long_work_is_begun_anywhere_and_goes_on_at_its_pcpu)
{
    prepare(1, false);
    ASSERT_OK(long_work_begin(&work, step));
    ASSERT_EQ(step_cpu, 0);
    rig_turns(1);
    ASSERT_EQ(steps, 8);
    ASSERT_EQ(step_cpu, 1);
    rig_advance(0);
    rig_turns(1);
    ASSERT_EQ(steps, STEPS);
    steps = STEPS - 2; /* What is over within a piece says how it ended. */
    ASSERT_ERR(E_RANGE, long_work_begin(&work, step));
    rig_end();
}
