/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases, and what they have in common: a VM that does one action, by hand or managed. */
#include "tests/conform/conform.h"

#include "boot/guests.h"
#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"

struct conform c;

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name, text) {#name, case_##name},
#define CASE_BOOT(name, text, tests)
#include "tests/conform/cases.def"
#undef CASE
#undef CASE_BOOT
};

/* --- A VM --- */

/* The image begins by going to where its word at 8 says: so each action is an image. */
static char image[8192];

static uint32_t conform_offset(enum action action)
{
    return (uint32_t)(actions[action].code - actions_start);
}

const struct config_vm *conform_config(enum action action, unsigned vcpus, unsigned cpu)
{
    size_t size = (size_t)(actions_end - actions_start);

    assert(size <= sizeof(image));
    memcpy(image, actions_start, size);
    c.config = (struct config_vm){
        CONFIG_VM_DEFAULTS,
        .name = "case",
        .memory_size = 2 * MIB,
        .raw = true,
        .irqchip = virt_caps.guest_msi ? CONFIG_AIA : CONFIG_PLIC,
        .kernel = {.name = "actions", .data = image, .size = size},
    };
    c.config.cpu_count = vcpus;
    for (unsigned i = 0; i < vcpus; i++)
        c.config.affinity[i] = BIT(cpu);
    c.config.load_address = 0;
    if (actions[action].code) { /* The first instructions go to where this says. */
        uint32_t words[] = {conform_offset(action), c.config.irqchip == CONFIG_AIA};

        memcpy(image + 8, words, sizeof(words));
    }
    return &c.config;
}

enum err conform_create(enum action action, unsigned vcpus, unsigned cpu)
{
    enum err err = vm_create(conform_config(action, vcpus, cpu), &c.vm);

    c.vcpu = err == OK ? &c.vm->vcpus[0] : NULL;
    return err;
}

enum err conform_by_hand(enum action action)
{
    struct arch_entry entry;

    TRY(conform_create(action, 1, this_cpu()->id));
    TRY(vm_load(c.vm, &entry));
    if (actions[action].mode != ARCH_MODE_NATIVE) {
        entry.mode = actions[action].mode;
        entry.pc.v += conform_offset(action);
    }
    TRY(vcpu_set_entry(c.vcpu, entry));
    return vcpu_bind(c.vcpu);
}

static enum err conform_step_for(unsigned ms, struct vcpu_exit *exit)
{
    uint64_t deadline = arch_ticks() + ticks_from_ns(ms * 1000000ull);

    for (;;) {
        TRY(vcpu_step_until(c.vcpu, deadline, exit));
        if (exit->kind != EXIT_INTERRUPT)
            break;
        irq_handle();
        ipi_run_work();
    }
    if (exit->kind == EXIT_PREEMPTION_TIMER)
        irq_handle();
    return OK;
}

enum err conform_step(struct vcpu_exit *exit)
{
    return conform_step_for(STEP_MS, exit);
}

bool conform_runs_on(void)
{
    struct vcpu_exit exit;

    do
        if (conform_step_for(SPIN_MS, &exit) != OK)
            return false;
    while (exit.kind == EXIT_NOTHING);
    return exit.kind == EXIT_PREEMPTION_TIMER;
}

bool conform_resumes(struct vcpu_exit *exit, uint64_t *result)
{
    if (exit->advance)
        arch_vcpu_finish(&c.vcpu->arch, exit);
    do {
        if (conform_step(exit) != OK)
            return false;
    } while (exit->kind == EXIT_NOTHING);
    *result = exit->call.args[0];
    return exit->kind == EXIT_HYPERCALL && exit->call.nr == CALL_DONE;
}

/* --- Time passes --- */

static void conform_breathe(void)
{
    irq_handle();
    ipi_run_work();
    arch_relax();
}

bool conform_wait_state(enum vm_state state)
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_MS * 1000000ull);

    while (*(volatile enum vm_state *)&c.vm->state != state) {
        if (arch_ticks() >= end)
            return false;
        conform_breathe();
    }
    return true;
}

void conform_pass_time(unsigned ms)
{
    uint64_t end = arch_ticks() + ticks_from_ns(ms * 1000000ull);

    while (arch_ticks() < end)
        conform_breathe();
}

bool conform_wait_count(uint64_t count)
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_MS * 1000000ull);

    while (conform_counter() <= count) {
        if (arch_ticks() >= end)
            return false;
        conform_breathe();
    }
    return true;
}

static uint64_t conform_word(uint64_t offset)
{
    uint64_t word = 0;

    err_ignore(guest_read(&c.vm->map, gpa(c.vm->layout->ram_base + offset), &word,
                          sizeof(word))); /* It is RAM. */
    return word;
}

