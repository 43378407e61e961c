/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of VMs: what was is again, in whatever order it is asked for. */
#include <string.h>

#include "kernel/crc32c.h"
#include "kernel/shell.h"
#include "mm/page.h"
#include "tests/host/snapshot_rig.h"

/* --- Checksums --- */

TEST(crc32c_is_castagnolis)
{
    static const uint8_t zeros[32], text[] = "123456789"; /* [RFC 3720, B.4] */
    uint8_t bytes[64];

    ASSERT_EQ(crc32c(0, text, 9), 0xe3069283);
    ASSERT_EQ(crc32c(0, zeros, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    ASSERT_EQ(crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 64; i++)
        bytes[i] = (uint8_t)i;
    ASSERT_EQ(crc32c(0, bytes, 32), 0x46dd794e);
    for (unsigned cut = 0; cut <= 64; cut++) /* In pieces, from every alignment. */
        ASSERT_EQ(crc32c(crc32c(0, bytes, cut), bytes + cut, 64 - cut), crc32c(0, bytes, 64));
}

/* --- Round trips --- */

TEST(a_restored_vm_has_its_memory_registers_and_time_again)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct snapshot *s;
    uint64_t time;

    put(vm, AT, 0x1111);
    put(vm, AT + 3 * PAGE_SIZE, 0x2222);
    vcpu->arch.regs.gpr[5] = 55;
    vcpu->arch.regs.pc = 0x40081234;
    rig_advance(5 * RIG_MS);
    time = arch_ticks() - vm->started_ticks;
    s = take(vm, "a", NULL);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT(arch_ticks() - vm->started_ticks == time); /* It stood still. */
    ASSERT(rig_logged("snapshot web@a taken"));

    put(vm, AT, 0x9999);
    put(vm, AT + PAGE_SIZE, 0x8888);
    put(vm, AT + 3 * PAGE_SIZE, 0);
    vcpu->arch.regs.gpr[5] = 66;
    vcpu->arch.regs.pc = 0x40089999;
    rig_advance(70 * RIG_MS);
    go_back(vm, s);
    ASSERT_EQ(get(vm, AT), 0x1111);
    ASSERT_EQ(get(vm, AT + PAGE_SIZE), 0);
    ASSERT_EQ(get(vm, AT + 3 * PAGE_SIZE), 0x2222);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], 55);
    ASSERT_EQ(vcpu->arch.regs.pc, 0x40081234);
    ASSERT_EQ(arch_ticks() - vm->started_ticks, time);
    ASSERT_EQ(vcpu->arch.time_offset, vm->started_ticks);
    ASSERT_EQ(vcpu->power, VCPU_ON);
    ASSERT_EQ(vm->vcpus[1].power, VCPU_OFF);
    end(vm, &s, 1);
}

TEST(only_pages_written_since_the_snapshot_are_copied_back)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s;

    for (unsigned i = 0; i < 100; i++)
        put(vm, AT + i * PAGE_SIZE, i + 1);
    s = take(vm, "a", NULL);
    put(vm, AT + 7 * PAGE_SIZE, 0);
    put(vm, AT + 200 * PAGE_SIZE, 5);
    rig_log_clear();
    go_back(vm, s);
    ASSERT(rig_logged("1 pages copied, 1 zeroed"));
    ASSERT_EQ(get(vm, AT + 7 * PAGE_SIZE), 8);
    ASSERT_EQ(get(vm, AT + 200 * PAGE_SIZE), 0);
    rig_log_clear();
    go_back(vm, s); /* Nothing was written since. */
    ASSERT(rig_logged("0 pages copied, 0 zeroed"));
    end(vm, &s, 1);
}

TEST(only_what_differs_is_copied_from_one_snapshot_to_another)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s[3];

    for (unsigned i = 0; i < 8; i++)
        put(vm, AT + i * PAGE_SIZE, 100 + i);
    s[0] = take(vm, "a", NULL);
    put(vm, AT + PAGE_SIZE, 0);
    put(vm, AT + 20 * PAGE_SIZE, 5);
    s[1] = take(vm, "b", s[0]);
    put(vm, AT + 2 * PAGE_SIZE, 6);
    rig_log_clear();
    go_back(vm, s[0]); /* Pages 1 and 20 of the one, and what was written since. */
    ASSERT(rig_logged("2 pages copied, 1 zeroed"));
    put(vm, AT + 30 * PAGE_SIZE, 7);
    rig_log_clear();
    go_back(vm, s[1]);
    ASSERT(rig_logged("1 pages copied, 2 zeroed"));
    ASSERT_EQ(get(vm, AT + PAGE_SIZE), 0);
    ASSERT_EQ(get(vm, AT + 2 * PAGE_SIZE), 102);
    ASSERT_EQ(get(vm, AT + 20 * PAGE_SIZE), 5);
    ASSERT_EQ(get(vm, AT + 30 * PAGE_SIZE), 0);

    s[2] = take(vm, "c", NULL); /* Of no kin: what either has. */
    rig_log_clear();
    go_back(vm, s[0]);
    ASSERT(rig_logged("10 pages copied, 1 zeroed")); /* With the image and the tree. */
    ASSERT_EQ(get(vm, AT + PAGE_SIZE), 101);
    ASSERT_EQ(get(vm, AT + 20 * PAGE_SIZE), 0);
    end(vm, s, 3);
}

