/* SPDX-License-Identifier: Apache-2.0 */
/* The table of host interrupts. It is never emptied, so each test has numbers of its own. */
#include <string.h>

#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"

static unsigned taken;
static uint32_t taken_irq;
static void *taken_arg;

static enum irq_result done(uint32_t irq, void *arg)
{
    taken++;
    taken_irq = irq;
    taken_arg = arg;
    return IRQ_DONE;
}

static enum irq_result keep(uint32_t irq, void *arg)
{
    done(irq, arg);
    return IRQ_KEEP;
}

TEST(an_attached_interrupt_is_enabled_and_reaches_its_handler)
{
    int arg;

    taken = 0;
    ASSERT_OK(irq_attach(100, IRQ_EDGE, done, &arg));
    ASSERT(fake.irq_enabled[100] && fake.irq_is_edge[100]);
    fake_irq_raise(100);
    irq_handle();
    ASSERT_EQ(taken, 1);
    ASSERT_EQ(taken_irq, 100);
    ASSERT_EQ(taken_arg, &arg);
    ASSERT_EQ(fake.irq_ends, 1);
    ASSERT_EQ(fake.irq_keeps, 0);
}

TEST(a_kept_interrupt_stays_active)
{
    ASSERT_OK(irq_attach(101, IRQ_LEVEL, keep, NULL));
    ASSERT(!fake.irq_is_edge[101]);
    fake_irq_raise(101);
    irq_handle();
    ASSERT_EQ(fake.irq_keeps, 1);
    ASSERT_EQ(fake.irq_ends, 0);
}

TEST(pending_interrupts_are_handled_one_a_call_and_none_is_lost)
{
    taken = 0;
    ASSERT_OK(irq_attach(102, IRQ_LEVEL, done, NULL));
    ASSERT_OK(irq_attach(1023, IRQ_LEVEL, done, NULL));
    fake_irq_raise(102);
    fake_irq_raise(1023);
    fake_irq_raise(102);
    for (int i = 1; i <= 3; i++) {
        irq_handle();
        ASSERT_EQ(taken, i);
    }
    irq_handle(); /* Nothing is left. */
    ASSERT_EQ(taken, 3);
    ASSERT_EQ(fake.irq_ends, 3);
}

TEST(an_interrupt_has_one_handler)
{
    ASSERT_OK(irq_attach(103, IRQ_LEVEL, done, NULL));
    ASSERT_ERR(E_EXISTS, irq_attach(103, IRQ_LEVEL, keep, NULL));
    ASSERT_ERR(E_RANGE, irq_attach(IRQS_MAX, IRQ_LEVEL, done, NULL));
}

static char console[1024];

static void console_put(const char *text, size_t size)
{
    strncat(console, text, size);
}

TEST(an_unclaimed_interrupt_is_counted_and_told_once)
{
    uint64_t before = irq_unclaimed_count();

    log_attach(console_put);
    console[0] = 0;
    for (unsigned i = 0; i < 3; i++) {
        fake_irq_raise(104);
        fake_irq_raise(IRQS_MAX + 7);
        irq_handle();
        irq_handle();
    }
    ASSERT_EQ(irq_unclaimed_count(), before + 6);
    ASSERT_EQ(fake.irq_ends, 6);
    ASSERT(strstr(console, "interrupt 104"));
    ASSERT(!strstr(strstr(console, "interrupt 104") + 1, "interrupt 104"));
    ASSERT(!strstr(strstr(console, "interrupt 1031") + 1, "interrupt 1031"));
}

TEST(a_secondary_enables_what_was_attached_for_every_processor)
{
    ASSERT_OK(irq_attach(20, IRQ_EDGE, done, NULL));
    ASSERT_OK(irq_attach(105, IRQ_LEVEL, done, NULL));
    memset(fake.irq_enabled, 0, sizeof(fake.irq_enabled));
    memset(fake.irq_is_edge, 0, sizeof(fake.irq_is_edge));
    fake_be_cpu(1);
    irq_init_cpu();
    ASSERT(fake.irq_enabled[20] && fake.irq_is_edge[20]);
    ASSERT(!fake.irq_enabled[105]);
    ASSERT(!fake.irq_enabled[21]);
}
