/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU of x86: what SVM and VMX share. The general registers and RIP are in struct arch_vcpu
 * whenever the guest does not run; the others wherever the vendor's block is.
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/insn_exec.h"
#include "kernel/assert.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "mm/page.h"

/* Beside the block, which is a page, a vCPU has a page of its own. */
struct vcpu_page {
    alignas(64) uint8_t fpu[ARCH_FPU_SIZE];
    struct insn_exec exec;
};

_Static_assert(sizeof(struct vcpu_page) <= PAGE_SIZE, "it fits");

enum err arch_vcpu_init(struct arch_vcpu *vcpu, const struct arch_vcpu_config *config)
{
    struct vcpu_page *page;
    enum err err;

    assert(!vcpu->bound && config->vmid < VIRT_VMIDS_MAX);
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->index = config->index;
    vcpu->count = config->vcpu_count;
    vcpu->vmid = config->vmid;
    vcpu->stage2_root = config->stage2_root;
    vcpu->flush_count = &virt_flush_counts[config->vmid];
    vcpu->trap_wait = config->trap_wait;
    page = page_alloc_zeroed(0);
    if (!page)
        return E_NOMEM;
    vcpu->fpu = page->fpu;
    vcpu->exec = &page->exec;
    code_forget(vcpu);
    err = virt_backend->init(vcpu);
    if (err == OK)
        arch_vcpu_start(vcpu, arch_entry(gpa(ARCH_RESET_VECTOR), 0));
    else
        page_free(page, 0);
    return err;
}

/* An unbound VMCS is cleared, and no pCPU keeps any of it. */
void arch_vcpu_free(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound);
    page_free(vcpu->block, 0);
    if (vcpu->apic_page)
        page_free(vcpu->apic_page, 0);
    if (vcpu->log_page)
        page_free(vcpu->log_page, 0);
    page_free(container_of(vcpu->fpu, struct vcpu_page, fpu[0]), 0);
}

static void vcpu_set(struct arch_vcpu *vcpu, enum arch_reg reg, uint64_t value)
{
    virt_backend->set_reg(vcpu, reg, value);
}

static uint64_t vcpu_reg(const struct arch_vcpu *vcpu, enum arch_reg reg)
{
    return virt_backend->reg(vcpu, reg);
}

/* --- How it begins. --- */

static void vcpu_set_segment(struct arch_vcpu *vcpu, enum arch_segment_index index,
                             uint16_t selector, uint64_t base, uint32_t limit, uint16_t attributes)
{
    virt_backend->set_segment(vcpu, index,
                              (struct arch_segment){
                                  .selector = selector,
                                  .base = base,
                                  .limit = limit,
                                  .attributes = attributes,
                              });
}

/* Code and data as given; the others as after a reset. */
static void vcpu_set_segments(struct arch_vcpu *vcpu, struct arch_segment code,
                              struct arch_segment data)
{
    virt_backend->set_segment(vcpu, SEGMENT_CS, code);
    virt_backend->set_segment(vcpu, SEGMENT_ES, data);
    virt_backend->set_segment(vcpu, SEGMENT_SS, data);
    virt_backend->set_segment(vcpu, SEGMENT_DS, data);
    virt_backend->set_segment(vcpu, SEGMENT_FS, data);
    virt_backend->set_segment(vcpu, SEGMENT_GS, data);
    vcpu_set_segment(vcpu, SEGMENT_GDTR, 0, 0, 0xffff, 0);
    vcpu_set_segment(vcpu, SEGMENT_IDTR, 0, 0, 0xffff, 0);
    vcpu_set_segment(vcpu, SEGMENT_LDTR, 0, 0, 0xffff, 0x82);
    vcpu_set_segment(vcpu, SEGMENT_TR, 0, 0, 0xffff, 0x8b);
}

/* After a reset, or as if code at the page of a SIPI's vector. [SDM 3, table 9-1 and 8.4.4] */
static void vcpu_start_real(struct arch_vcpu *vcpu, uint64_t pc)
{
    bool reset = pc == ARCH_RESET_VECTOR;

    vcpu->gpr[INSN_RDX] = virt_guest_cpuid.basic[1].eax;
    vcpu->rip = reset ? 0xfff0 : 0;
    vcpu_set_segments(vcpu,
                      (struct arch_segment){
                          .selector = reset ? 0xf000 : (uint16_t)(pc >> 4),
                          .base = reset ? 0xffff0000 : pc,
                          .limit = 0xffff,
                          .attributes = 0x9b,
                      },
                      (struct arch_segment){.limit = 0xffff, .attributes = 0x93});
    vcpu_set(vcpu, REG_CR0, CR0_CD | CR0_NW | CR0_ET);
}

