/* SPDX-License-Identifier: Apache-2.0 */
/* Stolen time; see vsteal.h. */
#include "vcpu/vsteal.h"

#include "mm/guestmap.h"

const struct vsteal_layout vsteal_arm = {.steal = 8, .sequence = VSTEAL_NONE};
const struct vsteal_layout vsteal_sbi = {.steal = 8, .sequence = 0};
const struct vsteal_layout vsteal_kvm = {.steal = 0, .sequence = 8};

bool vsteal_start(struct vsteal *s, struct guestmap *map, gpa_t place, uint64_t stolen_ns)
{
    if (!IS_ALIGNED(place.v, VSTEAL_SIZE) || guest_fill(map, place, 0, VSTEAL_SIZE) != OK)
        return false;
    if (!s->begun)
        s->base_ns = stolen_ns;
    s->begun = s->on = true;
    s->place = place.v;
    s->sequence = 0;
    s->told_ns = 0;
    return true;
}

/* Each store is one, so that no reader finds half of a number. Aligned, the piece is in one page.
 */
void vsteal_tell(struct vsteal *s, struct guestmap *map, const struct vsteal_layout *layout,
                 uint64_t stolen_ns)
{
    uint64_t ns = stolen_ns - s->base_ns, contiguous;
    char *piece;
    _Atomic uint32_t *sequence;

    if (ns <= s->told_ns)
        return;
    piece = guest_ptr(map, gpa(s->place), &contiguous);
    if (!piece) {
        s->on = false;
        return;
    }
    sequence = (_Atomic uint32_t *)(piece + layout->sequence);
    if (layout->sequence != VSTEAL_NONE) {
        atomic_store_explicit(sequence, ++s->sequence, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
    }
    s->told_ns = ns;
    atomic_store_explicit((_Atomic uint64_t *)(piece + layout->steal), ns, memory_order_relaxed);
    if (layout->sequence != VSTEAL_NONE)
        atomic_store_explicit(sequence, ++s->sequence, memory_order_release);
    guest_wrote(map, gpa(s->place), VSTEAL_SIZE);
}
