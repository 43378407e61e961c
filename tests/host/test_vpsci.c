/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware calls of Arm guests: every function of the table, in both widths, and what is refused.
 */
#include "tests/host/vm_rig.h"
#include "vcpu/hypercall.h"
#include "vcpu/vpsci.h"

#define WIDE          0x40000000u
#define NOT_SUPPORTED 0xffffffffffffffffull
#define INVALID       0xfffffffffffffffeull
#define UNTOUCHED     0x5555555555555555ull

static struct vcpu_exit after; /* The last call. */

/* Returns the guest's x0. */
static uint64_t call(struct vcpu *vcpu, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
    after = (struct vcpu_exit){.kind = EXIT_HYPERCALL, .call = {.nr = nr, .args = {a, b, c}}};
    vcpu->arch.returns[0] = UNTOUCHED;
    vpsci_call(vcpu, &after);
    return vcpu->arch.returns[0];
}

TEST(the_firmware_tells_its_versions)
{
    struct vcpu *vcpu = &rig_running(1)->vcpus[0];

    ASSERT_EQ(call(vcpu, 0x84000000, 0, 0, 0), 0x10001); /* PSCI_VERSION */
    ASSERT_EQ(call(vcpu, 0x80000000, 0, 0, 0), 0x10001); /* SMCCC_VERSION */
    ASSERT_EQ(call(vcpu, 0x84000006, 0, 0, 0), 2);       /* MIGRATE_INFO_TYPE: no trusted OS. */
    ASSERT_EQ(after.kind, EXIT_HYPERCALL);
    rig_end();
}

/* The function number is in 32 bits of its register, and no others count. */
TEST(upper_bits_of_a_function_number_are_ignored)
{
    struct vcpu *vcpu = &rig_running(1)->vcpus[0];

    ASSERT_EQ(call(vcpu, 0xdead000084000000, 0, 0, 0), 0x10001);
    call(vcpu, 0xdead000084000008, 0, 0, 0);
    ASSERT_EQ(after.kind, EXIT_SYSTEM_DOWN);
    rig_end();
}

TEST(psci_features_name_exactly_what_is_answered)
{
    static const uint32_t there[] = {0x84000000, 0x84000001, 0xc4000001, 0x84000002, 0x84000003,
                                     0xc4000003, 0x84000004, 0xc4000004, 0x84000006, 0x84000008,
                                     0x84000009, 0x8400000a, 0x84000012, 0xc4000012, 0x80000000};
    struct vcpu *vcpu = &rig_running(1)->vcpus[0];
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(there); i++)
        ASSERT_EQ(call(vcpu, 0x8400000a, there[i], 0, 0), 0);
    for (uint32_t i = 0; i < 0x20; i++) {
        count += call(vcpu, 0x8400000a, 0x84000000 + i, 0, 0) == 0;
        count += call(vcpu, 0x8400000a, 0xc4000000 + i, 0, 0) == 0;
    }
    ASSERT_EQ(count, ARRAY_SIZE(there) - 1); /* SMCCC_VERSION is elsewhere. */
    ASSERT_EQ(call(vcpu, 0x8400000a, 0xc4000000, 0, 0), NOT_SUPPORTED);
    ASSERT_EQ(call(vcpu, 0x8400000a, 0, 0, 0), NOT_SUPPORTED);
    rig_end();
}

TEST(functions_that_nobody_knows_are_not_supported_and_change_nothing)
{
    static const uint64_t unknown[] = {0x84000005, 0x84000007, 0x8400000b, 0xc4000000, 0xc4000002,
                                       0xc4000008, 0xc4000009, 0x44000003, 0x04000003, 0,
                                       0xffffffff, 0x86000001, 0xc6000004, 0x8400001f};
    struct vm *vm = rig_running(2);

    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        ASSERT_EQ(call(&vm->vcpus[0], unknown[i], 1, RIG_ENTRY, 3), NOT_SUPPORTED);
        ASSERT_EQ(after.kind, EXIT_HYPERCALL);
    }
    ASSERT_EQ(vm->vcpus[1].power, VCPU_OFF);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(architecture_features_are_the_two_that_must_be)
{
    struct vcpu *vcpu = &rig_running(1)->vcpus[0];

    ASSERT_EQ(call(vcpu, 0x80000001, 0x80000000, 0, 0), 0);
    ASSERT_EQ(call(vcpu, 0x80000001, 0x80000001, 0, 0), 0);
    ASSERT_EQ(call(vcpu, 0x80000001, 0x80008000, 0, 0), NOT_SUPPORTED); /* WORKAROUND_1 */
    rig_end();
}

