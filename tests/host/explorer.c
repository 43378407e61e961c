/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines and the tree of decisions: see explorer.h. */
#include "tests/host/explorer.h"

#include <ucontext.h>

#include "tests/host/test.h"

#define STEPS_MAX   64u
#define STACK_BYTES (64 * KIB)

static struct actor {
    ucontext_t context;
    bool finished;
    void (*fn)(void);
    alignas(16) char stack[STACK_BYTES];
} actors[EXPLORER_ACTORS_MAX];

static ucontext_t explorer;
static bool (*is_able)(unsigned actor);
static unsigned actor_count, running;
static unsigned char choice[STEPS_MAX], choices[STEPS_MAX];
static unsigned depth;

void explorer_cast(unsigned count, void (*const fns[])(void), bool (*able)(unsigned actor))
{
    ASSERT(count <= EXPLORER_ACTORS_MAX);
    actor_count = count;
    is_able = able;
    depth = 0;
    for (unsigned i = 0; i < count; i++)
        actors[i].fn = fns[i];
}

static void actor_start(struct actor *actor)
{
    actor->finished = false;
    getcontext(&actor->context);
    actor->context.uc_stack.ss_sp = actor->stack;
    actor->context.uc_stack.ss_size = sizeof(actor->stack);
    actor->context.uc_link = &explorer;
    makecontext(&actor->context, actor->fn, 0);
}

void explorer_start(void)
{
    for (unsigned i = 0; i < actor_count; i++)
        actor_start(&actors[i]);
}

void explorer_turn(unsigned actor)
{
    running = actor;
    fake_be_cpu(actor);
    swapcontext(&explorer, &actors[actor].context);
}

void explorer_run(bool random)
{
    explorer_start();
    for (unsigned at = 0;; at++) {
        unsigned can[EXPLORER_ACTORS_MAX], count = 0;

        for (unsigned i = 0; i < actor_count; i++)
            if (!actors[i].finished && is_able(i))
                can[count++] = i;
        if (count == 0)
            return;
        ASSERT(at < STEPS_MAX);
        if (at >= depth) {
            choice[at] = 0;
            depth = at + 1;
        }
        choices[at] = (unsigned char)count;
        explorer_turn(can[random ? test_random_below(count) : choice[at]]);
    }
}

bool explorer_next(void)
{
    while (depth > 0 && choice[depth - 1] + 1 == choices[depth - 1])
        depth--;
    if (depth == 0)
        return false;
    choice[depth - 1]++;
    return true;
}

bool explorer_finished(unsigned actor)
{
    return actors[actor].finished;
}

unsigned explorer_self(void)
{
    return running;
}

void explorer_step(void)
{
    swapcontext(&actors[running].context, &explorer);
}

void explorer_finish(void)
{
    actors[running].finished = true;
    explorer_step();
}
