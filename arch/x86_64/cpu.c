/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This processor as the hypervisor uses it: 64-bit mode, ring 0, four-level tables, one code and
 * one data segment. There is no ring 3; SMEP, SMAP and UMIP are on for what a mistake of ours could
 * make of one. What a guest may use is decided by the backend. [SDM 3, chapters 2, 3, 6]
 */
#include "arch/x86_64/apic.h"
#include "arch/x86_64/asm.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/pt_x86_64.h"
#include "arch/x86_64/remote.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/x86.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/string.h"

_Static_assert(offsetof(struct pcpu, stack_top) == PCPU_STACK_TOP, "known to assembly");
_Static_assert(offsetof(struct pcpu, arch.self) == PCPU_SELF, "known to assembly");
_Static_assert(offsetof(struct pcpu, arch.vector) == PCPU_VECTOR, "known to assembly");
_Static_assert(offsetof(struct arch_trap_frame, gpr[4]) == TRAP_FRAME_RSP, "known to assembly");
_Static_assert(offsetof(struct arch_trap_frame, cr2) == TRAP_FRAME_CR2, "known to assembly");
_Static_assert(offsetof(struct arch_trap_frame, rsp) == TRAP_FRAME_PUSHED, "known to assembly");
_Static_assert(offsetof(struct arch_tss, ist) == 36, "[SDM 3, figure 8-11]");
_Static_assert(sizeof(struct arch_tss) == 104, "[SDM 3, figure 8-11]");

#define FLUSH_ALL_PAGES 64u /* From so many on, all at once is faster. */

struct [[gnu::packed]] table_register {
    uint16_t limit;
    uint64_t base;
};

struct gate {
    uint64_t low, high;
};

static struct gate idt[256];

uint64_t host_cr3;
const struct pt_format *arch_host_format = &pt_format_long;

/* --- Descriptor tables --- */

static unsigned cpu_gate_stack(unsigned vector)
{
    switch (vector) {
    case TRAP_DF:
        return TRAP_IST_DF;
    case TRAP_NMI:
        return TRAP_IST_NMI;
    case TRAP_MC:
        return TRAP_IST_MC;
    }
    return vector < 32 ? TRAP_IST_FAULT : 0;
}

/* Interrupt gates: the flag IF is clear in all handlers [SDM 3, 6.14.1]. */
static void cpu_fill_idt(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(idt); i++) {
        uint64_t entry = (uintptr_t)trap_stubs + (size_t)i * TRAP_STUB_SIZE;

        idt[i] = (struct gate){
            .low = (entry & BITS(15, 0)) | (uint64_t)SEL_CODE << 16 |
                   (uint64_t)cpu_gate_stack(i) << 32 | (uint64_t)0x8e << 40 |
                   (entry & BITS(31, 16)) << 32,
            .high = entry >> 32,
        };
    }
}

static void cpu_fill_tss(struct arch_pcpu *cpu)
{
    uint64_t top = (uintptr_t)cpu->trap_stack_top;

    cpu->tss = (struct arch_tss){.io_map = sizeof(cpu->tss)};
    for (unsigned ist = TRAP_IST_FAULT; ist < TRAP_ISTS; ist++, top -= TRAP_STACK_SIZE) {
        cpu->tss.ist[2 * (ist - 1)] = (uint32_t)top;
        cpu->tss.ist[2 * (ist - 1) + 1] = (uint32_t)(top >> 32);
    }
}

/* Code and data as in start.S, and an available 64-bit TSS [SDM 3, 8.2.3]. */
static void cpu_fill_gdt(struct arch_pcpu *cpu)
{
    uint64_t tss = (uintptr_t)&cpu->tss;

    cpu->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
    cpu->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
    cpu->gdt[SEL_TSS / 8] = (sizeof(cpu->tss) - 1) | (tss & BITS(23, 0)) << 16 |
                            (uint64_t)0x89 << 40 | (tss & BITS(31, 24)) << 32;
    cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
}

static void cpu_use_tables(struct pcpu *cpu)
{
    struct table_register gdtr = {sizeof(cpu->arch.gdt) - 1, (uintptr_t)cpu->arch.gdt};
    struct table_register idtr = {sizeof(idt) - 1, (uintptr_t)idt};

    cpu_fill_tss(&cpu->arch);
    cpu_fill_gdt(&cpu->arch);
    cpu->arch.self = cpu;
    __asm__ volatile("lgdt %0; ltr %w1; lidt %2" : : "m"(gdtr), "r"(SEL_TSS), "m"(idtr) : "memory");
    msr_write(MSR_GS_BASE, (uintptr_t)cpu);
}

/* --- Control registers --- */