TEST(stolen_time_is_told_in_a_page_that_the_guest_can_only_read)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    ASSERT_EQ(call(vcpu, 0x80000001, 0xc5000020, 0, 0), 0); /* PV_TIME_FEATURES is there. */
    ASSERT_EQ(call(vcpu, 0xc5000020, 0xc5000020, 0, 0), 0);
    ASSERT_EQ(call(vcpu, 0xc5000020, 0xc5000021, 0, 0), 0);
    ASSERT_EQ(call(vcpu, 0xc5000020, 0xc5000022, 0, 0), NOT_SUPPORTED);
    ASSERT(!vcpu->steal.on);
    ASSERT_EQ(call(vcpu, 0xc5000021, 0, 0, 0), 0x090a0000);
    ASSERT(vcpu->steal.on);
    ASSERT_EQ(guestmap_find(&vm->map, gpa(0x090a0000))->kind, REGION_ROM);
    rig_end();
}

TEST(power_calls_become_exits)
{
    static const struct {
        uint32_t nr;
        enum exit_kind kind;
    } calls[] = {
        {0x84000002, EXIT_CPU_DOWN},     {0x84000008, EXIT_SYSTEM_DOWN},
        {0x84000009, EXIT_SYSTEM_RESET}, {0x84000012, EXIT_SYSTEM_RESET},
        {0xc4000012, EXIT_SYSTEM_RESET}, {0x84000001, EXIT_IDLE},
        {0xc4000001, EXIT_IDLE},
    };
    struct vcpu *vcpu = &rig_running(1)->vcpus[0];

    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        call(vcpu, calls[i].nr, 0, 0, 0);
        ASSERT_EQ(after.kind, calls[i].kind);
    }
    ASSERT_EQ(call(vcpu, 0xc4000012, 1, 0, 0), INVALID); /* A reset of no known kind. */
    ASSERT_EQ(after.kind, EXIT_HYPERCALL);
    ASSERT_EQ(call(vcpu, 0xc4000001, 0, 0, 0), 0); /* What a suspended vCPU finds. */
    rig_end();
}

TEST(cpu_on_takes_arguments_of_its_own_width)
{
    struct vcpu *vcpu = &rig_running(2)->vcpus[0];

    call(vcpu, 0xc4000003, 0x100000001, 0x140080000, 0x1122334455667788);
    ASSERT_EQ(after.kind, EXIT_CPU_UP);
    ASSERT_EQ(after.cpu.target, 0x100000001);
    ASSERT_EQ(after.cpu.entry, 0x140080000);
    ASSERT_EQ(after.cpu.arg, 0x1122334455667788);
    call(vcpu, 0x84000003, 0x100000001, 0x140080000, 0x1122334455667788);
    ASSERT_EQ(after.cpu.target, 1);
    ASSERT_EQ(after.cpu.entry, 0x40080000);
    ASSERT_EQ(after.cpu.arg, 0x55667788);
    rig_end();
}

/* The guest's first vCPU makes the call, through the run loop. */
static int64_t cpu_on(struct vm *vm, uint64_t target)
{
    RIG_SCRIPT(&vm->vcpus[0], {.kind = EXIT_HYPERCALL,
                               .call = {.nr = 0xc4000003, .args = {target, RIG_ENTRY, 5}}});
    rig_turn(0);
    return (int64_t)vm->vcpus[0].arch.returns[0];
}

