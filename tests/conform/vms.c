/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM: its states, what is refused in which, and managed guests. */
#include "tests/conform/conform.h"

#include "mm/page.h"
#include "vcpu/vm_impl.h"

static const char *const vm_next[] = {"1", "257", "35", "425", "25", "6", "1", "1"};

static bool step_is_right(enum vm_state from, enum vm_state to)
{
    bool legal = false;
    enum err err;

    for (const char *next = vm_next[from]; *next; next++)
        legal |= (enum vm_state)(*next - '0') == to;
    lock_take(&c.vm->lock);
    c.vm->state = from;
    err = vm_set_state(c.vm, to);
    lock_drop(&c.vm->lock);
    return vm_may_become(from, to) == legal && err == (legal ? OK : E_STATE) &&
           c.vm->state == (legal ? to : from) &&
           (legal || conform_said(vm_state_text(from), vm_state_text(to)));
}

/* The state is forced; nothing else of the VM is as it says. */
void case_vm_states(void)
{
    const char *wrong = NULL;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    for (unsigned from = VM_CREATED; from <= VM_FAILED; from++)
        for (unsigned to = VM_CREATED; to <= VM_FAILED; to++)
            if (!step_is_right((enum vm_state)from, (enum vm_state)to))
                wrong = vm_state_text((enum vm_state)from);
    c.vm->state = VM_CREATED;
    CHECK(!wrong);
}

/* On the other pCPU where there is one: here nobody schedules. */
static bool managed(enum action action)
{
    if (pcpu_count < 2) {
        c.impossible = "this machine has one processor";
        return false;
    }
    if (conform_create(action, 1, 1) == OK && vm_start(c.vm) == OK &&
        (action != ACT_COUNT || conform_wait_state(VM_RUNNING)))
        return true;
    c.failed = "a guest starts";
    return false;
}

void case_vm_life(void)
{
    if (!managed(ACT_COUNT))
        return;
    CHECK(c.vm->state == VM_RUNNING && c.vm->start_count == 1);
    CHECK(conform_wait_count(0));
    CHECK_OK(vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    CHECK_OK(vm_resume(c.vm));
    CHECK(c.vm->state == VM_RUNNING);
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK(conform_counter() == 0); /* Its memory is clear. */
    CHECK_OK(vm_start(c.vm));
    CHECK(conform_wait_state(VM_RUNNING) && c.vm->start_count == 2);
    CHECK_OK(vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED)); /* From paused, too. */
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK_OK(vm_destroy(c.vm));
    c.vm = NULL;
    CHECK(!vm_find("case"));
}

/* Whatever may not be asked in this state is refused, and nothing has changed. */
static void refused_in(enum vm_state state)
{
    bool rests = state == VM_CREATED || state == VM_STOPPED || state == VM_FAILED;
    bool up = state == VM_RUNNING || state == VM_PAUSING || state == VM_PAUSED;
    struct arch_entry entry;

    c.vm->state = state;
    if (!rests) {
        CHECK_ERR(E_STATE, vm_start(c.vm));
        CHECK_ERR(E_STATE, vm_load(c.vm, &entry));
        CHECK_ERR(E_STATE, vm_destroy(c.vm));
    }
    if (state != VM_RUNNING)
        CHECK_ERR(E_STATE, vm_pause(c.vm));
    if (state != VM_PAUSED)
        CHECK_ERR(E_STATE, vm_resume(c.vm));
    if (!up && state != VM_STARTING)
        CHECK_ERR(E_STATE, vm_stop(c.vm, VM_STOP_ASKED));
    if (!up)
        CHECK_ERR(E_STATE, vcpu_power_on(c.vcpu, arch_entry(gpa(c.vm->layout->ram_base), 0)));
    CHECK(c.vm->state == state);
}

