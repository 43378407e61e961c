/* SPDX-License-Identifier: Apache-2.0 */
/* A model's state, saved to memory and loaded again, also cut short or changed by an enemy. */
#pragma once

#include "tests/host/test.h"
#include "vcpu/state.h"

#define STATE_RIG_MAX 262144u

struct state_rig {
    struct state state; /* For X_state(); of the last state_rig_save() or _load(). */
    size_t size;        /* Saved. */
    size_t limit;       /* Of what may be loaded: set less than size to cut it short. */
    size_t at;
    uint8_t bytes[STATE_RIG_MAX];
};

/* Begins to save, or to load what was saved; now: as struct state has it. */
void state_rig_save(struct state_rig *rig, uint64_t now);
void state_rig_load(struct state_rig *rig, uint64_t now);
/* Ends it. OK: saved, or loaded and all of it used. */
enum err state_rig_end(struct state_rig *rig);

struct vm;
/* Each device of the VM has a state, or is one whose state is the machine's, or that has none. */
void state_rig_has_all(const struct vm *vm);
