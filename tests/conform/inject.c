/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts that are posted to a vCPU, whatever it does: from the pCPU where it runs and from
 * another one. Its guest counts what it takes, so that one lost or doubled shows.
 */
#include "tests/conform/conform.h"

#include "kernel/ipi.h"

static bool possible_here(void)
{
    c.impossible = pcpu_count < 2               ? "this machine has one processor"
                   : virt_caps.gic_version == 2 ? "the guest knows a GICv3 only"
                                                : NULL;
    return !c.impossible;
}

/* Waits until it has taken so many; and then no more come. */
static bool taken(uint64_t count)
{
    for (unsigned i = 0; i < WAIT_MS && conform_taken() < count; i++)
        conform_pass_time(1);
    conform_pass_time(3);
    return conform_taken() == count;
}

static bool becomes(enum vcpu_state state)
{
    for (unsigned i = 0; i < WAIT_MS && atomic_load(&c.vcpu->state) != state; i++)
        conform_pass_time(1);
    return atomic_load(&c.vcpu->state) == state;
}

static void post(void)
{
    vcpu_interrupt(c.vcpu, INJECT, true);
}

/* From here, while it is in this state on the other pCPU. */
static bool injected(enum vcpu_state state)
{
    uint64_t count = conform_taken();

    if (!becomes(state))
        return false;
    post();
    return taken(count + 1);
}

/* --- From the pCPU where it is --- */

static struct {
    enum vcpu_state state;
    bool current;
} seen;

static void post_there(void)
{
    seen.state = atomic_load(&c.vcpu->state);
    seen.current = vcpu_current() == c.vcpu;
    post();
}

static void post_by_timer(struct timer *)
{
    post_there();
}

/* Work finds no guest bound; a timer comes while it runs. */
static void post_by_work(struct work *)
{
    post_there();
}

static void post_soon(struct work *)
{
    static struct timer timer;

    timer_init(&timer, post_by_timer);
    timer_arm(&timer, arch_ticks() + ticks_from_ns(1000000));
}

static bool injected_there(void (*how)(struct work *), enum vcpu_state state, bool current)
{
    static struct work work;
    uint64_t count = conform_taken();

    work.fn = how;
    ipi_work(1, &work);
    return taken(count + 1) && seen.state == state && seen.current == current;
}

/* --- Managed --- */

static bool runs(void)
{
    return conform_wait_state(VM_RUNNING) && conform_wait_count(0);
}

/* Of one that is held nothing is taken, until it goes on. */
static bool injected_while_paused(void)
{
    uint64_t count = conform_taken();

    if (vm_pause(c.vm) != OK || !conform_wait_state(VM_PAUSED))
        return false;
    post();
    conform_pass_time(10);
    return conform_taken() == count && vm_resume(c.vm) == OK && taken(count + 1);
}

static bool injected_while_pausing(void)
{
    uint64_t count = conform_taken();

    if (vm_pause(c.vm) != OK)
        return false;
    post(); /* Before it has acknowledged, or just after. */
    return conform_wait_state(VM_PAUSED) && vm_resume(c.vm) == OK && taken(count + 1);
}

void case_inject_every_state(void)
{
    if (!possible_here())
        return;
    CHECK_OK(conform_create(ACT_INTERRUPTS, 1, 1));
    post(); /* Of a life that has not begun. */
    CHECK_OK(vm_start(c.vm));
    CHECK(runs() && taken(0));
    CHECK(injected(VCPU_RUNNING));
    CHECK(injected_there(post_soon, VCPU_RUNNING, true));
    CHECK(injected_there(post_by_work, VCPU_FREE, false)); /* Ready to run, and unbound. */
    CHECK(injected_while_paused());
    CHECK(injected_while_pausing());
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    post();
    CHECK(conform_wait_state(VM_STOPPED));
    post(); /* Of a life that is over. */
    CHECK_OK(vm_start(c.vm));
    CHECK(runs() && taken(0));
    CHECK(injected(VCPU_RUNNING));
}

/* It waits, and nothing but an interrupt ends that. */
void case_vcpu_blocked(void)
{
    uint64_t count;

    if (!possible_here())
        return;
    CHECK_OK(conform_create(ACT_WAIT, 1, 1));
    CHECK_OK(vm_start(c.vm));
    CHECK(conform_wait_state(VM_RUNNING) && becomes(VCPU_BLOCKED));
    CHECK_OK(vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    CHECK(atomic_load(&c.vcpu->state) == VCPU_BLOCKED);
    CHECK_OK(vm_resume(c.vm));
    vcpu_cancel(c.vcpu);
    count = conform_counter();
    conform_pass_time(10);
    CHECK(atomic_load(&c.vcpu->state) == VCPU_BLOCKED && conform_counter() == count);
    CHECK(injected(VCPU_BLOCKED) && conform_counter() > count);
    CHECK(becomes(VCPU_BLOCKED)); /* Again, by its next WFI or HLT. */
    CHECK(injected_there(post_soon, VCPU_BLOCKED, false) && becomes(VCPU_BLOCKED));
    CHECK(injected_there(post_by_work, VCPU_BLOCKED, false) && becomes(VCPU_BLOCKED));
    CHECK(injected_while_paused() && becomes(VCPU_BLOCKED));
    CHECK(injected_while_pausing() && becomes(VCPU_BLOCKED));
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK(atomic_load(&c.vcpu->state) == VCPU_FREE); /* What it waited for is over. */
}

/* --- By hand --- */

static uint64_t wanted;

static bool until_taken(void)
{
    return conform_taken() >= wanted;
}

static bool until_counts(void)
{
    return conform_counter() > wanted;
}

/* One more has come, and when it counts on, still one. */
static bool served(void)
{
    uint64_t count = ++wanted;

    if (!conform_serve(until_taken))
        return false;
    wanted = conform_counter();
    if (!conform_serve(until_counts))
        return false;
    wanted = count;
    return conform_taken() == count;
}

/* On the other pCPU, while it is in a step. */
static void post_in_step(struct work *)
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_MS * 1000000ull);

    do
        seen.state = atomic_load(&c.vcpu->state);
    while (seen.state != VCPU_RUNNING && arch_ticks() < end);
    post();
}

void case_inject_by_hand(void)
{
    static struct work work = {.fn = post_in_step};

    if (!possible_here())
        return;
    CHECK_OK(conform_by_hand(ACT_INTERRUPTS));
    wanted = 0;
    CHECK(conform_serve(until_counts) && conform_taken() == 0);
    CHECK(c.vcpu->state == VCPU_READY);
    post();
    CHECK(served());
    CHECK_OK(vcpu_unbind(c.vcpu));
    post(); /* Free. */
    CHECK_OK(vcpu_bind(c.vcpu));
    CHECK(served());
    ipi_work(1, &work);
    CHECK(served() && seen.state == VCPU_RUNNING);
}
