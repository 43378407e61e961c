/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific and control registers: what is hidden is refused, what is there is kept, and the
 * local APIC's have their rules. [SDM 3, 2.5, 11.12; 4; APM 2, 3.1, 16.9]
 */
#include "x86.h"

#define MSR_STEAL 0x4b564d03u

struct access {
    uint32_t msr;
    uint64_t value;
};

static void msr_get(void *arg)
{
    struct access *a = arg;

    a->value = rdmsr(a->msr);
}

static void msr_set(void *arg)
{
    const struct access *a = arg;

    wrmsr(a->msr, a->value);
}

static unsigned get(uint32_t msr)
{
    return probe(msr_get, &(struct access){.msr = msr});
}

static unsigned set(uint32_t msr, uint64_t value)
{
    return probe(msr_set, &(struct access){msr, value});
}

static void check_hidden(void)
{
    static const uint32_t hidden[] = {
        0x00000186, 0x000001a6, 0x00000345, 0x00000480, 0x00000560, 0x00000d90, 0x000006a2,
        0x12345678, 0x40000000, 0xc0000400, 0xc0010114, 0xc0010117, 0xc0011030, 0xffffffff,
    };
    unsigned wrong = 0;

    for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (get(hidden[i]) == VECTOR_GP && set(hidden[i], 0) == VECTOR_GP)
            continue;
        print("# MSR %x is there\n", hidden[i]);
        wrong++;
    }
    check_eq(wrong, 0, "registers that are hidden can be neither read nor written");
}

/* [Linux: virt/kvm/x86/msr.rst] */
static void check_steal(void)
{
    static uint8_t place[64] __attribute__((aligned(64)));
    static const uint64_t refused[] = {2,
                                       0x20,
                                       0x3e,
                                       HOLE_ADDRESS | 1,
                                       DEVICE_ADDRESS | 1,
                                       0x7fffffffffffffc1,
                                       0xffffffffffffffc1};
    unsigned wrong = 0;

    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        wrong += set(MSR_STEAL, refused[i]) != VECTOR_GP;
    check_eq(wrong, 0, "stolen time is not told where no memory is, nor with reserved bits");
    check_eq(rdmsr(MSR_STEAL), 0, "and is off then");
    check_eq(set(MSR_STEAL, (uint64_t)place | 1), NO_EXCEPTION, "a place in memory is taken");
    check_eq(rdmsr(MSR_STEAL), (uint64_t)place | 1, "and kept");
    check_eq(set(MSR_STEAL, 0), NO_EXCEPTION, "it can be turned off");
}

static void check_efer(void)
{
    uint64_t efer = rdmsr(MSR_EFER);

    check_eq(efer & 0x500, 0x500, "EFER says that long mode is on");
    check_eq(set(MSR_EFER, efer | 1 | 1 << 11), NO_EXCEPTION, "SCE and NXE can be set");
    check_eq(rdmsr(MSR_EFER), efer | 1 | 1 << 11, "and are kept");
    check_eq(set(MSR_EFER, efer & ~0x100ull), VECTOR_GP, "LME cannot be changed under paging");
    check_eq(set(MSR_EFER, efer | 1ull << 40), VECTOR_GP, "reserved bits are refused");
    check_eq(efer & EFER_SVME, 0, "SVM is off");
    check_eq(set(MSR_EFER, efer | EFER_SVME), VECTOR_GP, "and cannot be turned on");
    wrmsr(MSR_EFER, efer);
    check_eq(rdmsr(MSR_EFER), efer, "EFER is as before");
}

static void check_kept(void)
{
    static const struct access kept[] = {
        {MSR_STAR, 0x0033000800000000},
        {MSR_LSTAR, 0x123456789ab},
        {MSR_SFMASK, 0x47700},
        {MSR_FS_BASE, 0x7fff12345678},
        {MSR_KERNEL_GS_BASE, 0x4321},
        {0x174, 8},
        {0x175, 0x112233},
        {0x176, 0x445566},
        {MSR_PAT, 0x0001040600070406},
    };
    uint64_t before[sizeof(kept) / sizeof(kept[0])];
    unsigned wrong = 0;

    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        before[i] = rdmsr(kept[i].msr);
        wrmsr(kept[i].msr, kept[i].value);
    }
    hypercall();
    cpu_yield();
    WAIT_FOR(false, 20);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        wrong += rdmsr(kept[i].msr) != kept[i].value;
        wrmsr(kept[i].msr, before[i]);
    }
    check_eq(wrong, 0, "registers are kept over exits and turns");
    if (is_caisson)
        check_eq(set(MSR_PAT, 0x0202020202020202), VECTOR_GP,
                 "a memory type that is none is refused");
}

static void check_tsc(void)
{
    uint64_t now = rdtsc(), adjust;

    if (!(cpuid(7, 0).ebx & 2))
        return;
    adjust = rdmsr(MSR_TSC_ADJUST);
    check(rdmsr(MSR_TSC) - now < clock_hz(), "the TSC's register is the TSC");
    wrmsr(MSR_TSC_ADJUST, adjust + (1ull << 40));
    check(rdtsc() - now >= 1ull << 40 && rdtsc() - now < (1ull << 40) + clock_hz(),
          "TSC_ADJUST moves the TSC");
    wrmsr(MSR_TSC, now);
    check(rdtsc() - now < clock_hz(), "a write to the TSC moves it back");
    check(rdmsr(MSR_TSC_ADJUST) - adjust + clock_hz() < 2 * clock_hz(), "which TSC_ADJUST tells");
    wrmsr(MSR_TSC_ADJUST, adjust);
}

