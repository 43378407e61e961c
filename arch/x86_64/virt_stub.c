/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the backend until there is one: seam 2 for a processor that runs no guests. */
#include "kernel/log.h"
#include "mm/pt.h"
#include "vcpu/arch_vcpu.h"

struct virt_caps virt_caps = {.backend = "none", .vcpus_max = 1, .vmids_max = 2, .gpa_bits = 48};

static uint64_t stub_op(void)
{
    return 0;
}

/* Stands in for vcpu/machine_x86_64.c: a name, a size, and functions that do nothing. */
[[gnu::weak]] void *const machine_x86_64[32] = {"none", NULL, [2 ... 31] = stub_op};

static uint64_t stub_leaf_bits(unsigned, struct pt_attr)
{
    return 1;
}

static struct pt_attr stub_leaf_attr(unsigned, uint64_t)
{
    return (struct pt_attr){.read = true};
}

static enum pte_kind stub_kind(uint64_t pte, unsigned level)
{
    return !pte ? PTE_HOLE : level ? PTE_TABLE : PTE_LEAF;
}

static const struct pt_format stub_format = {
    .name = "none",
    .levels = 4,
    .root_bits = 9,
    .addr_mask = 0xffffffffff000,
    .table_bits = 1,
    .leaf_bits = stub_leaf_bits,
    .leaf_attr = stub_leaf_attr,
    .kind = stub_kind,
};

const struct pt_format *arch_stage2_format(void)
{
    return &stub_format;
}

enum err arch_virt_enable(void)
{
    return OK;
}

void arch_stage2_flush(uint16_t, hpa_t, gpa_t, uint64_t)
{
}

enum err arch_vcpu_init(struct arch_vcpu *, const struct arch_vcpu_config *)
{
    log_error("guests cannot run here yet");
    return E_UNSUPPORTED;
}

void arch_vcpu_start(struct arch_vcpu *, struct arch_entry)
{
}

void arch_vcpu_set_time(struct arch_vcpu *, uint64_t)
{
}

void arch_vcpu_bind(struct arch_vcpu *)
{
}

void arch_vcpu_unbind(struct arch_vcpu *)
{
}

void arch_vcpu_run(struct arch_vcpu *, struct vcpu_exit *exit)
{
    *exit = (struct vcpu_exit){.kind = EXIT_SYSTEM_DOWN};
}

void arch_vcpu_finish(struct arch_vcpu *, const struct vcpu_exit *)
{
}

bool arch_vcpu_decode(struct arch_vcpu *, const void *, unsigned, const struct arch_guest_memory *,
                      struct vcpu_exit *)
{
    return false;
}

bool arch_vcpu_sysreg(struct arch_vcpu *, struct vcpu_exit *)
{
    return false;
}

uint64_t arch_vcpu_gpr(const struct arch_vcpu *, unsigned)
{
    return 0;
}

void arch_vcpu_set_gpr(struct arch_vcpu *, unsigned, uint64_t)
{
}

uint64_t arch_vcpu_pc(const struct arch_vcpu *)
{
    return 0;
}

void arch_vcpu_set_return(struct arch_vcpu *, unsigned, uint64_t)
{
}

void arch_vcpu_get_regs(const struct arch_vcpu *, struct arch_regs *)
{
}

enum err arch_vcpu_set_regs(struct arch_vcpu *, const struct arch_regs *)
{
    return E_UNSUPPORTED;
}

void arch_vcpu_print(const struct arch_vcpu *, struct fmt_sink *)
{
}

void arch_exit_print(const struct vcpu_exit *, struct fmt_sink *)
{
}

enum err arch_vcpu_translate(const struct arch_vcpu *, gva_t, enum arch_access,
                             const struct arch_guest_memory *, gpa_t *)
{
    return E_ABSENT;
}

void arch_vcpu_inject_fault(struct arch_vcpu *, enum arch_fault, const struct vcpu_exit *)
{
}

uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *)
{
    return ~(uint64_t)0;
}

uint64_t arch_virq_read(const struct arch_vcpu *, unsigned)
{
    return 0;
}

void arch_virq_write(struct arch_vcpu *, unsigned, uint64_t)
{
}

uint64_t arch_virq_empty(const struct arch_vcpu *)
{
    return 0;
}

uint64_t arch_virq_ended(const struct arch_vcpu *)
{
    return 0;
}

uint64_t arch_virq_control(const struct arch_vcpu *)
{
    return 0;
}

void arch_virq_set_control(struct arch_vcpu *, uint64_t)
{
}
