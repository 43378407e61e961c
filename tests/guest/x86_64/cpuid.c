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
    check_there();
    check_hypervisor();
}
