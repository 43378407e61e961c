/* SPDX-License-Identifier: Apache-2.0 */
/* The fourth "architecture": implements kernel/arch.h and vcpu/arch_vcpu.h for host tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/assert.h"
#include "kernel/fmt.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "mm/dirty_log.h"
#include "mm/page.h"
#include "mm/pt.h"
#include "tests/fake/fake.h"
#include "tests/host/test.h"

struct fake fake;
jmp_buf fake_death;
_Thread_local struct pcpu *fake_this_cpu = &pcpus[0];
_Atomic uint64_t fake_ticks;
alignas(8) uint8_t fake_ports[0x10000 + 8];
static bool fake_death_expected;
static void *fake_ram_block;

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake_ticks = 0;
    memset(fake_ports, 0xff, sizeof(fake_ports));
    fake_death_expected = false;
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        pcpus[i].id = i;
        pcpus[i].hw_id = i;
        pcpus[i].ranks_held = 0;
        pcpus[i].work = NULL;
        pcpus[i].guest = NULL;
        pcpus[i].ipi_under_way = false;
        memset(&pcpus[i].arch, 0, sizeof(pcpus[i].arch));
        pcpus[i].arch.timer_deadline = TICKS_NEVER;
    }
    pcpu_count = 4;
    fake_be_cpu(0);
    log_attach(NULL);
}

void fake_be_cpu(unsigned id)
{
    fake_this_cpu = &pcpus[id];
}

void fake_advance(uint64_t ns)
{
    fake_ticks += ns;
}

void fake_irq_raise(uint32_t irq)
{
    if (fake.irq_count == FAKE_IRQS_MAX)
        abort();
    fake.irqs[fake.irq_count++] = irq;
}

void *fake_ram(uint64_t size)
{
    page_reset();
    free(fake_ram_block);
    fake_ram_block = aligned_alloc(2 * MIB, ALIGN_UP(size, 2 * MIB));
    if (!fake_ram_block)
        abort();
    page_add(ptr_to_phys(fake_ram_block), size);
    return fake_ram_block;
}

void fake_expect_death(bool expected)
{
    fake_death_expected = expected;
}

void assert_failed(const char *expr, const char *file, int line)
{
    if (fake_death_expected)
        longjmp(fake_death, 1);
    test_fail(file, line, "our own assertion failed: %s", expr);
}

/* --- kernel/arch.h --- */

void arch_cpu_init(struct pcpu *cpu)
{
    fake_this_cpu = cpu;
}

void arch_cpu_describe(char *buf, size_t size)
{
    fmt_buf(buf, size, "fake processor");
}

void arch_idle(void)
{
    fake.idles++;
    if (fake.on_idle)
        fake.on_idle();
}

void arch_halt(void)
{
    if (fake_death_expected)
        longjmp(fake_death, 1);
    test_fail(__FILE__, __LINE__, "arch_halt()");
}

unsigned arch_backtrace(const struct arch_trap_frame *, uintptr_t *, unsigned)
{
    return 0;
}

void arch_trap_print(const struct arch_trap_frame *, struct fmt_sink *)
{
}

enum err arch_cpu_start(struct pcpu *)
{
    fake.cpu_starts++;
    return fake.cpu_start_result;
}

void arch_machine_off(void)
{
    fake.machine_offs++;
}

void arch_machine_reset(void)
{
    fake.machine_resets++;
}

enum err arch_console_write(const char *text, size_t size)
{
    size_t used = strlen(fake.console_output);

    if (!fake.console)
        return E_UNSUPPORTED;
    assert(used + size < sizeof(fake.console_output));
    memcpy(fake.console_output + used, text, size);
    return OK;
}

int arch_console_read(void)
{
    return fake.console && fake.console_input && *fake.console_input
               ? (unsigned char)*fake.console_input++
               : -1;
}

extern const struct pt_format pt_format_s1;
extern const struct pt_format pt_format_s2_40;

const struct pt_format *arch_host_format = &pt_format_s1;

void arch_host_map_use(hpa_t root)
{
    fake.host_root = root;
}

void arch_host_flush(const void *start, size_t size)
{
    fake.host_flushes++;
    fake.host_flush = (struct fake_range){(uintptr_t)start, size};
}

