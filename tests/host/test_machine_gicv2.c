// SPDX-License-Identifier: Apache-2.0
/* The aarch64 machine on a host with a GICv2: whole VMs of vm_rig.h. */
#include "kernel/platform.h"
#include "mm/page.h"
#include "tests/host/vm_rig.h"
#include "vcpu/console.h"

#define GICV 0x0ab00000ull /* Of the host. */
#define GICC 0x08010000ull
#define SGIR (RIG_GICD + 0xf00)

static void start(void)
{
    rig_start();
    virt_caps.gic_version = 2;
    platform.gicv = GICV;
}

static void finish(void)
{
    rig_end();
    virt_caps.gic_version = 3;
    platform.gicv = 0;
}

TEST(a_guest_on_a_gicv2_host_gets_the_hardwares_cpu_interface)
{
    const struct guest_region *region;
    struct pt_leaf leaf;
    struct vm *vm;

    start();
    vm = rig_vm("web", 2, 0);
    region = guestmap_find(&vm->map, gpa(GICC));
    ASSERT(region);
    ASSERT_EQ(region->kind, REGION_DEVICE);
    ASSERT_EQ(region->base.v, GICC);
    ASSERT_EQ(region->size, 0x2000);
    ASSERT_OK(pt_lookup(&vm->map.pt, GICC + PAGE_SIZE, &leaf));
    ASSERT_EQ(leaf.pa.v + (GICC + PAGE_SIZE - leaf.va), GICV + PAGE_SIZE);
    ASSERT(!guestmap_find(&vm->map, gpa(GICC + 0x2000)));
    ASSERT_EQ(rig_read(vm, 1, RIG_GICD + 0x4, 4), 2 | 1 << 5); /* TYPER. */
    ASSERT_EQ(rig_read(vm, 1, RIG_GICD + 0x800, 1), 2);        /* ITARGETSR. */
    ASSERT(!bus_search(&vm->bus, RIG_GICR, 4, &(struct bus_hint){}));
    finish();
}

TEST(a_guest_on_a_gicv2_host_sends_interrupts_by_the_distributor)
{
    struct vm *vm;

    start();
    vm = rig_vm("web", 2, 0);
    ASSERT_OK(vm_start(vm));
    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(2);
    rig_write(vm, 0, RIG_GICD, 4, 1);
    rig_write(vm, 0, SGIR, 4, 1 << 17 | 5);
    rig_turns(2);
    ASSERT(rig_irq_seen(&vm->vcpus[1], 5));
    ASSERT(!rig_irq_seen(&vm->vcpus[0], 5));
    finish();
}

/* Where hardware lets them trap at all. */
TEST(a_guest_on_a_gicv2_host_has_no_system_registers_of_a_gic)
{
    static const uint32_t regs[] = {0x3a3016, 0x3c3016, 0x3e3016, 0x323016}; /* SGI1R to DIR. */
    struct vm *vm;

    start();
    vm = rig_vm("web", 1, 0);
    ASSERT_OK(vm_start(vm));
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        RIG_SCRIPT(&vm->vcpus[0],
                   {.kind = EXIT_SYSREG_WRITE, .sysreg = {.addr = regs[i], .value = 1}});
        rig_turns(2);
        ASSERT_EQ(vm->vcpus[0].arch.faults, i + 1);
        ASSERT_EQ(vm->vcpus[0].arch.fault_last, FAULT_UNDEFINED);
    }
    ASSERT_EQ(vm->state, VM_RUNNING);
    finish();
}

TEST(a_gicv2_host_refuses_more_vcpus_than_a_gicv2_can_name)
{
    struct config_vm *config;
    struct vm *vm = NULL;
    uint64_t pages;

    start();
    config = rig_config("web", 9, 0);
    for (unsigned i = 0; i < 9; i++)
        config->affinity[i] = BIT(i % 4);
    pages = page_free_count();
    ASSERT_ERR(E_UNSUPPORTED, vm_create(config, &vm));
    ASSERT(rig_logged("/vms/web: cpus = <9>, but this host's GICv2 allows a guest 8"));
    ASSERT_EQ(page_free_count(), pages);
    config->cpu_count = 8;
    ASSERT_OK(vm_create(config, &vm));
    console_remove(vm_console(vm));
    finish();
}