TEST(zeros_are_not_written_over_zeros)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s;

    put(vm, AT, 42);
    s = take(vm, "a", NULL);
    put(vm, AT + PAGE_SIZE, 43);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(4);
    rig_log_clear();
    go_back(vm, s);
    ASSERT(rig_logged("3 pages copied, 1 zeroed")); /* The one is no RAM: stolen time's. */
    ASSERT_EQ(get(vm, AT), 42);
    ASSERT_EQ(get(vm, AT + PAGE_SIZE), 0);
    put(vm, AT + 2 * PAGE_SIZE, 44); /* It counts from there. */
    rig_log_clear();
    go_back(vm, s);
    ASSERT(rig_logged("0 pages copied, 1 zeroed"));
    end(vm, &s, 1);
}

TEST(power_waits_and_interrupts_in_the_queue_come_back)
{
    struct vm *vm = rig_running(2);
    struct vcpu *other = &vm->vcpus[1];
    struct snapshot *s;

    RIG_SCRIPT(&vm->vcpus[0], {.kind = EXIT_WFI});
    rig_turns(2);
    ASSERT(vm->vcpus[0].waiting);
    ASSERT_OK(vm_pause(vm));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_PAUSED);
    ASSERT_OK(vcpu_power_on(other, arch_entry(gpa(RIG_ENTRY + 64), 7)));
    virq_post(&other->virq, 40, true);
    s = take(vm, "a", NULL);
    ASSERT_EQ(vm->state, VM_PAUSED); /* As it was. */

    virq_clear(&other->virq);
    ASSERT_OK(vm_resume(vm));
    rig_turns(4);
    ASSERT_EQ(other->power, VCPU_ON);
    other->arch.regs.gpr[0] = 0;
    ASSERT_OK(vm_restore(vm, s));
    rig_turn(1); /* It acknowledges, and is not looked at again. */
    for (unsigned i = 0; i < 8; i++)
        rig_turn(0);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT(vm->vcpus[0].waiting);
    ASSERT_EQ(other->power, VCPU_ON_PENDING);
    ASSERT(virq_waits(&other->virq));
    rig_turns(4);
    ASSERT_EQ(other->power, VCPU_ON);
    ASSERT_EQ(other->arch.regs.gpr[0], 7); /* It was started there. */
    end(vm, &s, 1);
}

TEST(a_chain_of_incremental_snapshots_leads_back_to_each_of_them)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s[3];

    for (unsigned i = 0; i < 8; i++)
        put(vm, AT + i * PAGE_SIZE, 100 + i);
    s[0] = take(vm, "a", NULL);
    put(vm, AT + 2 * PAGE_SIZE, 202);
    put(vm, AT + 3 * PAGE_SIZE, 0); /* A page that is zero now. */
    s[1] = take(vm, "b", s[0]);
    put(vm, AT + 2 * PAGE_SIZE, 302);
    put(vm, AT + 9 * PAGE_SIZE, 309);
    s[2] = take(vm, "c", s[1]);
    ASSERT_EQ(snapshot_page_count(s[1]), 1);
    ASSERT_EQ(snapshot_page_count(s[2]), 2);

    put(vm, AT, 1);
    go_back(vm, s[1]); /* What changed since is not known for this one: all is copied. */
    ASSERT_EQ(get(vm, AT), 100);
    ASSERT_EQ(get(vm, AT + 2 * PAGE_SIZE), 202);
    ASSERT_EQ(get(vm, AT + 3 * PAGE_SIZE), 0);
    ASSERT_EQ(get(vm, AT + 9 * PAGE_SIZE), 0);
    go_back(vm, s[2]);
    ASSERT_EQ(get(vm, AT + 2 * PAGE_SIZE), 302);
    ASSERT_EQ(get(vm, AT + 3 * PAGE_SIZE), 0);
    ASSERT_EQ(get(vm, AT + 9 * PAGE_SIZE), 309);
    go_back(vm, s[0]);
    ASSERT_EQ(get(vm, AT + 2 * PAGE_SIZE), 102);
    ASSERT_EQ(get(vm, AT + 3 * PAGE_SIZE), 103);

    ASSERT_ERR(E_INVALID, vm_snapshot(vm, "d", s[2])); /* It is not the last one. */
    ASSERT(rig_logged("what was written since web@c is not known"));
    snapshot_use(s[0]);
    ASSERT_ERR(E_BUSY, snapshot_forget(s[0])); /* It has children. */
    end(vm, s, 3);
}

