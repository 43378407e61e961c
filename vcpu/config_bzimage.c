/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a bzImage. Nothing in the file is trusted: each field is read once, and an offset
 * is used only after it was compared with the file's size. [Linux: arch/x86/boot.rst]
 */
#include "vcpu/config_bzimage.h"

#include "kernel/string.h"

/* Offsets in the file. */
#define SETUP_SECTS      0x1f1u
#define BOOT_FLAG        0x1feu
#define JUMP_DISTANCE    0x201u /* From here the header ends so many bytes further. */
#define MAGIC            0x202u
#define VERSION          0x206u
#define LOADFLAGS        0x211u
#define INITRD_ADDR_MAX  0x22cu
#define KERNEL_ALIGNMENT 0x230u
#define RELOCATABLE      0x234u
#define XLOADFLAGS       0x236u
#define CMDLINE_SIZE     0x238u
#define PREF_ADDRESS     0x258u
#define INIT_SIZE        0x260u
#define HEADER_END       0x264u /* Of version 2.12: what we read is before it. */
#define HEADER_MAX       0x290u /* In boot_params other fields follow. */

#define VERSION_2_12     0x020cu /* The first that tells whether there is 64-bit code. */
#define LOADED_HIGH      1u
#define KERNEL_64        1u
#define SECTOR           512u
#define LOW_END          MIB

static uint64_t field(const void *data, unsigned offset, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, (const char *)data + offset, bytes);
    return v;
}

bool bzimage_is(const void *data, size_t size)
{
    return size >= MAGIC + 4 && memcmp((const char *)data + MAGIC, "HdrS", 4) == 0;
}

uint64_t bzimage_code_offset(const void *data)
{
    uint64_t sectors = field(data, SETUP_SECTS, 1);

    return ((sectors ? sectors : 4) + 1) * SECTOR; /* 0 means 4, for reasons of history. */
}

unsigned bzimage_header_end(const void *data)
{
    return (unsigned)MIN(MAGIC + field(data, JUMP_DISTANCE, 1), HEADER_MAX);
}

const char *bzimage_check(const void *data, size_t size, struct bzimage *image)
{
    uint64_t code = bzimage_code_offset(data);

    if (size < HEADER_END || bzimage_header_end(data) > size)
        return "ends inside its setup header";
    if (field(data, BOOT_FLAG, 2) != 0xaa55 || bzimage_header_end(data) < HEADER_END)
        return field(data, VERSION, 2) < VERSION_2_12
                   ? "is a bzImage of a boot protocol before 2.12 (Linux 3.8)"
                   : "has a damaged setup header";
    if (field(data, VERSION, 2) < VERSION_2_12)
        return "is a bzImage of a boot protocol before 2.12 (Linux 3.8)";
    if (!(field(data, XLOADFLAGS, 2) & KERNEL_64))
        return "is a bzImage of a 32-bit kernel";
    if (!(field(data, LOADFLAGS, 1) & LOADED_HIGH))
        return "is a zImage, which loads below 1 MiB";
    if (code + BZIMAGE_ENTRY >= size)
        return "ends before its code";
    *image = (struct bzimage){
        .preferred = field(data, PREF_ADDRESS, 8),
        .alignment = field(data, KERNEL_ALIGNMENT, 4),
        .memory_size = MAX(field(data, INIT_SIZE, 4), size - code),
        .relocatable = field(data, RELOCATABLE, 1) != 0,
        .initrd_max = field(data, INITRD_ADDR_MAX, 4),
        .cmdline_max = field(data, CMDLINE_SIZE, 4),
    };
    if (image->alignment == 0 || (image->alignment & (image->alignment - 1)) ||
        image->preferred < LOW_END || image->preferred >> 32)
        return "has a damaged setup header";
    return NULL;
}
