/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Started where we cannot run: one sentence on the UART that the device tree names as its console.
 * There is nothing to build on: no exception level of ours, no MMU, no locks, no log.
 */
#include "boot/boot.h"
#include "kernel/arch.h"
#include "kernel/fdt.h"
#include "kernel/fmt.h"
#include "kernel/string.h"

#define PL011_DR      0x00u
#define PL011_FR      0x18u
#define PL011_FR_TXFF 0x20u
#define SPIN_MAX      1000000u

/* The console's registers; 0: none that we know. */
static uint64_t refuse_uart(const struct fdt *fdt)
{
    const char *path = fdt_str(fdt, fdt_node(fdt, "/chosen"), "stdout-path");
    uint64_t base, size;
    char name[64];
    int node;

    if (!path)
        return 0;
    str_copy(name, sizeof(name), path);
    if (strchr(name, ':'))
        *strchr(name, ':') = '\0'; /* Options, like the baud rate. */
    node = fdt_node(fdt, name[0] == '/' ? name : fdt_str(fdt, fdt_node(fdt, "/aliases"), name));
    if (node < 0 || !fdt_is_compatible(fdt, node, "arm,pl011") ||
        fdt_reg(fdt, node, 0, &base, &size) != OK)
        return 0;
    return base;
}

void boot_wrong_level(const void *arg, unsigned level)
{
    struct fdt fdt;
    uint64_t uart;
    char text[120];

    if (fdt_open(&fdt, arg, 2 * MIB) != OK)
        return;
    uart = refuse_uart(&fdt);
    if (!uart)
        return;
    fmt_buf(text, sizeof(text),
            "Caisson needs EL2, the hypervisor's exception level, but was started at EL%u.\r\n",
            level);
    for (const char *c = text; *c; c++) {
        for (unsigned i = 0; i < SPIN_MAX; i++)
            if (!(arch_read32((void *)(uintptr_t)(uart + PL011_FR)) & PL011_FR_TXFF))
                break;
        arch_write32((void *)(uintptr_t)(uart + PL011_DR), (uint8_t)*c);
    }
}