void case_vm_wrong_state(void)
{
    struct arch_entry entry;

    if (pcpu_count < 2)
        IMPOSSIBLE("this machine has one processor");
    CHECK_OK(conform_create(ACT_SPIN, 1, 1));
    for (unsigned state = VM_CREATED; state <= VM_FAILED && !c.failed; state++)
        refused_in((enum vm_state)state);
    c.vm->state = VM_CREATED;
    if (c.failed)
        return;
    CHECK_OK(vm_start(c.vm));
    CHECK_ERR(E_STATE, vm_start(c.vm));
    CHECK(conform_wait_state(VM_RUNNING));
    CHECK_ERR(E_STATE, vm_resume(c.vm));
    CHECK_ERR(E_STATE, vm_load(c.vm, &entry));
    CHECK_ERR(E_STATE, vm_destroy(c.vm));
    CHECK(c.vm->state == VM_RUNNING);
    CHECK_OK(vm_pause(c.vm));
    CHECK_ERR(E_STATE, vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    CHECK_ERR(E_STATE, vm_pause(c.vm));
    CHECK_ERR(E_STATE, vm_start(c.vm));
    CHECK_ERR(E_STATE, vm_destroy(c.vm));
    CHECK(c.vm->state == VM_PAUSED);
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK_ERR(E_STATE, vm_stop(c.vm, VM_STOP_ASKED));
    CHECK_ERR(E_STATE, vm_resume(c.vm));
    CHECK(c.vm->state == VM_STOPPED);
}

void case_vm_double_create(void)
{
    struct vm *again = NULL;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    CHECK_ERR(E_EXISTS, vm_create(&c.config, &again));
    CHECK(!again && vm_find("case") == c.vm);
}

static enum err create_sized(uint64_t memory, unsigned vcpus)
{
    struct vm *vm;

    conform_config(ACT_SPIN, 1, 0);
    c.config.memory_size = memory;
    c.config.cpu_count = vcpus;
    return vm_create(&c.config, &vm);
}

void case_vm_wrong_size(void)
{
    uint64_t free = page_free_count();

    CHECK(create_sized(2 * MIB + 1, 1) != OK);
    CHECK(create_sized(0, 1) != OK);
    CHECK(create_sized(page_total_count() * PAGE_SIZE, 1) != OK);
    CHECK(create_sized((uint64_t)1 << 60, 1) != OK);
    CHECK(create_sized(2 * MIB, 0) != OK);
    CHECK(create_sized(2 * MIB, virt_caps.vcpus_max + 1) != OK);
    CHECK(create_sized(2 * MIB, 1000000) != OK);
    CHECK(!vm_find("case") && page_free_count() == free);
}

void case_vm_nothing_left(void)
{
    uint64_t free = page_free_count();

    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(conform_by_hand(ACT_SPIN));
        CHECK_OK(vcpu_unbind(c.vcpu));
        CHECK_OK(vm_destroy(c.vm));
        c.vm = NULL;
        CHECK(page_free_count() == free);
    }
}

/* --- Managed guests --- */

void case_managed_run(void)
{
    if (!managed(ACT_SYSTEM_DOWN))
        return;
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK(c.vm->reason == VM_STOP_POWEROFF);
}

void case_managed_reset(void)
{
    if (!managed(ACT_SYSTEM_RESET))
        return;
    conform_pass_time(100); /* Those after the third wait, like crashes. */
    CHECK(c.vm->start_count > 1);
    for (unsigned i = 0; vm_stop(c.vm, VM_STOP_ASKED) != OK && i < 100; i++)
        conform_pass_time(2); /* It may be between two lives. */
    CHECK(conform_wait_state(VM_STOPPED));
}

/* Beside one that counts, on the same pCPU. */
void case_managed_crash(void)
{
    static struct config_vm other_config;
    struct vm *other;
    uint64_t count;

    if (pcpu_count < 2)
        IMPOSSIBLE("this machine has one processor");
    other_config = *conform_config(ACT_COUNT, 1, 1);
    other_config.name = "other";
    other_config.index = 1;
    CHECK_OK(vm_create(&other_config, &c.vm));
    other = c.vm;
    CHECK_OK(vm_start(other));
    CHECK(conform_wait_state(VM_RUNNING) && conform_wait_count(0));
    c.vm = NULL;
    if (!managed(ACT_BREAK))
        return;
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK(c.vm->reason == VM_STOP_CRASH);
    CHECK_OK(vm_start(c.vm)); /* It may try again, and does it again. */
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK(conform_take_apart());
    c.vm = other;
    count = conform_counter();
    CHECK(other->state == VM_RUNNING && conform_wait_count(count));
}

void case_pause_is_real(void)
{
    uint64_t count;

    if (!managed(ACT_COUNT))
        return;
    CHECK(conform_wait_count(0));
    CHECK_OK(vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    count = conform_counter();
    conform_pass_time(50);
    CHECK(conform_counter() == count);
    CHECK_OK(vm_resume(c.vm));
    CHECK(conform_wait_count(count));
}
