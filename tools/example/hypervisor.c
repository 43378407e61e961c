/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor with a purpose of its own, in place of boot/guests.c: one guest, run by hand. It
 * handles each exit itself: a console that is one register of its own (or a port), a hypercall, and
 * an end; no device, no interrupt controller and no firmware of vcpu/ is asked. `make programs`
 * builds it as build/<arch>/example.img; HACKING.md says how to start it.
 */
#include "boot/guests.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/config.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

/* The machine that the guest sees; guest_<arch>.S knows it. */
#define CONSOLE      0x10001000u /* A store prints a character, a load gives YEAR. */
#define CONSOLE_PORT 0xe9u       /* x86: the same. */
#define YEAR         2026u

enum { CALL_STOP, CALL_SQUARE };

extern const char guest_start[], guest_end[]; /* guest_<arch>.S */

static struct config_vm config = {
    CONFIG_VM_DEFAULTS,
    .name = "example",
    .memory_size = 2 * MIB,
    .raw = true,
    .kernel = {.name = "guest", .data = guest_start},
};

/* What the guest prints, line by line. */
static void console_put(char c)
{
    static char line[80];
    static size_t length;

    if (c != '\n' && length + 1 < sizeof(line)) {
        line[length++] = c;
        return;
    }
    line[length] = 0;
    length = 0;
    log_info("the guest says: %s", line);
}

/* False: it wants to stop. */
static bool on_call(struct arch_vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (exit->advance)
        arch_vcpu_finish(vcpu, exit);
    if (exit->call.nr == CALL_SQUARE)
        arch_vcpu_set_return(vcpu, 0, exit->call.args[0] * exit->call.args[0]);
    return exit->call.nr != CALL_STOP;
}

static bool on_access(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (exit->mmio.gpa.v != CONSOLE)
        return false;
    if (exit->kind == EXIT_MMIO_WRITE)
        console_put((char)exit->mmio.data);
    else
        exit->mmio.data = YEAR;
    arch_vcpu_finish(vcpu, exit);
    return true;
}

static bool on_port(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    if (exit->pio.port != CONSOLE_PORT)
        return false;
    if (exit->kind == EXIT_PIO_OUT)
        console_put((char)exit->pio.data);
    else
        exit->pio.data = YEAR;
    arch_vcpu_finish(vcpu, exit);
    return true;
}

/* False: that was all. */
static bool on_exit(struct arch_vcpu *vcpu, struct vcpu_exit *exit)
{
    switch (exit->kind) {
    case EXIT_NOTHING:
        return true;
    case EXIT_INTERRUPT:
        irq_handle();
        return true;
    case EXIT_HYPERCALL:
        return on_call(vcpu, exit);
    case EXIT_MMIO_READ:
    case EXIT_MMIO_WRITE:
        return on_access(vcpu, exit);
    case EXIT_PIO_IN:
    case EXIT_PIO_OUT:
        return on_port(vcpu, exit);
    default:
        return false;
    }
}

static enum err run(struct vm *vm)
{
    struct vcpu *vcpu = &vm->vcpus[0];
    struct arch_entry entry;
    struct vcpu_exit exit;

    TRY(vm_load(vm, &entry));
    TRY(vcpu_set_entry(vcpu, entry));
    TRY(vcpu_bind(vcpu));
    do
        TRY(vcpu_step(vcpu, &exit));
    while (on_exit(&vcpu->arch, &exit));
    log_info("example: ended by %s after %llu exits", exit_kind_text(exit.kind),
             (unsigned long long)vcpu->exit_count);
    TRY(vcpu_unbind(vcpu));
    return vm_destroy(vm);
}

void guests_init(void)
{
    if (ARCH_MACHINE.init() != OK)
        panic("the interrupts that guests need are not to be had");
}

void guests_start(const void *, uint64_t, const struct memmap *)
{
    struct vm *vm;

    config.kernel.size = (size_t)(guest_end - guest_start);
    config.affinity[0] = 1; /* This pCPU. */
    if (vm_create(&config, &vm) != OK || run(vm) != OK)
        log_error("example: failed");
    arch_machine_off();
}
