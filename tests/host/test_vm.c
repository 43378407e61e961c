/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM: made, started, stopped, restarted as its configuration says, or refused. */
#include "mm/page.h"
#include "tests/host/vm_rig.h"
#include "vcpu/console.h"

#define RESTART_MS_MAX 10000u

static const struct vcpu_exit hole = {.kind = EXIT_MMIO_READ,
                                      .mmio = {.gpa = {0x20000000}, .width = 4}};
static const struct vcpu_exit power_off = {.kind = EXIT_SYSTEM_DOWN};
static const struct vcpu_exit reset = {.kind = EXIT_SYSTEM_RESET};
static const struct vcpu_exit cpu_down = {.kind = EXIT_CPU_DOWN};

static struct vcpu_exit cpu_up(uint64_t target)
{
    return (struct vcpu_exit){.kind = EXIT_CPU_UP,
                              .cpu = {.target = target, .entry = RIG_ENTRY + 64, .arg = 77}};
}

static uint64_t guest_word(struct vm *vm, uint64_t offset)
{
    uint64_t word = 0;

    ASSERT_OK(guest_read(&vm->map, gpa(RIG_RAM_BASE + offset), &word, sizeof(word)));
    return word;
}

static void guest_put_word(struct vm *vm, uint64_t offset, uint64_t word)
{
    ASSERT_OK(guest_write(&vm->map, gpa(RIG_RAM_BASE + offset), &word, sizeof(word)));
}

TEST(a_new_vm_is_created_and_none_of_its_vcpus_runs)
{
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", 2, 0);
    rig_turns(2);
    ASSERT_STR(vm_state_text(vm->state), "created");
    for (unsigned i = 0; i < 2; i++) {
        ASSERT_EQ(vm->vcpus[i].arch.runs, 0);
        ASSERT_EQ(vm->vcpus[i].sched.cpu, i);
        ASSERT_EQ(vm->vcpus[i].power, VCPU_OFF);
    }
    ASSERT_ERR(E_STATE, vm_stop(vm, VM_STOP_ASKED));
    rig_end();
}

TEST(each_state_has_a_name)
{
    static const char *const names[] = {"created", "starting", "running", "pausing",
                                        "paused",  "stopping", "stopped", "failed"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        ASSERT_STR(vm_state_text((enum vm_state)i), names[i]);
}

TEST(a_vm_is_found_by_its_name)
{
    struct vm *web, *db;

    rig_start();
    web = rig_vm("web", 1, 0);
    db = rig_vm("db", 1, 1);
    ASSERT_EQ(vm_find("web"), web);
    ASSERT_EQ(vm_find("db"), db);
    ASSERT(!vm_find("d") && !vm_find("dbx") && !vm_find(""));
    rig_end();
}

TEST(a_start_runs_the_first_vcpu_at_its_entry_with_the_tree_as_argument)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[0];

    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vm->start_count, 1);
    ASSERT_EQ(vcpu->arch.starts, 1);
    ASSERT_EQ(vcpu->arch.regs.pc, RIG_ENTRY);
    ASSERT_EQ((uint32_t)guest_word(vm, vcpu->arch.regs.gpr[0] - RIG_RAM_BASE), 0xedfe0dd0);
    ASSERT_EQ(vm->vcpus[1].arch.runs, 0);
    ASSERT(memcmp(guest_ptr(&vm->map, gpa(RIG_ENTRY), &(uint64_t){0}), "a guest's", 9) == 0);
    ASSERT_ERR(E_STATE, vm_start(vm));
    ASSERT(rig_logged("web: started, entry 0x40080000\n"));
    rig_end();
}

TEST(a_vms_clock_starts_with_it)
{
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", 2, 0);
    fake_advance(12345);
    ASSERT_OK(vm_start(vm));
    ASSERT_EQ(vm->vcpus[0].arch.time_offset, 12345);
    ASSERT_EQ(vm->vcpus[1].arch.time_offset, 12345);
    rig_end();
}

