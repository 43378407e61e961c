/* SPDX-License-Identifier: Apache-2.0 */
/* UART and clocks of arm64 and riscv64 guests, saved, and loaded into ones that were just made. */
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/chip_rig.h"
#include "tests/host/state_rig.h"
#include "vcpu/chips/vgoldfish_rtc.h"
#include "vcpu/chips/vpl011.h"
#include "vcpu/chips/vpl031.h"

#define UART_DR    0x000
#define UART_RSR   0x004
#define UART_FR    0x018
#define UART_IBRD  0x024
#define UART_LCR_H 0x02c
#define UART_CR    0x030
#define UART_IFLS  0x034
#define UART_IMSC  0x038
#define UART_RIS   0x03c
#define RTC_DR     0x00
#define RTC_MR     0x04
#define RTC_LR     0x08
#define RTC_IMSC   0x10
#define RTC_RIS    0x14

static struct vpl011 uart, other_uart;
static struct vpl031 rtc;
static struct vgoldfish_rtc goldfish;
static struct state_rig rig;

static uint32_t get(struct vdev *dev, uint64_t reg)
{
    return (uint32_t)dev->ops->read(dev, 0, reg, 4);
}

static void set(struct vdev *dev, uint64_t reg, uint32_t value)
{
    dev->ops->write(dev, 0, reg, 4, value);
}