static void cpu_set_control(void)
{
    struct cpuid basic = cpuid(1, 0), extended = cpuid_or_none(7, 0);
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (!(cpuid_or_none(0x80000001, 0).edx & CPUIDX1_EDX_NX))
        panic("this processor, or its firmware, has no execute-disable");
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
    msr_write(MSR_PAT, PAT_VALUE);
    cr0_write(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
    if (basic.edx & CPUID1_EDX_MCE)
        cr4 |= CR4_MCE;
    if (basic.ecx & CPUID1_ECX_XSAVE)
        cr4 |= CR4_OSXSAVE;
    if (extended.ebx & CPUID7_EBX_SMEP)
        cr4 |= CR4_SMEP;
    if (extended.ebx & CPUID7_EBX_SMAP)
        cr4 |= CR4_SMAP;
    if (extended.ecx & CPUID7_ECX_UMIP)
        cr4 |= CR4_UMIP;
    if (basic.ecx & CPUID1_ECX_PCID && !(cr3_read() & BITS(11, 0)))
        cr4 |= CR4_PCIDE; /* We are process context 0. */
    cr4_write(cr4);
}

/* All errors of all banks are signalled; what is there from before was the firmware's to tell. */
static void cpu_enable_machine_checks(void)
{
    uint64_t capabilities, count;

    /* Bochs has the feature without the register. */
    if (!(cpuid(1, 0).edx & CPUID1_EDX_MCA) || !msr_probe(MSR_MCG_CAP, &capabilities))
        return;
    count = field_get(MCG_CAP_COUNT, capabilities);
    for (uint32_t bank = 0; bank < count; bank++) {
        msr_write(MSR_MC0_CTL + 4 * bank, ~(uint64_t)0);
        msr_write(MSR_MC0_STATUS + 4 * bank, 0);
    }
}

void arch_cpu_init(struct pcpu *cpu)
{
    static alignas(16) char boot_trap_stacks[PAGE_SIZE << TRAP_STACK_ORDER];

    if (!cpu->arch.trap_stack_top) { /* The boot processor: others were given one when started. */
        cpu->arch.trap_stack_top = boot_trap_stacks + sizeof(boot_trap_stacks);
        cpu_fill_idt();
    }
    cpu_use_tables(cpu);
    cpu_set_control();
    cpu_enable_machine_checks();
    if (!tsc_hz)
        tsc_hz = tsc_hz_told();
}

uint64_t arch_hw_id(void)
{
    return apic_own_id();
}

/* What the processor calls itself, without the blanks around it. */
static const char *cpu_brand(char text[49])
{
    size_t end = 48;

    memset(text, 0, 49);
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid part = cpuid_or_none(0x80000002 + i, 0);

        memcpy(text + 16 * i, &part, sizeof(part));
    }
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\0'))
        text[--end] = '\0';
    while (*text == ' ')
        text++;
    return text;
}

void arch_cpu_describe(char *buf, size_t size)
{
    uint64_t cr4 = cr4_read();
    char brand[49];

    fmt_buf(buf, size, "%s, %u-bit physical addresses, TSC at %u kHz (%s), %s%s%s%s%s",
            cpu_brand(brand), cpuid_or_none(0x80000008, 0).eax & 0xff, (unsigned)(tsc_hz / 1000),
            tsc_source(), apic_describe(), cr4 & CR4_SMEP ? ", SMEP" : "",
            cr4 & CR4_SMAP ? ", SMAP" : "", cr4 & CR4_UMIP ? ", UMIP" : "",
            cr4 & CR4_PCIDE ? ", PCID" : "");
}

/* --- Waiting --- */

/* STI holds interrupts off for one more instruction, so none is lost before HLT. The interrupt's
 * stub records it and masks again. */
void arch_idle(void)
{
    if (!this_cpu()->arch.vector)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void arch_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

/* --- Memory --- */

void arch_host_map_use(hpa_t root)
{
    host_cr3 = root.v;
    cr3_write(host_cr3);
}

/* Global pages too: they outlive a load of cr3 [SDM 3, 4.10.4.1]. */
static void cpu_flush_all(void)
{
    uint64_t cr4 = cr4_read();

    cr4_write(cr4 & ~CR4_PGE);
    cr4_write(cr4);
}

struct flush_range {
    uintptr_t start, end;
};

static void cpu_flush_range(void *arg)
{
    const struct flush_range *range = arg;

    if ((range->end - range->start) / PAGE_SIZE > FLUSH_ALL_PAGES) {
        cpu_flush_all();
        return;
    }
    for (uintptr_t page = range->start; page < range->end; page += PAGE_SIZE)
        __asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
}

void arch_host_flush(const void *start, size_t size)
{
    struct flush_range range = {.start = ALIGN_DOWN((uintptr_t)start, PAGE_SIZE),
                                .end = (uintptr_t)start + size};

    remote_call(cpu_flush_range, &range);
}

/* Caches are coherent with everything that a guest can do, and instructions with data. */
void arch_cache_clean(const void *, size_t)
{
}

void arch_zero_pages(void *start, size_t size)
{
    assert(IS_ALIGNED((uintptr_t)start, PAGE_SIZE) && IS_ALIGNED(size, PAGE_SIZE));
    size /= sizeof(uint64_t);
    __asm__ volatile("rep stosq" : "+D"(start), "+c"(size) : "a"(0) : "memory");
}
