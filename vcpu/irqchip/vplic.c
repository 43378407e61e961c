/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PLIC model. [RISC-V PLIC Specification 1.0.0; chapters by name]
 *
 * Invariants, whenever the lock is free: bit h of lines says whether hart h has a source that is
 * pending, enabled for h, and of a priority above h's threshold; no source is pending and claimed;
 * above and enabled_by say the same as priority and enabled; bits of sources that there are
 * not are 0 everywhere.
 */
#include "vcpu/irqchip/vplic.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Register blocks ["Memory Map"]. */
#define PRIORITY       0x000000u
#define PENDING        0x001000u
#define ENABLE         0x002000u
#define ENABLE_STRIDE  0x80u
#define CONTEXT        0x200000u
#define CONTEXT_STRIDE 0x1000u
#define CONTEXT_LIMIT  0x00u /* Threshold. */
#define CONTEXT_CLAIM  0x04u /* Complete for writes. */

#define REGISTERS      ((VPLIC_SOURCES + 32) / 32) /* Of 32 sources. */

static const uint64_t sources[VPLIC_WORDS] = {~BIT(0), BITS(VPLIC_SOURCES % 64, 0)};

_Static_assert(VPLIC_SOURCES / 64 == VPLIC_WORDS - 1, "the last word is not full");

/* What is pending and enabled for the hart, of a priority above p. */
static bool vplic_ready(const struct vplic_state *s, unsigned hart, unsigned p,
                        uint64_t ready[VPLIC_WORDS])
{
    uint64_t any = 0;

    for (unsigned w = 0; w < VPLIC_WORDS; w++)
        any |= ready[w] = s->pending[w] & s->enabled[hart][w] & s->above[p][w];
    return any != 0;
}

/* The lowest of some. */
static uint32_t vplic_lowest(const uint64_t ready[VPLIC_WORDS])
{
    for (unsigned w = 0; w < VPLIC_WORDS; w++)
        if (ready[w] != 0)
            return 64 * w + bit_lowest(ready[w]);
    unreachable();
}

/* Of several with any priority. Bisects the priorities. */
[[gnu::noinline]] static uint32_t vplic_best_of(const struct vplic_state *s, unsigned hart)
{
    uint64_t ready[VPLIC_WORDS];
    unsigned p = 0;

    for (unsigned step = (VPLIC_PRIORITY + 1) / 2; step > 0; step /= 2)
        if (vplic_ready(s, hart, p + step, ready))
            p += step;
    (void)vplic_ready(s, hart, p, ready);
    return vplic_lowest(ready);
}

/* The most urgent source: of equal ones the lowest; 0: none. *more: it is not the only one. */
static uint32_t vplic_best(const struct vplic_state *s, unsigned hart, bool *more)
{
    uint64_t ready[VPLIC_WORDS];
    uint64_t rest = 0;
    uint32_t source;

    *more = false;
    if (!vplic_ready(s, hart, 0, ready))
        return 0;
    source = vplic_lowest(ready);
    for (unsigned w = 0; w < VPLIC_WORDS; w++)
        rest |= w == source / 64 ? ready[w] & (ready[w] - 1) : ready[w];
    *more = rest != 0;
    return likely(rest == 0) ? source : vplic_best_of(s, hart);
}

static void vplic_set_line(struct vplic *plic, unsigned hart, bool level)
{
    uint32_t lines = atomic_load_explicit(&plic->lines, memory_order_relaxed);
    uint32_t bit = 1u << hart;

    if (!(lines & bit) == !level)
        return;
    atomic_store_explicit(&plic->lines, lines ^ bit, memory_order_release);
    plic->kicks |= bit;
}

static void vplic_update_hart(struct vplic *plic, unsigned hart)
{
    const struct vplic_state *s = &plic->state;
    uint64_t ready[VPLIC_WORDS];

    vplic_set_line(plic, hart, vplic_ready(s, hart, s->threshold[hart], ready));
}

static void vplic_update_source(struct vplic *plic, uint32_t source)
{
    for (uint32_t harts = plic->state.enabled_by[source]; harts != 0; harts &= harts - 1)
        vplic_update_hart(plic, bit_lowest(harts));
}