static void save(struct vdev *dev)
{
    state_rig_save(&rig, 0);
    dev->ops->state(dev, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
}

static enum err load(struct vdev *dev)
{
    state_rig_load(&rig, 0);
    dev->ops->state(dev, &rig.state);
    return state_rig_end(&rig);
}

/* However short, it is refused; and whatever byte is changed, the device works on. */
static void load_damaged(struct vdev *dev, void (*use)(struct vdev *dev))
{
    for (size_t limit = 0; limit < rig.size; limit++) {
        rig.limit = limit;
        ASSERT_ERR(E_INVALID, load(dev));
        use(dev);
    }
    rig.limit = rig.size;
    for (size_t i = 0; i < rig.size; i++) {
        uint8_t byte = rig.bytes[i];

        for (unsigned value = 1; value < 256; value = value * 2 + 1) {
            rig.bytes[i] = byte ^ (uint8_t)value;
            err_ignore(load(dev));
            use(dev);
        }
        rig.bytes[i] = byte;
    }
    ASSERT_OK(load(dev));
}

/* --- PL011 --- */

static void start_uart(struct vpl011 *u)
{
    vpl011_init(u, 0x9000000, 33);
    u->vdev.set_irq = on_irq;
}

static void type(struct vpl011 *u, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        vpl011_receive(u, (uint8_t)(i * 7 + 1));
}

static void use_uart(struct vdev *dev)
{
    type(&other_uart, 40);
    for (unsigned i = 0; i < 30; i++)
        get(dev, UART_DR);
    set(dev, UART_LCR_H, 0x70);
    dev->ops->reset(dev);
}

static void start_two_uarts(void)
{
    chip_start();
    console_init(NULL);
    start_uart(&uart);
    set(&uart.vdev, UART_IBRD, 13);
    set(&uart.vdev, UART_LCR_H, 0x70);
    set(&uart.vdev, UART_IFLS, 3 << 3);
    set(&uart.vdev, UART_CR, 0xb01);
    type(&uart, 300);
    for (unsigned i = 0; i < 100; i++)
        get(&uart.vdev, UART_DR);
    set(&uart.vdev, UART_IMSC, BIT(4) | BIT(6));
    save(&uart.vdev);
    irq_level = false; /* The other one's wire. */
    start_uart(&other_uart);
}

TEST(a_pl011_keeps_its_registers_and_what_was_typed)
{
    static const uint64_t registers[] = {UART_RSR,  UART_FR, UART_IBRD, UART_LCR_H,
                                         UART_IFLS, UART_CR, UART_IMSC, UART_RIS};

    start_two_uarts();
    ASSERT_OK(load(&other_uart.vdev));
    ASSERT(irq_level);
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        ASSERT_EQ(get(&other_uart.vdev, registers[i]), get(&uart.vdev, registers[i]));
    for (unsigned i = 100; i < 300; i++)
        ASSERT_EQ(get(&other_uart.vdev, UART_DR), (i * 7 + 1) & 0xff);
    ASSERT(get(&other_uart.vdev, UART_FR) & BIT(4));
    ASSERT(!irq_level);
}

TEST(a_pl011_keeps_a_full_queue_that_goes_round_and_that_it_overran)
{
    start_two_uarts();
    uart.vdev.set_irq = NULL; /* Both are read. */
    type(&uart, VPL011_QUEUE);
    save(&uart.vdev);
    ASSERT_OK(load(&other_uart.vdev));
    for (unsigned i = 0; i < VPL011_QUEUE; i++)
        ASSERT_EQ(get(&other_uart.vdev, UART_DR), get(&uart.vdev, UART_DR));
    ASSERT(get(&other_uart.vdev, UART_FR) & BIT(4));
}

TEST(a_pl011_takes_no_state_that_is_damaged)
{
    start_two_uarts();
    load_damaged(&other_uart.vdev, use_uart);
}

/* --- PL031 --- */

static void start_rtc(uint64_t epoch)
{
    chip_start();
    vpl031_init(&rtc, 0x9010000, 34, epoch, 0);
    rtc.vdev.set_irq = on_irq;
}

static void use_rtc(struct vdev *dev)
{
    get(dev, RTC_DR);
    dev->ops->reset(dev);
}

TEST(a_pl031_goes_on_with_the_wall_clock_as_far_as_it_was_set)
{
    start_rtc(EPOCH);
    fake_advance(10ull * SECOND);
    set(&rtc.vdev, RTC_LR, EPOCH + 1010); /* A thousand seconds ahead. */
    save(&rtc.vdev);
    vpl031_stop(&rtc);
    start_rtc(EPOCH + 5000); /* Later, another start of the machine. */
    ASSERT_OK(load(&rtc.vdev));
    ASSERT_EQ(get(&rtc.vdev, RTC_DR), EPOCH + 6000);
    ASSERT_EQ(get(&rtc.vdev, RTC_LR), EPOCH + 1010);
    vpl031_stop(&rtc);
}

TEST(a_pl031s_alarm_comes_at_its_time_after_a_restore)
{
    start_rtc(EPOCH);
    set(&rtc.vdev, RTC_IMSC, 1);
    set(&rtc.vdev, RTC_MR, EPOCH + 100);
    fake_advance(30ull * SECOND);
    save(&rtc.vdev);
    vpl031_stop(&rtc);
    start_rtc(EPOCH + 60);
    ASSERT_OK(load(&rtc.vdev));
    chip_run(40ull * SECOND - 1);
    ASSERT(!irq_level);
    chip_run(1);
    ASSERT(irq_level);
    ASSERT_EQ(get(&rtc.vdev, RTC_RIS), 1);
    vpl031_stop(&rtc);
}

TEST(a_pl031s_alarm_that_was_due_meanwhile_comes_at_once)
{
    start_rtc(EPOCH);
    set(&rtc.vdev, RTC_IMSC, 1);
    set(&rtc.vdev, RTC_MR, EPOCH + 100);
    save(&rtc.vdev);
    vpl031_stop(&rtc);
    start_rtc(EPOCH + 3600);
    ASSERT_OK(load(&rtc.vdev));
    chip_run(SECOND);
    ASSERT(irq_level);
    ASSERT_EQ(irq_edges, 1);
    vpl031_stop(&rtc);
}

TEST(a_pl031_takes_no_state_that_is_damaged)
{
    start_rtc(EPOCH);
    set(&rtc.vdev, RTC_MR, EPOCH + 100);
    save(&rtc.vdev);
    load_damaged(&rtc.vdev, use_rtc);
    vpl031_stop(&rtc);
}

/* --- Goldfish --- */

static void start_goldfish(uint64_t epoch)
{
    chip_start();
    vgoldfish_rtc_init(&goldfish, 0x101000, 11, epoch, 0);
    goldfish.vdev.set_irq = on_irq;
}

static uint64_t goldfish_time(void)
{
    uint64_t low = get(&goldfish.vdev, 0);

    return (uint64_t)get(&goldfish.vdev, 4) << 32 | low;
}

static void goldfish_alarm(uint64_t at)
{
    set(&goldfish.vdev, 0x10, 1);
    set(&goldfish.vdev, 0x0c, (uint32_t)(at >> 32));
    set(&goldfish.vdev, 0x08, (uint32_t)at);
}

TEST(a_goldfish_clock_goes_on_with_the_wall_clock_and_its_alarm_with_it)
{
    start_goldfish(EPOCH);
    goldfish_alarm((EPOCH + 100) * SECOND);
    fake_advance(30ull * SECOND);
    save(&goldfish.vdev);
    vgoldfish_rtc_stop(&goldfish);
    start_goldfish(EPOCH + 60);
    ASSERT_OK(load(&goldfish.vdev));
    ASSERT_EQ(goldfish_time(), (EPOCH + 60) * SECOND);
    ASSERT_EQ(get(&goldfish.vdev, 0x18), 1);
    chip_run(40ull * SECOND - 1);
    ASSERT(!irq_level);
    chip_run(1);
    ASSERT(irq_level);
    vgoldfish_rtc_stop(&goldfish);
}

TEST(a_goldfish_clocks_alarm_that_was_due_meanwhile_comes_at_once)
{
    start_goldfish(EPOCH);
    goldfish_alarm((EPOCH + 100) * SECOND);
    save(&goldfish.vdev);
    vgoldfish_rtc_stop(&goldfish);
    start_goldfish(EPOCH + 3600);
    ASSERT_OK(load(&goldfish.vdev));
    ASSERT(irq_level);
    save(&goldfish.vdev); /* Pending is kept as well. */
    irq_level = false;
    start_goldfish(EPOCH);
    ASSERT_OK(load(&goldfish.vdev));
    ASSERT(irq_level);
    set(&goldfish.vdev, 0x1c, 1);
    ASSERT(!irq_level);
    vgoldfish_rtc_stop(&goldfish);
}

TEST(a_goldfish_clock_takes_no_state_that_is_damaged)
{
    start_goldfish(EPOCH);
    goldfish_alarm((EPOCH + 100) * SECOND);
    save(&goldfish.vdev);
    load_damaged(&goldfish.vdev, use_rtc);
    vgoldfish_rtc_stop(&goldfish);
}
