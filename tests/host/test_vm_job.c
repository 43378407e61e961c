/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is cleared and loaded in pieces, between which others run. */
#include "mm/page.h"
#include "tests/host/vm_rig.h"

#define PAGE_NS  1000u /* So that the guest's RAM takes 1.024 ms, */
#define PIECES   4u    /* in pieces of four steps of 64 pages. */
#define PIECE_NS (4 * 64 * PAGE_NS)
#define FIRST_NS (PIECE_NS + LOADER_SCRATCH_SIZE / PAGE_SIZE * PAGE_NS) /* Of a start. */

/* Two VMs that share pCPU 1; the neighbour's guest runs and never waits, or waits for ever. */
static struct vm *beside(struct vm **neighbour, bool busy)
{
    static const struct vcpu_exit wfi = {.kind = EXIT_WFI};
    struct vm *vm;

    rig_start();
    *neighbour = rig_vm("near", 1, 1);
    vm = rig_vm("web", 1, 1);
    ASSERT_OK(vm_start(*neighbour));
    rig_turns(2);
    if (!busy)
        RIG_SCRIPT(&(*neighbour)->vcpus[0], wfi);
    rig_turns(2);
    fake.zero_page_ns = PAGE_NS;
    return vm;
}

/* Time passes until the next timer of the pCPU; how long. */
static uint64_t to_next_timer(unsigned cpu)
{
    uint64_t now = arch_ticks(), next = pcpu(cpu)->arch.timer_deadline;

    ASSERT(next != TICKS_NEVER);
    rig_advance(next > now ? next - now : 0);
    return next > now ? next - now : 0;
}

TEST(a_start_clears_in_pieces_and_a_busy_neighbour_runs_in_between)
{
    struct vm *near, *vm = beside(&near, true);
    uint64_t start = arch_ticks(), pause;
    unsigned runs, pieces = 1;

    fake_be_cpu(1);
    ASSERT_OK(vm_start(vm));
    fake_be_cpu(0);
    ASSERT_EQ(arch_ticks() - start, FIRST_NS);
    while (vm->state == VM_STARTING) {
        runs = near->vcpus[0].arch.runs;
        rig_turn(1);
        rig_turn(1);
        ASSERT(near->vcpus[0].arch.runs > runs);
        ASSERT_ERR(E_STATE, vm_start(vm));
        ASSERT_ERR(E_STATE, vm_stop(vm, VM_STOP_CRASH)); /* No guest is there. */
        ASSERT_ERR(E_STATE, vm_destroy(vm));
        pause = to_next_timer(1);
        ASSERT_EQ(pause, 9 * PIECE_NS);
        start = arch_ticks();
        rig_turn(1);
        pieces++;
        ASSERT(arch_ticks() - start <= PIECE_NS);
    }
    ASSERT_EQ(pieces, PIECES);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_advance(20 * RIG_MS); /* The neighbour's slice is over. */
    rig_turns(2);
    ASSERT(vm->vcpus[0].arch.runs > 0);
    rig_end();
}

TEST(a_stop_clears_in_pieces_and_without_a_pause_where_nobody_else_wants_to_run)
{
    struct vm *near, *vm = beside(&near, false);
    uint64_t start;
    unsigned pieces = 0;

    fake.zero_page_ns = 0;
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    fake.zero_page_ns = PAGE_NS;
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    while (vm->state == VM_STOPPING && pieces < 10) {
        start = arch_ticks();
        rig_turn(1);
        ASSERT(arch_ticks() - start <= PIECE_NS);
        pieces += arch_ticks() > start;
        if (pieces > 0 && vm->state == VM_STOPPING)
            ASSERT_EQ(to_next_timer(1), 0);
    }
    ASSERT_EQ(pieces, PIECES);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->map.ram, GUESTMAP_ZERO);
    start = arch_ticks();
    ASSERT_OK(vm_start(vm)); /* It is zero: nothing is cleared again. */
    ASSERT_EQ(arch_ticks() - start, FIRST_NS - PIECE_NS);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(a_start_from_another_pcpu_goes_on_where_vcpu_0_is_at_home)
{
    struct vm *near, *vm = beside(&near, false);
    uint64_t start = arch_ticks();

    ASSERT_OK(vm_start(vm)); /* On pCPU 0. */
    ASSERT_EQ(arch_ticks() - start, FIRST_NS);
    rig_turn(0);
    ASSERT_EQ(arch_ticks() - start, FIRST_NS);
    rig_turn(1);
    ASSERT_EQ(arch_ticks() - start, FIRST_NS + PIECE_NS);
    while (vm->state == VM_STARTING) {
        to_next_timer(1);
        rig_turn(1);
    }
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(a_restart_clears_in_pieces_and_a_stop_meanwhile_keeps_it_stopped)
{
    struct vm *near, *vm = beside(&near, false);

    fake.zero_page_ns = 0;
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    fake.zero_page_ns = PAGE_NS;
    ASSERT_OK(vm_stop(vm, VM_STOP_RESTART));
    rig_turn(1);
    rig_turn(1);
    ASSERT_EQ(vm->state, VM_STOPPING);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    for (unsigned i = 0; i < 5 && vm->state == VM_STOPPING; i++) {
        to_next_timer(1);
        rig_turn(1);
    }
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->start_count, 1);
    rig_end();
}