TEST(a_stop_waits_for_all_vcpus_and_clears_the_memory)
{
    struct vm *vm = rig_running(2);

    guest_put_word(vm, 0x1000, 0xdead);
    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(1);
    ASSERT(vm->vcpus[1].arch.runs > 0);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    ASSERT_EQ(vm->state, VM_STOPPING);
    ASSERT_ERR(E_STATE, vm_stop(vm, VM_STOP_CRASH));
    ASSERT_ERR(E_STATE, vm_start(vm));
    rig_turn(0);
    rig_turn(0);
    ASSERT_EQ(vm->state, VM_STOPPING); /* The other has not parked. */
    ASSERT_EQ(guest_word(vm, 0x1000), 0xdead);
    rig_turn(1);
    rig_turns(1);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(guest_word(vm, 0x1000), 0);
    ASSERT_EQ(guest_word(vm, RIG_ENTRY - RIG_RAM_BASE), 0);
    ASSERT(rig_logged("web: stopped\n"));
    rig_end();
}

TEST(a_stopped_vm_starts_again_from_its_image)
{
    struct vm *vm = rig_running(2);

    guest_put_word(vm, 0x80000, 0);
    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->vcpus[1].power, VCPU_OFF);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    ASSERT_EQ(vm->start_count, 2);
    ASSERT(memcmp(guest_ptr(&vm->map, gpa(RIG_ENTRY), &(uint64_t){0}), "a guest's", 9) == 0);
    ASSERT_EQ(vm->vcpus[0].arch.starts, 2);
    ASSERT_EQ(vm->vcpus[1].arch.starts, 0);
    rig_end();
}

TEST(interrupts_that_were_posted_before_a_start_are_not_of_the_new_life)
{
    struct vm *vm = rig_running(1);

    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    vcpu_interrupt(&vm->vcpus[0], 40, true);
    ASSERT_OK(vm_start(vm));
    rig_turns(1);
    rig_irq_enable(vm, 0, 40);
    rig_turns(2);
    ASSERT(!rig_irq_seen(&vm->vcpus[0], 40));
    vcpu_interrupt(&vm->vcpus[0], 40, true);
    rig_turns(2);
    ASSERT(rig_irq_seen(&vm->vcpus[0], 40));
    rig_end();
}

TEST(a_vcpu_that_is_off_parks_as_well)
{
    struct vm *vm = rig_running(3);

    RIG_SCRIPT(&vm->vcpus[0], power_off);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->running, 0);
    rig_end();
}

TEST(a_vm_that_is_stopped_at_once_after_its_start_never_runs)
{
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", 2, 0);
    ASSERT_OK(vm_start(vm));
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->vcpus[0].arch.runs + vm->vcpus[1].arch.runs, 0);
    rig_end();
}

/* A stop has begun, the second vCPU has parked, and the first guest's code still runs. */
TEST(no_vcpu_is_started_while_its_vm_stops)
{
    struct vm *vm = rig_running(2);
    struct vcpu *first = &vm->vcpus[0], *second = &vm->vcpus[1];

    fake_be_cpu(3);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turn(1);
    ASSERT(second->held);
    ASSERT_ERR(E_STATE, vcpu_power_on(second, arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(4);
    ASSERT_EQ(second->arch.runs, 0);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_OK(vm_start(vm));
    rig_turns(4);
    ASSERT_EQ(second->arch.runs, 0);
    ASSERT(first->arch.runs > 0);
    rig_end();
}

static struct vm *with_actions(enum config_action crash, enum config_action on_reset,
                               enum config_action poweroff)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 1, 0);
    config->on_crash = crash;
    config->on_reset = on_reset;
    config->on_poweroff = poweroff;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    return vm;
}

TEST(poweroff_and_reset_do_what_the_configuration_says)
{
    struct vm *vm = with_actions(ACTION_STOP, ACTION_RESTART, ACTION_STOP);

    RIG_SCRIPT(&vm->vcpus[0], reset);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vm->start_count, 2);
    ASSERT(rig_logged("web: reset, restarting\n"));
    RIG_SCRIPT(&vm->vcpus[0], power_off);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(rig_logged("web: powered off\n"));
    rig_end();
    vm = with_actions(ACTION_STOP, ACTION_STOP, ACTION_RESTART);
    RIG_SCRIPT(&vm->vcpus[0], power_off);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    RIG_SCRIPT(&vm->vcpus[0], reset);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_stop_that_was_asked_for_never_restarts)
{
    struct vm *vm = with_actions(ACTION_RESTART, ACTION_RESTART, ACTION_RESTART);

    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    rig_advance(20000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->start_count, 1);
    rig_end();
}

