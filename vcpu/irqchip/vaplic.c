/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The APLIC model. [RISC-V AIA 1.0, chapter 4; sections by name]
 *
 * Invariants, whenever the lock is free: nothing is pending, enabled and the domain on, because it
 * was forwarded; sources that are inactive or not there have no bit anywhere but in wire; a level
 * source is not pending while its rectified input is low.
 */
#include "vcpu/irqchip/vaplic.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers ["Memory-mapped control region"]. */
#define DOMAINCFG       0x0000u
#define SOURCECFG       0x0004u
#define SOURCECFG_END   0x1000u
#define SETIP           0x1c00u
#define SETIPNUM        0x1cdcu
#define IN_CLRIP        0x1d00u
#define CLRIPNUM        0x1ddcu
#define SETIE           0x1e00u
#define SETIENUM        0x1edcu
#define CLRIE           0x1f00u
#define CLRIENUM        0x1fdcu
#define SETIPNUM_LE     0x2000u
#define GENMSI          0x3000u
#define TARGET          0x3004u
#define TARGET_END      0x4000u
#define BITS_END        0x80u /* Of each array of bits. */

#define DOMAINCFG_FIXED 0x80000004u /* Reads so in its top byte; DM: by MSI. */
#define DOMAINCFG_IE    BIT(8)
#define SOURCECFG_D     BIT(10)
#define SOURCECFG_SM    BITS(2, 0)
#define TARGET_BITS     (BITS(31, 18) | BITS(10, 0))
#define TARGET_HART     BITS(31, 18)
#define TARGET_EIID     BITS(10, 0)

enum source_mode { INACTIVE, DETACHED, EDGE1 = 4, EDGE0, LEVEL1, LEVEL0 };

static const uint32_t sources[VAPLIC_WORDS] = {~1u, ~0u, ~0u, 1u};

_Static_assert(VAPLIC_SOURCES == 96, "as in sources[]");

static bool is_source(uint32_t source)
{
    return source > 0 && source <= VAPLIC_SOURCES;
}

static void vaplic_send(struct vaplic *aplic, uint32_t target)
{
    aplic->owner->msi(aplic->owner, (uint32_t)field_get(TARGET_HART, target),
                      (uint32_t)field_get(TARGET_EIID, target));
}

/* What can be forwarded is ["Interrupt forwarding by MSIs"]. The last step of every change of a
 * word. */
static void vaplic_forward(struct vaplic *aplic, unsigned w)
{
    struct vaplic_state *s = &aplic->state;

    if (!s->on)
        return;
    for (uint32_t ready = s->pending[w] & s->enabled[w]; ready != 0; ready &= ready - 1) {
        s->pending[w] &= ~(ready & -ready);
        vaplic_send(aplic, s->target[32 * w + bit_lowest(ready)]);
    }
}

/* The rectified input values ["Source configurations"]. */
static uint32_t vaplic_input(const struct vaplic_state *s, unsigned w)
{
    return (s->wire[w] ^ s->invert[w]) & (s->level[w] | s->edge[w]);
}

void vaplic_set_wire(struct vaplic *aplic, uint32_t source, bool level)
{
    struct vaplic_state *s = &aplic->state;
    unsigned w = source / 32;
    uint32_t bit = 1u << source % 32, before, after;

    if (!is_source(source))
        return;
    lock_take(&aplic->lock);
    before = vaplic_input(s, w);
    s->wire[w] = level ? s->wire[w] | bit : s->wire[w] & ~bit;
    after = vaplic_input(s, w);
    s->pending[w] |= after & ~before;
    s->pending[w] &= after | ~s->level[w];
    vaplic_forward(aplic, w);
    lock_drop(&aplic->lock);
}

/* --- Pending and enabled bits, by word or by number --- */

/* A level source whose input is low cannot be made pending ["Precise effects on interrupt-pending
 * bits"]. */
static void vaplic_set_pending(struct vaplic *aplic, unsigned w, uint32_t bits)
{
    struct vaplic_state *s = &aplic->state;

    s->pending[w] |= bits & s->active[w] & (vaplic_input(s, w) | ~s->level[w]);
    vaplic_forward(aplic, w);
}

static void vaplic_set_enabled(struct vaplic *aplic, unsigned w, uint32_t bits)
{
    aplic->state.enabled[w] |= bits & aplic->state.active[w];
    vaplic_forward(aplic, w);
}

static void vaplic_write_bits(struct vaplic *aplic, uint64_t array, unsigned w, uint32_t bits)
{
    switch (array) {
    case SETIP:
        vaplic_set_pending(aplic, w, bits);
        break;
    case IN_CLRIP:
        aplic->state.pending[w] &= ~bits;
        break;
    case SETIE:
        vaplic_set_enabled(aplic, w, bits);
        break;
    case CLRIE:
        aplic->state.enabled[w] &= ~bits;
        break;
    }
}

