/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This processor as the hypervisor uses it: EL2 without VHE, 48-bit tables of 4 KiB pages. What a
 * guest may touch directly is decided in vcpu.c. [Arm ARM DDI 0487]
 */
#include "arch/aarch64/asm.h"
#include "arch/aarch64/boot.h"
#include "arch/aarch64/pt_aarch64.h"
#include "arch/aarch64/sysreg.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"

_Static_assert(offsetof(struct pcpu, stack_top) == PCPU_STACK_TOP, "known to assembly");
_Static_assert(offsetof(struct pcpu, arch.trap_stack_top) == PCPU_TRAP_STACK, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, pc) == VCPU_PC, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, pstate) == VCPU_PSTATE, "known to assembly");
_Static_assert(offsetof(struct arch_fp_state, fpcr) == 512, "known to assembly");
_Static_assert(sizeof(struct arch_trap_frame) == TRAP_FRAME_SIZE, "known to assembly");
_Static_assert(offsetof(struct arch_trap_frame, sp) == 248, "known to assembly");

#define MMFR0_TGRAN4 BITS(31, 28)
#define MMFR1_VH     BITS(11, 8)
#define MMFR0_FGT    BITS(59, 56)
#define MMFR1_HCX    BITS(43, 40)
#define PFR0_MPAM    BITS(43, 40)
#define MPAM2_TRAP   BITS(49, 48) /* TRAPMPAM0EL1, TRAPMPAM1EL1 */

extern const char vectors[];

_Static_assert(PT_S1_MAIR == MAIR_VALUE, "start.S and the format agree");

hpa_t host_root;
const struct pt_format *arch_host_format = &pt_format_s1;

/*
 * Trap controls that firmware may have left with any value: fine-grained traps, HCRX, MPAM. Off,
 * but that guests may not name cache partitions. The registers are there only with their feature.
 */
static void cpu_quiet_traps(void)
{
    uint64_t mmfr0 = sysreg_read("id_aa64mmfr0_el1");

    if (field_get(MMFR0_FGT, mmfr0)) {
        sysreg_write("s3_4_c1_c1_4", 0); /* HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2, */
        sysreg_write("s3_4_c1_c1_5", 0);
        sysreg_write("s3_4_c1_c1_6", 0);
        sysreg_write("s3_4_c3_c1_4", 0); /* HDFGRTR_EL2, HDFGWTR_EL2. */
        sysreg_write("s3_4_c3_c1_5", 0);
    }
    if (field_get(MMFR1_HCX, sysreg_read("id_aa64mmfr1_el1")))
        sysreg_write("s3_4_c1_c2_2", 0); /* HCRX_EL2 */
    if (field_get(PFR0_MPAM, sysreg_read("id_aa64pfr0_el1")))
        sysreg_write("s3_4_c10_c5_0", MPAM2_TRAP);
}

void arch_cpu_init(struct pcpu *cpu)
{
    static alignas(16) char boot_trap_stack[4096];

    if (!cpu->arch.trap_stack_top) /* The boot processor: others were given one when started. */
        cpu->arch.trap_stack_top = boot_trap_stack + sizeof(boot_trap_stack);
    sysreg_write("tpidr_el2", cpu);
    sysreg_write("vbar_el2", vectors);
    sysreg_write("hcr_el2", HCR_HOST);
    sysreg_write("cptr_el2", CPTR_RES1 | CPTR_TZ | CPTR_TTA | CPTR_TAM);
    sysreg_write("hstr_el2", 0);
    sysreg_write("cnthctl_el2", CNTHCTL_EL1PCTEN);
    sysreg_write("cntvoff_el2", 0);
    sysreg_write("cnthp_ctl_el2", 0);
    sysreg_write("cntv_ctl_el0", 0);
    cpu_quiet_traps();
    isb();
    if (sysreg_read("hcr_el2") & HCR_E2H)
        panic("this processor's EL2 works in VHE mode only, which is not supported");
    if (field_get(MMFR0_TGRAN4, sysreg_read("id_aa64mmfr0_el1")) == 0xf)
        panic("this processor cannot use 4 KiB pages");
    __asm__ volatile("msr daifclr, #4"); /* A SError of our own is reported at once. */
}

