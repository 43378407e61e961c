/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what is hidden is not there, what is there works, and processors and caches add up.
 * [SDM 2A, CPUID; APM 3, appendix E]
 */
#include "x86.h"

static uint32_t ids[CPUS_MAX], leaf_ids[CPUS_MAX];

static void note_ids(void)
{
    ids[cpu_id()] = cpuid(1, 0).ebx >> 24;
    leaf_ids[cpu_id()] = cpuid(0xb, 0).edx;
}

static void check_hidden(void)
{
    check_eq(cpuid(1, 0).ecx & (1 << 3 | 1 << 5 | 1 << 6 | 1 << 15 | 1 << 18), 0,
             "MONITOR, VMX, SMX, PDCM and DCA are hidden");
    check_eq(cpuid(1, 0).edx & (1 << 12 | 1 << 21), 0, "and MTRR, DS");
    check(!(cpuid(1, 0).edx & 1 << 14) || (rdmsr(0x179) & 0xff) == 0,
          "no bank reports machine checks");
    check_eq(cpuid(0x80000001, 0).ecx & (1 << 2 | 1 << 10 | 1 << 12 | 1 << 23), 0,
             "SVM, IBS, SKINIT and performance counters");
    check_eq(cpuid(0x8000000a, 0).eax | cpuid(0x8000000a, 0).edx, 0, "with SVM's leaf");
    check_eq(cpuid(0xa, 0).eax, 0, "there is no performance monitoring");
    check_eq(cpuid(0x8000001f, 0).eax, 0, "nor memory encryption");
    check_eq(cpuid(7, 0).ecx & (1 << 3 | 1 << 16), 0, "PKU and LA57 are hidden");
}

/* --- State that nobody exchanges: by no way can a guest come to it. --- */

static void state_set_cr4(void *arg)
{
    uint64_t old = CR_READ(4);

    CR_WRITE(4, old | *(const uint64_t *)arg);
    CR_WRITE(4, old);
}

static void state_set_xcr0(void *arg)
{
    uint64_t value = *(const uint64_t *)arg | 3;

    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void state_read(void *arg)
{
    *(volatile uint64_t *)arg = rdmsr((uint32_t) * (const uint64_t *)arg);
}

static void state_write(void *arg)
{
    wrmsr((uint32_t) * (const uint64_t *)arg, 0);
}

static void state_xsaves(void *)
{
    static uint8_t area[8192] __attribute__((aligned(64)));

    __asm__ volatile("xsaves64 %0" : "+m"(area) : "a"(3), "d"(0));
}

static void state_rdpkru(void *)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xee" ::"c"(0) : "eax", "edx");
}

/* How many of these numbers are not answered by #GP. */
static unsigned not_refused(void (*fn)(void *arg), const uint64_t *number, unsigned count, bool bit)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t value = bit ? 1ull << number[i] : number[i];

        if (probe(fn, &value) == VECTOR_GP)
            continue;
        print("# %x is not refused\n", (unsigned)number[i]);
        wrong++;
    }
    return wrong;
}

#define NOT_REFUSED(fn, numbers, bit)                                                              \
    not_refused(fn, numbers, sizeof(numbers) / sizeof(numbers[0]), bit)

static void check_states(void)
{
    /* VMXE, SMXE, LA57, PKE, CET, PKS, UINTR, LAM, FRED. */
    static const uint64_t cr4_bits[] = {12, 13, 14, 22, 23, 24, 25, 28, 32};
    /* MPX, PT, PKRU, PASID, CET, HDC, UINTR, LBR, HWP, AMX, APX. */
    static const uint64_t components[] = {3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 62};
    /* XFD, FRED, CET, PKRS, UINTR, PASID, XSS. */
    static const uint64_t msrs[] = {0x1c4, 0x1c5, 0x1cc, 0x1d4, 0x6a0, 0x6a2, 0x6a4,
                                    0x6a7, 0x6a8, 0x6e1, 0x985, 0x98a, 0xd93, 0xda0};

    check_eq(cpuid(7, 0).ecx & (1u << 3 | 1u << 4 | 1u << 7 | 1u << 16 | 1u << 23 | 1u << 29), 0,
             "PKU, shadow stacks, LA57, key locker and ENQCMD are hidden");
    check_eq(cpuid(7, 0).edx & (1u << 5 | 1u << 20 | 1u << 22 | 1u << 24 | 1u << 25), 0,
             "so are UINTR, branch tracking and AMX");
    check_eq((cpuid(7, 1).eax & (1u << 17 | 1u << 26)) | cpuid(7, 1).edx, 0, "FRED, LAM and APX");
    check_eq(NOT_REFUSED(state_set_cr4, cr4_bits, true), 0, "CR4 refuses their bits");
    check_eq(NOT_REFUSED(state_read, msrs, false), 0, "their MSRs and XSS cannot be read");
    check_eq(NOT_REFUSED(state_write, msrs, false), 0, "nor written");
    check_eq(probe(state_rdpkru, NULL), VECTOR_UD, "protection keys cannot be read");
    if (!(cpuid(1, 0).ecx >> 26 & 1))
        return;
    CR_WRITE(4, CR_READ(4) | CR4_OSXSAVE);
    check_eq(NOT_REFUSED(state_set_xcr0, components, true), 0, "XCR0 refuses their components");
    check_eq(cpuid(0xd, 1).eax >> 3, 0, "XSAVES and XFD are hidden");
    check_eq(cpuid(0xd, 1).ecx | cpuid(0xd, 1).edx, 0, "no component is XSS's");
    if (cpuid(0, 0).ebx == 0x756e6547) /* "Genu": on AMD's nothing takes the instruction away. */
        check_eq(probe(state_xsaves, NULL), VECTOR_UD, "XSAVES is no instruction");
    CR_WRITE(4, CR_READ(4) & ~CR4_OSXSAVE);
}

