/* SPDX-License-Identifier: Apache-2.0 */
/* Which MSRs guests reach without an exit. [SDM 3, 25.6.9] */
#include "arch/x86_64/vmx.h"
#include "kernel/string.h"

#define X2APIC_TPR    0x808u
#define X2APIC_PPR    0x80au
#define X2APIC_EOI    0x80bu
#define X2APIC_ISR    0x810u
#define X2APIC_IRR    0x820u
#define X2APIC_SELF   0x83fu

#define MSR_MAP_RANGE 0x2000u /* MSRs in each of the map's ranges, */
#define MSR_MAP_HIGH  0x400u  /* the second of which is here, */
#define MSR_MAP_WRITE 0x800u  /* and both again for writes. */

/* All guests' alike. Set up on the boot processor. */
static alignas(PAGE_SIZE) uint8_t msr_map[PAGE_SIZE], msr_map_apic[PAGE_SIZE];

static void map_pass(uint8_t *map, uint32_t msr, bool read, bool write)
{
    uint32_t index = msr & (MSR_MAP_RANGE - 1);
    uint8_t *byte = &map[(msr < MSR_MAP_RANGE ? 0 : MSR_MAP_HIGH) + index / 8];

    if (read)
        byte[0] &= (uint8_t) ~(1u << index % 8);
    if (write)
        byte[MSR_MAP_WRITE] &= (uint8_t) ~(1u << index % 8);
}

/* What an entry and an exit exchange, and what stays the guest's while it is bound; then what the
 * hardware answers from APIC_PAGE. */
void vmx_fill_maps(void)
{
    static const uint32_t passed[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
        MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE,
    };

    memset(msr_map, 0xff, sizeof(msr_map));
    for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
        map_pass(msr_map, passed[i], true, true);
    memcpy(msr_map_apic, msr_map, sizeof(msr_map));
    map_pass(msr_map_apic, X2APIC_TPR, true, true);
    map_pass(msr_map_apic, X2APIC_EOI, false, true);
    map_pass(msr_map_apic, X2APIC_SELF, false, true);
    if (!(vmx_host.apic & VMX_APIC_READS))
        return;
    map_pass(msr_map_apic, X2APIC_PPR, true, false);
    for (unsigned i = 0; i < 8; i++) {
        map_pass(msr_map_apic, X2APIC_ISR + i, true, false);
        map_pass(msr_map_apic, X2APIC_IRR + i, true, false);
    }
}

const void *vmx_msr_map(bool apic)
{
    return apic ? msr_map_apic : msr_map;
}