static void vaplic_write_number(struct vaplic *aplic, uint64_t array, uint32_t source)
{
    if (is_source(source))
        vaplic_write_bits(aplic, array, source / 32, 1u << source % 32);
}

static uint32_t vaplic_read_bits(const struct vaplic_state *s, uint64_t array, unsigned w)
{
    switch (array) {
    case SETIP:
        return s->pending[w];
    case IN_CLRIP:
        return vaplic_input(s, w);
    case SETIE:
        return s->enabled[w];
    }
    return 0;
}

/* --- Sources --- */

static void set_bit(uint32_t *word, uint32_t bit, bool on)
{
    *word = on ? *word | bit : *word & ~bit;
}

static void vaplic_set_mode(struct vaplic_state *s, uint32_t source, uint32_t mode)
{
    unsigned w = source / 32;
    uint32_t bit = 1u << source % 32;

    s->mode[source] = (uint8_t)mode;
    set_bit(&s->active[w], bit, mode != INACTIVE);
    set_bit(&s->level[w], bit, mode == LEVEL1 || mode == LEVEL0);
    set_bit(&s->edge[w], bit, mode == EDGE1 || mode == EDGE0);
    set_bit(&s->invert[w], bit, mode == EDGE0 || mode == LEVEL0);
}

static void vaplic_write_sourcecfg(struct vaplic *aplic, uint32_t source, uint32_t value)
{
    struct vaplic_state *s = &aplic->state;
    unsigned w = source / 32;
    uint32_t bit = 1u << source % 32, mode = (uint32_t)(value & SOURCECFG_SM);

    if (!is_source(source))
        return;
    if ((value & SOURCECFG_D) || mode == 2 || mode == 3)
        mode = INACTIVE; /* A leaf has nobody to delegate to. */
    vaplic_set_mode(s, source, mode);
    if (mode == INACTIVE) {
        s->pending[w] &= ~bit;
        s->enabled[w] &= ~bit;
        s->target[source] = 0;
    }
    s->pending[w] |= vaplic_input(s, w) & s->level[w] & bit;
    s->pending[w] &= vaplic_input(s, w) | ~s->level[w];
    vaplic_forward(aplic, w);
}

static void vaplic_write_target(struct vaplic *aplic, uint32_t source, uint32_t value)
{
    struct vaplic_state *s = &aplic->state;

    if (is_source(source) && s->mode[source] != INACTIVE)
        s->target[source] = (uint32_t)(value & TARGET_BITS);
}

/* --- Registers --- */

static uint32_t vaplic_read_locked(const struct vaplic_state *s, uint64_t offset)
{
    uint64_t array = offset & ~0xffull;
    uint32_t source;

    if (offset == DOMAINCFG)
        return DOMAINCFG_FIXED | (s->on ? (uint32_t)DOMAINCFG_IE : 0);
    if (offset < SOURCECFG_END)
        return offset / 4 <= VAPLIC_SOURCES ? s->mode[offset / 4] : 0;
    if (array >= SETIP && array <= CLRIE && offset - array < BITS_END)
        return (offset - array) / 4 < VAPLIC_WORDS
                   ? vaplic_read_bits(s, array, (unsigned)(offset - array) / 4)
                   : 0;
    if (offset == GENMSI)
        return s->genmsi;
    if (offset >= TARGET && offset < TARGET_END) {
        source = (uint32_t)(offset - TARGET) / 4 + 1;
        return source <= VAPLIC_SOURCES ? s->target[source] : 0;
    }
    return 0;
}

uint64_t vaplic_read(struct vaplic *aplic, uint64_t offset, unsigned width)
{
    uint32_t value;

    if (width != 4 || offset % 4 != 0)
        return 0;
    lock_take(&aplic->lock);
    value = vaplic_read_locked(&aplic->state, offset);
    lock_drop(&aplic->lock);
    return value;
}

static void vaplic_write_domaincfg(struct vaplic *aplic, uint32_t value)
{
    aplic->state.on = value & DOMAINCFG_IE;
    for (unsigned w = 0; w < VAPLIC_WORDS; w++)
        vaplic_forward(aplic, w);
}

