/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's PL011, by the register sequences that Linux's driver and small guests use. */
#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/chips/vpl011.h"

#define DR      0x000
#define RSR     0x004
#define FR      0x018
#define IBRD    0x024
#define FBRD    0x028
#define LCR_H   0x02c
#define CR      0x030
#define IFLS    0x034
#define IMSC    0x038
#define RIS     0x03c
#define MIS     0x040
#define ICR     0x044

#define FR_RXFF BIT(6)
#define FR_RXFE BIT(4)
#define INT_OE  BIT(10)
#define INT_RT  BIT(6)
#define INT_TX  BIT(5)
#define INT_RX  BIT(4)

static struct vpl011 uart;
static unsigned irq_changes;
static bool irq_level;

static void on_irq(struct vdev *dev, bool level)
{
    ASSERT(dev == &uart.vdev && level != irq_level);
    ASSERT(this_cpu()->ranks_held & BIT(RANK_DEVICE)); /* So that changes arrive in order. */
    irq_level = level;
    irq_changes++;
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)uart.vdev.ops->read(&uart.vdev, 0, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
    uart.vdev.ops->write(&uart.vdev, 0, reg, 4, value);
}

static void type(const char *text)
{
    for (; *text; text++)
        vpl011_receive(&uart, (uint8_t)*text);
}

static void start(void)
{
    console_init(NULL);
    vpl011_init(&uart, 0x9000000, 33);
    uart.vdev.set_irq = on_irq;
    irq_changes = 0;
    irq_level = false;
}

/* What amba-pl011.c writes when a terminal is opened. */
static void start_as_linux(void)
{
    start();
    set(ICR, 0x7f0);
    set(IFLS, 2 << 3 | 0); /* Receive at half, transmit at an eighth. */
    set(IBRD, 13);
    set(FBRD, 1);
    set(LCR_H, 0x70);
    set(CR, BIT(0) | BIT(8) | BIT(9));
    set(ICR, INT_RT | INT_RX);
    while (!(get(FR) & FR_RXFE))
        get(DR);
    set(IMSC, INT_RT | INT_RX);
}

TEST(a_pl011_starts_as_the_manual_says)
{
    static const uint8_t id[8] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

    start();
    ASSERT_EQ(get(FR), 0x97);
    ASSERT_EQ(get(CR), 0x300);
    ASSERT_EQ(get(IFLS), 0x12);
    ASSERT_EQ(get(IMSC) | get(RIS) | get(LCR_H), 0);
    for (unsigned i = 0; i < 8; i++)
        ASSERT_EQ(get(0xfe0 + 4 * i), id[i]);
    ASSERT_EQ(get(0xfdc), 0);
}

TEST(a_pl011_keeps_only_the_bits_that_registers_have)
{
    start();
    for (uint64_t reg = 0; reg < VPL011_SIZE; reg += 4) {
        if (reg != DR && reg != LCR_H)
            set(reg, UINT32_MAX);
    }
    ASSERT_EQ(get(IBRD), 0xffff);
    ASSERT_EQ(get(FBRD), 0x3f);
    ASSERT_EQ(get(CR), 0xff87);
    ASSERT_EQ(get(IFLS), 0x3f);
    ASSERT_EQ(get(IMSC), 0x7ff);
    ASSERT_EQ(get(FR), 0x97);
    ASSERT_EQ(get(RIS), 0);
}

TEST(every_access_to_a_pl011_of_any_width_is_harmless)
{
    start();
    for (unsigned i = 0; i < 100000; i++) {
        unsigned width = 1u << test_random_below(4);
        uint64_t reg = ALIGN_DOWN(test_random_below(VPL011_SIZE), width);

        if (test_random_below(2))
            uart.vdev.ops->write(&uart.vdev, 0, reg, width, test_random());
        else
            uart.vdev.ops->read(&uart.vdev, 0, reg, width);
        if (test_random_below(4) == 0)
            vpl011_receive(&uart, (uint8_t)i);
        ASSERT(uart.state.fifo_count <= VPL011_FIFO);
        ASSERT(uart.state.fifo_count <= uart.state.queue_count);
        ASSERT_EQ(irq_level, (uart.state.ris & uart.state.imsc) != 0);
    }
}

TEST(linux_is_interrupted_for_one_character_and_gets_it)
{
    start_as_linux();
    ASSERT(!irq_level);
    type("x");
    ASSERT(irq_level);
    ASSERT_EQ(get(RIS), INT_RT); /* Below the trigger: the timeout. */
    ASSERT_EQ(get(FR) & FR_RXFE, 0);
    ASSERT_EQ(get(DR), 'x');
    ASSERT(!irq_level);
    ASSERT_EQ(irq_changes, 2);
    ASSERT_EQ(get(FR) & FR_RXFE, FR_RXFE);
}