static void check_there(void)
{
    uint32_t c = cpuid(1, 0).ecx, d = cpuid(1, 0).edx;

    check(c >> 31, "a hypervisor says that it is there");
    check(c >> 21 & 1, "there is an x2APIC");
    check(c >> 24 & 1, "and TSC deadlines");
    check(d >> 9 & 1, "there is a local APIC");
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_X2 | APIC_BASE_ON));
    check_eq(cpuid(1, 0).edx >> 9 & 1, 0, "but not while it is switched off");
    lapic_enter(lapic_x2);
    check(cpuid(1, 0).edx >> 9 & 1, "and then again");
    check(cpuid(0x80000001, 0).edx >> 29 & 1, "there is long mode");
    check_eq(c >> 27 & 1, 0, "OSXSAVE is off at first");
    if (!(c >> 26 & 1))
        return;
    CR_WRITE(4, CR_READ(4) | CR4_OSXSAVE);
    check_eq(cpuid(1, 0).ecx >> 27 & 1, 1, "it follows CR4");
    CR_WRITE(4, CR_READ(4) & ~CR4_OSXSAVE);
    check_eq(cpuid(1, 0).ecx >> 27 & 1, 0, "both ways");
}

/* Sizes with what is on, and with all that can be. */
static void check_xsave(void)
{
    uint64_t all = cpuid(0xd, 0).eax;

    if (!(cpuid(1, 0).ecx >> 26 & 1)) {
        check_eq(cpuid(0xd, 0).eax, 0, "without XSAVE its leaf is empty");
        return;
    }
    check_eq(all & 3, 3, "x87 and SSE can be saved");
    CR_WRITE(4, CR_READ(4) | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" ::"c"(0), "a"(3), "d"(0));
    check_eq(cpuid(0xd, 0).ebx, 576, "with these two on the area has 576 bytes");
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)all), "d"(0));
    check_eq(cpuid(0xd, 0).ebx, cpuid(0xd, 0).ecx, "with all on it has the size of all");
    check(!(all & 4) || cpuid(0xd, 2).eax == 256, "AVX adds 256 bytes");
    check_eq((cpuid(1, 0).ecx >> 28 & 1), all >> 2 & 1, "AVX is there if it can be saved");
    check_eq(cpuid(0xd, 62).eax | cpuid(0xd, 9).eax, 0, "what is hidden has no size");
}

static void check_topology(void)
{
    unsigned count = machine_cpu_count(), cpus = cpus_start(count), wrong = 0;

    cpus_run(cpus, note_ids);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        wrong += ids[cpu] != apic_id_of(cpu) || leaf_ids[cpu] != apic_id_of(cpu);
    check_eq(wrong, 0, "each processor's id is that of the MADT");
    check_eq(cpuid(0xb, 1).ebx, count, "the topology has as many as there are");
    check(1u << cpuid(0xb, 1).eax >= count, "and its shift has room for them");
    check_eq(cpuid(0xb, 0).ecx >> 8, 1, "its first level is threads,");
    check_eq(cpuid(0xb, 1).ecx >> 8 & 0xff, 2, "its second cores,");
    check_eq(cpuid(0xb, 2).ecx >> 8 & 0xff, 0, "a third there is not");
    check_eq(cpuid(1, 0).edx >> 28 & 1, count > 1, "HTT: there is more than one");
    if (cpuid(0, 0).ebx == 0x68747541) /* "Auth" */
        check_eq((cpuid(0x80000008, 0).ecx & 0xff) + 1, count, "AMD's leaf counts the same");
}

static bool is_text(struct cpuid id, const char *text)
{
    return text_starts((const char *)&id.ebx, text);
}

static void check_hypervisor(void)
{
    struct cpuid first = cpuid(0x40000000, 0);
    uint64_t khz = cpuid(0x40000010, 0).eax;

    check(is_text(first, "CaissonCaiss"), "the hypervisor's leaf has its name");
    check(first.eax >= 0x40000010, "and says how many there are");
    check(is_text(cpuid(0x40000100, 0), "KVMKVMKVM"), "so has the block that Linux looks for");
    check_eq(cpuid(0x40000101, 0).eax & ~(1u << 3 | 1u << 5 | 1u << 24), 0,
             "which offers a clock and stolen time at most");
    check(khz * 1000 == clock_hz(), "there is the TSC's frequency");
    check_eq(cpuid(0x4000ffff, 0).eax, 0, "leaves that are not there are zeroes");
    check_eq(cpuid(cpuid(0, 0).eax + 1, 0).eax, 0, "those behind the last too");
    check_eq(cpuid(0x8fffffff, 0).eax, 0, "and those behind the last extended");
}

/* The frequency that was told, against the PM timer. */
static void check_frequency(void)
{
    uint32_t first = pm_timer();
    uint64_t start = rdtsc(), took, ticks;

    WAIT_FOR(false, 200);
    took = rdtsc() - start;
    ticks = (pm_timer() - first) & 0xffffff;
    took = took * PM_TIMER_HZ / ticks;
    print("# TSC %lu Hz, told %lu\n", took, clock_hz());
    check(took > clock_hz() / 100 * 99 && took < clock_hz() / 100 * 101,
          "the TSC runs at the frequency that is told, by the PM timer");
}

void guest_main(void)
{
    check_topology();
    check_xsave();
    check_frequency();
    CR_WRITE(4, CR_READ(4) & ~CR4_OSXSAVE);
    if (!is_caisson)
        return;
    check_hidden();
    check_states();
    check_there();
    check_hypervisor();
}