/* --- Other machines --- */

TEST(a_vm_of_another_shape_refuses_a_snapshot)
{
    struct vm *vm = rig_running(2), *small, *single;
    struct config_vm *config;
    struct snapshot *s = take(vm, "a", NULL);

    config = rig_config("small", 2, 0);
    config->memory_size = RIG_GUEST_RAM / 2;
    small = rig_vm_of(config);
    single = rig_vm("single", 1, 0);
    ASSERT_ERR(E_INVALID, vm_restore(small, s));
    ASSERT(rig_logged("refused: the VM has another size of memory"));
    ASSERT_ERR(E_INVALID, vm_restore(single, s));
    ASSERT(rig_logged("refused: the VM has another number of vCPUs"));
    ASSERT_EQ(small->state, VM_CREATED);
    virt_caps.gic_version = 2;
    ASSERT_ERR(E_INVALID, vm_restore(vm, s));
    virt_caps.gic_version = 3;
    ASSERT(rig_logged("refused: this machine's processors have other features"));
    ASSERT_OK(vm_destroy(small));
    ASSERT_OK(vm_destroy(single));
    end(vm, &s, 1);
}

TEST(a_second_vm_goes_on_beside_the_first)
{
    struct vm *vm = rig_running(1), *twin;
    uint64_t pages;
    struct snapshot *s;

    put(vm, AT, 42);
    vm->vcpus[0].arch.regs.pc = 0x40083210;
    s = take(vm, "a", NULL);
    pages = page_free_count();
    put(vm, AT, 43);
    ASSERT_ERR(E_EXISTS, vm_restore_new(s, "web", &twin));
    ASSERT_OK(vm_restore_new(s, "twin", &twin));
    twin->vcpus[0].arch.on_run = vm->vcpus[0].arch.on_run;
    twin->vcpus[0].arch.test = vm->vcpus[0].arch.test;
    for (unsigned i = 0; i < 8; i++) {
        rig_advance(11 * RIG_MS); /* The end of a slice of the other VM. */
        rig_turns(1);
    }
    ASSERT_EQ(twin->state, VM_RUNNING);
    ASSERT_EQ(get(twin, AT), 42);
    ASSERT_EQ(get(vm, AT), 43);
    ASSERT_EQ(twin->vcpus[0].arch.regs.pc, 0x40083210);
    ASSERT(vm_find("twin") == twin);
    ASSERT_OK(vm_stop(twin, VM_STOP_ASKED));
    rig_turns(4);
    ASSERT_OK(vm_destroy(twin));
    ASSERT_EQ(page_free_count(), pages);
    end(vm, &s, 1);
}

TEST(what_the_host_has_but_once_is_no_second_vms)
{
    struct vm *vm = rig_running(1), *twin;
    struct config_vm *config = (struct config_vm *)(uintptr_t)vm->config;
    struct snapshot *s = take(vm, "a", NULL);

    config->exclusive = true;
    ASSERT_ERR(E_UNSUPPORTED, vm_restore_new(s, "twin", &twin));
    ASSERT(rig_logged("no new VM twin: it owns its pCPUs"));
    config->exclusive = false;
    config->memory_host = MIB;
    ASSERT_ERR(E_UNSUPPORTED, vm_restore_new(s, "twin", &twin));
    ASSERT(rig_logged("its memory is pinned to the host's"));
    config->memory_host = 0;
    config->region_count = 1;
    config->regions[0] = (struct config_region){.name = "nic", .kind = CONFIG_DEVICE, .host = MIB};
    ASSERT_ERR(E_UNSUPPORTED, vm_restore_new(s, "twin", &twin));
    ASSERT_ERR(E_UNSUPPORTED, vm_snapshot(vm, "b", NULL));
    ASSERT(rig_logged("region nic is a device of the host"));
    config->region_count = 0;
    end(vm, &s, 1);
}

