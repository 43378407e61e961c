/* SPDX-License-Identifier: Apache-2.0 */
/* States of a vCPU, who may run it from where, and its registers. */
#include "tests/conform/conform.h"

#include "kernel/ipi.h"
#include "kernel/string.h"
#include "mm/page.h"

/* --- States --- */

/* What may follow each, in the order of enum vcpu_state. */
static const char *const vcpu_next[] = {"1", "20", "350", "24", "3", "230"};

static bool listed(const char *list, unsigned state)
{
    for (; *list; list++)
        if ((unsigned)(*list - '0') == state)
            return true;
    return false;
}

/* One of its own, for its state is forced: it is nowhere else. */
void case_vcpu_states(void)
{
    struct vcpu *copy = page_alloc_zeroed(4);
    const char *wrong = NULL;

    CHECK(copy && sizeof(*copy) <= 16 * PAGE_SIZE);
    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    copy->vm = c.vm;
    for (unsigned from = VCPU_INVALID; from <= VCPU_BLOCKED; from++)
        for (unsigned to = VCPU_INVALID; to <= VCPU_BLOCKED; to++) {
            bool legal = listed(vcpu_next[from], to);

            atomic_store(&copy->state, (enum vcpu_state)from);
            if (vcpu_set_state(copy, (enum vcpu_state)to) != (legal ? OK : E_STATE) ||
                copy->state != (enum vcpu_state)(legal ? to : from) ||
                (!legal && !conform_said(vcpu_state_text((enum vcpu_state)from),
                                         vcpu_state_text((enum vcpu_state)to))))
                wrong = vcpu_state_text((enum vcpu_state)from);
        }
    page_free(copy, 4);
    CHECK(!wrong);
}

void case_vcpu_state_cycle(void)
{
    struct vcpu_exit exit;

    CHECK_OK(conform_create(ACT_HYPERCALL, 1, 0));
    CHECK(c.vcpu->state == VCPU_FREE && c.vcpu->power == VCPU_OFF);
    CHECK(conform_take_apart());
    CHECK_OK(conform_by_hand(ACT_HYPERCALL));
    CHECK(c.vcpu->state == VCPU_READY && vcpu_current() == c.vcpu);
    CHECK(c.vcpu->power == VCPU_ON);
    CHECK_OK(conform_step(&exit));
    CHECK(c.vcpu->state == VCPU_READY);
    CHECK_OK(vcpu_unbind(c.vcpu));
    CHECK(c.vcpu->state == VCPU_FREE && !vcpu_current());
}

static bool becomes(enum vcpu_state state)
{
    for (unsigned i = 0; i < WAIT_MS / 5 && atomic_load(&c.vcpu->state) != state; i++)
        conform_pass_time(5);
    return atomic_load(&c.vcpu->state) == state;
}

/* All that is refused to a vCPU in this state that is bound nowhere. READY: as if it were. */
static void refused_in(enum vcpu_state state)
{
    const struct arch_entry entry = arch_entry(gpa(c.vm->layout->ram_base), 0);
    enum err unbound = state == VCPU_READY ? E_BUSY : E_STATE;
    struct vcpu_exit exit;
    bool runs;

    atomic_store(&c.vcpu->state, state);
    CHECK_ERR(unbound, vcpu_step(c.vcpu, &exit));
    CHECK_ERR(unbound, vcpu_step_until(c.vcpu, arch_ticks(), &exit));
    CHECK_ERR(unbound, vcpu_answer(c.vcpu, &runs));
    CHECK_ERR(unbound, vcpu_unbind(c.vcpu));
    if (state != VCPU_FREE) {
        CHECK_ERR(E_STATE, vcpu_bind(c.vcpu));
        CHECK_ERR(E_STATE, vcpu_set_entry(c.vcpu, entry));
    }
    CHECK(atomic_load(&c.vcpu->state) == state && !vcpu_current());
}

void case_vcpu_wrong_state(void)
{
    struct vcpu_exit exit;
    bool runs;

    CHECK_OK(conform_create(ACT_HYPERCALL, 1, 0));
    CHECK_ERR(E_STATE, vcpu_step(c.vcpu, &exit));
    CHECK_ERR(E_STATE, vcpu_step_until(c.vcpu, TICKS_NEVER, &exit));
    CHECK_ERR(E_STATE, vcpu_answer(c.vcpu, &runs));
    CHECK_ERR(E_STATE, vcpu_unbind(c.vcpu));
    CHECK(c.vcpu->state == VCPU_FREE);
    CHECK_OK(vcpu_bind(c.vcpu));
    CHECK_ERR(E_STATE, vcpu_bind(c.vcpu));
    CHECK_ERR(E_STATE, vcpu_set_entry(c.vcpu, arch_entry(gpa(c.vm->layout->ram_base), 0)));
    CHECK(c.vcpu->state == VCPU_READY);
    CHECK_OK(vcpu_unbind(c.vcpu));
    CHECK_ERR(E_STATE, vcpu_unbind(c.vcpu));
    for (unsigned state = VCPU_INVALID; state <= VCPU_BLOCKED && !c.failed; state++)
        refused_in((enum vcpu_state)state);
    atomic_store(&c.vcpu->state, VCPU_FREE);
}

/* What another pCPU is told that tries to run what is bound here. */
static struct {
    enum err errs[5];
    _Atomic bool done;
} foreign;

static void run_elsewhere(struct work *)
{
    struct vcpu_exit exit;
    bool runs;

    foreign.errs[0] = vcpu_step(c.vcpu, &exit);
    foreign.errs[1] = vcpu_step_until(c.vcpu, arch_ticks(), &exit);
    foreign.errs[2] = vcpu_answer(c.vcpu, &runs);
    foreign.errs[3] = vcpu_unbind(c.vcpu);
    foreign.errs[4] = vcpu_bind(c.vcpu);
    atomic_store(&foreign.done, true);
}