TEST(cpu_on_says_success_pending_already_on_and_invalid)
{
    struct vm *vm = rig_running(2);

    ASSERT_EQ(call(&vm->vcpus[0], 0xc4000004, 1, 0, 0), 1); /* AFFINITY_INFO: off. */
    ASSERT_EQ(cpu_on(vm, 1), 0);
    ASSERT_EQ(call(&vm->vcpus[0], 0xc4000004, 1, 0, 0), 2); /* On pending. */
    ASSERT_EQ(cpu_on(vm, 1), -5);
    rig_turn(1);
    ASSERT_EQ(call(&vm->vcpus[0], 0x84000004, 1, 0, 0), 0); /* On. */
    ASSERT_EQ(cpu_on(vm, 1), -4);
    ASSERT_EQ(cpu_on(vm, 0), -4);
    ASSERT_EQ(cpu_on(vm, 2), -2);
    ASSERT_EQ(cpu_on(vm, 0x80000001), -2); /* MPIDR's RES1 is no affinity. */
    ASSERT_EQ(vm->vcpus[1].arch.regs.gpr[0], 5);
    rig_end();
}

TEST(affinity_info_knows_single_processors_only)
{
    struct vcpu *vcpu = &rig_running(2)->vcpus[0];

    ASSERT_EQ(call(vcpu, 0xc4000004, 0, 0, 0), 0);
    ASSERT_EQ(call(vcpu, 0xc4000004, 0, 1, 0), INVALID);
    ASSERT_EQ(call(vcpu, 0xc4000004, 2, 0, 0), INVALID);
    ASSERT_EQ(call(vcpu, 0xc4000004, UINT64_MAX, 0, 0), INVALID);
    rig_end();
}

TEST(vcpus_are_found_by_their_affinity_in_clusters_of_sixteen)
{
    struct vm vm = {.vcpu_count = 32};
    unsigned index;

    ASSERT(vpsci_cpu_find(&vm, 0x10f, &index));
    ASSERT_EQ(index, 31);
    ASSERT(vpsci_cpu_find(&vm, 0x100, &index));
    ASSERT_EQ(index, 16);
    ASSERT(!vpsci_cpu_find(&vm, 16, &index));
    ASSERT(!vpsci_cpu_find(&vm, 0x200, &index));
}

TEST(outcomes_of_cpu_up_have_psci_numbers)
{
    ASSERT_EQ(vpsci_cpu_up_result(OK), 0);
    ASSERT_EQ((int64_t)vpsci_cpu_up_result(E_ABSENT), -2);
    ASSERT_EQ((int64_t)vpsci_cpu_up_result(E_EXISTS), -4);
    ASSERT_EQ((int64_t)vpsci_cpu_up_result(E_BUSY), -5);
    ASSERT_EQ((int64_t)vpsci_cpu_up_result(E_RANGE), -9);
}

TEST(our_own_calls_name_us_and_yield)
{
    struct vm *web, *db;
    struct vcpu *vcpu;

    rig_start();
    web = rig_vm("web", 1, 0);
    db = rig_vm("db", 1, 0);
    ASSERT_OK(vm_start(web));
    ASSERT_OK(vm_start(db));
    vcpu = &web->vcpus[0];
    ASSERT_EQ(call(vcpu, HYPERCALL_COUNT, 0, 0, 0), 3);
    ASSERT_EQ(call(vcpu, HYPERCALL_UID, 0, 0, 0), 0x7c65e5d2);
    ASSERT_EQ(vcpu->arch.returns[3], 0x5017a1b2);
    call(vcpu, HYPERCALL_REVISION, 0, 0, 0);
    ASSERT_EQ(vcpu->arch.returns[1], 1);
    RIG_SCRIPT(vcpu, {.kind = EXIT_HYPERCALL, .call.nr = HYPERCALL_YIELD},
               {.kind = EXIT_HYPERCALL, .call.nr = HYPERCALL_YIELD});
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.script_next, 1);
    rig_turn(0);
    ASSERT_EQ(db->vcpus[0].arch.runs, 1);
    rig_end();
}
