/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a guest-physical address to the virtual device behind it: sorted ranges, found by bisection,
 * with the last hits tried first. Built before the VM starts and constant while it runs, so reading
 * needs no lock.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct state;
struct vdev;

struct vdev_ops {
    const char *name;
    /*
     * An access at offset into the device's range, naturally aligned, wholly inside. vcpu: index of
     * who does it.
     */
    uint64_t (*read)(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width);
    void (*write)(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width, uint64_t value);
    void (*reset)(struct vdev *dev);
    /*
     * To a snapshot, or from it: vcpu/state.h. Called for each device of the VM, after
     * machine_ops.state. NULL: its state is with another part of the machine.
     */
    void (*state)(struct vdev *dev, struct state *s);
};

/* A virtual device: embedded in each model's struct as its first member. */
struct vdev {
    const struct vdev_ops *ops;
    uint64_t base, size;
    /* How the device raises its interrupt; set by the VM. level: the wire's new state. */
    void (*set_irq)(struct vdev *dev, bool level);
    void *owner; /* The VM. */
    uint32_t irq;
};

#define BUS_DEVICES_MAX 64u

struct bus {
    unsigned count;
    struct vdev *devices[BUS_DEVICES_MAX]; /* Sorted by base. */
};

/* E_EXISTS: overlaps another device; E_NOMEM: too many; E_RANGE: empty or wraps. */
enum err bus_add(struct bus *bus, struct vdev *dev);
/* The two devices found last, in any order: what drives a device also ends its interrupts. */
struct bus_hint {
    struct vdev *devices[2];
};

static inline bool vdev_holds(const struct vdev *dev, uint64_t addr, unsigned width)
{
    uint64_t offset = addr - dev->base; /* Wraps to something large below the base. */

    return offset < dev->size && width <= dev->size - offset;
}

/* The slow part of bus_find(): by bisection. */
struct vdev *bus_search(const struct bus *bus, uint64_t addr, unsigned width,
                        struct bus_hint *hint);

/*
 * The device that answers an access of width bytes (1, 2, 4, 8) at addr. *hint: caller's, starts
 * zeroed. NULL: nothing there, or the access is not naturally aligned or not wholly inside one
 * device.
 */
static inline struct vdev *bus_find(const struct bus *bus, uint64_t addr, unsigned width,
                                    struct bus_hint *hint)
{
    if (unlikely((addr & (width - 1)) != 0))
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(hint->devices); i++)
        if (likely(hint->devices[i] != NULL && vdev_holds(hint->devices[i], addr, width)))
            return hint->devices[i];
    return bus_search(bus, addr, width, hint);
}