/* --- States and orders --- */

TEST(a_stopped_vm_and_one_that_was_destroyed_go_on_from_a_snapshot)
{
    struct vm *vm = rig_running(1);
    const struct config_vm *config = vm->config;
    struct snapshot *s;

    put(vm, AT, 42);
    s = take(vm, "a", NULL);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(4);
    ASSERT_EQ(get(vm, AT), 0);
    go_back(vm, s);
    ASSERT_EQ(get(vm, AT), 42);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(4);
    ASSERT_OK(vm_destroy(vm));
    vm = rig_vm_of(config);
    go_back(vm, s);
    ASSERT_EQ(get(vm, AT), 42);
    end(vm, &s, 1);
}

TEST(a_snapshot_is_refused_where_there_is_nothing_to_keep)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s = take(vm, "a", NULL);

    ASSERT_ERR(E_EXISTS, vm_snapshot(vm, "a", NULL));
    ASSERT_ERR(E_INVALID, vm_snapshot(vm, "a b", NULL));
    ASSERT_ERR(E_INVALID, vm_snapshot(vm, "", NULL));
    ASSERT_OK(vm_snapshot(vm, "b", NULL));
    ASSERT_ERR(E_BUSY, vm_snapshot(vm, "c", NULL));
    ASSERT(rig_logged("another one is under way"));
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED)); /* The stop wins. */
    rig_turns(6);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(!snapshot_find("web@b"));
    ASSERT(rig_logged("snapshot web@b was not taken"));
    ASSERT_ERR(E_STATE, vm_snapshot(vm, "d", NULL));
    ASSERT(rig_logged("it is stopped; only a VM that is running or paused can have one"));
    end(NULL, &s, 1);
}

TEST(a_stop_in_the_middle_of_a_snapshot_ends_it_and_the_parent_still_counts)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s = take(vm, "a", NULL);

    put(vm, AT, 1);
    ASSERT_OK(vm_pause(vm));
    rig_turns(2);
    ASSERT_OK(vm_snapshot(vm, "b", s));
    ASSERT_ERR(E_BUSY, vm_resume(vm));
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(6);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT(rig_logged("snapshot web@b was not taken: the VM was stopped"));
    ASSERT_EQ(vm->snapshot_id, s->id);
    go_back(vm, s);
    ASSERT_EQ(get(vm, AT), 0);
    end(vm, &s, 1);
}

TEST(a_stop_in_the_middle_of_a_restore_ends_it_and_leaves_nothing_of_the_snapshot)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s;
    unsigned pieces = 0;

    put(vm, AT, 1);
    s = take(vm, "a", NULL);
    for (;; pieces++) {
        vm->snapshot_id = 0; /* So that all of it is written. */
        ASSERT_OK(vm_restore(vm, s));
        for (unsigned i = 0; i < 8 && vm->state != VM_STARTING; i++)
            rig_turn(0);
        ASSERT_EQ(vm->state, VM_STARTING);
        fake.zero_page_ns = 1000;
        for (unsigned i = 0; i < pieces; i++) {
            rig_turn(0);
            rig_advance(0);
        }
        fake.zero_page_ns = 0;
        if (vm->state != VM_STARTING)
            break;
        ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
        rig_turns(8);
        ASSERT_EQ(vm->state, VM_STOPPED);
        ASSERT_EQ(get(vm, AT), 0);
        go_back(vm, s);
        ASSERT_EQ(get(vm, AT), 1);
    }
    ASSERT(pieces > 3);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(get(vm, AT), 1);
    ASSERT(!rig_logged("cannot be restored"));
    end(vm, &s, 1);
}

TEST(a_vm_is_not_taken_apart_while_its_snapshot_is_finished)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s = take(vm, "a", NULL);

    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(4);
    vm->snapshot_job->stage = JOB_SEALS;
    ASSERT_ERR(E_BUSY, vm_destroy(vm));
    vm->snapshot_job->stage = JOB_NONE;
    ASSERT_OK(vm_destroy(vm));
    end(NULL, &s, 1);
}

/* --- Golden ones --- */

static void crash(struct vm *vm)
{
    RIG_SCRIPT(&vm->vcpus[0], {.kind = EXIT_SHUTDOWN});
    rig_turns(1);
    vm->vcpus[0].arch.script_count = 0;
    rig_turns(8);
}

