/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This processor as the hypervisor uses it: HS-mode, Sv48 or Sv39. What a guest may touch directly
 * is decided in virt.c. Features are found by trying: a CSR that firmware has not enabled is as
 * good as absent, whatever the tables say.
 */
#include "arch/riscv64/asm.h"
#include "arch/riscv64/boot.h"
#include "arch/riscv64/csr.h"
#include "arch/riscv64/pt_riscv64.h"
#include "arch/riscv64/sbi.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/pt.h"

_Static_assert(offsetof(struct pcpu, stack_top) == PCPU_STACK_TOP, "known to assembly");
_Static_assert(offsetof(struct pcpu, arch.trap_stack_top) == PCPU_TRAP_STACK, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, x) == 0, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, pc) == VCPU_PC, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, host_sp) == VCPU_HOST_SP, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, host_tp) == VCPU_HOST_TP, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, host_ra) == VCPU_HOST_RA, "known to assembly");
_Static_assert(offsetof(struct arch_vcpu, host_s0) == VCPU_HOST_S0, "known to assembly");
_Static_assert(offsetof(struct arch_fp_state, fcsr) == 256, "known to assembly");
_Static_assert(sizeof(struct arch_trap_frame) == TRAP_FRAME_SIZE, "known to assembly");
_Static_assert(offsetof(struct arch_trap_frame, sepc) == 256, "known to assembly");

/* In .data: start.S writes the first after .bss was cleared, the others are read by harts without a
 * map. */
uint64_t boot_hart = ~(uint64_t)0;
uint64_t host_satp;
struct cpu_has cpu_has;

const struct pt_format *arch_host_format = &pt_format_sv39;

/* An unsupported mode leaves satp as it was [supervisor.adoc, satp]. RAM is where it was: Bare so
 * far. */
static void cpu_choose_format(void)
{
    static alignas(PAGE_SIZE) uint64_t root[512];
    uint64_t satp = field_put(SATP_MODE, MODE_SV48) | (uintptr_t)root >> PAGE_SHIFT;
    uint64_t gib512 = (uintptr_t)root >> 39;
    uint64_t read;

    /* The 512 GiB that we are in, one to one: V, R, W, X, A, D. */
    root[gib512 % 512] = gib512 << 37 | 0xcf;
    __asm__ volatile("csrw satp, %1\n"
                     "csrr %0, satp\n"
                     "csrw satp, zero\n"
                     "sfence.vma\n"
                     : "=&r"(read)
                     : "r"(satp)
                     : "memory");
    if (field_get(SATP_MODE, read) == MODE_SV48)
        arch_host_format = &pt_format_sv48;
}

/* Clears a block of memory. [Unprivileged ISA: Zicboz] */
#define CBO_ZERO(addr) ".insn i 0x0f, 2, x0, " addr ", 4"

/* How much CBO.ZERO clears: found by using it, for this is needed before the tables are read. */
static uint16_t cpu_zero_size(void)
{
    alignas(256) uint8_t block[256];
    size_t size = 0;

    memset(block, 0xff, sizeof(block));
    if (!insn_probe_at(CBO_ZERO("%3"), block))
        return 0;
    while (size < sizeof(block) && block[size] == 0)
        size++;
    return size >= 16 && (size & (size - 1)) == 0 ? (uint16_t)size : 0;
}

static struct cpu_has cpu_find_features(void)
{
    uint64_t sstatus = csr_read("sstatus");
    struct cpu_has has;

    csr_set("sstatus", SSTATUS_FS);
    has.fp = (csr_read("sstatus") & SSTATUS_FS) &&
             insn_probe(".option push; .option arch, +d; fmv.x.d %1, f0; .option pop");
    csr_write("sstatus", sstatus & ~(SSTATUS_FS | SSTATUS_VS | SSTATUS_SIE));
    has.sstc = csr_probe("stimecmp") && csr_probe("vstimecmp");
    has.envcfg = csr_probe("henvcfg") && csr_probe("senvcfg");
    has.stateen = csr_probe("hstateen0");
    has.csrind = csr_probe("siselect") && csr_probe("vsiselect");
    has.aia = has.csrind && csr_probe("hvictl") && csr_probe("stopi");
    has.jvt = csr_probe("0x017");
    has.scontext = csr_probe("0x5a8");
    has.zero_size = cpu_zero_size();
    return has;
}

/* A hart that differs from the one that boots could not run what was started there. */
static void cpu_compare_features(const struct pcpu *cpu)
{
    struct cpu_has has = cpu_find_features();

    if (memcmp(&has, &cpu_has, sizeof(has)) == 0)
        return;
    log_error("cpu%u differs from cpu0 in what it has of D, Sstc, Smstateen or Ssaia", cpu->id);
    arch_halt();
}

