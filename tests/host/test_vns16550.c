/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's 16550, by the register sequences that Linux's driver and firmware use. */
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/chips/vns16550.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct vns16550 uart;
static bool irq_level;

static void on_irq(struct vdev *dev, bool level)
{
    ASSERT(dev == &uart.vdev && level != irq_level);
    ASSERT(this_cpu()->ranks_held & BIT(RANK_DEVICE)); /* So that changes arrive in order. */
    irq_level = level;
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)uart.vdev.ops->read(&uart.vdev, 0, reg, 1);
}

static void set(uint64_t reg, uint32_t value)
{
    uart.vdev.ops->write(&uart.vdev, 0, reg, 1, value);
}

static void type(const char *text)
{
    for (; *text; text++)
        uart.port.input(&uart.port, *text);
}

static void start(void)
{
    console_init(NULL);
    vns16550_init(&uart, 0x10000000, 10);
    uart.vdev.set_irq = on_irq;
    irq_level = false;
}

TEST(a_16550_starts_as_the_data_sheet_says)
{
    start();
    ASSERT_EQ(get(IIR), 0x01);
    ASSERT_EQ(get(LSR), 0x60);
    ASSERT_EQ(get(MSR), 0xb0);
    ASSERT_EQ(get(IER) | get(LCR) | get(SCR) | get(RBR), 0);
    ASSERT_EQ(get(8) | get(0xff), 0);
}

TEST(a_16550_is_told_from_its_ancestors_as_linux_does)
{
    start();
    set(IER, 0xff);
    ASSERT_EQ(get(IER), 0x0f);
    set(IER, 0);
    set(MCR, 0x1a); /* Loopback, OUT2, RTS. */
    ASSERT_EQ(get(MSR) & 0xf0, 0x90);
    set(MCR, 0x08);
    set(LCR, 0xbf);
    set(LCR, 0);
    set(IIR, 1);
    ASSERT_EQ(get(IIR) >> 6, 3);
    set(IIR, 0);
    ASSERT_EQ(get(IIR) >> 6, 0);
    set(SCR, 0xa5);
    ASSERT_EQ(get(SCR), 0xa5);
    set(LCR, 0x83);
    set(RBR, 0x34);
    set(IER, 0x12);
    ASSERT_EQ(get(RBR) | get(IER) << 8, 0x1234);
    set(LCR, 0x03);
    ASSERT_EQ(get(IER), 0);
}

TEST(characters_typed_raise_the_timeout_then_the_trigger)
{
    start();
    set(IIR, 0x41); /* FIFO, trigger at 4. */
    set(IER, 1);
    type("a");
    ASSERT(irq_level);
    ASSERT_EQ(get(IIR), 0xcc);
    ASSERT_EQ(get(LSR), 0x61);
    type("bcd");
    ASSERT_EQ(get(IIR), 0xc4);
    for (const char *c = "abcd"; *c; c++)
        ASSERT_EQ(get(RBR), (uint32_t)*c);
    ASSERT(!irq_level);
    ASSERT_EQ(get(IIR), 0xc1);
    ASSERT_EQ(get(LSR), 0x60);
    ASSERT_EQ(get(RBR), 0);
}

TEST(a_16550_without_fifo_gives_one_character_after_the_other)
{
    start();
    set(IER, 1);
    type("xyz");
    ASSERT_EQ(get(IIR), 0x04);
    ASSERT_EQ(get(RBR), 'x');
    ASSERT(irq_level);
    ASSERT_EQ(get(RBR), 'y');
    ASSERT_EQ(get(RBR), 'z');
    ASSERT(!irq_level);
}

TEST(a_paste_into_a_16550_is_kept_behind_the_fifo)
{
    start();
    set(IIR, 0x81);
    for (unsigned i = 0; i < VNS16550_QUEUE; i++)
        uart.port.input(&uart.port, (char)(i % 251));
    ASSERT_EQ(uart.state.fifo_count, 16);
    for (unsigned i = 0; i < VNS16550_QUEUE; i++)
        ASSERT_EQ(get(RBR), i % 251);
    ASSERT_EQ(get(LSR), 0x60);
}

TEST(a_lost_character_is_told_once)
{
    start();
    set(IER, 4);
    for (unsigned i = 0; i < VNS16550_QUEUE; i++)
        type("x");
    ASSERT(!irq_level);
    type("y");
    ASSERT(irq_level);
    ASSERT_EQ(get(IIR), 0x06);
    ASSERT_EQ(get(LSR), 0x63);
    ASSERT(!irq_level);
    ASSERT_EQ(get(LSR), 0x61);
}

TEST(the_transmit_interrupt_is_raised_by_enabling_and_by_sending)
{
    start();
    set(IER, 2);
    ASSERT(irq_level);
    ASSERT_EQ(get(IIR), 0x02);
    ASSERT(!irq_level); /* Reading took it back. */
    ASSERT_EQ(get(IIR), 0x01);
    set(RBR, 'x');
    ASSERT(irq_level);
    set(IER, 0);
    ASSERT(!irq_level);
    set(IER, 3);
    type("r");
    ASSERT_EQ(get(IIR), 0x04); /* More urgent; the other one stays. */
    (void)get(RBR);
    ASSERT_EQ(get(IIR), 0x02);
}

TEST(a_16550_in_loopback_hears_itself_only)
{
    start();
    set(IIR, 1);
    set(MCR, 0x10);
    type("lost");
    set(RBR, 'q');
    ASSERT_EQ(get(RBR), 'q');
    ASSERT_EQ(get(LSR), 0x60);
    set(IER, 8);
    set(MCR, 0x13);
    ASSERT_EQ(get(IIR), 0xc0); /* The modem's lines changed. */
    ASSERT_EQ(get(MSR) & 0x30, 0x30);
    ASSERT_EQ(get(IIR), 0xc1);
}

TEST(turning_the_fifo_on_or_clearing_it_loses_what_is_in_it)
{
    start();
    type("abc");
    set(IIR, 1); /* "a" was in the holding register. */
    ASSERT_EQ(get(RBR), 'b');
    set(IIR, 3);
    ASSERT_EQ(get(LSR), 0x60);
    type("d");
    set(IIR, 1); /* No change. */
    ASSERT_EQ(get(RBR), 'd');
}

TEST(a_firmware_console_takes_from_the_same_queue)
{
    start();
    ASSERT_EQ(vns16550_take(&uart), -1);
    type("ab");
    ASSERT_EQ(vns16550_take(&uart), 'a');
    ASSERT_EQ(get(RBR), 'b');
}

TEST(a_16550_never_leaves_its_bounds)
{
    start();
    for (unsigned i = 0; i < 50000; i++) {
        uint64_t reg = test_random_below(test_random_below(4) ? 8 : 256);

        if (test_random_below(3) == 0)
            type("t");
        else if (test_random_below(2))
            (void)get(reg);
        else
            set(reg, (uint32_t)test_random());
        ASSERT(uart.state.fifo_count <= 16 && uart.state.queue_count <= VNS16550_QUEUE);
        ASSERT_EQ(uart.state.level, irq_level);
    }
    uart.vdev.ops->reset(&uart.vdev);
    ASSERT(!irq_level);
}
