/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work for other pCPUs: the contract, all interleavings of a few senders with a receiver, and
 * threads.
 *
 * For the interleavings ipi.c is included a second time, under other names, with each atomic
 * operation preceded by step(), which goes back to an explorer that decides who goes on. The
 * explorer runs the same scene again and again, until each sequence of decisions was made once.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <ucontext.h>

#include "kernel/ipi.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"

/* --- The contract --- */

static char trace[16];
static unsigned trace_size;
static struct work works[4];

static void note(struct work *work)
{
    trace[trace_size++] = (char)('a' + (work - works));
    trace[trace_size] = 0;
}

static void start(void)
{
    trace_size = 0;
    trace[0] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(works); i++)
        works[i] = (struct work){.fn = note};
    for (unsigned i = 0; i < pcpu_count; i++) {
        pcpu(i)->online = true;
        pcpu(i)->sched.leave = false;
        pcpu(i)->sched.slice_wanted = false;
    }
}

TEST(work_runs_in_the_order_in_which_it_was_queued)
{
    start();
    for (unsigned i = 0; i < 3; i++)
        ASSERT(ipi_work(1, &works[i]));
    ASSERT(!ipi_work(1, &works[1]));
    ASSERT_EQ(pcpu(1)->arch.ipis, 1);
    fake_be_cpu(1);
    ipi_taken();
    ASSERT(pcpu(1)->sched.leave);
    ASSERT_STR(trace, "");
    ipi_run_work();
    ASSERT_STR(trace, "abc");
    ASSERT(!pcpu(1)->work);
}

static void queue_again(struct work *work)
{
    note(work);
    if (trace_size < 3)
        ASSERT(ipi_work(this_cpu()->id, work));
}

TEST(work_may_be_queued_again_from_its_own_function)
{
    start();
    works[0].fn = queue_again;
    ASSERT(ipi_work(0, &works[0]));
    for (unsigned i = 0; i < 5; i++)
        ipi_run_work();
    ASSERT_STR(trace, "aaa");
    ASSERT_EQ(fake.ipis, 0);
}

TEST(one_ipi_is_under_way_at_a_time)
{
    start();
    for (unsigned i = 0; i < 5; i++)
        ipi_kick(2);
    ASSERT_EQ(pcpu(2)->arch.ipis, 1);
    fake_be_cpu(2);
    ipi_taken();
    ASSERT(!pcpu(2)->sched.leave); /* There is no work. */
    fake_be_cpu(0);
    ipi_kick(2);
    ASSERT_EQ(pcpu(2)->arch.ipis, 2);
    ipi_kick(0);
    ASSERT_EQ(pcpu(0)->arch.ipis, 0);
}

TEST(a_processor_that_is_not_online_gets_no_ipi_but_keeps_the_work)
{
    start();
    pcpu(3)->online = false;
    ASSERT(ipi_work(3, &works[0]));
    ASSERT_EQ(fake.ipis, 0);
    fake_be_cpu(3);
    ipi_run_work();
    ASSERT_STR(trace, "a");
}

/* --- All interleavings --- */

static void step(void);

#define ipi_kick     model_kick
#define ipi_work     model_work
#define ipi_run_work model_run_work
#define ipi_taken    model_taken
#define work_reverse model_work_reverse
#undef atomic_exchange
#define atomic_exchange(p, v) (step(), atomic_exchange_explicit(p, v, memory_order_seq_cst))
#undef atomic_load
#define atomic_load(p) (step(), *(p))
#undef atomic_load_explicit
#define atomic_load_explicit(p, order) (step(), *(p))
#undef atomic_store_explicit
#define atomic_store_explicit(p, v, order) (step(), *(p) = (v))
#undef atomic_compare_exchange_weak
#define atomic_compare_exchange_weak(p, old, v)                                                    \
    (step(), atomic_compare_exchange_strong_explicit(p, old, v, memory_order_seq_cst,              \
                                                     memory_order_seq_cst))
#include "kernel/ipi.c"

#define ACTORS_MAX  3u
#define RECEIVER    0u /* Actor and pCPU 0; the others send to it. */
#define STEPS_MAX   128u
#define STACK_BYTES (64 * KIB)