uint64_t arch_hw_id(void)
{
    return sysreg_read("mpidr_el1") & (BITS(39, 32) | BITS(23, 0));
}

void arch_cpu_describe(char *buf, size_t size)
{
    static const struct {
        uint32_t midr; /* Implementer, part number: bits 31:24 and 15:4. */
        const char *name;
    } names[] = {
        {0x4100d030, "Cortex-A53"},  {0x4100d040, "Cortex-A35"},  {0x4100d050, "Cortex-A55"},
        {0x4100d070, "Cortex-A57"},  {0x4100d080, "Cortex-A72"},  {0x4100d090, "Cortex-A73"},
        {0x4100d0b0, "Cortex-A76"},  {0x4100d0c0, "Neoverse-N1"}, {0x4100d400, "Neoverse-V1"},
        {0x4100d490, "Neoverse-N2"}, {0x4100d460, "Cortex-A510"}, {0x4100d470, "Cortex-A710"},
    };
    uint64_t midr = sysreg_read("midr_el1"), mmfr0 = sysreg_read("id_aa64mmfr0_el1");
    static const uint8_t pa_bits[] = {32, 36, 40, 42, 44, 48, 52};
    unsigned range = mmfr0 & 0xf;
    const char *name = "unknown model";

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].midr == (midr & 0xff00fff0))
            name = names[i].name;
    fmt_buf(buf, size, "%s (MIDR %08x), %u-bit physical addresses, counter at %u kHz%s", name,
            (unsigned)midr, range < ARRAY_SIZE(pa_bits) ? pa_bits[range] : 0,
            (unsigned)(arch_tick_hz() / 1000),
            field_get(MMFR1_VH, sysreg_read("id_aa64mmfr1_el1")) ? ", VHE unused" : "");
}

void arch_idle(void)
{
    __asm__ volatile("dsb sy; wfi" : : : "memory"); /* Masked interrupts end it too. */
}

void arch_halt(void)
{
    __asm__ volatile("msr daifset, #0xf");
    for (;;)
        __asm__ volatile("wfi" : : : "memory");
}

void arch_host_map_use(hpa_t root)
{
    host_root = root;
    /* A secondary reads it with its MMU off. */
    arch_cache_clean(&host_root, sizeof(host_root));
    start_switch_map(root);
}

void arch_host_flush(const void *start, size_t size)
{
    dsb_ish();
    for (uintptr_t page = ALIGN_DOWN((uintptr_t)start, PAGE_SIZE); page < (uintptr_t)start + size;
         page += PAGE_SIZE)
        __asm__ volatile("tlbi vae2is, %0" : : "r"(page >> PAGE_SHIFT) : "memory");
    dsb_ish();
    isb();
}

void arch_cache_clean(const void *start, size_t size)
{
    uint64_t line = 4ull << (sysreg_read("ctr_el0") >> 16 & 0xf);
    uintptr_t end = (uintptr_t)start + size;

    for (uintptr_t at = ALIGN_DOWN((uintptr_t)start, line); at < end; at += line)
        __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
    dsb_sy();
    __asm__ volatile("ic ialluis; dsb ish; isb" : : : "memory");
}

void arch_zero_pages(void *start, size_t size)
{
    uint64_t dczid = sysreg_read("dczid_el0");
    uint64_t block = 4ull << (dczid & 0xf);
    char *at = start, *end = at + size;

    assert(IS_ALIGNED((uintptr_t)start, PAGE_SIZE) && IS_ALIGNED(size, PAGE_SIZE));
    if (dczid & BIT(4)) { /* DC ZVA is prohibited. */
        for (; at < end; at += 16)
            __asm__ volatile("stp xzr, xzr, [%0]" : : "r"(at) : "memory");
        return;
    }
    for (; at < end; at += block)
        __asm__ volatile("dc zva, %0" : : "r"(at) : "memory");
}