/* Flat segments of 32 bits, paging off; multiboot's state is PVH's too. */
static void vcpu_start_protected(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    vcpu->gpr[INSN_RAX] = ARCH_MULTIBOOT_MAGIC;
    vcpu->gpr[INSN_RBX] = entry.arg;
    vcpu->rip = entry.pc.v;
    vcpu_set_segments(
        vcpu, (struct arch_segment){.selector = 8, .limit = UINT32_MAX, .attributes = 0xc9b},
        (struct arch_segment){.selector = 16, .limit = UINT32_MAX, .attributes = 0xc93});
    vcpu_set_segment(vcpu, SEGMENT_TR, 0, 0, 0x67, 0x8b);
    vcpu_set(vcpu, REG_CR0, CR0_PE | CR0_ET);
}

static void vcpu_start_long(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    vcpu->gpr[INSN_RSI] = entry.arg;
    vcpu->rip = entry.pc.v;
    vcpu_set_segments(
        vcpu, (struct arch_segment){.selector = 0x10, .limit = UINT32_MAX, .attributes = 0xa9b},
        (struct arch_segment){.selector = 0x18, .limit = UINT32_MAX, .attributes = 0xc93});
    vcpu_set_segment(vcpu, SEGMENT_GDTR, 0, ARCH_BOOT_GDT, ARCH_BOOT_GDT_SIZE - 1, 0);
    vcpu_set(vcpu, REG_CR0, CR0_PE | CR0_ET | CR0_PG);
    vcpu_set(vcpu, REG_CR3, ARCH_BOOT_TABLES);
    vcpu_set(vcpu, REG_CR4, CR4_PAE);
    vcpu_set(vcpu, REG_EFER, EFER_LME | EFER_LMA);
}

void arch_vcpu_start(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    assert(!vcpu->bound);
    memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
    memset(vcpu->debug_addr, 0, sizeof(vcpu->debug_addr));
    memset(vcpu->exec, 0, sizeof(*vcpu->exec));
    vcpu->tsc_aux = 0;
    vcpu->port_string = false;
    fpu_reset(vcpu);
    code_forget(vcpu);
    virt_backend->reset(vcpu);
#define X(name, text, field) vcpu_set(vcpu, REG_##name, 0);
#define OURS(name, text)
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
    vcpu_set(vcpu, REG_RFLAGS, RFLAGS_FIXED);
    vcpu_set(vcpu, REG_DR6, DR6_RESET);
    vcpu_set(vcpu, REG_DR7, DR7_RESET);
    vcpu_set(vcpu, REG_PAT, PAT_RESET);
    switch (entry.mode) {
    case ARCH_MODE_PROTECTED:
        vcpu_start_protected(vcpu, entry);
        break;
    case ARCH_MODE_LONG:
        vcpu_start_long(vcpu, entry);
        break;
    case ARCH_MODE_NATIVE:
    case ARCH_MODE_REAL:
        vcpu_start_real(vcpu, entry.pc.v);
        break;
    }
    vcpu->code_base = virt_backend->segment(vcpu, SEGMENT_CS).base;
}

/* --- Where it runs. --- */

#define X86_DEBUG_ADDRS(do_)                                                                       \
    do_(0, "dr0");                                                                                 \
    do_(1, "dr1");                                                                                 \
    do_(2, "dr2");                                                                                 \
    do_(3, "dr3")

void arch_vcpu_bind(struct arch_vcpu *vcpu)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;

    assert(!vcpu->bound && !cpu->bound);
    fpu_load(vcpu);
    if (sysreg_has_aux())
        msr_write(MSR_TSC_AUX, vcpu->tsc_aux);
#define LOAD(n, text) __asm__ volatile("mov %0, %%" text : : "r"(vcpu->debug_addr[n]))
    X86_DEBUG_ADDRS(LOAD);
#undef LOAD
    virt_backend->bind(vcpu);
    vcpu->bound = true;
    cpu->bound = vcpu;
}

uint64_t vcpu_debug_addr(const struct arch_vcpu *vcpu, unsigned index)
{
    uint64_t values[ARCH_DEBUG_ADDRS];

    if (!vcpu->bound)
        return vcpu->debug_addr[index];
#define STORE(n, text) __asm__ volatile("mov %%" text ", %0" : "=r"(values[n]))
    X86_DEBUG_ADDRS(STORE);
#undef STORE
    return values[index];
}

