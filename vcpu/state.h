/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's state, written to a snapshot or read from it by one and the same function, so that the
 * two cannot differ:
 *
 *     void vchip_state(struct vdev *dev, struct state *s)
 *     {
 *         struct vchip *chip = container_of(dev, struct vchip, vdev);
 *
 *         lock_take(&chip->lock);
 *         state_section(s, "vchip", 1);
 *         STATE(s, chip->control);
 *         STATE_ARRAY(s, chip->fifo);
 *         STATE(s, chip->fifo_count);
 *         state_ticks(s, &chip->fires_at);
 *         state_require(s, chip->fifo_count <= ARRAY_SIZE(chip->fifo), "the FIFO is too full");
 *         if (state_loading(s))
 *             vchip_update(chip);
 *         lock_drop(&chip->lock);
 *     }
 *
 * It names every field that the guest can see or that drives behaviour. What is derived from them
 * (an output line, alarms) is made anew after loading. A snapshot may have been made by an enemy:
 * what indexes, is shifted by or is divided by is required to be good, and after a refusal, when
 * state_ok() is false, nothing of it may be used.
 *
 * All vCPUs of the VM are held and its devices' clocks stand still meanwhile (machine_ops). Numbers
 * are stored at full width, little-endian.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/types.h"

struct state;

/* Where the bytes go to or come from. Neither is called after a refusal. */
struct state_ops {
    /*
     * The section before ends here, and the next begins. Loading: state_refuse() unless the one
     * before was used up and the next one is of this name and version. NULL: there is no next one.
     */
    void (*section)(struct state *s, const char *name, unsigned version);
    /* False: no room for them, or the section has no more. */
    bool (*bytes)(struct state *s, void *bytes, size_t size);
};

#define STATE_NAME_MAX 24u /* Of a section, with NUL. */

/* A cursor; embedded in what its ops want beside it. */
struct state {
    const struct state_ops *ops;
    bool loading;
    uint64_t now;     /* Host ticks at which the guest's clock stands; or from which it goes on. */
    enum err err;     /* Of the first refusal; OK: all is well. */
    const char *why;  /* In words; then: */
    const char *part; /* the section that it was in. */
};

/* For who makes the ops: snapshot_bytes.h. The rest is for models; the VM's vCPUs are held. */
void state_init(struct state *s, const struct state_ops *ops, bool loading, uint64_t now);

static inline bool state_loading(const struct state *s)
{
    return s->loading;
}

static inline bool state_ok(const struct state *s)
{
    return s->err == OK;
}

/* A section begins. name: a literal. Versions are the section's own, and only grow. */
void state_section(struct state *s, const char *name, unsigned version);
/* The last section ends: was all of it used? */
void state_end(struct state *s);

/* The outcome is err, for this reason, unless there was an earlier one. why: a literal. */
void state_refuse(struct state *s, enum err err, const char *why);
/* When loading: refused unless ok. */
void state_require(struct state *s, bool ok, const char *why);

/* For STATE(): a number of 1, 2, 4 or 8 bytes. What was loaded; else, or refused, value. */
uint64_t state_number(struct state *s, uint64_t value, size_t size);
/* As they are, without a byte order. After a refusal nothing happens. */
void state_bytes(struct state *s, void *bytes, size_t size);
/* A moment in host ticks: kept relative to the clock of the guest. TICKS_NEVER stays. */
void state_ticks(struct state *s, uint64_t *ticks);

/* An integer, bool or enum; it may be _Atomic. Not a bit field. */
#define STATE(s, lvalue)                                                                           \
    do {                                                                                           \
        uint64_t state_ = state_number((s), (uint64_t)(lvalue), sizeof(lvalue));                   \
        if (state_loading(s))                                                                      \
            (lvalue) = state_;                                                                     \
    } while (0)

/* An array of such. */
#define STATE_ARRAY(s, array)                                                                      \
    do {                                                                                           \
        for (size_t state_i_ = 0; state_i_ < ARRAY_SIZE(array); state_i_++)                        \
            STATE(s, (array)[state_i_]);                                                           \
    } while (0)