uint64_t conform_counter(void)
{
    return conform_word(COUNTER);
}

uint64_t conform_taken(void)
{
    return conform_word(TAKEN);
}

bool conform_serve(bool (*until)(void))
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_MS * 1000000ull);
    struct vcpu_exit exit;
    bool runs;

    while (!until()) {
        if (arch_ticks() >= end ||
            vcpu_step_until(c.vcpu, arch_ticks() + ticks_from_ns(1000000), &exit) != OK ||
            vcpu_answer(c.vcpu, &runs) != OK)
            return false;
        ipi_run_work();
    }
    return true;
}

/* --- What lies below --- */

/* The entry for an address in the VM's stage-2 tables, where tables go down to this level. */
static uint64_t *slot_find(uint64_t addr, unsigned level)
{
    const struct pt_format *format = c.vm->map.pt.format;
    uint64_t *table = c.vm->map.pt.root, *slot;

    for (unsigned at = format->levels - 1u, bits = format->root_bits;; at--, bits = 9) {
        slot = &table[addr >> (PAGE_SHIFT + 9 * at) & BITS(bits - 1, 0)];
        if (at == level)
            return slot;
        table = phys_to_ptr(hpa((*slot & format->addr_mask) << format->addr_shift));
    }
}

static uint64_t *broken, good;

static void slot_set(uint64_t entry)
{
    gpa_t page = gpa(HOLE & ~(PAGE_SIZE - 1));

    *broken = entry;
    arch_stage2_flush(c.vm->map.vmid, pt_root(&c.vm->map.pt), page, PAGE_SIZE);
}

void conform_break_tables(unsigned level, uint64_t entry)
{
    gpa_t page = gpa(HOLE & ~(PAGE_SIZE - 1));

    err_ignore(guestmap_add(&c.vm->map, page, PAGE_SIZE, REGION_RAM, hpa(0))); /* It shows. */
    broken = slot_find(page.v, level);
    good = *broken;
    slot_set(entry);
}

void conform_mend_tables(void)
{
    slot_set(good);
}

static struct {
    struct fmt_sink sink;
    char line[160];
    size_t length;
    bool ended;
} said;

static void said_put(struct fmt_sink *, const char *text, size_t size)
{
    for (; size > 0; text++, size--) {
        if (said.ended)
            said.length = 0;
        said.ended = *text == '\n';
        if (!said.ended && said.length < sizeof(said.line))
            said.line[said.length++] = *text;
    }
}

static bool said_has(const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; i + length <= said.length; i++)
        if (memcmp(said.line + i, word, length) == 0)
            return true;
    return false;
}

bool conform_said(const char *one, const char *other)
{
    said.sink.put = said_put;
    said.ended = true;
    log_replay(&said.sink);
    return said_has(one) && said_has(other);
}

/* --- The cases --- */

bool conform_take_apart(void)
{
    if (!c.vm)
        return true;
    if (c.vcpu && c.vcpu == vcpu_current() && vcpu_unbind(c.vcpu) != OK)
        return false;
    if (vm_is_up(c.vm) && vm_stop(c.vm, VM_STOP_ASKED) != OK)
        return false;
    if (c.vm->state != VM_CREATED && c.vm->state != VM_FAILED && !conform_wait_state(VM_STOPPED))
        return false;
    if (vm_destroy(c.vm) != OK)
        return false;
    c.vm = NULL;
    c.vcpu = NULL;
    return true;
}

/* A line of its own, whatever the log says meanwhile. */
static void conform_case(unsigned i)
{
    c.failed = c.impossible = NULL;
    cases[i].run();
    if (!conform_take_apart() && !c.failed) {
        c.failed = "the VM can be taken apart";
        c.line = 0;
    }
    c.cases++;
    if (c.failed) {
        log_info("case %s: failed: line %u: %s", cases[i].name, c.line, c.failed);
    } else if (c.impossible) {
        c.skipped++;
        log_info("case %s: not possible: %s", cases[i].name, c.impossible);
    } else {
        c.passed++;
        log_info("case %s: passed", cases[i].name);
    }
}

void guests_init(void)
{
    if (ARCH_MACHINE.init() != OK)
        panic("the interrupts that guests need are not to be had");
}

void guests_start(const void *, uint64_t, const struct memmap *)
{
    log_info("conformance of %s on %s", virt_caps.backend, ARCH_NAME);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        conform_case(i);
    log_info("conformance: %llu cases, %llu passed, %llu not possible", (unsigned long long)c.cases,
             (unsigned long long)c.passed, (unsigned long long)c.skipped);
    log_flush();           /* Reports of faults, and all behind them, are shown later. */
    conform_pass_time(50); /* For the UART to send all that. */
    arch_machine_off();
}