void arch_vcpu_unbind(struct arch_vcpu *vcpu)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;

    assert(vcpu->bound && cpu->bound == vcpu);
    if (unlikely(vcpu->trap_breakpoints))
        arch_vcpu_trap_breakpoints(vcpu, false);
    virt_backend->unbind(vcpu);
#define STORE(n, text) __asm__ volatile("mov %%" text ", %0" : "=r"(vcpu->debug_addr[n]))
    X86_DEBUG_ADDRS(STORE);
#undef STORE
    fpu_store(vcpu);
    vcpu->bound = false;
    cpu->bound = NULL;
}

void arch_vcpu_trap_breakpoints(struct arch_vcpu *vcpu, bool on)
{
    assert(vcpu->bound);
    vcpu->trap_breakpoints = on;
    virt_backend->trap_breakpoints(vcpu, on);
}

void arch_vcpu_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (unlikely(vcpu_insn_active(vcpu)))
        vcpu_insn_next(vcpu, exit);
    else
        virt_run(vcpu, exit);
}

bool arch_vcpu_midway(const struct arch_vcpu *vcpu)
{
    return vcpu_insn_active(vcpu);
}

void vcpu_step_over(struct arch_vcpu *vcpu, unsigned length)
{
    virt_step_over(vcpu, length);
}

void arch_vcpu_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (unlikely(vcpu_insn_active(vcpu))) {
        vcpu_insn_finish(vcpu, exit);
        return;
    }
    switch (exit->kind) {
    case EXIT_MMIO_READ: /* Zero-extended, from what is read to what is loaded. */
        insn_set_reg(vcpu->gpr, exit->mmio.reg, exit->mmio.reg_width,
                     exit->mmio.data & (~(uint64_t)0 >> (64 - 8 * exit->mmio.width)));
        break;
    case EXIT_PIO_IN:
        insn_set_reg(vcpu->gpr, INSN_RAX, exit->pio.width, exit->pio.data);
        break;
    case EXIT_SYSREG_READ:
        vcpu->gpr[INSN_RAX] = (uint32_t)exit->sysreg.value;
        vcpu->gpr[INSN_RDX] = exit->sysreg.value >> 32;
        break;
    default:
        break;
    }
    if (exit->advance)
        virt_step_over(vcpu, vcpu->insn_length);
}

/* --- Registers. --- */

uint64_t arch_vcpu_gpr(const struct arch_vcpu *vcpu, unsigned reg)
{
    return reg < 16 ? vcpu->gpr[reg] : 0;
}

void arch_vcpu_set_gpr(struct arch_vcpu *vcpu, unsigned reg, uint64_t value)
{
    if (reg < 16)
        vcpu->gpr[reg] = value;
}

inline uint64_t arch_vcpu_pc(const struct arch_vcpu *vcpu)
{
    return vcpu_pc(vcpu);
}

void arch_vcpu_set_return(struct arch_vcpu *vcpu, unsigned index, uint64_t value)
{
    static const uint8_t regs[] = {INSN_RAX, INSN_RBX, INSN_RCX, INSN_RDX};

    assert(index < ARRAY_SIZE(regs));
    vcpu->gpr[regs[index]] = value;
}

enum insn_mode vcpu_mode(const struct arch_vcpu *vcpu)
{
    struct arch_segment code = virt_backend->segment(vcpu, SEGMENT_CS);

    if ((vcpu_reg(vcpu, REG_EFER) & EFER_LMA) && (code.attributes & SEGMENT_LONG))
        return INSN_MODE_64;
    return code.attributes & SEGMENT_BIG ? INSN_MODE_32 : INSN_MODE_16;
}

/* In 64-bit code a base is ignored, in other code addresses end at 4 GiB. */
[[gnu::noinline]] uint64_t vcpu_linear_pc(const struct arch_vcpu *vcpu)
{
    return vcpu_mode(vcpu) == INSN_MODE_64 ? vcpu->rip : (uint32_t)(vcpu->code_base + vcpu->rip);
}

