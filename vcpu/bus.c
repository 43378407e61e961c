/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus: a sorted array of devices.
 *
 * Invariant: devices[0..count) are sorted by base, and no two overlap. No lock: built before the VM
 * starts, constant afterwards.
 */
#include "vcpu/bus.h"

#include "kernel/assert.h"

/* Index of the first device whose base is above addr. */
static unsigned bus_upper(const struct bus *bus, uint64_t addr)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (bus->devices[middle]->base <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum err bus_add(struct bus *bus, struct vdev *dev)
{
    uint64_t last = dev->base + dev->size - 1;
    unsigned at = bus_upper(bus, dev->base);

    assert(bus->count <= BUS_DEVICES_MAX && dev->ops != NULL);
    if (dev->size == 0 || last < dev->base)
        return E_RANGE;
    if (at > 0 && vdev_holds(bus->devices[at - 1], dev->base, 1))
        return E_EXISTS;
    if (at < bus->count && bus->devices[at]->base <= last)
        return E_EXISTS;
    if (bus->count == BUS_DEVICES_MAX)
        return E_NOMEM;

    for (unsigned i = bus->count; i > at; i--)
        bus->devices[i] = bus->devices[i - 1];
    bus->devices[at] = dev;
    bus->count++;
    return OK;
}

struct vdev *bus_search(const struct bus *bus, uint64_t addr, unsigned width, struct bus_hint *hint)
{
    unsigned at = bus_upper(bus, addr);

    if (at == 0 || !vdev_holds(bus->devices[at - 1], addr, width))
        return NULL;
    hint->devices[1] = hint->devices[0];
    hint->devices[0] = bus->devices[at - 1];
    return hint->devices[0];
}
