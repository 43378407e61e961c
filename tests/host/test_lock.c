/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket locks and their ranks. */
#include <pthread.h>
#include <sched.h>

#include "kernel/lock.h"
#include "kernel/percpu.h"
#include "tests/host/test.h"

TEST(a_lock_is_held_between_take_and_drop)
{
    struct lock lock;

    lock_init(&lock, RANK_VM, "a");
    ASSERT(!lock_held(&lock));
    lock_take(&lock);
    ASSERT(lock_held(&lock));
    ASSERT_EQ(this_cpu()->ranks_held, 1u << RANK_VM);
    lock_drop(&lock);
    ASSERT(!lock_held(&lock));
    ASSERT_EQ(this_cpu()->ranks_held, 0);
}

TEST(locks_are_taken_from_outer_to_inner)
{
    struct lock outer = LOCK_INIT(RANK_VM, "outer"), inner = LOCK_INIT(RANK_LOG, "inner");

    lock_take(&outer);
    lock_take(&inner);
    lock_drop(&outer); /* In any order. */
    ASSERT_EQ(this_cpu()->ranks_held, 1u << RANK_LOG);
    lock_drop(&inner);
    ASSERT_EQ(this_cpu()->ranks_held, 0);
}

TEST(a_lock_of_a_lower_or_equal_rank_asserts)
{
    static struct lock vm = LOCK_INIT(RANK_DEVICE, "uart"), other = LOCK_INIT(RANK_DEVICE, "rtc");
    static struct lock list = LOCK_INIT(RANK_VM, "vm");

    lock_take(&vm);
    ASSERT_DIES((lock_take(&vm), 0));
    ASSERT_DIES((lock_take(&other), 0));
    ASSERT_DIES((lock_take(&list), 0));
    lock_drop(&vm);
}

TEST(tickets_wrap)
{
    struct lock lock = LOCK_INIT(RANK_VM, "wraps");

    for (unsigned i = 0; i < 70000; i++) {
        lock_take(&lock);
        lock_drop(&lock);
    }
    ASSERT(!lock_held(&lock));
}

#define ROUNDS 20000u

static struct lock shared = LOCK_INIT(RANK_VM, "shared");
static unsigned counter; /* Not atomic: the lock guards it. */

static void *count_up(void *arg)
{
    fake_be_cpu((unsigned)(uintptr_t)arg);
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_take(&shared);
        counter++;
        lock_drop(&shared);
        if (i % 16 == 0)
            sched_yield(); /* Of the C library: there may be fewer processors than threads. */
    }
    return NULL;
}

TEST(only_one_holds_a_lock_at_a_time)
{
    pthread_t threads[2];

    counter = 0;
    for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
        ASSERT_EQ(pthread_create(&threads[i], NULL, count_up, (void *)i), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    ASSERT_EQ(counter, ROUNDS * ARRAY_SIZE(threads));
}