struct actor {
    ucontext_t context;
    bool finished;
    unsigned sends; /* Of a sender: how often. */
    struct work *work;
    alignas(16) char stack[STACK_BYTES];
};

static struct actor actors[ACTORS_MAX];
static unsigned actor_count, current;
static ucontext_t explorer;
static bool in_guest;    /* The receiver waits for an IPI. */
static bool ipi_pending; /* At its interrupt controller. */
static unsigned written[ACTORS_MAX], seen[ACTORS_MAX], entered[ACTORS_MAX], accepted[ACTORS_MAX];
static struct work model_works[ACTORS_MAX];

/* The decisions of this run, and how many alternatives there were at each. */
static unsigned char choice[STEPS_MAX], choices[STEPS_MAX];
static unsigned depth;

static void step(void)
{
    swapcontext(&actors[current].context, &explorer);
}

static void model_fn(struct work *work)
{
    unsigned who = (unsigned)(work - model_works);

    seen[who] = written[who];
    entered[who]++;
}

static void model_ipi_sent(struct pcpu *)
{
    ipi_pending = true;
}

static void sender(void)
{
    struct actor *self = &actors[current];
    unsigned who = (unsigned)(self->work - model_works);

    for (unsigned i = 0; i < self->sends; i++) {
        written[who]++;
        accepted[who] += ipi_work(RECEIVER, self->work);
    }
    self->finished = true;
    step();
}

/* As the guest run loop and the scheduler do it. */
static void receiver(void)
{
    for (;;) {
        in_guest = true;
        step();
        in_guest = false;
        ipi_pending = false;
        ipi_taken();
        if (!pcpu(RECEIVER)->sched.leave)
            continue;
        pcpu(RECEIVER)->sched.leave = false;
        ipi_run_work();
    }
}

static bool can_go_on(unsigned actor)
{
    if (actor == RECEIVER)
        return !in_guest || ipi_pending;
    return !actors[actor].finished;
}

static void actor_start(unsigned i, void (*fn)(void))
{
    struct actor *actor = &actors[i];

    actor->finished = false;
    getcontext(&actor->context);
    actor->context.uc_stack.ss_sp = actor->stack;
    actor->context.uc_stack.ss_size = sizeof(actor->stack);
    actor->context.uc_link = &explorer;
    makecontext(&actor->context, fn, 0);
}

static void scene_start(void)
{
    memset(written, 0, sizeof(written));
    memset(seen, 0, sizeof(seen));
    memset(entered, 0, sizeof(entered));
    memset(accepted, 0, sizeof(accepted));
    in_guest = ipi_pending = false;
    pcpu(RECEIVER)->work = NULL;
    pcpu(RECEIVER)->ipi_under_way = false;
    pcpu(RECEIVER)->sched.leave = false;
    for (unsigned i = 0; i < actor_count; i++) {
        model_works[i] = (struct work){.fn = model_fn};
        actor_start(i, i == RECEIVER ? receiver : sender);
    }
    /* The receiver starts in its guest. */
    current = RECEIVER;
    fake_be_cpu(current);
    swapcontext(&explorer, &actors[current].context);
}

/* Runs the scene by the choices made so far and the first alternative where there are none yet, or
 * at random. False when it did not come to an end. */
static bool scene_run(bool random)
{
    unsigned able[ACTORS_MAX], count, pick;

    scene_start();
    for (unsigned at = 0;; at++) {
        count = 0;
        for (unsigned i = 0; i < actor_count; i++) {
            if (can_go_on(i))
                able[count++] = i;
        }
        if (count == 0)
            return true;
        if (at == STEPS_MAX)
            return false;
        if (at >= depth) {
            choice[at] = 0;
            depth = at + 1;
        }
        choices[at] = (unsigned char)count;
        pick = random ? (unsigned)test_random_below(count) : choice[at];
        current = able[pick];
        fake_be_cpu(current);
        swapcontext(&explorer, &actors[current].context);
    }
}

/* All work accepted was done, and the last of it saw all that was written before. */
static void scene_check(void)
{
    fake_be_cpu(0);
    for (unsigned i = 1; i < actor_count; i++) {
        unsigned who = (unsigned)(actors[i].work - model_works);

        ASSERT_EQ(seen[who], written[who]);
        ASSERT_EQ(entered[who], accepted[who]);
    }
    ASSERT(!pcpu(RECEIVER)->work);
    ASSERT(!pcpu(RECEIVER)->ipi_under_way);
}