/* The gateway passes a request on. */
static void vplic_pend(struct vplic *plic, uint32_t source)
{
    struct vplic_state *s = &plic->state;

    s->pending[source / 64] |= BIT(source % 64);
    for (uint32_t harts = s->enabled_by[source]; harts != 0; harts &= harts - 1)
        if (s->priority[source] > s->threshold[bit_lowest(harts)])
            vplic_set_line(plic, bit_lowest(harts), true);
}

[[gnu::noinline]] static void vplic_kick(struct vplic *plic, uint32_t kicks)
{
    for (; kicks != 0; kicks &= kicks - 1)
        plic->owner->kick(plic->owner, bit_lowest(kicks));
}

/* Drops the lock and tells whose line has changed. */
static void vplic_unlock(struct vplic *plic)
{
    uint32_t kicks = plic->kicks;

    plic->kicks = 0;
    lock_drop(&plic->lock);
    if (kicks != 0)
        vplic_kick(plic, kicks);
}

/* --- Sources --- */

static bool is_source(uint32_t source)
{
    return source > 0 && source <= VPLIC_SOURCES;
}

void vplic_set_wire(struct vplic *plic, uint32_t source, bool level)
{
    struct vplic_state *s = &plic->state;
    uint64_t bit = BIT(source % 64);

    if (!is_source(source))
        return;
    lock_take(&plic->lock);
    if (level)
        s->wire[source / 64] |= bit;
    else
        s->wire[source / 64] &=
            ~bit; /* A request that was passed on stays ["Interrupt Gateways"]. */
    if (level && !((s->pending[source / 64] | s->claimed[source / 64]) & bit))
        vplic_pend(plic, source);
    vplic_unlock(plic);
}

void vplic_edge(struct vplic *plic, uint32_t source)
{
    struct vplic_state *s = &plic->state;

    if (!is_source(source))
        return;
    lock_take(&plic->lock);
    if (s->claimed[source / 64] & BIT(source % 64))
        s->again[source / 64] |= BIT(source % 64);
    else
        vplic_pend(plic, source);
    vplic_unlock(plic);
}

/* --- Claim and complete --- */

/* Not affected by the threshold ["Interrupt Claim Process"]. */
static uint32_t vplic_claim(struct vplic *plic, unsigned hart)
{
    struct vplic_state *s = &plic->state;
    bool more;
    uint32_t source = vplic_best(s, hart, &more);

    if (source == 0)
        return 0;
    s->pending[source / 64] &= ~BIT(source % 64);
    s->claimed[source / 64] |= BIT(source % 64);
    if (likely(!more && s->enabled_by[source] == 1u << hart))
        vplic_set_line(plic, hart, false);
    else
        vplic_update_source(plic, source);
    return source;
}

static void vplic_complete(struct vplic *plic, unsigned hart, uint32_t source)
{
    struct vplic_state *s = &plic->state;
    unsigned w = source / 64;
    uint64_t bit = BIT(source % 64);

    if (!is_source(source) || !(s->enabled[hart][w] & bit) || !(s->claimed[w] & bit))
        return;
    s->claimed[w] &= ~bit;
    if ((s->wire[w] | s->again[w]) & bit)
        vplic_pend(plic, source);
    s->again[w] &= ~bit;
}

/* --- Registers --- */

static void vplic_write_priority(struct vplic *plic, uint32_t source, uint32_t value)
{
    struct vplic_state *s = &plic->state;

    if (!is_source(source))
        return;
    s->priority[source] = value & VPLIC_PRIORITY;
    for (unsigned p = 0; p < VPLIC_PRIORITY; p++) {
        uint64_t *word = &s->above[p][source / 64];

        *word = s->priority[source] > p ? *word | BIT(source % 64) : *word & ~BIT(source % 64);
    }
    vplic_update_source(plic, source);
}

static uint32_t word_half(const uint64_t words[VPLIC_WORDS], unsigned reg)
{
    return reg < REGISTERS ? (uint32_t)(words[reg / 2] >> (reg % 2 * 32)) : 0;
}