/* The single registers; false: none of them. */
static bool vaplic_write_one(struct vaplic *aplic, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case DOMAINCFG:
        vaplic_write_domaincfg(aplic, value);
        return true;
    case SETIPNUM:
    case SETIPNUM_LE:
        vaplic_write_number(aplic, SETIP, value);
        return true;
    case CLRIPNUM:
        vaplic_write_number(aplic, IN_CLRIP, value);
        return true;
    case SETIENUM:
        vaplic_write_number(aplic, SETIE, value);
        return true;
    case CLRIENUM:
        vaplic_write_number(aplic, CLRIE, value);
        return true;
    case GENMSI: /* Busy for no time at all. */
        aplic->state.genmsi = (uint32_t)(value & TARGET_BITS);
        vaplic_send(aplic, value);
        return true;
    }
    return false;
}

static void vaplic_write_locked(struct vaplic *aplic, uint64_t offset, uint32_t value)
{
    uint64_t array = offset & ~0xffull;

    if (vaplic_write_one(aplic, offset, value))
        return;
    if (offset < SOURCECFG_END)
        vaplic_write_sourcecfg(aplic, (uint32_t)offset / 4, value);
    else if (array >= SETIP && array <= CLRIE && offset - array < 4 * VAPLIC_WORDS)
        vaplic_write_bits(aplic, array, (unsigned)(offset - array) / 4,
                          value & sources[(offset - array) / 4]);
    else if (offset >= TARGET && offset < TARGET_END)
        vaplic_write_target(aplic, (uint32_t)(offset - TARGET) / 4 + 1, value);
}

void vaplic_write(struct vaplic *aplic, uint64_t offset, unsigned width, uint64_t value)
{
    if (width != 4 || offset % 4 != 0)
        return;
    lock_take(&aplic->lock);
    vaplic_write_locked(aplic, offset, (uint32_t)value);
    lock_drop(&aplic->lock);
}

/* --- Making one --- */

void vaplic_init(struct vaplic *aplic, struct vaplic_owner *owner)
{
    memset(aplic, 0, sizeof(*aplic));
    lock_init(&aplic->lock, RANK_IRQCHIP, "vaplic");
    aplic->owner = owner;
}

static void vaplic_reset_locked(struct vaplic *aplic, const uint32_t wire[VAPLIC_WORDS])
{
    memset(&aplic->state, 0, sizeof(aplic->state));
    memcpy(aplic->state.wire, wire, sizeof(aplic->state.wire));
}

void vaplic_reset(struct vaplic *aplic)
{
    uint32_t wire[VAPLIC_WORDS];

    lock_take(&aplic->lock);
    memcpy(wire, aplic->state.wire, sizeof(wire));
    vaplic_reset_locked(aplic, wire);
    lock_drop(&aplic->lock);
}

/* --- Snapshots --- */

static void vaplic_state_source(struct vaplic_state *a, uint32_t source, struct state *s)
{
    uint8_t mode = a->mode[source];

    STATE(s, mode);
    STATE(s, a->target[source]);
    state_require(s, mode <= LEVEL0 && mode != 2 && mode != 3, "no such source mode");
    state_require(s, !(a->target[source] & ~TARGET_BITS), "no such target");
    state_require(s, mode != INACTIVE || a->target[source] == 0, "a source that is off has one");
    if (state_loading(s) && state_ok(s))
        vaplic_set_mode(a, source, mode);
}

/* What could be forwarded has been. */
static void vaplic_require_word(const struct vaplic_state *a, unsigned w, struct state *s)
{
    state_require(s, !(a->wire[w] & ~sources[w]), "no such source");
    state_require(s, !((a->pending[w] | a->enabled[w]) & ~a->active[w]),
                  "a source that is off is pending or enabled");
    state_require(s, !(a->pending[w] & a->level[w] & ~vaplic_input(a, w)),
                  "a level is pending that is low");
    state_require(s, !a->on || !(a->pending[w] & a->enabled[w]), "what is ready was not sent");
}

/* The wires are loaded too: devices that have them up raise them once more, which is no edge. */
void vaplic_state(struct vaplic *aplic, struct state *s)
{
    struct vaplic_state *a = &aplic->state;
    uint32_t wire[VAPLIC_WORDS];

    lock_take(&aplic->lock);
    memcpy(wire, a->wire, sizeof(wire));
    state_section(s, "aplic", 1);
    for (uint32_t source = 1; source <= VAPLIC_SOURCES; source++)
        vaplic_state_source(a, source, s);
    STATE_ARRAY(s, a->wire);
    STATE_ARRAY(s, a->pending);
    STATE_ARRAY(s, a->enabled);
    STATE(s, a->genmsi);
    STATE(s, a->on);
    state_require(s, !(a->genmsi & ~TARGET_BITS), "no such target");
    for (unsigned w = 0; w < VAPLIC_WORDS; w++)
        vaplic_require_word(a, w, s);
    if (state_loading(s) && !state_ok(s))
        vaplic_reset_locked(aplic, wire);
    lock_drop(&aplic->lock);
}
