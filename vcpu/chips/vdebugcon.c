/* SPDX-License-Identifier: Apache-2.0 */
/* A debug console; see vdebugcon.h. No state, no lock: the console has its own. */
#include "vcpu/chips/vdebugcon.h"

#include "vcpu/console.h"

#define IS_THERE 0xe9u

static uint64_t vdebugcon_read(struct vdev *, unsigned, uint64_t, unsigned)
{
    return IS_THERE;
}

static void vdebugcon_write(struct vdev *dev, unsigned, uint64_t, unsigned, uint64_t value)
{
    const char c = (char)value;

    console_write(container_of(dev, struct vdebugcon, vdev)->port, &c, 1);
}

static void vdebugcon_reset(struct vdev *)
{
}

static const struct vdev_ops vdebugcon_ops = {.name = "debug console",
                                              .read = vdebugcon_read,
                                              .write = vdebugcon_write,
                                              .reset = vdebugcon_reset};

void vdebugcon_init(struct vdebugcon *debugcon, uint64_t base, struct console_port *port)
{
    *debugcon =
        (struct vdebugcon){.vdev = {.ops = &vdebugcon_ops, .base = base, .size = 1}, .port = port};
}
