/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that a VM starts from: which format a file has, and where kernel, initrd and device tree
 * go in its RAM. Pure and total: the files are taken for hostile. Used by the loader, the parser
 * and the host tool. Implemented in config_image.c, its formats in config_elf.c, what is x86's in
 * config_image_x86.c and config_bzimage.c.
 *
 *     ram_base                                                    ram_base + memory_size
 *     | (text offset) | kernel with .bss | to 2 MiB | tree | initrd | free |
 *
 * In a small RAM the tree goes below the kernel, or right behind it. On x86_64 there is no tree:
 *
 *     0      0x7000 0x10000    0xe0000  1 MiB            memory_size, or 3 GiB
 *     | free | boot | free ... | ACPI   | ... kernel ... | initrd  |
 *
 * boot: what a boot protocol hands over (vcpu/guest_boot.h). A firmware image takes the place of
 * the ACPI tables and ends at 4 GiB as well.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct config_vm;
struct machine_layout;

enum image_format {
    IMAGE_ARM64,
    IMAGE_RISCV,
    IMAGE_ELF,
    IMAGE_RAW,
    IMAGE_BZIMAGE,   /* x86_64, and those below: */
    IMAGE_PVH,       /* ELF with a PVH note. */
    IMAGE_MULTIBOOT, /* ELF with a multiboot header, version 1. */
    IMAGE_FIRMWARE,  /* Starts at the reset vector. */
};

/* At least so much is kept for the device tree; more when the VM brings its own. */
#define IMAGE_TREE_SIZE ((uint64_t)64 << 10)

struct image_plan {
    enum image_format format;
    uint64_t entry;               /* Of the first vCPU. */
    uint64_t kernel, kernel_size; /* All that it uses of the memory when it starts. */
    uint64_t initrd, initrd_size; /* Zeroes: none. */
    uint64_t tree, tree_room;     /* Zeroes on x86_64. */
};

/* x86_64: where the loader puts what it makes. */
#define IMAGE_BOOT_BASE    0x7000u
#define IMAGE_BOOT_END     0x10000u
#define IMAGE_ACPI_BASE    0xe0000u
#define IMAGE_ACPI_END     0x100000u
#define IMAGE_FIRMWARE_END ((uint64_t)4 << 30)
#define IMAGE_FIRMWARE_LOW ((uint64_t)256 << 10) /* So much of it is below 1 MiB, too. */

/*
 * Plans from vm->kernel, initrd and fdt, whose data and size are known. E_INVALID, E_RANGE,
 * E_UNSUPPORTED: why holds a sentence ("'vmlinuz' is gzip-compressed; unpack it first (gunzip)").
 */
enum err image_plan(const struct config_vm *vm, const struct machine_layout *machine,
                    struct image_plan *plan, char *why, size_t why_size);
const char *image_format_text(enum image_format format);

/* A piece of an ELF file that goes into memory. */
struct image_segment {
    uint64_t address, memory_size; /* Guest-physical. */
    const void *data;
    uint64_t data_size; /* The rest is zeroes. */
};

/* The index'th segment, after image_plan() said OK; false at the end. */
bool image_segment(const struct config_vm *vm, const struct image_plan *plan, unsigned index,
                   struct image_segment *segment);