/* --- The local APIC's --- */

static void check_base(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    check(base & APIC_BASE_BSP, "the first processor is the bootstrap processor");
    check_eq(base & 0xffffff000, LAPIC_BASE, "the local APIC is where it is");
    check_eq(set(MSR_APIC_BASE, base | 1), VECTOR_GP, "reserved bits of its base are refused");
    check_eq(set(MSR_APIC_BASE, base | 1ull << 50), VECTOR_GP, "and addresses that are none");
    if (!lapic_x2)
        return;
    check_eq(set(MSR_APIC_BASE, base & ~APIC_BASE_X2), VECTOR_GP,
             "there is no way from x2APIC straight to xAPIC");
    check_eq(set(MSR_APIC_BASE, base & ~APIC_BASE_ON), VECTOR_GP, "nor to x2APIC without APIC");
    lapic_enter(false);
    check_eq(get(MSR_X2APIC + LAPIC_ID / 16), VECTOR_GP, "in xAPIC mode its MSRs are not there");
    check_eq(mmio_read(LAPIC_BASE + LAPIC_ID) >> 24, apic_id_of(0), "but its window");
    lapic_enter(true);
    check_eq(rdmsr(MSR_X2APIC + LAPIC_ID / 16), apic_id_of(0),
             "in x2APIC mode it is the other way");
    check_eq(mmio_read(LAPIC_BASE + LAPIC_ID), ~0u, "the window is empty");
    check_eq(rdmsr(MSR_APIC_BASE), base, "the base is as before");
    lapic_setup();
}

static void check_x2(void)
{
    if (!lapic_x2)
        return;
    check_eq(set(MSR_X2APIC + LAPIC_ID / 16, 0), VECTOR_GP, "the id cannot be written");
    check_eq(set(MSR_X2APIC + LAPIC_VERSION / 16, 0), VECTOR_GP, "nor the version");
    check_eq(set(MSR_X2APIC + LAPIC_EOI / 16, 1), VECTOR_GP, "an end is 0");
    check_eq(get(MSR_X2APIC + LAPIC_EOI / 16), VECTOR_GP, "and cannot be read");
    check_eq(get(MSR_X2APIC + LAPIC_SELF_IPI / 16), VECTOR_GP, "SELF IPI can only be written");
    check_eq(get(MSR_X2APIC + LAPIC_DFR / 16), VECTOR_GP, "there is no DFR");
    check_eq(get(MSR_X2APIC + LAPIC_ICR / 16 + 1), VECTOR_GP, "nor an upper half of the ICR");
    check_eq(get(MSR_X2APIC + 0xff), VECTOR_GP, "nor what is beyond");
    check_eq(set(MSR_X2APIC + LAPIC_TPR / 16, 0x100), VECTOR_GP, "reserved bits are refused");
    check_eq(rdmsr(MSR_X2APIC + LAPIC_LDR / 16),
             (uint64_t)(apic_id_of(0) >> 4) << 16 | 1u << (apic_id_of(0) & 15),
             "the logical id follows from the id");
}

/* --- Control registers --- */

static uint64_t cr_value;

static void cr0_set(void *)
{
    CR_WRITE(0, cr_value);
}

static void cr4_set(void *)
{
    CR_WRITE(4, cr_value);
}

static void cr8_set(void *)
{
    CR_WRITE(8, cr_value);
}

static unsigned set_cr(void (*fn)(void *), uint64_t value)
{
    cr_value = value;
    return probe(fn, NULL);
}

static void check_cr(void)
{
    uint64_t cr0 = CR_READ(0), cr4 = CR_READ(4);

    check_eq(set_cr(cr4_set, cr4 & ~0x20ull), VECTOR_GP, "PAE cannot be turned off in long mode");
    check_eq(set_cr(cr4_set, cr4 | 1ull << 31), VECTOR_GP, "reserved bits of CR4 are refused");
    check_eq(set_cr(cr4_set, cr4 | 1 << 13), VECTOR_GP, "VMXE");
    check_eq(set_cr(cr4_set, cr4 | 1 << 12), VECTOR_GP, "LA57");
    check_eq(set_cr(cr4_set, cr4 | 1 << 22), VECTOR_GP, "and PKE are hidden");
    check_eq(CR_READ(4), cr4, "CR4 is as before");
    check_eq(set_cr(cr4_set, cr4 | 1 << 7), NO_EXCEPTION, "PGE can be set");
    CR_WRITE(4, cr4);
    check_eq(set_cr(cr0_set, cr0 | CR0_CD), NO_EXCEPTION, "CD can be set");
    hypercall();
    check_eq(CR_READ(0), cr0 | CR0_CD, "and is kept");
    CR_WRITE(0, cr0);
    check_eq(set_cr(cr8_set, 16), VECTOR_GP, "CR8 has four bits");
}

/* QEMU by itself allows much that hardware does not. */
void guest_main(void)
{
    if (!is_caisson) {
        check_kept();
        check_tsc();
        return;
    }
    check_hidden();
    check_steal();
    check_efer();
    check_kept();
    check_tsc();
    check_base();
    check_x2();
    check_cr();
}
