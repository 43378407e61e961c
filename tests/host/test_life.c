/* SPDX-License-Identifier: Apache-2.0 */
/* States of VMs and vCPUs, pause and resume, cancel, destroy: what may follow what, and what is
 * kept. */
#include "mm/page.h"
#include "tests/host/vm_rig.h"
#include "vcpu/console.h"

static const struct vcpu_exit hole = {.kind = EXIT_MMIO_READ,
                                      .mmio = {.gpa = {0x20000000}, .width = 4}};
static const struct vcpu_exit power_off = {.kind = EXIT_SYSTEM_DOWN};
static const struct vcpu_exit reset = {.kind = EXIT_SYSTEM_RESET};
static const struct vcpu_exit wfi = {.kind = EXIT_WFI};

/* --- States of a VM --- */

/* VMs in each state, all reached as a user would. */
static struct vm *in_state(enum vm_state state)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 2, 1);
    config->raw = state != VM_FAILED;
    vm = rig_vm_of(config);
    switch (state) {
    case VM_CREATED:
        return vm;
    case VM_FAILED:
        ASSERT_ERR(E_INVALID, vm_start(vm));
        config->raw = true;
        return vm;
    case VM_STARTING:
        fake.zero_page_ns = RIG_MS; /* So that there is more to do. */
        ASSERT_OK(vm_start(vm));
        fake.zero_page_ns = 0;
        return vm;
    default:
        ASSERT_OK(vm_start(vm));
        rig_turns(2);
    }
    if (state == VM_PAUSING || state == VM_PAUSED)
        ASSERT_OK(vm_pause(vm));
    if (state == VM_STOPPING || state == VM_STOPPED)
        ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    if (state == VM_PAUSED || state == VM_STOPPED)
        rig_turns(2);
    return vm;
}

static enum err vm_restart(struct vm *vm)
{
    return vm_stop(vm, VM_STOP_RESTART);
}

static enum err vm_crash(struct vm *vm)
{
    return vm_stop(vm, VM_STOP_CRASH);
}

#define STATES 8u
#define NO     STATES /* Refused. */

TEST(every_state_of_a_vm_allows_what_it_should_and_refuses_the_rest)
{
    static const struct {
        enum err (*what)(struct vm *vm);
        unsigned becomes[STATES], rests[STATES]; /* At once, and after a few turns. */
    } acts[] = {
        {vm_start,
         {VM_RUNNING, NO, NO, NO, NO, NO, VM_RUNNING, VM_RUNNING},
         {VM_RUNNING, NO, NO, NO, NO, NO, VM_RUNNING, VM_RUNNING}},
        {vm_pause,
         {NO, NO, VM_PAUSING, NO, NO, NO, NO, NO},
         {NO, NO, VM_PAUSED, NO, NO, NO, NO, NO}},
        {vm_resume,
         {NO, NO, NO, NO, VM_RUNNING, NO, NO, NO},
         {NO, NO, NO, NO, VM_RUNNING, NO, NO, NO}},
        {vm_restart,
         {NO, VM_STOPPING, VM_STOPPING, VM_STOPPING, VM_STOPPING, NO, NO, NO},
         {NO, VM_RUNNING, VM_RUNNING, VM_RUNNING, VM_RUNNING, NO, NO, NO}},
        {vm_crash,
         {NO, NO, VM_STOPPING, VM_STOPPING, VM_STOPPING, NO, NO, NO},
         {NO, NO, VM_STOPPED, VM_STOPPED, VM_STOPPED, NO, NO, NO}},
    };

    for (unsigned a = 0; a < ARRAY_SIZE(acts); a++)
        for (unsigned from = 0; from < STATES; from++) {
            struct vm *vm = in_state((enum vm_state)from);
            enum err err;

            ASSERT_EQ(vm->state, from);
            err = acts[a].what(vm);
            ASSERT_ERR(acts[a].becomes[from] == NO ? E_STATE : OK, err);
            if (err != OK) {
                ASSERT_EQ(vm->state, from);
            } else {
                ASSERT_EQ(vm->state, acts[a].becomes[from]);
                rig_turns(4);
                ASSERT_EQ(vm->state, acts[a].rests[from]);
            }
            rig_end();
        }
}

TEST(a_vm_in_each_state_is_destroyed_or_refuses_it)
{
    for (unsigned from = 0; from < STATES; from++) {
        struct vm *vm = in_state((enum vm_state)from);
        bool may = from == VM_CREATED || from == VM_STOPPED || from == VM_FAILED;

        fake_be_cpu(1); /* Its timers' home; a test cannot wait for another pCPU. */
        ASSERT_ERR(may ? OK : E_STATE, vm_destroy(vm));
        fake_be_cpu(0);
        ASSERT_EQ(vms[0] == NULL, may);
        rig_end();
    }
}