/* Nothing to build on but the firmware's console. */
static void cpu_require_h(void)
{
    static const char text[] = "Caisson needs the H extension, RISC-V's hypervisor mode, which "
                               "this hart lacks (QEMU: -cpu rva22s64,h=true).\r\n";

    if (csr_probe("hstatus"))
        return;
    (void)(arch_console_write(text, sizeof(text) - 1) == OK);
    arch_halt();
}

void arch_cpu_init(struct pcpu *cpu)
{
    static alignas(16) char boot_trap_stack[4096];

    cpu_require_h();
    if (!cpu->arch.trap_stack_top) { /* The boot processor: others were given one when started. */
        cpu->arch.trap_stack_top = boot_trap_stack + sizeof(boot_trap_stack);
        arch_tp = cpu;
        cpu_has = cpu_find_features();
        cpu_choose_format();
    } else {
        cpu_compare_features(cpu);
    }
    csr_clear("sstatus", SSTATUS_FS | SSTATUS_VS | SSTATUS_SIE | SSTATUS_SUM);
    csr_write("sie", 0);
    csr_write("hie", 0);
    csr_write("hvip", 0);
    csr_write("hgatp", 0);
    if (cpu_has.sstc)
        csr_write("vstimecmp", ~(uint64_t)0);
}

uint64_t arch_hw_id(void)
{
    return this_cpu()->id == 0 ? boot_hart : this_cpu()->hw_id;
}

void arch_cpu_describe(char *buf, size_t size)
{
    struct sbi_result spec = sbi_call(SBI_EID_BASE, BASE_SPEC_VERSION, 0, 0, 0, 0, 0);
    struct sbi_result impl = sbi_call(SBI_EID_BASE, BASE_IMPL_ID, 0, 0, 0, 0, 0);

    fmt_buf(buf, size, "RV64 with H, %s, SBI %u.%u (%s), time at %u kHz%s%s",
            arch_host_format->name, (unsigned)(spec.value >> 24 & 0x7f),
            (unsigned)(spec.value & 0xffffff), impl.value == 1 ? "OpenSBI" : "not OpenSBI",
            (unsigned)(arch_tick_hz() / 1000), cpu_has.sstc ? ", Sstc" : "",
            cpu_has.aia ? ", AIA" : "");
}

void arch_idle(void)
{
    __asm__ volatile("fence rw, rw; wfi" : : : "memory"); /* Masked interrupts end it too. */
}

void arch_halt(void)
{
    csr_write("sie", 0);
    for (;;)
        __asm__ volatile("wfi" : : : "memory");
}

void arch_host_map_use(hpa_t root)
{
    uint64_t mode = arch_host_format == &pt_format_sv48 ? MODE_SV48 : MODE_SV39;

    host_satp = field_put(SATP_MODE, mode) | root.v >> PAGE_SHIFT;
    __asm__ volatile("sfence.vma; csrw satp, %0; sfence.vma" : : "r"(host_satp) : "memory");
}

static uint64_t cpu_others_online(void)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < pcpu_count; i++)
        if (pcpu(i) != this_cpu() && atomic_load(&pcpu(i)->online))
            mask |= BIT(i);
    return mask;
}

void arch_host_flush(const void *start, size_t size)
{
    uint64_t others = cpu_others_online();

    for (uintptr_t page = ALIGN_DOWN((uintptr_t)start, PAGE_SIZE); page < (uintptr_t)start + size;
         page += PAGE_SIZE)
        __asm__ volatile("sfence.vma %0" : : "r"(page) : "memory");
    if (others)
        sbi_remote_fence(RFENCE_SFENCE_VMA, others, (uintptr_t)start, size, 0);
}

/* Data caches are coherent with a hart that translates nothing; fence.i comes again on each hart
 * where a guest is started, by vcpu_claim_tlb(). */
void arch_cache_clean([[maybe_unused]] const void *start, [[maybe_unused]] size_t size)
{
    __asm__ volatile("fence rw, rw; fence.i" : : : "memory");
}

void arch_zero_pages(void *start, size_t size)
{
    char *at = start, *end = at + size;
    size_t block = cpu_has.zero_size;

    assert(IS_ALIGNED((uintptr_t)start, PAGE_SIZE) && IS_ALIGNED(size, PAGE_SIZE));
    for (; block != 0 && at < end; at += block)
        __asm__ volatile(CBO_ZERO("%0") : : "r"(at) : "memory");
    for (; at < end; at += 64)
        __asm__ volatile("sd zero, 0(%0); sd zero, 8(%0); sd zero, 16(%0); sd zero, 24(%0)\n"
                         "sd zero, 32(%0); sd zero, 40(%0); sd zero, 48(%0); sd zero, 56(%0)"
                         :
                         : "r"(at)
                         : "memory");
}