TEST(the_receive_interrupt_comes_at_the_trigger_level_and_goes_below_it)
{
    start_as_linux();
    type("1234567");
    ASSERT_EQ(get(RIS) & INT_RX, 0);
    type("8");
    ASSERT_EQ(get(RIS) & INT_RX, INT_RX);
    get(DR);
    ASSERT_EQ(get(RIS) & INT_RX, 0);
    ASSERT(irq_level); /* The timeout: characters remain. */
}

TEST(a_paste_longer_than_the_fifo_arrives_whole)
{
    start_as_linux();
    for (unsigned i = 0; i < 1000; i++)
        vpl011_receive(&uart, (uint8_t)(i * 7));
    ASSERT_EQ(get(FR) & FR_RXFF, FR_RXFF);
    for (unsigned i = 0; i < 1000; i++) {
        ASSERT(irq_level);
        ASSERT_EQ(get(DR), (uint8_t)(i * 7));
    }
    ASSERT(!irq_level);
}

TEST(an_overrun_is_reported_with_a_character_and_forgotten)
{
    start_as_linux();
    for (unsigned i = 0; i < VPL011_QUEUE + 1; i++)
        vpl011_receive(&uart, 'a');
    ASSERT_EQ(get(RIS) & INT_OE, INT_OE);
    ASSERT_EQ(get(DR), BIT(11) | 'a');
    ASSERT_EQ(get(RSR), BIT(3));
    set(RSR, 0);
    ASSERT_EQ(get(RSR), 0);
    ASSERT_EQ(get(DR), 'a');
    set(ICR, INT_OE);
    ASSERT_EQ(get(RIS) & INT_OE, 0);
}

TEST(without_fifos_there_is_room_for_one_character)
{
    start();
    set(IMSC, INT_RX);
    type("ab");
    ASSERT_EQ(get(FR) & FR_RXFF, FR_RXFF);
    ASSERT(irq_level);
    ASSERT_EQ(get(DR), 'a');
    ASSERT(irq_level); /* The next one followed. */
    ASSERT_EQ(get(DR), 'b');
    ASSERT(!irq_level);
}

TEST(turning_the_fifos_off_loses_nothing)
{
    start_as_linux();
    type("abc");
    set(LCR_H, 0x60);
    ASSERT_EQ(uart.state.fifo_count, 1);
    set(LCR_H, 0x70);
    ASSERT_EQ(get(DR), 'a');
    ASSERT_EQ(get(DR), 'b');
    ASSERT_EQ(get(DR), 'c');
}

TEST(sending_raises_the_transmit_interrupt_until_it_is_cleared)
{
    start_as_linux();
    set(DR, 'x');
    ASSERT(!irq_level);
    set(IMSC, INT_RT | INT_RX | INT_TX);
    ASSERT(irq_level);
    ASSERT_EQ(get(MIS), INT_TX);
    set(ICR, INT_TX);
    ASSERT(!irq_level);
    set(DR, 'y');
    ASSERT(irq_level);
    set(IMSC, INT_RT | INT_RX);
    ASSERT(!irq_level);
    ASSERT_EQ(get(RIS), INT_TX);
}

TEST(loopback_sends_to_the_receiver)
{
    start_as_linux();
    set(CR, BIT(0) | BIT(7) | BIT(8) | BIT(9));
    set(DR, 'q');
    ASSERT_EQ(get(DR), 'q');
}

TEST(a_reset_drops_the_interrupt_and_what_was_typed)
{
    start_as_linux();
    type("abc");
    ASSERT(irq_level);
    uart.vdev.ops->reset(&uart.vdev);
    ASSERT(!irq_level);
    ASSERT_EQ(get(FR), 0x97);
    ASSERT_EQ(get(IMSC), 0);
}

TEST(what_the_guest_sends_reaches_its_console)
{
    fake_ram(4 * MIB);
    start();
    ASSERT_OK(console_add(&uart.port, "guest"));
    set(DR, 'h');
    set(DR, 'i');
    ASSERT_EQ(uart.port.written, 2);
    ASSERT(memcmp(uart.port.backlog, "hi", 2) == 0);
    console_focus(&uart.port);
    console_type('x');
    ASSERT_EQ(get(DR), 'x');
    console_remove(&uart.port);
}
