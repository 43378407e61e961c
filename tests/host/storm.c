/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/storm.h"

#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"
#include "vcpu/machine_ops.h"

static uint64_t number(const struct storm *storm)
{
    switch (test_random_below(7)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return test_random_below(256);
    case 3:
        return BIT(test_random_below(64));
    case 4:
        return BIT(test_random_below(64)) - 1;
    case 5:
        return storm->ram + test_random_below(0x1000);
    default:
        return test_random();
    }
}

static struct vcpu_exit device_exit(const struct storm *storm, const struct bus *bus, bool port)
{
    const struct vdev *dev = bus->devices[test_random_below(bus->count)];
    unsigned width = 1u << test_random_below(port ? 3 : 4);
    /* Most registers are at the start. */
    uint64_t limit = test_random_below(2) && dev->size > 0x400 ? 0x400 : dev->size;
    uint64_t at = (dev->base + test_random_below(limit)) & ~(uint64_t)(width - 1);
    bool write = test_random_below(2);

    if (port)
        return (struct vcpu_exit){
            .kind = write ? EXIT_PIO_OUT : EXIT_PIO_IN,
            .pio = {.port = (uint16_t)at, .width = (uint8_t)width, .data = number(storm)}};
    return (struct vcpu_exit){
        .kind = write ? EXIT_MMIO_WRITE : EXIT_MMIO_READ,
        .mmio = {.gpa = gpa(at), .width = (uint8_t)width, .data = number(storm), .reg_width = 8}};
}

static struct vcpu_exit sysreg_exit(const struct storm *storm)
{
    bool known = storm->sysreg_count && test_random_below(8);

    return (struct vcpu_exit){
        .kind = test_random_below(2) ? EXIT_SYSREG_READ : EXIT_SYSREG_WRITE,
        .sysreg = {.addr = known ? storm->sysregs[test_random_below(storm->sysreg_count)]
                                 : (uint32_t)number(storm),
                   .select =
                       (uint32_t)(test_random_below(4) ? test_random_below(256) : test_random()),
                   .both = test_random_below(2),
                   .value = number(storm)}};
}

static struct vcpu_exit call_exit(const struct storm *storm)
{
    struct vcpu_exit exit = {.kind = EXIT_HYPERCALL};

    exit.call.nr = test_random_below(8) ? storm->calls[test_random_below(storm->call_count)] +
                                              test_random_below(test_random_below(2) ? 1 : 32)
                                        : number(storm);
    exit.call.function = test_random_below(8) ? test_random_below(8) : number(storm);
    for (unsigned i = 0; i < ARRAY_SIZE(exit.call.args); i++)
        exit.call.args[i] = test_random_below(2) ? test_random_below(4) : number(storm);
    return exit;
}

struct vcpu_exit storm_exit(const struct storm *storm, const struct vm *vm)
{
    switch (test_random_below(4)) {
    case 0:
        return sysreg_exit(storm);
    case 1:
        return call_exit(storm);
    case 2:
        if (vm->ports.count)
            return device_exit(storm, &vm->ports, true);
        [[fallthrough]];
    default:
        return device_exit(storm, &vm->bus, false);
    }
}

static void storm_device(const struct bus *bus, struct vcpu *vcpu, uint64_t at, unsigned width,
                         const uint64_t *value)
{
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(bus, at, width, &hint);

    if (!dev)
        return;
    if (value)
        dev->ops->write(dev, vcpu->index, at - dev->base, width, *value);
    else
        dev->ops->read(dev, vcpu->index, at - dev->base, width);
}

static void storm_answer(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct vm *vm = vcpu->vm;

    switch (exit->kind) {
    case EXIT_MMIO_READ:
    case EXIT_MMIO_WRITE:
        storm_device(&vm->bus, vcpu, exit->mmio.gpa.v, exit->mmio.width,
                     exit->kind == EXIT_MMIO_WRITE ? &exit->mmio.data : NULL);
        break;
    case EXIT_PIO_IN:
    case EXIT_PIO_OUT:
        storm_device(&vm->ports, vcpu, exit->pio.port, exit->pio.width,
                     exit->kind == EXIT_PIO_OUT ? &exit->pio.data : NULL);
        break;
    case EXIT_HYPERCALL:
        vm->machine->call(vcpu, exit);
        break;
    default:
        vm->machine->sysreg(vcpu, exit);
    }
}

void storm_run(const struct storm *storm, struct vcpu *vcpu, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct vcpu_exit exit = storm_exit(storm, vcpu->vm);

        storm_answer(vcpu, &exit);
        vcpu->resume = false;
        vcpu->vm->state = VM_RUNNING; /* It may have asked for its end. */
        if (test_random_below(8) == 0) {
            fake_advance(test_random_below(test_random_below(2) ? 1000 : 10000000));
            timer_expire();
        }
        vcpu->vm->machine->refresh(vcpu);
        (void)vcpu->vm->machine->pending(vcpu);
    }
}
