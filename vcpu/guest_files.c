/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest interrupt files: see guest_files.h. The table is changed in boot only; its rows are used by
 * their own pCPU.
 */
#include "vcpu/guest_files.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
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
            (struct guest_file){.number = i, .cpu = cpu, .page = page, .msi = msi, .stale = true};
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

static void guest_file_send(const struct guest_file *file, uint32_t identity)
{
    arch_write32((volatile uint32_t *)file->msi, identity);
}

/* Kept until the file's pCPU has written it. False: it has just done so. */
static bool guest_file_keep(struct guest_file *file, uint32_t identity)
{
    _Atomic uint64_t *word = &file->late[identity / 64];
    uint64_t bit = BIT(identity % 64);

    atomic_fetch_or(word, bit);
    return atomic_load(&file->stale) || !(atomic_fetch_and(word, ~bit) & bit);
}

void guest_file_msi(struct guest_file *file, uint32_t identity)
{
    arch_wmb(); /* What the device wrote is seen by who takes the interrupt. */
    if (unlikely(atomic_load(&file->stale)) && identity / 64 < ARCH_GUEST_FILE_WORDS &&
        guest_file_keep(file, identity))
        vcpu_request(files[file->cpu].owner[file->number], VCPU_REQ_IRQ);
    else
        guest_file_send(file, identity);
}

/* On its pCPU. */
static void guest_file_refresh(struct guest_file *file)
{
    for (unsigned w = 0; w < ARCH_GUEST_FILE_WORDS; w++)
        file->next.pending[w] |= atomic_exchange(&file->late[w], 0);
    arch_guest_file_write(file->number, &file->next);
    atomic_store(&file->stale, false);
    for (unsigned w = 0; w < ARCH_GUEST_FILE_WORDS; w++) /* Between the two. */
        for (uint64_t bits = atomic_exchange(&file->late[w], 0); bits != 0; bits &= bits - 1)
            guest_file_send(file, 64 * w + bit_lowest(bits));
}

void guest_file_watch(struct guest_file *file, bool on)
{
    if (file->number == 0)
        return;
    assert(this_cpu()->id == file->cpu);
    if (!on && atomic_load_explicit(&file->stale, memory_order_acquire))
        guest_file_refresh(file);
    if (on)
        files[file->cpu].watched |= BIT(file->number);
    else
        files[file->cpu].watched &= ~BIT(file->number);
    arch_guest_file_watch(file->number, on);
}

void guest_file_reset(struct guest_file *file)
{
    static const struct arch_guest_file empty;

    guest_file_set(file, &empty);
}

void guest_file_set(struct guest_file *file, const struct arch_guest_file *contents)
{
    bool ready = false;

    if (file->number == 0)
        return;
    for (unsigned w = 0; w < ARCH_GUEST_FILE_WORDS; w++) {
        atomic_store(&file->late[w], 0);
        ready |= (contents->pending[w] & contents->enabled[w]) != 0;
    }
    file->next = *contents;
    atomic_store(&file->stale, true);
    if (ready)
        vcpu_request(files[file->cpu].owner[file->number], VCPU_REQ_IRQ);
}

/* Somebody waits for what is in a file of this pCPU. */
struct file_look {
    struct work work;
    unsigned file;
    struct arch_guest_file *contents;
    _Atomic bool done;
};

static void file_look_work(struct work *work)
{
    struct file_look *look = container_of(work, struct file_look, work);

    arch_guest_file_read(look->file, look->contents);
    atomic_store(&look->done, true); /* The last touch. */
}

void guest_file_get(struct guest_file *file, struct arch_guest_file *contents)
{
    struct file_look look = {.work.fn = file_look_work, .file = file->number, .contents = contents};

    assert(file->number != 0);
    if (atomic_load(&file->stale)) {
        *contents = file->next;
        for (unsigned w = 0; w < ARCH_GUEST_FILE_WORDS; w++)
            contents->pending[w] |= atomic_load(&file->late[w]);
    } else if (this_cpu()->id == file->cpu) {
        arch_guest_file_read(file->number, contents);
    } else {
        ipi_work(file->cpu, &look.work);
        while (!atomic_load(&look.done))
            arch_relax();
    }
}
