/* SPDX-License-Identifier: Apache-2.0 */
/* The host's UART drivers, on registers that are plain memory. */
#include "drivers/uart.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/fake/fake.h"
#include "tests/host/test.h"

static _Alignas(8) uint8_t regs[4096];
static struct chardev dev;

static uint32_t reg(unsigned offset)
{
    return *(volatile uint32_t *)&regs[offset];
}

static void set(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)&regs[offset] = value;
}

static struct chardev *open(enum platform_uart kind, uint32_t irq, uint32_t shift)
{
    struct platform p = {
        .uart = kind, .uart_base = 0x1000, .uart_irq = irq, .uart_reg_shift = shift};

    return uart_open(&dev, regs, &p);
}

TEST(an_unknown_uart_has_no_driver)
{
    ASSERT(open(UART_NONE, 0, 0) == NULL);
    ASSERT(uart_driver_find(UART_NONE) == NULL);
}

TEST(without_a_uart_the_console_is_that_of_the_firmware_if_it_has_one)
{
    ASSERT(firmware_console_open(&dev) == NULL);
    fake.console = true;
    fake.console_input = "\xff"
                         "y";
    ASSERT(firmware_console_open(&dev) == &dev);
    ASSERT_EQ(dev.irq, 0);
    dev.write(&dev, "ab", 2);
    dev.write(&dev, "c", 1);
    ASSERT_STR(fake.console_output, "abc");
    ASSERT_EQ(dev.read(&dev), 0xff);
    ASSERT_EQ(dev.read(&dev), 'y');
    ASSERT_EQ(dev.read(&dev), -1);
}

TEST(opening_a_pl011_turns_it_on_and_keeps_the_baud_rate)
{
    memset(regs, 0, sizeof(regs));
    set(0x24, 13); /* IBRD, FBRD: the firmware's. */
    set(0x28, 1);
    set(0x30, 0xc000); /* CR: flow control by the firmware. */
    set(0x38, 0x7ff);  /* IMSC: the firmware's interrupts. */
    ASSERT(open(UART_PL011, 40, 0) == &dev);
    ASSERT_EQ(reg(0x24), 13);
    ASSERT_EQ(reg(0x28), 1);
    ASSERT_EQ(reg(0x2c), 0x70);
    ASSERT_EQ(reg(0x30), 0xc301);
    ASSERT_EQ(reg(0x38), 0);
    ASSERT_EQ(reg(0x44), 0x7ff);
    ASSERT_EQ(dev.irq, 40);
}

TEST(a_pl011_writes_and_reads_characters)
{
    memset(regs, 0, sizeof(regs));
    open(UART_PL011, 0, 0);
    dev.write(&dev, "ab", 2);
    ASSERT_EQ(reg(0), 'b');
    set(0, 0xf00 | 'c'); /* With error bits. */
    ASSERT_EQ(dev.read(&dev), 'c');
    set(0x18, BIT(4)); /* FR: empty. */
    ASSERT_EQ(dev.read(&dev), -1);
}

TEST(a_uart_that_never_has_room_does_not_hang_us)
{
    memset(regs, 0, sizeof(regs));
    open(UART_PL011, 0, 0);
    set(0x18, BIT(5)); /* FR: full for ever. */
    set(0, 0);
    for (unsigned i = 0; i < 10000; i++)
        dev.write(&dev, "hello", 5); /* Only the first one is waited for. */
    ASSERT_EQ(reg(0), 0);
    set(0x18, 0);
    dev.write(&dev, "x", 1);
    ASSERT_EQ(reg(0), 'x');
    ASSERT(!dev.stuck);
}

TEST(the_receive_interrupt_of_a_uart_is_turned_on_once_it_is_asked_for)
{
    memset(regs, 0, sizeof(regs));
    open(UART_PL011, 901, 0);
    ASSERT(!fake.irq_enabled[901]);
    dev.set_rx_irq(&dev, true);
    ASSERT(fake.irq_enabled[901]);
    ASSERT_EQ(reg(0x38), BIT(6) | BIT(4));
    dev.set_rx_irq(&dev, false);
    ASSERT_EQ(reg(0x38), 0);
    open(UART_PL011, 901, 0); /* Somebody has it already. */
    dev.set_rx_irq(&dev, true);
    ASSERT_EQ(dev.irq, 0);
    ASSERT_EQ(reg(0x38), 0);
}

TEST(a_16550_has_its_registers_where_the_shift_says)
{
    memset(regs, 0, sizeof(regs));
    regs[5] = 0x21; /* LSR: empty, and a character is there. */
    open(UART_16550, 0, 0);
    ASSERT_EQ(regs[2], 0x87);
    ASSERT_EQ(regs[3], 0x03);
    dev.write(&dev, "a long line of text", 19);
    ASSERT_EQ(regs[0], 't');
    ASSERT_EQ(dev.read(&dev), 't');

    memset(regs, 0, sizeof(regs));
    set(5 << 2, 0x60);
    open(UART_16550, 0, 2);
    ASSERT_EQ(reg(2 << 2), 0x87);
    ASSERT_EQ(reg(4 << 2), 0x0b);
    dev.write(&dev, "z", 1);
    ASSERT_EQ(reg(0), 'z');
    ASSERT_EQ(dev.read(&dev), -1);
}
