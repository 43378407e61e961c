/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of vcpu/machine.h. [QEMU's "virt" machines, which they follow; x86: PC conventions] */
#include "vcpu/machine.h"

#include "kernel/string.h"
#include "vcpu/config_image.h"

static const struct machine_device aarch64_devices[] = {
    {.name = "flash", .base = 0x00000000, .size = 0x08000000, .reserved = true},
    {.name = "gicd", .base = 0x08000000, .size = 0x00010000},
    {.name = "gicc", .base = 0x08010000, .size = 0x00010000}, /* Only with a GICv2. */
    {.name = "gic-other", .base = 0x08020000, .size = 0x00080000, .reserved = true}, /* V2M, ITS. */
    {.name = "gicr", .base = 0x080a0000, .size = 0x00f60000, .per_vcpu = 0x20000},
    {.name = "pl011", .base = 0x09000000, .size = 0x1000, .irq = 33},
    {.name = "pl031", .base = 0x09010000, .size = 0x1000, .irq = 34},
    {.name = "pvtime", .base = 0x090a0000, .size = 0x1000}, /* 64 bytes for each vCPU. */
    {.name = "virtio-mmio", .base = 0x0a000000, .size = 0x4000, .irq = 48, .reserved = true},
    {.name = "pcie-windows", .base = 0x10000000, .size = 0x2f000000, .reserved = true},
    {.name = "pcie-ecam", .base = 0x3f000000, .size = 0x01000000, .reserved = true},
};

static const struct machine_device riscv64_devices[] = {
    {.name = "test", .base = 0x00100000, .size = 0x1000}, /* Power-off and reset. */
    {.name = "goldfish-rtc", .base = 0x00101000, .size = 0x1000, .irq = 11},
    {.name = "clint", .base = 0x02000000, .size = 0x10000, .reserved = true},
    {.name = "plic", .base = 0x0c000000, .size = 0x00600000, .irqchip = "plic"},
    {.name = "aplic", .base = 0x0d000000, .size = 0x8000, .irqchip = "aia"},
    {.name = "ns16550", .base = 0x10000000, .size = 0x100, .irq = 10},
    {.name = "virtio-mmio", .base = 0x10001000, .size = 0x8000, .irq = 1, .reserved = true},
    {.name = "imsic-m", .base = 0x24000000, .size = 0x04000000, .reserved = true},
    {.name = "imsic", .base = 0x28000000, .size = 0x04000000, .per_vcpu = 0x1000, .irqchip = "aia"},
    {.name = "pcie-ecam", .base = 0x30000000, .size = 0x10000000, .reserved = true},
    {.name = "pcie-windows", .base = 0x40000000, .size = 0x40000000, .reserved = true},
};

static const struct machine_device x86_64_devices[] = {
    {.name = "pcie-ecam", .base = 0xe0000000, .size = 0x10000000},
    {.name = "pcie-windows", .base = 0xf0000000, .size = 0x0ec00000, .reserved = true},
    {.name = "ioapic", .base = 0xfec00000, .size = 0x1000},
    {.name = "lapic", .base = 0xfee00000, .size = 0x1000},
    {.name = "firmware", .base = 0xff000000, .size = 0x01000000, .reserved = true},
    {.name = "pic", .base = 0x20, .size = 2, .ports = true},
    {.name = "pit", .base = 0x40, .size = 4, .irq = 2, .ports = true}, /* ISA 0 is pin 2. */
    {.name = "pit-gate", .base = 0x61, .size = 1, .ports = true},
    {.name = "cmos", .base = 0x70, .size = 2, .irq = 8, .ports = true},
    {.name = "pic-second", .base = 0xa0, .size = 2, .ports = true},
    {.name = "ns16550", .base = 0x3f8, .size = 8, .irq = 4, .ports = true},
    {.name = "pm", .base = 0x600, .size = 0x10, .irq = 9, .ports = true},
    {.name = "pci-config", .base = 0xcf8, .size = 8, .ports = true},
};

const struct machine_layout machine_layout_aarch64 = {
    .arch = "aarch64",
    .images = &image_rules_arm64,
    .ram_base = 0x40000000,
    .ram_max = 255 * GIB,
    .gpa_end = (uint64_t)1 << 40,
    .raw_offset = 0x80000, /* Where programs without an Image header expect to be. */
    .elf_machine = 183,
    .device_count = ARRAY_SIZE(aarch64_devices),
    .devices = aarch64_devices,
};

const struct machine_layout machine_layout_riscv64 = {
    .arch = "riscv64",
    .images = &image_rules_riscv,
    .ram_base = 0x80000000,
    .ram_max = 255 * GIB,
    .gpa_end = (uint64_t)1 << 41, /* Sv39x4. */
    .elf_machine = 243,
    .device_count = ARRAY_SIZE(riscv64_devices),
    .devices = riscv64_devices,
};

const struct machine_layout machine_layout_x86_64 = {
    .arch = "x86_64",
    .images = &image_rules_x86,
    .ram_max = 63 * GIB, /* 3 GiB below the windows, the rest from 4 GiB to gpa_end. */
    .hole_base = 3 * GIB,
    .hole_end = 4 * GIB,
    .gpa_end = (uint64_t)1 << 36,
    .raw_offset = 0x100000,
    .elf_machine = 62,
    .device_count = ARRAY_SIZE(x86_64_devices),
    .devices = x86_64_devices,
};

static const struct machine_layout *const layouts[] = {
    &machine_layout_aarch64, &machine_layout_riscv64, &machine_layout_x86_64};

const struct machine_layout *machine_at(unsigned index)
{
    return index < ARRAY_SIZE(layouts) ? layouts[index] : NULL;
}

const struct machine_layout *machine_find(const char *arch)
{
    for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
        if (strcmp(layouts[i]->arch, arch) == 0)
            return layouts[i];
    return NULL;
}

const struct machine_device *machine_device(const struct machine_layout *machine, const char *name)
{
    for (unsigned i = 0; i < machine->device_count; i++)
        if (strcmp(machine->devices[i].name, name) == 0)
            return &machine->devices[i];
    return NULL;
}

struct machine_ram machine_ram(const struct machine_layout *machine, uint64_t ram_size,
                               unsigned piece)
{
    uint64_t low = ram_size;

    if (machine->hole_end)
        low = MIN(low, machine->hole_base - machine->ram_base);
    if (piece == 0)
        return (struct machine_ram){machine->ram_base, low};
    return (struct machine_ram){machine->hole_end, ram_size - low};
}