void arch_cache_clean(const void *start, size_t size)
{
    fake.cache_cleans++;
    fake.cache_clean = (struct fake_range){(uintptr_t)start, size};
}

void arch_zero_pages(void *start, size_t size)
{
    assert(IS_ALIGNED((uintptr_t)start, PAGE_SIZE) && IS_ALIGNED(size, PAGE_SIZE));
    memset(start, 0, size);
    fake.zeroed_bytes += size;
    fake_advance(size / PAGE_SIZE * fake.zero_page_ns);
}

enum err arch_irqchip_init(const struct platform *)
{
    return OK;
}

enum err arch_irqchip_init_cpu(void)
{
    return OK;
}

enum err arch_irq_enable(uint32_t irq, enum irq_trigger trigger)
{
    if (irq >= ARRAY_SIZE(fake.irq_enabled))
        return E_RANGE;
    fake.irq_enabled[irq] = true;
    fake.irq_is_edge[irq] = trigger == IRQ_EDGE;
    return OK;
}

bool arch_irq_is_percpu(uint32_t irq)
{
    return irq < 32;
}

bool arch_irq_take(uint32_t *irq)
{
    if (fake.irq_count == 0)
        return false;
    *irq = fake.irqs[0];
    fake.irq_count--;
    memmove(&fake.irqs[0], &fake.irqs[1], fake.irq_count * sizeof(fake.irqs[0]));
    return true;
}

void arch_irq_set_active(uint32_t irq, bool active)
{
    assert(irq < 32);
    fake.irq_active[irq] = active;
}

void arch_irq_end(uint32_t irq, bool keep)
{
    fake.irq_ended = irq;
    if (keep)
        fake.irq_keeps++;
    else
        fake.irq_ends++;
}

void arch_ipi_send(struct pcpu *cpu)
{
    fake.ipis++;
    cpu->arch.ipis++;
    if (fake.on_ipi)
        fake.on_ipi(cpu);
}

void arch_timer_set(uint64_t deadline)
{
    arch_this_cpu()->arch.timer_deadline = deadline;
}

enum err arch_timer_init_cpu(void)
{
    return OK;
}

/* --- vcpu/arch_vcpu.h --- */

struct virt_caps virt_caps = {
    .backend = "fake",
    .vcpus_max = 32,
    .vmids_max = 256,
    .gpa_bits = 40,
    .virq_slots = 4,
    .gic_version = 3,
    .access_gva = true,
};

enum err arch_virt_enable(void)
{
    return fake.virt_enable_result;
}

const struct pt_format *arch_stage2_format(void)
{
    return &pt_format_s2_40;
}

void arch_stage2_refresh(uint16_t, hpa_t, gpa_t page)
{
    fake.stage2_refreshes++;
    if (fake.stage2_log)
        dirty_log_add(fake.stage2_log, page);
}

bool arch_stage2_log(uint16_t, struct dirty_log *log)
{
    fake.stage2_log = log;
    return fake.stage2_logs;
}

void arch_stage2_flush(uint16_t vmid, hpa_t, gpa_t start, uint64_t size)
{
    fake.stage2_flushes++;
    fake.stage2_flush = (struct fake_range){start.v, size};
    fake.stage2_flush_vmid = vmid;
    if (fake.on_stage2_flush)
        fake.on_stage2_flush(vmid, start, size);
}

enum err arch_vcpu_init(struct arch_vcpu *vcpu, const struct arch_vcpu_config *config)
{
    if (fake.vcpu_init_result != OK)
        return fake.vcpu_init_result;
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->regs.arch = ARCH_TAG;
    vcpu->index = config->index;
    vcpu->vmid = config->vmid;
    vcpu->stage2_root = config->stage2_root;
    vcpu->trap_wait = config->trap_wait;
    vcpu->timer_deadline = TICKS_NEVER;
    return OK;
}

void arch_vcpu_free(struct arch_vcpu *vcpu)
{
    assert(!vcpu->bound);
    fake.vcpus_freed++;
}