TEST(what_may_follow_a_state_of_a_vm_is_as_drawn)
{
    static const char *const next[STATES] = {"1", "257", "35", "245", "25", "6", "1", "1"};

    for (unsigned from = 0; from < STATES; from++)
        for (unsigned to = 0; to < STATES; to++) {
            bool drawn = false;

            for (const char *c = next[from]; *c; c++)
                drawn |= (unsigned)(*c - '0') == to;
            ASSERT_EQ(vm_may_become((enum vm_state)from, (enum vm_state)to), drawn);
        }
}

TEST(a_refusal_names_both_states)
{
    struct vm *vm = in_state(VM_STOPPED);

    log_set_level(LOG_DEBUG);
    ASSERT_ERR(E_STATE, vm_pause(vm));
    ASSERT(rig_logged("web: is stopped and cannot become pausing\n"));
    ASSERT_ERR(E_STATE, vm_resume(vm));
    ASSERT(rig_logged("web: is stopped and cannot become running"));
    ASSERT_ERR(E_STATE, vm_stop(vm, VM_STOP_ASKED));
    ASSERT(rig_logged("web: is stopped and cannot become stopping\n"));
    log_set_level(LOG_INFO);
    rig_end();
}

/* --- Pause --- */

TEST(a_vm_is_paused_when_all_its_vcpus_are_out_of_the_guest)
{
    struct vm *vm = rig_running(3);
    unsigned runs[3];

    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(2);
    ASSERT_OK(vm_pause(vm));
    rig_turn(0);
    rig_turn(2);
    ASSERT_EQ(vm->state, VM_PAUSING);
    rig_turn(1);
    rig_turn(0);
    ASSERT_EQ(vm->state, VM_PAUSED);
    ASSERT(rig_logged("web: paused\n"));
    for (unsigned i = 0; i < 3; i++)
        runs[i] = vm->vcpus[i].arch.runs;
    rig_turns(5);
    rig_advance(100 * RIG_MS);
    rig_turns(5);
    for (unsigned i = 0; i < 3; i++)
        ASSERT_EQ(vm->vcpus[i].arch.runs, runs[i]);
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT(vm->vcpus[0].arch.runs > runs[0] && vm->vcpus[1].arch.runs > runs[1]);
    ASSERT_EQ(vm->vcpus[2].arch.runs, 0);
    rig_end();
}

TEST(a_vcpu_that_gets_no_turn_is_held_all_the_same)
{
    struct config_vm *config;
    struct vm *low, *high;

    rig_start();
    config = rig_config("low", 1, 0);
    config->priority = 1;
    low = rig_vm_of(config);
    high = rig_vm("high", 1, 0);
    ASSERT_OK(vm_start(low));
    rig_turns(2);
    ASSERT_OK(vm_start(high));
    rig_turns(2);
    ASSERT_EQ(low->vcpus[0].sched.state, SCHED_READY);
    ASSERT_OK(vm_pause(low));
    rig_turns(2);
    ASSERT_EQ(low->state, VM_PAUSED);
    ASSERT_OK(vm_stop(low, VM_STOP_ASKED));
    rig_turns(2);
    ASSERT_EQ(low->state, VM_STOPPED);
    ASSERT_OK(vm_destroy(low));
    ASSERT_EQ(high->state, VM_RUNNING);
    rig_end();
}

TEST(interrupts_that_come_while_paused_are_there_after_it)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, 20);
    rig_write(vm, 0, RIG_GICR + 0x10c04, 4, 2u << 8); /* GICR_ICFGR1: 20 is an edge. */
    rig_irq_take(vcpu);
    for (unsigned waits = 0; waits < 2; waits++) {
        if (waits)
            RIG_SCRIPT(vcpu, wfi);
        rig_turns(2);
        ASSERT_OK(vm_pause(vm));
        rig_turns(2);
        vcpu_interrupt(vcpu, 20, true);
        rig_turns(3);
        ASSERT_EQ(rig_irq_taken(vcpu, 20), waits);
        ASSERT_OK(vm_resume(vm));
        rig_turns(3);
        ASSERT_EQ(rig_irq_taken(vcpu, 20), waits + 1);
    }
    rig_end();
}

