/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables for the time between the first instruction and hostmap_init(): RAM one to one in 1
 * GiB leaves, from static memory. Coarse: a leaf may also cover devices that share the GiB with
 * RAM; the real tables replace them before any driver runs. All in them is executable, too, which
 * is why other pCPUs start on them: their first code lies in a page of data. [SDM 3, 4.5]
 */
#include "arch/x86_64/boot.h"
#include "arch/x86_64/pt_x86_64.h"
#include "arch/x86_64/x86.h"
#include "kernel/arch.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define ENTRIES       512u
#define TABLES_L3     4u /* Each maps 512 GiB that hold RAM. */

#define LEAF          (LONG_P | LONG_W | LONG_A | LONG_D | LONG_PS)
#define TABLE         (LONG_P | LONG_W)

/* [PC16550D data sheet, 8.0] */
#define COM1(reg)     ((volatile void *)(uintptr_t)(0x3f8u + (reg)))
#define THR           0u /* RBR for reads. */
#define LSR           5u
#define SCR           7u
#define LSR_DR        BIT(0)
#define LSR_THRE      BIT(5)
#define SCRATCH_VALUE 0x5au
#define SPINS_MAX     1000000u

static alignas(4096) uint64_t root[ENTRIES];
static alignas(4096) uint64_t tables[TABLES_L3][ENTRIES];

static uint64_t *early_table(uint64_t gib)
{
    static unsigned used;
    uint64_t *entry = &root[gib / ENTRIES % ENTRIES];

    if (*entry == 0) {
        if (used == TABLES_L3)
            return NULL; /* RAM that far up is not needed this early. */
        *entry = (uint64_t)(uintptr_t)tables[used++] | TABLE;
    }
    return (uint64_t *)(uintptr_t)(*entry & ~TABLE);
}

/* --- COM1: where a PC's firmware writes too, and the only console before there is another. --- */

static bool early_com1_is_there(void)
{
    arch_write8(COM1(SCR), SCRATCH_VALUE);
    return arch_read8(COM1(SCR)) == SCRATCH_VALUE;
}

enum err arch_console_write(const char *text, size_t size)
{
    if (!early_com1_is_there())
        return E_UNSUPPORTED;
    for (; size > 0; text++, size--) {
        for (unsigned i = 0; i < SPINS_MAX && !(arch_read8(COM1(LSR)) & LSR_THRE); i++)
            __asm__ volatile("pause");
        arch_write8(COM1(THR), (uint8_t)*text);
    }
    return OK;
}

int arch_console_read(void)
{
    return arch_read8(COM1(LSR)) & LSR_DR ? arch_read8(COM1(THR)) : -1;
}

static void early_say(const char *text)
{
    (void)(arch_console_write(text, strlen(text)) == OK); /* There is nobody else to tell. */
}

/* --- Tables --- */

/* 0: it cannot be, which was said. */
uint64_t early_map(const struct memmap *map)
{
    if (!(cpuid_or_none(0x80000001, 0).edx & CPUIDX1_EDX_1GIB)) {
        early_say("Caisson needs a processor with pages of 1 GiB, as all have that can run its "
                  "guests (QEMU: -cpu EPYC-v4,+svm,+npt).\r\n");
        return 0;
    }
    for (unsigned i = 0; i < map->count; i++) {
        const struct mem_range *range = &map->ranges[i];

        if (range->kind == MEM_RESERVED || range->kind == MEM_DEVICE)
            continue;
        for (uint64_t gib = range->base / GIB; gib <= (range->base + range->size - 1) / GIB;
             gib++) {
            uint64_t *table = early_table(gib);

            if (table)
                table[gib % ENTRIES] = gib * GIB | LEAF;
        }
    }
    return (uintptr_t)root;
}

const void *early_tables(void)
{
    return root;
}