static void vplic_write_enable(struct vplic *plic, unsigned hart, unsigned reg, uint32_t value)
{
    struct vplic_state *s = &plic->state;
    uint64_t mask, now, *word;

    if (reg >= REGISTERS)
        return;
    word = &s->enabled[hart][reg / 2];
    mask = sources[reg / 2] & BITS(31, 0) << (reg % 2 * 32);
    now = (*word & ~mask) | ((uint64_t)value << (reg % 2 * 32) & mask);
    for (uint64_t changed = *word ^ now; changed != 0; changed &= changed - 1)
        s->enabled_by[reg / 2 * 64 + bit_lowest(changed)] ^= 1u << hart;
    *word = now;
    vplic_update_hart(plic, hart);
}

/* The hart whose context this is; false: machine level, or no such hart. */
static bool context_hart(const struct vplic *plic, uint64_t context, unsigned *hart)
{
    *hart = (unsigned)(context / 2);
    return context % 2 == 1 && context / 2 < plic->hart_count;
}

static uint32_t vplic_read_context(struct vplic *plic, uint64_t offset)
{
    unsigned hart;

    if (!context_hart(plic, offset / CONTEXT_STRIDE, &hart))
        return 0;
    switch (offset % CONTEXT_STRIDE) {
    case CONTEXT_CLAIM:
        return vplic_claim(plic, hart);
    case CONTEXT_LIMIT:
        return plic->state.threshold[hart];
    }
    return 0;
}

static void vplic_write_context(struct vplic *plic, uint64_t offset, uint32_t value)
{
    unsigned hart;

    if (!context_hart(plic, offset / CONTEXT_STRIDE, &hart))
        return;
    switch (offset % CONTEXT_STRIDE) {
    case CONTEXT_CLAIM:
        vplic_complete(plic, hart, value);
        break;
    case CONTEXT_LIMIT:
        plic->state.threshold[hart] = value & VPLIC_PRIORITY;
        vplic_update_hart(plic, hart);
        break;
    }
}

static uint32_t vplic_read_low(const struct vplic *plic, uint64_t offset)
{
    const struct vplic_state *s = &plic->state;
    unsigned hart;

    if (offset < PENDING)
        return offset / 4 <= VPLIC_SOURCES ? s->priority[offset / 4] : 0;
    if (offset < ENABLE)
        return word_half(s->pending, (unsigned)(offset - PENDING) / 4);
    if (!context_hart(plic, (offset - ENABLE) / ENABLE_STRIDE, &hart))
        return 0;
    return word_half(s->enabled[hart], (unsigned)(offset - ENABLE) % ENABLE_STRIDE / 4);
}

static void vplic_write_low(struct vplic *plic, uint64_t offset, uint32_t value)
{
    unsigned hart;

    if (offset < PENDING)
        vplic_write_priority(plic, (uint32_t)offset / 4, value);
    else if (offset >= ENABLE && context_hart(plic, (offset - ENABLE) / ENABLE_STRIDE, &hart))
        vplic_write_enable(plic, hart, (unsigned)(offset - ENABLE) % ENABLE_STRIDE / 4, value);
}

uint64_t vplic_read(struct vplic *plic, uint64_t offset, unsigned width)
{
    uint32_t value;

    if (width != 4 || offset % 4 != 0)
        return 0;
    lock_take(&plic->lock);
    if (offset >= CONTEXT)
        value = vplic_read_context(plic, offset - CONTEXT);
    else
        value = vplic_read_low(plic, offset);
    vplic_unlock(plic);
    return value;
}

void vplic_write(struct vplic *plic, uint64_t offset, unsigned width, uint64_t value)
{
    if (width != 4 || offset % 4 != 0)
        return;
    lock_take(&plic->lock);
    if (offset >= CONTEXT)
        vplic_write_context(plic, offset - CONTEXT, (uint32_t)value);
    else
        vplic_write_low(plic, offset, (uint32_t)value);
    vplic_unlock(plic);
}

/* --- Making one --- */

