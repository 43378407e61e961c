/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explores interleavings: actors are coroutines that give way at each step(); the explorer decides
 * who goes on. A scene is run again and again, until each sequence of decisions was made once.
 * Actor n is pCPU n.
 *
 * The code under test is included a second time into the test, with its atomic operations preceded
 * by explorer_step().
 */
#pragma once

#include "kernel/types.h"

#define EXPLORER_ACTORS_MAX 3u

/* A new scene, no decision made: so many actors, and who can go on. */
void explorer_cast(unsigned actors, void (*const fns[])(void), bool (*able)(unsigned actor));
/* All actors back to their beginnings. */
void explorer_start(void);
/* Until nobody can go on: by the decisions made so far, and then the first alternative each time,
 * or at random. */
void explorer_run(bool random);
/* The next sequence of decisions; false: all were made. */
bool explorer_next(void);
/* One step of an actor, by hand. */
void explorer_turn(unsigned actor);
bool explorer_finished(unsigned actor);

/* Called by actors: who I am; others may go on; I have done all that I will. */
unsigned explorer_self(void);
void explorer_step(void);
void explorer_finish(void);