void arch_vcpu_start(struct arch_vcpu *vcpu, struct arch_entry entry)
{
    assert(!vcpu->bound);
    vcpu->mode = entry.mode;
    memset(&vcpu->regs, 0, sizeof(vcpu->regs));
    vcpu->regs.arch = ARCH_TAG;
    vcpu->regs.pc = entry.pc.v;
    vcpu->regs.gpr[0] = entry.arg;
    vcpu->starts++;
}

void arch_vcpu_bind(struct arch_vcpu *vcpu)
{
    struct pcpu *cpu = arch_this_cpu();

    assert(!vcpu->bound && !cpu->arch.bound);
    vcpu->bound = cpu;
    cpu->arch.bound = vcpu;
    vcpu->binds++;
}

void arch_vcpu_unbind(struct arch_vcpu *vcpu)
{
    assert(vcpu->bound == arch_this_cpu() && vcpu->bound->arch.bound == vcpu);
    vcpu->bound->arch.bound = NULL;
    vcpu->bound = NULL;
}

void arch_vcpu_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    assert(vcpu->bound == arch_this_cpu());
    vcpu->runs++;
    memset(exit, 0, sizeof(*exit));
    if (vcpu->on_run && vcpu->on_run(vcpu, exit))
        return;
    if (vcpu->script_next < vcpu->script_count)
        *exit = vcpu->script[vcpu->script_next++];
    else
        exit->kind = EXIT_SYSTEM_DOWN;
}

void arch_vcpu_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    assert(vcpu->bound == arch_this_cpu());
    vcpu->finishes++;
    if (vcpu->finished)
        *vcpu->finished = *exit;
    if (exit->advance)
        vcpu->regs.pc += 4;
    if (exit->kind == EXIT_MMIO_READ && exit->mmio.reg < 31)
        vcpu->regs.gpr[exit->mmio.reg] = exit->mmio.data;
    if (exit->kind == EXIT_SYSREG_READ && exit->sysreg.reg < 31)
        vcpu->regs.gpr[exit->sysreg.reg] = exit->sysreg.value;
}

bool arch_vcpu_decode(struct arch_vcpu *vcpu, const void *insn, unsigned size,
                      const struct arch_guest_memory *, struct vcpu_exit *exit)
{
    return vcpu->on_decode && vcpu->on_decode(vcpu, insn, size, exit);
}

bool arch_vcpu_midway(const struct arch_vcpu *vcpu)
{
    return vcpu->midway;
}

bool arch_vcpu_sysreg(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    return vcpu->on_sysreg && vcpu->on_sysreg(vcpu, exit);
}

void arch_vcpu_set_time(struct arch_vcpu *vcpu, uint64_t offset)
{
    vcpu->time_offset = offset;
}

uint64_t arch_vcpu_gpr(const struct arch_vcpu *vcpu, unsigned reg)
{
    return reg < 31 ? vcpu->regs.gpr[reg] : 0;
}

void arch_vcpu_set_gpr(struct arch_vcpu *vcpu, unsigned reg, uint64_t value)
{
    if (reg < 31)
        vcpu->regs.gpr[reg] = value;
}

uint64_t arch_vcpu_pc(const struct arch_vcpu *vcpu)
{
    return vcpu->regs.pc;
}

void arch_vcpu_set_return(struct arch_vcpu *vcpu, unsigned index, uint64_t value)
{
    assert(index < ARRAY_SIZE(vcpu->returns));
    vcpu->returns[index] = value;
    vcpu->regs.gpr[index] = value;
}

void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *regs)
{
    *regs = vcpu->regs;
    memcpy(regs->slots, vcpu->slots, sizeof(regs->slots));
    regs->control = vcpu->control;
}

enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *regs)
{
    if (regs->arch != ARCH_TAG)
        return E_INVALID;
    vcpu->regs = *regs;
    memcpy(vcpu->slots, regs->slots, sizeof(regs->slots));
    vcpu->control = regs->control;
    return OK;
}

void arch_vcpu_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    fmt_print(out, "pc %#llx\n", (unsigned long long)vcpu->regs.pc);
}

void arch_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    fmt_print(out, "%s\n", exit_kind_text(exit->kind));
}

enum err arch_vcpu_translate(const struct arch_vcpu *, gva_t addr, enum arch_access,
                             const struct arch_guest_memory *, gpa_t *result)
{
    *result = gpa(addr.v); /* The fake's guests have no tables of their own. */
    return OK;
}

