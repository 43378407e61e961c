/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI bus with nothing on it but its host bridge, at 00:00.0, which is read-only; all other
 * functions read as ones. Two ways lead there: ports 0xcf8 and 0xcfc, and a window of memory
 * (ECAM), which MCFG tells. Port 0xcf9, in the middle of the former, is the machine's reset
 * register. [PCI Local Bus 3.0, section 3.2.2.3.2; PCI Express Base 4.0, section 7.2.2; ICH9 data
 * sheet, "Reset Control Register"]
 */
#pragma once

#include "vcpu/bus.h"

#define VPCI_PORTS_SIZE  8u
#define VPCI_RESET_PORT  0xcf9u    /* For the FADT, with */
#define VPCI_RESET_VALUE 0x06u     /* this value. */
#define VPCI_ECAM_BUS    0x100000u /* Bytes of the window for each bus. */

struct vpci_host {
    struct vdev ports, ecam;  /* For the bus of ports, and of memory. */
    _Atomic uint32_t address; /* What was written to 0xcf8. */
    _Atomic uint8_t reset;    /* To 0xcf9. */
    /* The guest resets its machine. Set by the VM. */
    void (*reset_machine)(struct vpci_host *host);
};

/* The window holds so many buses, from 0. */
void vpci_host_init(struct vpci_host *host, uint64_t ports, uint64_t ecam, unsigned buses);