/* To the next sequence of choices; false after the last one. */
static bool scene_next(void)
{
    while (depth > 0 && choice[depth - 1] + 1 == choices[depth - 1])
        depth--;
    if (depth == 0)
        return false;
    choice[depth - 1]++;
    return true;
}

static void scene_cast(unsigned senders, unsigned sends)
{
    start();
    fake.on_ipi = model_ipi_sent;
    depth = 0;
    actor_count = 1 + senders;
    for (unsigned i = 1; i <= senders; i++) {
        actors[i].sends = sends;
        actors[i].work = &model_works[i];
    }
}

TEST(no_interleaving_of_a_sender_with_the_receiver_loses_work)
{
    unsigned scenes = 0;

    scene_cast(1, 6);
    do {
        ASSERT(scene_run(false));
        scene_check();
        scenes++;
    } while (scene_next());
    ASSERT(scenes > 1000);
}

TEST(no_interleaving_of_two_senders_loses_work)
{
    unsigned scenes = 0;

    scene_cast(2, 1);
    do {
        ASSERT(scene_run(false));
        scene_check();
        scenes++;
    } while (scene_next());
    ASSERT(scenes > 1000);
}

TEST(no_interleaving_of_two_senders_of_the_same_work_loses_it)
{
    unsigned scenes = 0;

    scene_cast(2, 2);
    actors[2].work = actors[1].work;
    do {
        ASSERT(scene_run(false));
        scene_check();
        scenes++;
    } while (scene_next());
    ASSERT(scenes > 1000);
}

TEST(random_interleavings_of_two_senders_lose_no_work)
{
    for (unsigned i = 0; i < 20000; i++) {
        scene_cast(2, 3);
        ASSERT(scene_run(true));
        scene_check();
    }
}

#undef ipi_kick
#undef ipi_work
#undef ipi_run_work
#undef ipi_taken

/* --- Threads --- */

#define ROUNDS 20000u

static struct work thread_works[3];
static _Atomic unsigned thread_written[3], thread_seen[3];
static _Atomic bool thread_ipi, threads_done;

static void thread_fn(struct work *work)
{
    unsigned who = (unsigned)(work - thread_works);

    thread_seen[who] = thread_written[who];
}

static void thread_ipi_sent(struct pcpu *)
{
    thread_ipi = true;
}

static void *thread_send(void *arg)
{
    unsigned who = (unsigned)(uintptr_t)arg;

    fake_be_cpu(who);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        thread_written[who] = i;
        ipi_work(0, &thread_works[who]);
        if (i % 8 == 0)
            sched_yield(); /* Of the C library. */
    }
    return NULL;
}

static void *thread_receive(void *)
{
    bool done = false;

    fake_be_cpu(0);
    while (!done) {
        done = threads_done; /* Before the last look. */
        if (!atomic_exchange_explicit(&thread_ipi, false, memory_order_seq_cst)) {
            sched_yield();
            continue;
        }
        done = false;
        ipi_taken();
        if (pcpu(0)->sched.leave) {
            pcpu(0)->sched.leave = false;
            ipi_run_work();
        }
    }
    return NULL;
}

TEST(threads_that_send_work_all_the_time_lose_none)
{
    pthread_t senders[2], receiver_thread;

    start();
    fake.on_ipi = thread_ipi_sent;
    threads_done = false;
    for (unsigned i = 0; i < ARRAY_SIZE(thread_works); i++)
        thread_works[i] = (struct work){.fn = thread_fn};
    ASSERT_EQ(pthread_create(&receiver_thread, NULL, thread_receive, NULL), 0);
    for (uintptr_t i = 0; i < ARRAY_SIZE(senders); i++)
        ASSERT_EQ(pthread_create(&senders[i], NULL, thread_send, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(senders); i++)
        pthread_join(senders[i], NULL);
    threads_done = true;
    pthread_join(receiver_thread, NULL);
    for (unsigned i = 1; i <= ARRAY_SIZE(senders); i++)
        ASSERT_EQ(thread_seen[i], ROUNDS);
}