void arch_vcpu_trap_breakpoints(struct arch_vcpu *vcpu, bool on)
{
    assert(vcpu->bound);
    vcpu->trap_breakpoints = on;
}

void arch_vcpu_inject_fault(struct arch_vcpu *vcpu, enum arch_fault fault, const struct vcpu_exit *)
{
    vcpu->faults++;
    vcpu->fault_last = fault;
}

uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *vcpu)
{
    return vcpu->timer_deadline;
}

uint64_t arch_virq_read(const struct arch_vcpu *vcpu, unsigned slot)
{
    assert(slot < virt_caps.virq_slots);
    return vcpu->slots[slot];
}

void arch_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value)
{
    assert(slot < virt_caps.virq_slots);
    vcpu->slots[slot] = value;
}

/*
 * Slots in state "inactive" (63:62 are 0) that ask for a notice (41), being no hardware ones (61).
 */
uint64_t arch_virq_ended(const struct arch_vcpu *vcpu)
{
    uint64_t slots = 0;

    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        if (vcpu->slots[i] >> 61 == 0 && (vcpu->slots[i] >> 41 & 1))
            slots |= (uint64_t)1 << i;
    return slots;
}

uint64_t arch_virq_empty(const struct arch_vcpu *vcpu)
{
    uint64_t slots = 0;

    for (unsigned i = 0; i < virt_caps.virq_slots; i++)
        if (vcpu->slots[i] >> 62 == 0)
            slots |= (uint64_t)1 << i;
    return slots & ~arch_virq_ended(vcpu) & ~vcpu->slots_busy;
}

uint64_t arch_virq_control(const struct arch_vcpu *vcpu)
{
    return vcpu->control;
}

void arch_virq_set_control(struct arch_vcpu *vcpu, uint64_t value)
{
    vcpu->control = value;
}

/* RISC-V: the first slots are the lines of hvip, all enabled. */
bool arch_vcpu_irq_pending(const struct arch_vcpu *vcpu)
{
    return vcpu->slots[VIRQ_LINE_EXTERNAL] || vcpu->slots[VIRQ_LINE_SOFTWARE] ||
           vcpu->slots[VIRQ_LINE_TIMER];
}

void arch_vcpu_set_apic(struct arch_vcpu *vcpu, bool enabled)
{
    vcpu->apic_off = !enabled;
}

bool arch_vcpu_timer_set(struct arch_vcpu *vcpu, uint64_t guest_time)
{
    assert(vcpu->bound == arch_this_cpu());
    vcpu->timer_set = guest_time;
    return fake.guest_timer;
}

uint64_t arch_vcpu_time(const struct arch_vcpu *vcpu)
{
    return arch_ticks() - vcpu->time_offset;
}

void arch_vcpu_fence(const struct arch_vcpu *, enum arch_fence fence, uint64_t pcpus, gva_t start,
                     uint64_t size, uint64_t asid)
{
    fake.fences++;
    fake.fence = fence;
    fake.fence_pcpus = pcpus;
    fake.fence_start = start.v;
    fake.fence_size = size;
    fake.fence_asid = asid;
}

void arch_vcpu_set_guest_file(struct arch_vcpu *vcpu, unsigned file)
{
    assert(!vcpu->bound && file <= virt_caps.guest_files);
    vcpu->guest_file = file;
}

void arch_guest_file_read(unsigned file, struct arch_guest_file *contents)
{
    *contents = fake.files[file];
}

void arch_guest_file_write(unsigned file, const struct arch_guest_file *contents)
{
    fake.file_writes++;
    fake.files[file] = *contents;
    fake.files_pending &= ~((uint64_t)1 << file);
}

void arch_guest_file_watch(unsigned, bool on)
{
    fake.file_watches += on;
}

bool arch_guest_file_pending(unsigned file)
{
    return fake.files_pending >> file & 1;
}

/* --- The linker script's borders of the image: see mm/hostmap.c --- */

/* _image_start is given by the linker's command line. */
alignas(4096) char _text_start[4096], _text_end[1], _rodata_start[1];
alignas(4096) char _rodata_end[1], _data_start[4096], _image_end[1];
