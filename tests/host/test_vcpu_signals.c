/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INIT and SIPI, sent by two processors while a third looks: in each possible order of what they
 * do. vcpu.c is included a second time, with steps before its atomic operations and its locks.
 */
#include <string.h>

#include "kernel/ipi.h"
#include "tests/host/explorer.h"
#include "tests/host/vm_rig.h"
#include "vcpu/machine_ops.h"

static void model_wake(struct sched_entity *entity);
static void model_kick(unsigned cpu);
static void model_start(struct arch_vcpu *vcpu, struct arch_entry entry);
static void model_take(void);
static void model_drop(void);

#define MODEL(name) signal_##name
#include "tests/host/vcpu_model.inc"
#define sched_wake      model_wake
#define ipi_kick        model_kick
#define arch_vcpu_start model_start
#define lock_take(lock) model_take()
#define lock_drop(lock) model_drop()
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(p, v, order)                                                      \
    (explorer_step(), __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#undef atomic_fetch_and
#define atomic_fetch_and(p, v) (explorer_step(), __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#include "vcpu/vcpu.c"

#define LOOKER 0u  /* Actor and pCPU 0: the vCPU. */
#define NOBODY 99u /* Has the lock. */

/* What each sender sends: 'I', or a SIPI to that page. */
static const char *letters[EXPLORER_ACTORS_MAX];

static struct vcpu scene_vcpu;
static struct vm scene_vm;
static bool asleep, woken;
static unsigned lock_owner, lock_wanted[EXPLORER_ACTORS_MAX];
static unsigned starts, resets;
static uint64_t started_at;

static void model_wake(struct sched_entity *)
{
    woken = true;
}

static void model_kick(unsigned cpu)
{
    ASSERT_EQ(cpu, LOOKER);
}

static void model_take(void)
{
    lock_wanted[explorer_self()] = 1;
    explorer_step(); /* Goes on when it is free: able(). */
    lock_wanted[explorer_self()] = 0;
    ASSERT_EQ(lock_owner, NOBODY);
    lock_owner = explorer_self();
}

static void model_drop(void)
{
    ASSERT_EQ(lock_owner, explorer_self());
    lock_owner = NOBODY;
}

static void model_start(struct arch_vcpu *, struct arch_entry entry)
{
    ASSERT_EQ(scene_vcpu.power, VCPU_ON);
    starts++;
    started_at = entry.pc.v;
}

static void count_reset(struct vcpu *)
{
    resets++;
}

static void sender(void)
{
    for (const char *letter = letters[explorer_self()]; *letter; letter++) {
        if (*letter == 'I')
            vcpu_init_signal(&scene_vcpu);
        else
            vcpu_startup_signal(&scene_vcpu, arch_entry(gpa((uint64_t)*letter << 12), 0));
    }
    explorer_finish();
}

static void looker(void)
{
    for (;;) {
        explorer_step();
        if (atomic_load(&scene_vcpu.requests) & (VCPU_REQ_INIT | VCPU_REQ_SIPI)) {
            vcpu_take_signals(&scene_vcpu);
            continue;
        }
        asleep = true; /* Off, or in the guest: requests wake or kick it. */
        explorer_step();
        asleep = woken = false;
    }
}

static bool able(unsigned actor)
{
    if (lock_wanted[actor] && lock_owner != NOBODY)
        return false;
    return actor != LOOKER || !asleep || woken;
}

static void scene_start(enum vcpu_power power)
{
    static const struct machine_ops machine = {.cpu_reset = count_reset};

    memset(&scene_vcpu, 0, sizeof(scene_vcpu));
    memset(&scene_vm, 0, sizeof(scene_vm));
    memset(lock_wanted, 0, sizeof(lock_wanted));
    scene_vm.machine = &machine;
    scene_vm.state = VM_RUNNING;
    scene_vcpu.vm = &scene_vm;
    scene_vcpu.power = power;
    asleep = woken = false;
    lock_owner = NOBODY;
    starts = resets = 0;
    started_at = 0;
}

#define RANDOM_SCENES 20000u

static void scene_run(enum vcpu_power power, bool random, void (*check)(void))
{
    scene_start(power);
    explorer_run(random);
    fake_be_cpu(0);
    ASSERT_EQ(scene_vcpu.requests, 0);
    check();
}

static void cast(const char *first, const char *second)
{
    static void (*const fns[])(void) = {looker, sender, sender};

    letters[1] = first;
    letters[2] = second;
    explorer_cast(second ? 3 : 2, fns, able);
}

/* In each order; then check() looks at the end. */
static void scenes(enum vcpu_power power, const char *first, const char *second,
                   void (*check)(void))
{
    cast(first, second);
    do
        scene_run(power, false, check);
    while (explorer_next());
}

/* There are too many orders. */
static void random_scenes(enum vcpu_power power, const char *first, const char *second,
                          void (*check)(void))
{
    for (unsigned i = 0; i < RANDOM_SCENES; i++) {
        cast(first, second);
        scene_run(power, true, check);
    }
}

static void check_started_by_the_first(void)
{
    ASSERT_EQ(scene_vcpu.power, VCPU_ON);
    ASSERT_EQ(starts, 1);
    ASSERT_EQ(started_at, (uint64_t)'a' << 12);
}

TEST(in_no_order_is_a_sipi_behind_an_init_lost_or_taken_twice)
{
    scenes(VCPU_OFF, "Iaa", NULL, check_started_by_the_first);
    scenes(VCPU_ON, "Iaa", NULL, check_started_by_the_first);
    scenes(VCPU_OFF, "ab", NULL, check_started_by_the_first);
}

static void check_started_by_either(void)
{
    ASSERT_EQ(scene_vcpu.power, VCPU_ON);
    ASSERT_EQ(starts, 1);
    ASSERT(started_at == (uint64_t)'a' << 12 || started_at == (uint64_t)'b' << 12);
}

TEST(of_two_that_start_a_vcpu_one_does)
{
    scenes(VCPU_OFF, "a", "b", check_started_by_either);
}

/* The second's INIT may come before all, between, or last: then it is off. */
static void check_init_of_another(void)
{
    ASSERT(resets == 1 || resets == 2);
    ASSERT(starts <= 2);
    ASSERT(scene_vcpu.power == VCPU_OFF || starts > 0);
}

static void check_on_after_both(void)
{
    ASSERT_EQ(scene_vcpu.power, VCPU_ON); /* Whoever is last has sent a SIPI after each INIT. */
    ASSERT(starts == 1 || starts == 2);
    ASSERT(resets == 1 || resets == 2);
}

TEST(an_init_from_elsewhere_leaves_a_vcpu_off_or_started_and_nothing_between)
{
    scenes(VCPU_ON, "a", "I", check_init_of_another);
    random_scenes(VCPU_ON, "Ia", "I", check_init_of_another);
    random_scenes(VCPU_OFF, "Ia", "Ib", check_on_after_both);
}

static void check_sipi_ignored(void)
{
    ASSERT_EQ(starts, 0);
    ASSERT_EQ(scene_vcpu.power, VCPU_ON);
}

TEST(a_sipi_without_an_init_does_nothing_to_a_vcpu_that_runs)
{
    scenes(VCPU_ON, "aba", NULL, check_sipi_ignored);
}