void vplic_init(struct vplic *plic, unsigned harts, struct vplic_owner *owner)
{
    assert(harts > 0 && harts <= VPLIC_HARTS_MAX);
    memset(plic, 0, sizeof(*plic));
    lock_init(&plic->lock, RANK_IRQCHIP, "vplic");
    plic->hart_count = harts;
    plic->owner = owner;
    vplic_reset(plic);
}

static void vplic_reset_locked(struct vplic *plic, const uint64_t wire[VPLIC_WORDS])
{
    struct vplic_state *s = &plic->state;

    memset(s, 0, sizeof(*s));
    for (unsigned w = 0; w < VPLIC_WORDS; w++)
        s->wire[w] = s->pending[w] = wire[w];
    plic->kicks = 0;
    atomic_store(&plic->lines, 0);
}

void vplic_reset(struct vplic *plic)
{
    uint64_t wire[VPLIC_WORDS];

    lock_take(&plic->lock);
    memcpy(wire, plic->state.wire, sizeof(wire));
    vplic_reset_locked(plic, wire);
    lock_drop(&plic->lock);
}

/* --- Snapshots --- */

static void vplic_state_sources(struct vplic_state *p, struct state *s)
{
    STATE_ARRAY(s, p->wire);
    STATE_ARRAY(s, p->pending);
    STATE_ARRAY(s, p->claimed);
    STATE_ARRAY(s, p->again);
    STATE_ARRAY(s, p->priority);
    for (unsigned w = 0; w < VPLIC_WORDS; w++) {
        state_require(s, !((p->wire[w] | p->pending[w] | p->claimed[w]) & ~sources[w]),
                      "no such source");
        state_require(s, !(p->pending[w] & p->claimed[w]) && !(p->again[w] & ~p->claimed[w]),
                      "a source that is pending and claimed");
    }
    for (uint32_t source = 0; source <= VPLIC_SOURCES; source++)
        state_require(s, p->priority[source] <= (source == 0 ? 0 : VPLIC_PRIORITY),
                      "no such priority");
}

static void vplic_state_hart(struct vplic_state *p, unsigned hart, struct state *s)
{
    STATE_ARRAY(s, p->enabled[hart]);
    STATE(s, p->threshold[hart]);
    for (unsigned w = 0; w < VPLIC_WORDS; w++)
        state_require(s, !(p->enabled[hart][w] & ~sources[w]), "no such source");
    state_require(s, p->threshold[hart] <= VPLIC_PRIORITY, "no such priority");
}

/* What is kept twice, and the lines. */
static void vplic_loaded(struct vplic *plic)
{
    struct vplic_state *p = &plic->state;

    for (unsigned hart = 0; hart < plic->hart_count; hart++)
        for (uint32_t source = 1; source <= VPLIC_SOURCES; source++)
            if (p->enabled[hart][source / 64] >> source % 64 & 1)
                p->enabled_by[source] |= 1u << hart;
    for (uint32_t source = 1; source <= VPLIC_SOURCES; source++)
        vplic_write_priority(plic, source, p->priority[source]);
    for (unsigned hart = 0; hart < plic->hart_count; hart++)
        vplic_update_hart(plic, hart);
}

/* The wires are loaded too: devices that have them up raise them once more, which is no edge. */
void vplic_state(struct vplic *plic, struct state *s)
{
    unsigned harts = plic->hart_count;
    uint64_t wire[VPLIC_WORDS];

    lock_take(&plic->lock);
    memcpy(wire, plic->state.wire, sizeof(wire));
    state_section(s, "plic", 1);
    STATE(s, harts);
    state_require(s, harts == plic->hart_count, "another number of harts");
    if (state_loading(s))
        vplic_reset_locked(plic, wire);
    vplic_state_sources(&plic->state, s);
    for (unsigned hart = 0; hart < plic->hart_count; hart++)
        vplic_state_hart(&plic->state, hart, s);
    if (state_loading(s) && state_ok(s))
        vplic_loaded(plic);
    else if (state_loading(s))
        vplic_reset_locked(plic, wire);
    vplic_unlock(plic);
}