struct guest_paging vcpu_paging(const struct arch_vcpu *vcpu)
{
    return (struct guest_paging){
        .cr0 = vcpu_reg(vcpu, REG_CR0),
        .cr3 = vcpu_reg(vcpu, REG_CR3),
        .cr4 = vcpu_reg(vcpu, REG_CR4),
        .efer = vcpu_reg(vcpu, REG_EFER),
        .gpa_bits = (uint8_t)virt_caps.gpa_bits,
        .user = virt_backend->cpl(vcpu) == 3,
        .ac = vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_AC,
    };
}

enum err arch_vcpu_translate(const struct arch_vcpu *vcpu, gva_t addr, enum arch_access access,
                             const struct arch_guest_memory *memory, gpa_t *result)
{
    const struct guest_paging paging = vcpu_paging(vcpu);
    uint32_t error;

    return guest_walk(&paging, addr, access, memory, result, &error);
}

/* --- Faults of the guest. --- */

void vcpu_inject(struct arch_vcpu *vcpu, unsigned vector)
{
    virt_backend->inject(vcpu, vector, false, 0);
}

void vcpu_inject_error(struct arch_vcpu *vcpu, unsigned vector, uint32_t error)
{
    virt_backend->inject(vcpu, vector, true, error);
}

/*
 * On a PC nobody answers a wrong access to a device with a fault: reads give ones, writes are lost.
 */
void arch_vcpu_inject_fault(struct arch_vcpu *vcpu, enum arch_fault fault,
                            const struct vcpu_exit *exit)
{
    struct vcpu_exit answer = *exit;

    assert(vcpu->bound);
    if (exit->kind == EXIT_MMIO_READ || exit->kind == EXIT_MMIO_WRITE) {
        answer.mmio.data = ~(uint64_t)0;
        arch_vcpu_finish(vcpu, &answer);
    } else if (exit->kind == EXIT_SYSREG_READ || exit->kind == EXIT_SYSREG_WRITE ||
               fault != FAULT_UNDEFINED) {
        vcpu_inject_error(vcpu, VECTOR_GP, 0);
    } else {
        vcpu_inject(vcpu, VECTOR_UD);
    }
}

/* --- Time. --- */

void arch_vcpu_set_time(struct arch_vcpu *vcpu, uint64_t offset)
{
    vcpu->tsc_offset = offset;
    virt_backend->set_time(vcpu);
}

uint64_t arch_vcpu_time(const struct arch_vcpu *vcpu)
{
    return arch_ticks() - vcpu->tsc_offset;
}

/* All timers of a guest are in the machine. */
uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *)
{
    return TICKS_NEVER;
}

/* --- Interrupts. --- */

uint64_t arch_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    return virt_virq_read(vcpu, slot);
}

void arch_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    assert(vcpu->bound);
    virt_virq_write(vcpu, slot, value);
}

/* None in the middle of an instruction. */
uint64_t arch_virq_empty(const struct arch_vcpu *vcpu)
{
    if (unlikely(vcpu_insn_active(vcpu)))
        return 0;
    return virt_virq_empty(vcpu);
}

void arch_vcpu_set_apic(struct arch_vcpu *vcpu, bool enabled)
{
    vcpu->apic_off = !enabled;
}

/* Arm's. */
uint64_t arch_virq_ended(const struct arch_vcpu *)
{
    return 0;
}

uint64_t arch_virq_control(const struct arch_vcpu *vcpu)
{
    return vcpu->wanted;
}

void arch_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    if (likely(value == vcpu->wanted))
        return;
    virt_virq_set_control(vcpu, value);
}

/* SVM has none of it here, and virt_caps.apic says so. */
void arch_apic_load(struct arch_vcpu *vcpu, const struct arch_apic *apic)
{
    assert(vcpu->bound && vcpu->apic_page);
    vmx_apic_load(vcpu, apic);
}

void arch_apic_store(struct arch_vcpu *vcpu, struct arch_apic *apic)
{
    assert(vcpu->apic_loaded);
    vmx_apic_store(vcpu, apic);
}

void arch_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level)
{
    vmx_apic_post(vcpu, word, bits, level);
}

bool arch_apic_pending(struct arch_vcpu *vcpu, uint32_t *ppr)
{
    return vmx_apic_pending(vcpu, ppr);
}

void arch_apic_sync(struct arch_vcpu *vcpu)
{
    vmx_apic_sync(vcpu);
}

bool arch_apic_send(struct arch_vcpu *vcpu, unsigned vector)
{
    return vmx_apic_send(vcpu, vector);
}

uint64_t arch_apic_take(struct arch_vcpu *vcpu, unsigned word)
{
    return vmx_apic_take(vcpu, word);
}