static void crash(struct vm *vm)
{
    rig_script(&vm->vcpus[0], &hole, 1);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
}

TEST(a_crashed_vm_restarts_with_a_delay_that_doubles)
{
    struct vm *vm = with_actions(ACTION_RESTART, ACTION_STOP, ACTION_STOP);

    for (unsigned ms = 100, i = 0; i < 10; i++, ms = MIN(2 * ms, RESTART_MS_MAX)) {
        crash(vm);
        rig_advance(ms * RIG_MS - 1);
        rig_turns(2);
        ASSERT_EQ(vm->start_count, i + 1);
        rig_advance(1);
        rig_turns(2);
        ASSERT_EQ(vm->start_count, i + 2);
        ASSERT_EQ(vm->state, VM_RUNNING);
    }
    rig_advance(60001 * RIG_MS); /* It has run well for a minute. */
    crash(vm);
    rig_advance(100 * RIG_MS);
    rig_turns(2);
    ASSERT_EQ(vm->start_count, 12);
    ASSERT_EQ(rig_logged_count("web: crashed, restarting\n"), 11);
    rig_end();
}

TEST(a_crashed_vm_that_is_not_to_restart_rests)
{
    struct vm *vm = with_actions(ACTION_STOP, ACTION_RESTART, ACTION_RESTART);

    crash(vm);
    rig_advance(20000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 1);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_stop_while_a_vm_waits_for_its_restart_keeps_it_stopped)
{
    struct vm *vm = with_actions(ACTION_RESTART, ACTION_STOP, ACTION_STOP);

    crash(vm);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    ASSERT_ERR(E_STATE, vm_stop(vm, VM_STOP_ASKED));
    rig_advance(20000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 1);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_vm_started_and_stopped_by_hand_is_not_restarted_by_an_older_crash)
{
    struct vm *vm = with_actions(ACTION_RESTART, ACTION_STOP, ACTION_STOP);

    crash(vm);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    rig_advance(20000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_vm_started_by_hand_while_it_waits_is_started_once)
{
    struct vm *vm = with_actions(ACTION_RESTART, ACTION_STOP, ACTION_STOP);

    crash(vm);
    ASSERT_OK(vm_start(vm));
    rig_advance(20000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT(!rig_logged("could not be restarted"));
    rig_end();
}

/* Each time the other vCPU is the last to park: the restart's timer may belong to one pCPU only. */
TEST(crashes_that_end_on_different_pcpus_restart_the_vm_each_time)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 2, 1);
    config->on_crash = ACTION_RESTART;
    vm = rig_vm_of(config);
    for (unsigned i = 0; i < 4; i++) {
        ASSERT_OK(vm_start(vm));
        rig_turns(2);
        rig_script(&vm->vcpus[0], &hole, 1);
        rig_turn(1);
        ASSERT_EQ(vm->state, VM_STOPPING);
        for (unsigned turn = 0; turn < 3; turn++)
            rig_turn(i % 2 ? 1 : 2);
        rig_turns(3);
        ASSERT_EQ(vm->state, VM_STOPPED);
    }
    rig_advance(10000 * RIG_MS);
    rig_turns(3);
    ASSERT_EQ(vm->start_count, 5);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(a_guest_powers_its_processors_up_and_down)
{
    struct vm *vm = rig_running(2);
    struct vcpu *second = &vm->vcpus[1];

    RIG_SCRIPT(&vm->vcpus[0], cpu_up(1), cpu_up(1), cpu_up(9));
    rig_turn(0);
    ASSERT_EQ((int64_t)vm->vcpus[0].arch.returns[0], -2); /* The third: no such processor. */
    rig_turns(1);
    ASSERT_EQ(second->power, VCPU_ON);
    ASSERT_EQ(second->arch.starts, 1);
    ASSERT_EQ(second->arch.regs.pc, RIG_ENTRY + 64);
    ASSERT_EQ(second->arch.regs.gpr[0], 77);
    RIG_SCRIPT(second, cpu_down);
    rig_turns(1);
    ASSERT_EQ(second->power, VCPU_OFF);
    ASSERT_EQ(second->sched.state, SCHED_BLOCKED);
    RIG_SCRIPT(&vm->vcpus[0], cpu_up(1));
    rig_turns(2);
    ASSERT_EQ((int64_t)vm->vcpus[0].arch.returns[0], 0);
    ASSERT_EQ(second->arch.starts, 2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(an_image_that_cannot_be_loaded_fails_the_start)
{
    struct config_vm *config;
    struct vm *vm;
    uint64_t pages;

    rig_start();
    config = rig_config("web", 1, 0);
    config->raw = false;
    vm = rig_vm_of(config);
    pages = page_free_count();
    ASSERT_ERR(E_INVALID, vm_start(vm));
    ASSERT_EQ(vm->state, VM_FAILED);
    ASSERT_EQ(page_free_count(), pages);
    ASSERT(rig_logged("/vms/web/boot: 'image' is not an arm64 Image or ELF"));
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].arch.runs, 0);
    config->raw = true;
    ASSERT_OK(vm_start(vm));
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

static void refused(const struct config_vm *config, enum err err, const char *text)
{
    uint64_t pages = page_free_count();
    struct vm *vm = NULL;

    rig_log_clear();
    ASSERT_ERR(err, vm_create(config, &vm));
    ASSERT(rig_logged(text));
    ASSERT(rig_logged("/vms/web: not created: "));
    ASSERT_EQ(page_free_count(), pages);
    ASSERT(!vm);
}

TEST(what_cannot_be_given_to_a_vm_is_named_with_its_node)
{
    struct config_vm *config;

    rig_start();
    config = rig_config("web", 2, 0);
    config->memory_size = RIG_RAM;
    refused(config, E_NOMEM, "/vms/web: cannot have 48 MiB of memory: ");
    config->memory_size = RIG_GUEST_RAM;
    config->memory_host = 0x1000;
    refused(config, E_BUSY, "/vms/web: cannot have 4 MiB of memory at its memory-host address: ");
    config->memory_host = 0;
    config->region_count = 1;
    config->regions[0] = (struct config_region){
        .name = "r", .kind = CONFIG_RAM, .address = RIG_RAM_BASE, .size = PAGE_SIZE};
    refused(config, E_EXISTS, "/vms/web/regions/r: cannot be given: ");
    config->region_count = 0;
    config->affinity[1] = BIT(40);
    refused(config, E_ABSENT, "/vms/web: vCPU 1 has an affinity to no pCPU that there is (0-3)");
    config->affinity[1] = BIT(1);
    fake.vcpu_init_result = E_UNSUPPORTED;
    refused(config, E_UNSUPPORTED, "not created: ");
    fake.vcpu_init_result = OK;
    rig_vm_of(config);
    rig_end();
}

TEST(a_vm_is_not_placed_on_a_pcpu_that_is_not_there)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    pcpu(2)->online = false;
    config = rig_config("web", 3, 0);
    for (unsigned i = 0; i < 3; i++)
        config->affinity[i] = 0;
    vm = rig_vm_of(config);
    for (unsigned i = 0; i < 3; i++) {
        ASSERT(vm->vcpus[i].sched.cpu != 2);
        for (unsigned j = 0; j < i; j++)
            ASSERT(vm->vcpus[i].sched.cpu != vm->vcpus[j].sched.cpu);
    }
    rig_end();
}

/* On a machine with so much memory; false: there was too little, and nothing of it is missing. */
static bool create_in(const struct config_vm *config, uint64_t ram)
{
    struct vm *vm = NULL;
    uint64_t pages;
    enum err err;

    fake_ram(ram);
    pages = page_free_count();
    err = vm_create(config, &vm);
    if (err == OK) {
        console_remove(vm_console(vm));
        return true;
    }
    ASSERT_ERR(E_NOMEM, err);
    ASSERT_EQ(page_free_count(), pages);
    return false;
}

TEST(a_failed_create_gives_back_every_page_wherever_memory_ran_out)
{
    struct config_vm *config;
    uint64_t pages = 2;

    rig_start();
    config = rig_config("web", 2, 0);
    config->memory_size = MIB;
    while (!create_in(config, pages * PAGE_SIZE))
        ASSERT(++pages < 1000);
    ASSERT(pages > 270); /* Not all for the want of RAM. */
    ASSERT(rig_logged("/vms/web: cannot have 1 MiB of memory: "));
    rig_end();
}