void case_vcpu_wrong_cpu(void)
{
    static struct work work = {.fn = run_elsewhere};

    if (pcpu_count < 2)
        IMPOSSIBLE("this machine has one processor");
    CHECK_OK(conform_create(ACT_SPIN, 1, 1));
    CHECK_ERR(E_BUSY, vcpu_bind(c.vcpu));
    CHECK_ERR(E_BUSY, vcpu_set_entry(c.vcpu, arch_entry(gpa(0), 0)));
    CHECK(c.vcpu->state == VCPU_FREE && !vcpu_current());
    CHECK(conform_take_apart());
    CHECK_OK(conform_by_hand(ACT_SPIN));
    foreign.done = false;
    ipi_work(1, &work);
    for (unsigned i = 0; i < WAIT_MS && !atomic_load(&foreign.done); i++)
        conform_pass_time(1);
    CHECK(atomic_load(&foreign.done));
    for (unsigned i = 0; i < ARRAY_SIZE(foreign.errs); i++)
        CHECK_ERR(E_BUSY, foreign.errs[i]);
    CHECK(c.vcpu->state == VCPU_READY && vcpu_current() == c.vcpu);
    CHECK(conform_runs_on()); /* It is as it was. */
    CHECK_OK(vcpu_unbind(c.vcpu));
}

void case_vcpu_two_bound(void)
{
    CHECK_OK(conform_create(ACT_SPIN, 2, 0));
    CHECK_OK(vcpu_bind(&c.vm->vcpus[0]));
    CHECK_ERR(E_BUSY, vcpu_bind(&c.vm->vcpus[1]));
    CHECK(vcpu_current() == &c.vm->vcpus[0]);
}

void case_vcpu_run_running(void)
{
    struct vcpu_exit exit;
    bool runs;

    if (pcpu_count < 2)
        IMPOSSIBLE("this machine has one processor");
    CHECK_OK(conform_create(ACT_SPIN, 1, 1));
    CHECK_OK(vm_start(c.vm));
    CHECK(becomes(VCPU_RUNNING));
    CHECK_ERR(E_STATE, vcpu_step(c.vcpu, &exit));
    CHECK_ERR(E_STATE, vcpu_answer(c.vcpu, &runs));
    CHECK(atomic_load(&c.vcpu->state) == VCPU_RUNNING);
}

void case_vcpu_managed(void)
{
    struct arch_entry entry;

    CHECK_OK(conform_by_hand(ACT_SPIN));
    CHECK_ERR(E_STATE, vm_start(c.vm));
    CHECK_ERR(E_STATE, vm_load(c.vm, &entry));
    CHECK_ERR(E_STATE, vm_destroy(c.vm));
    CHECK(c.vm->state == VM_CREATED);
    CHECK_OK(vcpu_unbind(c.vcpu));
    CHECK_OK(vm_start(c.vm));
    CHECK(conform_wait_state(VM_RUNNING));
    CHECK_ERR(E_STATE, vcpu_bind(c.vcpu));
    CHECK_ERR(E_STATE, vcpu_set_entry(c.vcpu, arch_entry(gpa(0), 0)));
    CHECK_ERR(E_STATE, vm_load(c.vm, &entry));
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK_OK(vm_load(c.vm, &entry)); /* Nobody manages it any more. */
}

/* --- Registers --- */

static struct arch_regs regs_set, regs_read; /* Large. */

void case_regs_round_trip(void)
{
    struct vcpu_exit exit;

    CHECK_OK(conform_by_hand(ACT_HYPERCALL));
    do
        CHECK_OK(conform_step(&exit));
    while (exit.kind == EXIT_NOTHING);
    CHECK(exit.kind == EXIT_HYPERCALL && exit.call.args[0] == 1);
    if (exit.advance)
        arch_vcpu_finish(&c.vcpu->arch, &exit);
    CHECK_OK(vcpu_unbind(c.vcpu));
    arch_vcpu_set_return(&c.vcpu->arch, 0, ANSWER);
    arch_vcpu_get_regs(&c.vcpu->arch, &regs_set);
    arch_vcpu_set_return(&c.vcpu->arch, 0, 1); /* Not what the guest is to see. */
    CHECK_OK(arch_vcpu_set_regs(&c.vcpu->arch, &regs_set));
    arch_vcpu_get_regs(&c.vcpu->arch, &regs_read);
    CHECK(memcmp(&regs_set, &regs_read, sizeof(regs_set)) == 0);
    CHECK_OK(vcpu_bind(c.vcpu));
    exit.advance = false;
    do
        CHECK_OK(conform_step(&exit));
    while (exit.kind == EXIT_NOTHING);
    CHECK(exit.kind == EXIT_HYPERCALL && exit.call.nr == CALL_DONE);
    CHECK(exit.call.args[0] == ANSWER);
}

/* The tag is what registers begin with. */
void case_regs_foreign(void)
{
    uint32_t *tag = (uint32_t *)&regs_set;

    CHECK_OK(conform_by_hand(ACT_SPIN));
    CHECK_OK(vcpu_unbind(c.vcpu));
    arch_vcpu_get_regs(&c.vcpu->arch, &regs_set);
    CHECK(*tag == ARCH_TAG);
    *tag ^= 1;
    CHECK_ERR(E_INVALID, arch_vcpu_set_regs(&c.vcpu->arch, &regs_set));
    *tag ^= 1;
    arch_vcpu_get_regs(&c.vcpu->arch, &regs_read);
    CHECK(memcmp(&regs_set, &regs_read, sizeof(regs_set)) == 0);
}
