/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port to which firmware for virtual machines writes what it does: each byte goes to the VM's
 * console. Its read says that it is there. In a VM that begins with a firmware image, for there is
 * no other way to see why one does not come up. [QEMU: isa-debugcon; SeaBIOS: docs/Debugging.md]
 */
#pragma once

#include "vcpu/bus.h"

struct console_port;

struct vdebugcon {
    struct vdev vdev;
    struct console_port *port;
};

void vdebugcon_init(struct vdebugcon *debugcon, uint64_t base, struct console_port *port);