TEST(a_crashed_guest_is_back_at_its_golden_snapshot)
{
    struct vm *vm = rig_running(2);
    struct config_vm *config = (struct config_vm *)(uintptr_t)vm->config;
    struct snapshot *s;

    config->on_crash = ACTION_RESTORE;
    put(vm, AT, 42);
    vm_ready(vm);
    rig_turns(6);
    s = snapshot_find("web@golden");
    ASSERT(s);
    put(vm, AT, 43);
    vm_ready(vm); /* There is one: nothing happens. */
    rig_turns(6);
    ASSERT_EQ(rig_logged_count("snapshot web@golden taken"), 1);
    rig_log_clear();
    crash(vm);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(get(vm, AT), 42);
    ASSERT(rig_logged("web: back at snapshot web@golden: 1 pages copied"));
    snapshot_put(s);
    s = take(vm, SNAPSHOT_GOLDEN, NULL); /* It replaces the other. */
    put(vm, AT, 44);
    crash(vm);
    ASSERT_EQ(get(vm, AT), 42);
    end(vm, &s, 1);
}

TEST(a_guest_that_crashes_in_a_loop_goes_back_ever_more_slowly)
{
    struct vm *vm = rig_running(1);
    struct config_vm *config = (struct config_vm *)(uintptr_t)vm->config;
    struct snapshot *s;

    config->on_crash = ACTION_RESTORE;
    put(vm, AT, 42);
    s = take(vm, SNAPSHOT_GOLDEN, NULL);
    for (unsigned i = 0; i < 3; i++) {
        crash(vm);
        ASSERT_EQ(vm->state, VM_RUNNING);
    }
    crash(vm);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(get(vm, AT), 0); /* It waits with its memory cleared. */
    rig_advance(10000 * RIG_MS);
    rig_turns(8);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(get(vm, AT), 42);
    end(vm, &s, 1);
}

TEST(a_crash_without_a_golden_snapshot_is_a_restart)
{
    struct vm *vm = rig_running(1);
    struct config_vm *config = (struct config_vm *)(uintptr_t)vm->config;

    config->on_crash = ACTION_RESTORE;
    put(vm, AT, 42);
    crash(vm);
    ASSERT(rig_logged("there is no snapshot web@golden to go back to"));
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(get(vm, AT), 0);
    end(vm, NULL, 0);
}

TEST(a_golden_snapshot_is_taken_so_long_after_the_start)
{
    struct config_vm *config;
    struct snapshot *s;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 1, 0);
    config->on_crash = ACTION_RESTORE;
    config->snapshot_ms = 50;
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    rig_advance(49 * RIG_MS);
    rig_turns(8);
    ASSERT(!rig_logged("snapshot web@golden taken"));
    rig_advance(RIG_MS);
    rig_turns(8);
    ASSERT(rig_logged("snapshot web@golden taken"));
    s = snapshot_find("web@golden");
    end(vm, &s, 1);
}

/* --- The prompt --- */

static char said[4096];

static void said_put(struct fmt_sink *, const char *text, size_t size)
{
    size_t length = strlen(said);

    ASSERT(length + size < sizeof(said));
    memcpy(said + length, text, size);
    said[length + size] = 0;
}

static void prompt(const char *line, const char *says)
{
    struct fmt_sink sink = {.put = said_put};
    char text[100];

    said[0] = 0;
    str_copy(text, sizeof(text), line);
    shell_run_line(&sink, text);
    rig_turns(8);
    if (!strstr(said, says))
        test_fail(__FILE__, __LINE__, "%s says: %s", line, said);
}

TEST(the_prompt_takes_lists_restores_and_forgets_snapshots)
{
    struct vm *vm = rig_running(1);

    put(vm, AT, 42);
    prompt("snapshot web", "");
    prompt("snapshot web two 1", "");
    prompt("snapshots", "web@two                  web ");
    prompt("snapshots", "web@1\n");
    put(vm, AT, 43);
    prompt("restore web 1", "");
    ASSERT_EQ(get(vm, AT), 42);
    prompt("verify web@two", "web@two is whole");
    prompt("forget web@1", "cannot be forgotten: it is in use, or another builds on it");
    prompt("forget web@two", "");
    prompt("forget web@1", "");
    prompt("forget web@1", "there is no snapshot 'web@1'");
    prompt("restore web 1", "there is no snapshot 'web@1'");
    prompt("restore web 1 as", "usage: restore <vm> <snapshot> [as <new-vm>]");
    prompt("snapshot db", "there is no VM 'db'");
    end(vm, NULL, 0);
}