/* Goes on until the VM rests. */
static void to_rest(struct vm *vm)
{
    for (unsigned i = 0; i < 40 && vm->state != VM_RUNNING && vm->state != VM_STOPPED; i++) {
        rig_turn(1);
        rig_advance(0);
    }
}

TEST(a_start_is_stopped_or_begun_anew_after_each_of_its_pieces)
{
    for (unsigned pieces = 0; pieces < 2 * PIECES; pieces++) {
        bool again = pieces % 2, late = pieces / 2 >= PIECES - 1;
        struct vm *near, *vm = beside(&near, false);
        uint64_t pages = page_free_count();
        uint8_t byte = 1;

        ASSERT_OK(guest_write(&vm->map, gpa(RIG_RAM_BASE + RIG_GUEST_RAM - 1), &byte, 1));
        ASSERT_OK(vm_start(vm));
        for (unsigned i = 0; i < pieces / 2; i++) {
            rig_turn(1);
            rig_advance(0);
        }
        ASSERT_EQ(vm->state, late ? VM_RUNNING : VM_STARTING);
        ASSERT_OK(vm_stop(vm, again ? VM_STOP_RESTART : VM_STOP_ASKED));
        ASSERT_EQ(vm->state, VM_STOPPING);
        ASSERT_ERR(E_STATE, vm_start(vm));
        rig_turn(1);
        rig_advance(0);
        to_rest(vm);
        ASSERT_EQ(vm->state, again ? VM_RUNNING : VM_STOPPED);
        ASSERT_EQ(rig_logged_count("web: started"), again + late);
        ASSERT_EQ(vm->vcpus[0].arch.runs > 0, again || late);
        if (!again) {
            ASSERT_EQ(page_free_count(), pages); /* The scratch memory is back. */
            ASSERT_OK(guest_read(&vm->map, gpa(RIG_RAM_BASE + RIG_GUEST_RAM - 1), &byte, 1));
            ASSERT_EQ(byte, 0);
            ASSERT_OK(vm_start(vm));
            to_rest(vm);
            ASSERT_EQ(vm->state, VM_RUNNING);
        }
        fake.zero_page_ns = 0;
        rig_end();
    }
}

TEST(nothing_is_left_of_a_job)
{
    struct vm *near, *vm = beside(&near, false), *again;
    const struct config_vm *config = vm->config;
    uint64_t pages = page_free_count();

    for (unsigned i = 0; i < 3; i++) {
        ASSERT_OK(vm_start(vm));
        for (unsigned turn = 0; turn < 8; turn++) {
            rig_turn(1);
            rig_advance(0);
        }
        ASSERT_EQ(vm->state, VM_RUNNING);
        ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
        for (unsigned turn = 0; turn < 12; turn++) {
            rig_turn(1);
            rig_advance(0);
        }
        ASSERT_EQ(vm->state, VM_STOPPED);
        fake_be_cpu(1); /* A test cannot wait for another pCPU. */
        ASSERT_OK(vm_destroy(vm));
        fake_be_cpu(0);
        again = rig_vm_of(config);
        ASSERT_EQ(page_free_count(), pages);
        vm = again;
    }
    rig_end();
}