TEST(a_wait_goes_on_after_a_pause)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    unsigned runs;

    vcpu->arch.timer_deadline = 50 * RIG_MS;
    RIG_SCRIPT(vcpu, wfi);
    rig_turns(2);
    ASSERT_EQ(vcpu->state, VCPU_BLOCKED);
    runs = vcpu->arch.runs;
    ASSERT_OK(vm_pause(vm));
    rig_turns(2);
    ASSERT(!vcpu->wake.armed);
    rig_advance(100 * RIG_MS);
    vcpu->arch.timer_deadline += 100 * RIG_MS; /* As the backend's offset does. */
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT_EQ(vcpu->arch.runs, runs);
    ASSERT_EQ(vcpu->wake.deadline, 150 * RIG_MS);
    rig_advance(50 * RIG_MS);
    rig_turns(1);
    ASSERT(vcpu->arch.runs > runs);
    rig_end();
}

TEST(a_guests_clock_stands_still_in_a_pause_unless_it_is_to_run)
{
    for (unsigned clock_runs = 0; clock_runs < 2; clock_runs++) {
        struct config_vm *config;
        struct vm *vm;
        uint64_t start;

        rig_start();
        config = rig_config("web", 2, 0);
        config->clock_runs = clock_runs;
        vm = rig_vm_of(config);
        ASSERT_OK(vm_start(vm));
        rig_turns(2);
        start = vm->started_ticks;
        for (unsigned i = 1; i < 3; i++) {
            ASSERT_OK(vm_pause(vm));
            rig_turns(2);
            rig_advance(70 * RIG_MS);
            ASSERT_OK(vm_resume(vm));
            rig_turns(2);
            ASSERT_EQ(vm->vcpus[1].arch.time_offset,
                      start + (clock_runs ? 0 : i * ticks_from_ns(70 * RIG_MS)));
        }
        rig_end();
    }
}

TEST(a_pause_that_a_pcpu_does_not_answer_in_time_is_given_up)
{
    struct vm *vm = rig_running(2);
    unsigned runs = vm->vcpus[0].arch.runs;

    ASSERT_OK(vm_pause(vm));
    rig_turn(0);
    rig_turn(0);
    ASSERT(vm->vcpus[0].held);
    rig_advance(999 * RIG_MS);
    ASSERT_EQ(vm->state, VM_PAUSING);
    rig_advance(RIG_MS);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT(rig_logged("web: not paused: vCPU 1 on cpu1 did not stop within 1000 ms; it runs on"));
    rig_turn(0);
    ASSERT(vm->vcpus[0].arch.runs > runs);
    rig_turns(3); /* The late answer changes nothing. */
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT(!vm->vcpus[1].held);
    ASSERT_OK(vm_pause(vm));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_PAUSED);
    rig_end();
}

TEST(a_processor_started_in_the_last_moment_before_a_pause_runs_after_it)
{
    struct vm *vm = rig_running(2);

    fake_be_cpu(3);
    ASSERT_OK(vm_pause(vm));
    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 7)));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_PAUSED);
    ASSERT_EQ(vm->vcpus[1].arch.runs, 0);
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT(vm->vcpus[1].arch.runs > 0);
    ASSERT_EQ(vm->vcpus[1].arch.regs.gpr[0], 7);
    rig_end();
}

TEST(a_guest_that_powers_off_in_the_last_moment_before_a_pause_is_off)
{
    struct vm *vm = rig_running(1);

    RIG_SCRIPT(&vm->vcpus[0], power_off);
    fake_be_cpu(3);
    ASSERT_OK(vm_pause(vm));
    vm_stop_by_guest(vm, VM_STOP_POWEROFF); /* As it does until its pCPU looks. */
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

/* --- Policies --- */

static struct vm *pauses_on(const struct vcpu_exit *exit)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 1, 0);
    config->on_crash = config->on_reset = config->on_poweroff = ACTION_PAUSE;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    rig_script(&vm->vcpus[0], exit, 1);
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_PAUSED);
    return vm;
}

TEST(a_crashed_vm_that_pauses_keeps_all_and_tries_again_when_resumed)
{
    struct vm *vm = pauses_on(&hole);

    ASSERT(rig_logged("web: crashed, paused\n"));
    ASSERT(memcmp(guest_ptr(&vm->map, gpa(RIG_ENTRY), &(uint64_t){0}), "a guest's", 9) == 0);
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vm->start_count, 1);
    rig_end();
}

