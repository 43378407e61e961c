/* SPDX-License-Identifier: Apache-2.0 */
/* A model's state on its way to a snapshot, or from it; see state.h. */
#include "vcpu/state.h"

#include "kernel/assert.h"
#include "kernel/string.h"
#include "kernel/timer.h"

void state_init(struct state *s, const struct state_ops *ops, bool loading, uint64_t now)
{
    *s = (struct state){.ops = ops, .loading = loading, .now = now};
}

void state_refuse(struct state *s, enum err err, const char *why)
{
    assert(err != OK);
    if (!state_ok(s))
        return;
    s->err = err;
    s->why = why;
}

void state_require(struct state *s, bool ok, const char *why)
{
    if (s->loading && !ok)
        state_refuse(s, E_INVALID, why);
}

void state_section(struct state *s, const char *name, unsigned version)
{
    assert(strlen(name) < STATE_NAME_MAX);
    if (!state_ok(s))
        return;
    s->part = name;
    s->ops->section(s, name, version);
}

void state_end(struct state *s)
{
    if (state_ok(s))
        s->ops->section(s, NULL, 0);
}

void state_bytes(struct state *s, void *bytes, size_t size)
{
    if (!state_ok(s) || s->ops->bytes(s, bytes, size))
        return;
    if (s->loading)
        state_refuse(s, E_INVALID, "it ends too early");
    else
        state_refuse(s, E_NOMEM, "there is no room for it");
}

uint64_t state_number(struct state *s, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    uint64_t loaded = 0;

    assert(size == 1 || size == 2 || size == 4 || size == 8);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    state_bytes(s, bytes, size);
    if (!s->loading || !state_ok(s))
        return value;
    for (size_t i = 0; i < size; i++)
        loaded |= (uint64_t)bytes[i] << 8 * i;
    return loaded;
}

/* Stored as the distance from now; what lies before now wraps, and comes back so. */
void state_ticks(struct state *s, uint64_t *ticks)
{
    uint64_t stored = *ticks == TICKS_NEVER ? TICKS_NEVER : *ticks - s->now;

    STATE(s, stored);
    if (s->loading && state_ok(s))
        *ticks = stored == TICKS_NEVER ? TICKS_NEVER : stored + s->now;
}
