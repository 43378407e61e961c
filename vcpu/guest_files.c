/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest interrupt files: see guest_files.h. The table is changed in boot only; its rows are used by
 * their own pCPU.
 */
#include "vcpu/guest_files.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"
#include "vcpu/vcpu.h"

#define FILES_MAX 63u /* GEILEN of RV64 at most. */

static struct {
    struct vcpu *owner[FILES_MAX + 1]; /* NULL: free. */
    uint64_t watched;                  /* Bit per file. */
} files[CPUS_MAX];

/* Some watched file of this pCPU has an interrupt. */
static enum irq_result guest_files_irq([[maybe_unused]] uint32_t irq, [[maybe_unused]] void *arg)
{
    unsigned cpu = this_cpu()->id;

    for (uint64_t look = files[cpu].watched; look != 0; look &= look - 1) {
        unsigned file = bit_lowest(look);

        if (!arch_guest_file_pending(file))
            continue;
        arch_guest_file_watch(file, false); /* The level stays up until the guest has claimed it. */
        files[cpu].watched &= ~BIT(file);
        vcpu_request(files[cpu].owner[file], VCPU_REQ_IRQ);
    }
    return IRQ_DONE;
}

enum err guest_files_init(void)
{
    if (virt_caps.guest_files == 0)
        return OK;
    return irq_attach(virt_caps.guest_file_irq, IRQ_LEVEL, guest_files_irq, NULL);
}

/* Page of the pCPU's own interrupt file, which those for guests follow; 0: not known. */
static uint64_t imsic_of(unsigned cpu)
{
    for (unsigned i = 0; i < platform.cpu_count; i++)
        if (platform.cpus[i].hw_id == pcpu(cpu)->hw_id)
            return platform.cpus[i].imsic;
    return 0;
}

bool guest_file_take(struct guest_file *file, struct vcpu *vcpu)
{
    unsigned cpu = vcpu->sched.cpu;
    uint64_t base = imsic_of(cpu);

    for (unsigned i = 1; base != 0 && i <= MIN(virt_caps.guest_files, FILES_MAX); i++) {
        uint64_t page = base + i * PAGE_SIZE;
        volatile void *msi;

        if (files[cpu].owner[i] != NULL || hostmap_device(page, PAGE_SIZE, &msi) != OK)
            continue;
        files[cpu].owner[i] = vcpu;
        *file =
            (struct guest_file){.number = i, .cpu = cpu, .page = page, .msi = msi, .reset = true};
        return true;
    }
    return false;
}

void guest_file_give(struct guest_file *file)
{
    if (file->number == 0)
        return;
    files[file->cpu].owner[file->number] = NULL;
    file->number = 0;
}

void guest_file_msi(const struct guest_file *file, uint32_t identity)
{
    arch_wmb(); /* What the device wrote is seen by who takes the interrupt. */
    arch_write32((volatile uint32_t *)file->msi, identity);
}

void guest_file_watch(struct guest_file *file, bool on)
{
    if (file->number == 0)
        return;
    assert(this_cpu()->id == file->cpu);
    if (!on && atomic_load_explicit(&file->reset, memory_order_acquire)) {
        arch_guest_file_reset(file->number);
        atomic_store(&file->reset, false);
    }
    if (on)
        files[file->cpu].watched |= BIT(file->number);
    else
        files[file->cpu].watched &= ~BIT(file->number);
    arch_guest_file_watch(file->number, on);
}

void guest_file_reset(struct guest_file *file)
{
    atomic_store_explicit(&file->reset, true, memory_order_release);
}