TEST(a_vm_that_paused_at_its_own_end_meets_it_when_resumed)
{
    struct vm *vm = pauses_on(&power_off);

    ASSERT(rig_logged("web: powered off, paused\n"));
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
    vm = pauses_on(&reset);
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vm->start_count, 2);
    rig_end();
    vm = pauses_on(&reset);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_reset_from_outside_starts_at_once_whatever_the_configuration_says)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 2, 0);
    config->on_reset = ACTION_STOP;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    for (unsigned i = 2; i < 8; i++) {
        rig_turns(2);
        if (i % 2) {
            ASSERT_OK(vm_pause(vm));
            rig_turns(2);
        }
        ASSERT_OK(vm_stop(vm, VM_STOP_RESTART));
        rig_turns(3);
        ASSERT_EQ(vm->state, VM_RUNNING);
        ASSERT_EQ(vm->start_count, i);
    }
    rig_end();
}

/* --- The watchdog --- */

TEST(a_watchdog_that_is_not_fed_is_a_crash_and_pauses_do_not_count)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 1, 0);
    config->watchdog_ms = 100;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    for (unsigned i = 0; i < 5; i++) {
        rig_advance(60 * RIG_MS);
        vm_feed_watchdog(vm, 0);
    }
    ASSERT_OK(vm_pause(vm));
    rig_turns(2);
    rig_advance(1000 * RIG_MS);
    ASSERT_OK(vm_resume(vm));
    rig_turns(2);
    rig_advance(99 * RIG_MS);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_advance(RIG_MS);
    ASSERT_EQ(vm->state, VM_STOPPING);
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(rig_logged("web: its watchdog was not fed in time\n"));
    ASSERT(rig_logged("web: crashed\n"));
    rig_advance(1000 * RIG_MS);
    vm_feed_watchdog(vm, 50); /* It is not running. */
    rig_advance(1000 * RIG_MS);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_OK(vm_start(vm)); /* It counts from the start. */
    rig_turns(2);
    rig_advance(99 * RIG_MS);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_advance(RIG_MS);
    ASSERT_EQ(vm->state, VM_STOPPING);
    rig_end();
}

/* --- The end --- */

TEST(a_thousand_lives_leave_every_page_where_it_was)
{
    struct config_vm *config;
    uint64_t pages = 0;

    rig_start();
    config = rig_config("web", 2, 0);
    config->memory_size = MIB;
    for (unsigned i = 0; i < 1000; i++) {
        struct vm *vm;

        ASSERT_OK(vm_create(config, &vm));
        ASSERT_OK(vm_start(vm));
        rig_turns(1);
        ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
        rig_turns(2);
        ASSERT_OK(vm_destroy(vm));
        ASSERT(!vm_find("web"));
        rig_log_clear();
        if (i == 0)
            pages = page_free_count();
        ASSERT_EQ(page_free_count(), pages);
    }
    ASSERT_EQ(fake.vcpus_freed, 2000);
    rig_end();
}

TEST(a_vm_that_waits_for_its_restart_can_be_destroyed)
{
    for (unsigned moment = 0; moment < 2; moment++) {
        struct config_vm *config;
        struct vm *vm;

        rig_start();
        config = rig_config("web", 1, 0);
        config->on_crash = ACTION_RESTART;
        vm = rig_vm_of(config);
        ASSERT_OK(vm_start(vm));
        rig_turns(2);
        rig_script(&vm->vcpus[0], &hole, 1);
        rig_turns(3);
        ASSERT(vm->restart_pending);
        if (moment == 1)
            rig_advance(100 * RIG_MS); /* Its restart is queued. */
        fake_be_cpu(0);
        ASSERT_OK(vm_destroy(vm));
        rig_advance(1000 * RIG_MS);
        rig_turns(3);
        ASSERT(!vms[0]);
        rig_end();
    }
}

TEST(a_destroyed_vm_is_made_anew_beside_others_and_in_its_place)
{
    struct vm *first, *second, *again;

    rig_start();
    first = rig_vm("web", 1, 0);
    second = rig_vm("db", 1, 0);
    ASSERT_ERR(E_EXISTS, vm_create(first->config, &again));
    ASSERT_OK(vm_start(second));
    again = first;
    ASSERT_OK(vm_destroy(first));
    ASSERT_EQ(vm_find("db"), second);
    ASSERT_OK(vm_create(&second->config[-1], &again));
    ASSERT_EQ(vms[0], again);
    ASSERT_EQ(again->map.vmid, 1);
    ASSERT_OK(vm_start(again));
    rig_turns(2);
    ASSERT_EQ(second->state, VM_RUNNING);
    rig_end();
}
