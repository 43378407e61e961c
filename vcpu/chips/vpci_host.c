/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of a PCI host bridge; see vpci_host.h. No lock: configuration space is constant, and the
 * address register is a word of its own; vCPUs that mix their accesses get what they ask for, as on
 * hardware.
 *
 * The bridge shows the ids of Red Hat's generic PCI Express host bridge, which stands for no chip
 * and its quirks. Linux takes ECAM with it when MCFG tells the window and a resource reserves it.
 */
#include "vcpu/chips/vpci_host.h"

#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Offsets in ports. */
#define CONFIG_ADDRESS 0u
#define RESET_CONTROL  1u
#define CONFIG_DATA    4u

#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_BDF    BITS(23, 8)
#define ADDRESS_REG    BITS(7, 2)
#define ADDRESS_BITS   (ADDRESS_ENABLE | ADDRESS_BDF | ADDRESS_REG)
#define RESET_CPU      BIT(2) /* Its rise resets; bit 1 says how hard. */
#define RESET_BITS     (BITS(3, 1))

#define ECAM_BDF       BITS(27, 12)
#define ECAM_REG       BITS(11, 2)

#define BRIDGE_BDF     0u

/* Of configuration space what is not 0, by its words [PCI 3.0, section 6.1]. */
static uint32_t bridge_word(uint64_t reg)
{
    switch (reg) {
    case 0x00:
        return 0x0008u << 16 | 0x1b36u; /* Device and vendor. */
    case 0x08:
        return 0x060000u << 8; /* A host bridge. */
    case 0x2c:
        return 0x1100u << 16 | 0x1af4u; /* Subsystem. */
    }
    return 0;
}

static uint32_t config_word(uint64_t bdf, uint64_t reg)
{
    return bdf == BRIDGE_BDF ? bridge_word(reg) : UINT32_MAX;
}

/* Bytes of a word, or of two. */
static uint64_t config_read(uint64_t bdf, uint64_t reg, uint64_t offset, unsigned width)
{
    uint64_t value = config_word(bdf, reg) | (uint64_t)config_word(bdf, reg + 4) << 32;

    return value >> (offset & 3) * 8 & BITS(8 * width - 1, 0);
}

static struct vpci_host *host_of_ports(struct vdev *dev)
{
    return container_of(dev, struct vpci_host, ports);
}

/* --- Ports --- */

static uint64_t ports_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                           unsigned width)
{
    struct vpci_host *host = host_of_ports(dev);
    uint32_t address = atomic_load_explicit(&host->address, memory_order_relaxed);

    if (offset == CONFIG_ADDRESS && width == 4)
        return address;
    if (offset == RESET_CONTROL && width == 1)
        return atomic_load_explicit(&host->reset, memory_order_relaxed);
    if (offset >= CONFIG_DATA && (address & ADDRESS_ENABLE))
        return config_read(field_get(ADDRESS_BDF, address), address & ADDRESS_REG, offset, width);
    return UINT64_MAX;
}

static void ports_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                        unsigned width, uint64_t value)
{
    struct vpci_host *host = host_of_ports(dev);
    uint8_t before;

    if (offset == CONFIG_ADDRESS && width == 4)
        atomic_store_explicit(&host->address, (uint32_t)(value & ADDRESS_BITS),
                              memory_order_relaxed);
    if (offset != RESET_CONTROL || width != 1)
        return; /* There is nothing to be configured. */
    before =
        atomic_exchange_explicit(&host->reset, (uint8_t)(value & RESET_BITS), memory_order_relaxed);
    if ((value & ~(uint64_t)before & RESET_CPU) && host->reset_machine != NULL)
        host->reset_machine(host);
}

static void ports_reset(struct vdev *dev)
{
    struct vpci_host *host = host_of_ports(dev);

    atomic_store_explicit(&host->address, 0, memory_order_relaxed);
    atomic_store_explicit(&host->reset, 0, memory_order_relaxed);
}

[[gnu::cold]] static void ports_state(struct vdev *dev, struct state *state)
{
    struct vpci_host *host = host_of_ports(dev);

    state_section(state, "PCI host", 1);
    STATE(state, host->address);
    STATE(state, host->reset);
    state_require(state,
                  !(atomic_load(&host->address) & ~ADDRESS_BITS) &&
                      !(atomic_load(&host->reset) & ~RESET_BITS),
                  "a register is not possible");
}

/* --- Memory --- */

static uint64_t ecam_read([[maybe_unused]] struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                          uint64_t offset, unsigned width)
{
    return config_read(field_get(ECAM_BDF, offset), offset & ECAM_REG, offset, width);
}

static void ecam_write([[maybe_unused]] struct vdev *dev, [[maybe_unused]] unsigned vcpu,
                       [[maybe_unused]] uint64_t offset, [[maybe_unused]] unsigned width,
                       [[maybe_unused]] uint64_t value)
{
}

static void ecam_reset([[maybe_unused]] struct vdev *dev)
{
}

static const struct vdev_ops ports_ops = {
    .name = "PCI ports",
    .read = ports_read,
    .write = ports_write,
    .reset = ports_reset,
    .state = ports_state,
};

static const struct vdev_ops ecam_ops = {
    .name = "ECAM",
    .read = ecam_read,
    .write = ecam_write,
    .reset = ecam_reset,
};

void vpci_host_init(struct vpci_host *host, uint64_t ports, uint64_t ecam, unsigned buses)
{
    memset(host, 0, sizeof(*host));
    host->ports = (struct vdev){.ops = &ports_ops, .base = ports, .size = VPCI_PORTS_SIZE};
    host->ecam =
        (struct vdev){.ops = &ecam_ops, .base = ecam, .size = (uint64_t)buses * VPCI_ECAM_BUS};
}
