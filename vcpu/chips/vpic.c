/* SPDX-License-Identifier: Apache-2.0 */
/* An 8259A without inputs; see vpic.h. */
#include "vcpu/chips/vpic.h"

#include "kernel/bits.h"
#include "vcpu/state.h"

/* The port at offset 0: ICW1 has bit 4. OCW2 and OCW3 change nothing that could be seen. */
#define ICW1        BIT(4)
#define ICW1_SINGLE BIT(1) /* There is no ICW3. */
#define ICW1_WORD4  BIT(0) /* There is an ICW4. */

static uint64_t vpic_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                          unsigned width)
{
    struct vpic_state *s = &container_of(dev, struct vpic, vdev)->state;

    if (width != 1)
        return UINT64_MAX;
    return offset == 1 ? atomic_load(&s->mask) : 0; /* No request, none in service. */
}

/* Which initialization word follows; 0: none. */
static uint8_t vpic_next_word(uint8_t first, uint8_t word)
{
    if (word == 2 && !(first & ICW1_SINGLE))
        return 3;
    return word < 4 && (first & ICW1_WORD4) ? 4 : 0;
}

static void vpic_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                       unsigned width, uint64_t value)
{
    struct vpic_state *s = &container_of(dev, struct vpic, vdev)->state;
    uint8_t word = atomic_load(&s->word);

    if (width != 1)
        return;
    if (offset == 0 && (value & ICW1)) {
        atomic_store(&s->mask, 0);
        atomic_store(&s->first, (uint8_t)value);
        atomic_store(&s->word, 2);
    } else if (offset == 1 && word != 0) {
        atomic_store(&s->word, vpic_next_word(atomic_load(&s->first), word));
    } else if (offset == 1) {
        atomic_store(&s->mask, (uint8_t)value);
    }
}

static void vpic_reset(struct vdev *dev)
{
    struct vpic_state *s = &container_of(dev, struct vpic, vdev)->state;

    atomic_store(&s->mask, 0);
    atomic_store(&s->first, 0);
    atomic_store(&s->word, 0);
}

[[gnu::cold]] static void vpic_state(struct vdev *dev, struct state *state)
{
    struct vpic_state *s = &container_of(dev, struct vpic, vdev)->state;

    state_section(state, "8259", 1);
    STATE(state, s->mask);
    STATE(state, s->first);
    STATE(state, s->word);
    state_require(state, atomic_load(&s->word) <= 4, "it waits for a word that there is not");
}

static const struct vdev_ops vpic_ops = {
    .name = "8259",
    .read = vpic_read,
    .write = vpic_write,
    .reset = vpic_reset,
    .state = vpic_state,
};

void vpic_init(struct vpic *pic, uint64_t base)
{
    *pic = (struct vpic){.vdev = {.ops = &vpic_ops, .base = base, .size = VPIC_SIZE}};
}
