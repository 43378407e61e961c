/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a guest-physical address to the virtual device behind it: sorted ranges, found by bisection, with the last hit
 * tried first. Built before the VM starts and constant while it runs, so reading needs no lock.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct vdev;

struct vdev_ops {
    const char *name;
    /* An access at offset into the device's range, naturally aligned, wholly inside. vcpu: index of who does it. */
    uint64_t (*read)(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width);
    void (*write)(struct vdev *dev, unsigned vcpu, uint64_t offset, unsigned width, uint64_t value);
    void (*reset)(struct vdev *dev);
};

/* A virtual device: embedded in each model's struct as its first member. */
struct vdev {
    const struct vdev_ops *ops;
    uint64_t base, size;
    /* How the device raises its interrupt; set by the VM. level: the wire's new state. */
    void (*set_irq)(struct vdev *dev, bool level);
    void *owner;   /* The VM. */
    uint32_t irq;
};

#define BUS_DEVICES_MAX 64u

struct bus {
    unsigned count;
    struct vdev *devices[BUS_DEVICES_MAX]; /* Sorted by base. */
};

/* E_EXISTS: overlaps another device; E_NOMEM: too many; E_RANGE: empty or wraps. */
enum err bus_add(struct bus *bus, struct vdev *dev);
/* *hint: caller's, starts NULL; remembers the last device found. NULL: nothing there. */
struct vdev *bus_find(const struct bus *bus, uint64_t addr, unsigned width, struct vdev **hint);
