/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's PCI host bridge, by ports and by memory, and the reset register among its ports. */
#include "kernel/bits.h"
#include "tests/host/test.h"
#include "vcpu/chips/vpci_host.h"

static struct vpci_host host;
static unsigned resets;

static void on_reset(struct vpci_host *which)
{
    ASSERT_EQ(which, &host);
    resets++;
}

static uint64_t in(uint64_t offset, unsigned width)
{
    return host.ports.ops->read(&host.ports, 0, offset, width) & BITS(8 * width - 1, 0);
}

static void out(uint64_t offset, unsigned width, uint64_t value)
{
    host.ports.ops->write(&host.ports, 0, offset, width, value);
}

static uint64_t ecam(uint64_t offset, unsigned width)
{
    return host.ecam.ops->read(&host.ecam, 0, offset, width);
}

static void start_host(void)
{
    vpci_host_init(&host, 0xcf8, 0xe0000000, 1);
    host.reset_machine = on_reset;
    resets = 0;
}

TEST(linux_finds_configuration_mechanism_1)
{
    start_host();
    out(3, 1, 0x01);
    ASSERT_EQ(in(0, 4), 0);
    out(0, 4, 0x80000000);
    ASSERT_EQ(in(0, 4), 0x80000000);
    ASSERT_EQ(in(4, 4), 0x00081b36);
    out(0, 4, 0x80000008);
    ASSERT_EQ(in(6, 2), 0x0600);
    ASSERT_EQ(in(7, 1), 0x06);
    out(0, 4, 0xffffffff);
    ASSERT_EQ(in(0, 4), 0x80fffffc);
    out(0, 4, 0);
    ASSERT_EQ(in(4, 4), 0xffffffff); /* Not enabled. */
    out(4, 4, 0x12345678);
    ASSERT_EQ(in(0, 2), 0xffff);
    host.ports.ops->reset(&host.ports);
    ASSERT_EQ(in(0, 4), 0);
}

TEST(both_ways_show_the_same_bridge_and_nothing_else)
{
    start_host();
    for (uint32_t bdf = 0; bdf < 0x10000; bdf++)
        for (uint32_t reg = 0; reg < 256; reg += bdf < 2 ? 4 : 64) {
            out(0, 4, 0x80000000 | bdf << 8 | reg);
            if (bdf != 0)
                ASSERT_EQ(in(4, 4), 0xffffffff);
            if (bdf < 256)
                ASSERT_EQ(in(4, 4), ecam((uint64_t)bdf << 12 | reg, 4));
        }
    ASSERT_EQ(ecam(0, 8), 0x0000000000081b36);
    ASSERT_EQ(ecam(0, 1), 0x36);
    ASSERT_EQ(ecam(2, 2), 0x0008);
    ASSERT_EQ(ecam(0x2c, 4), 0x11001af4);
    ASSERT_EQ(ecam(0x100, 4), 0); /* No extended capabilities. */
    ASSERT_EQ(ecam(0xff8, 8), 0);
    ASSERT_EQ(ecam(0x1ff8, 8), ~0ull);
    host.ecam.ops->write(&host.ecam, 0, 4, 4, ~0ull);
    ASSERT_EQ(ecam(4, 4), 0);
    ASSERT_EQ(host.ecam.size, 0x100000);
}

TEST(the_reset_register_resets_at_the_rise_of_its_bit)
{
    start_host();
    out(1, 1, 0x02);
    ASSERT_EQ(resets, 0);
    ASSERT_EQ(in(1, 1), 0x02);
    out(1, 1, 0x06);
    ASSERT_EQ(resets, 1);
    out(1, 1, 0x06);
    ASSERT_EQ(resets, 1);
    host.ports.ops->reset(&host.ports);
    out(1, 1, VPCI_RESET_VALUE);
    ASSERT_EQ(resets, 2);
    host.ports.ops->reset(&host.ports);
    out(0, 4, 0xffffffff); /* The address, not this. */
    out(1, 2, 0xff);
    ASSERT_EQ(resets, 2);
}
