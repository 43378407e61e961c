/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initrd of QEMU's command line. QEMU's PVH loader starts us with module fields that it never
 * wrote, and leaves the initrd where it came from: in the machine's fw_cfg device, out of which it
 * is copied to the place that QEMU has chosen for it. [QEMU: docs/specs/fw_cfg]
 *
 * As boot/direct.c: the first code that runs.
 */
#include "boot/direct.h"
#include "kernel/arch.h"
#include "kernel/bits.h"

#define SELECTOR        ((volatile void *)0x510)
#define DATA            ((volatile void *)0x511)
#define DMA_HIGH        ((volatile void *)0x514)
#define DMA_LOW         ((volatile void *)0x518)

#define KEY_SIGNATURE   0x00u
#define KEY_FEATURES    0x01u
#define KEY_INITRD_ADDR 0x0au
#define KEY_INITRD_SIZE 0x0bu
#define KEY_INITRD_DATA 0x12u

#define SIGNATURE       0x554d4551u /* "QEMU" */
#define FEATURE_DMA     BIT(1)

#define DMA_ERROR       BIT(0)
#define DMA_READ        BIT(1)
#define DMA_SELECT      BIT(3)
#define SPINS_MAX       100000000u

/* Numbers are big-endian. */
struct fw_cfg_dma {
    uint32_t control, length;
    uint64_t addr;
};

static uint32_t fw_cfg_u32(uint16_t key)
{
    uint32_t value = 0;

    arch_write16(SELECTOR, key);
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)arch_read8(DATA) << 8 * i;
    return value;
}

static bool fw_cfg_copy(uint16_t key, uint64_t addr, uint32_t size)
{
    static struct fw_cfg_dma dma;
    const volatile uint32_t *control = &dma.control;

    dma.control = __builtin_bswap32((uint32_t)key << 16 | (uint32_t)(DMA_SELECT | DMA_READ));
    dma.length = __builtin_bswap32(size);
    dma.addr = __builtin_bswap64(addr);
    arch_mb();
    arch_write32(DMA_HIGH, __builtin_bswap32((uint32_t)((uintptr_t)&dma >> 32)));
    arch_write32(DMA_LOW, __builtin_bswap32((uint32_t)(uintptr_t)&dma));
    for (unsigned i = 0; i < SPINS_MAX && *control & ~__builtin_bswap32((uint32_t)DMA_ERROR); i++)
        arch_rmb();
    return *control == 0;
}

bool fw_cfg_is_there(void)
{
    return fw_cfg_u32(KEY_SIGNATURE) == SIGNATURE;
}

bool fw_cfg_initrd(uint64_t *addr, uint64_t *size)
{
    *addr = fw_cfg_u32(KEY_INITRD_ADDR);
    *size = fw_cfg_u32(KEY_INITRD_SIZE);
    if (!*addr || !*size || !(fw_cfg_u32(KEY_FEATURES) & FEATURE_DMA))
        return false;
    return fw_cfg_copy(KEY_INITRD_DATA, *addr, (uint32_t)*size);
}
