/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All interleavings of posters with the vCPU that takes what they post into its IRR. vlapic.c is
 * included a second time, under other names, with each atomic operation that changes something
 * preceded by explorer_step(); so is each look of the vCPU.
 */
#include "tests/host/explorer.h"
#include "tests/host/test.h"
#include "vcpu/irqchip/vlapic.h"

#define vlapic_post       scene_lapic_post
#define vlapic_accept     scene_lapic_accept
#define vlapic_write_cr8  scene_lapic_write_cr8
#define vlapic_init_reset scene_lapic_init_reset
#define vlapic_reset      scene_lapic_reset
#define vlapics_init      scene_lapic_init
#define vlapics_send      scene_lapic_send
#define vlapic_local      scene_lapic_local
#define vlapic_error      scene_lapic_error
#define vlapic_write_tpr  scene_lapic_write_tpr
#define vlapic_end        scene_lapic_end
#define vlapic_level_end  scene_lapic_level_end
#define vlapic_send_icr   scene_lapic_send_icr
#define vlapic_send_self  scene_lapic_send_self
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(p, v, order)                                                      \
    (explorer_step(), __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(p, v, order)                                                     \
    (explorer_step(), __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
void vlapics_init(struct vlapics *all, unsigned count, struct vlapic_owner *owner);
void vlapic_reset(struct vlapic *lapic);
void vlapic_init_reset(struct vlapic *lapic);
bool vlapics_send(struct vlapics *all, const struct vlapic_message *message);
bool vlapic_post(struct vlapic *lapic, uint8_t vector, bool level);
void vlapic_write_cr8(struct vlapic *lapic, uint64_t value);
void vlapic_level_end(struct vlapic *lapic, unsigned vector);
bool vlapic_accept(struct vlapic *lapic, unsigned vector);
#include "vcpu/irqchip/vlapic.c"

#define LOOKER 0u

static struct vlapics lapics;
static struct vlapic *const lapic = &lapics.cpu[0];
static bool sleeps, kicked;
static uint8_t vectors[EXPLORER_ACTORS_MAX];
static unsigned posts[EXPLORER_ACTORS_MAX];
static bool levels;
static unsigned posted[256], seen[256], kicks, eois;

static void on_kick(struct vlapic_owner *, unsigned)
{
    explorer_step();
    kicked = true;
    kicks++;
}

static void on_eoi(struct vlapic_owner *, uint8_t)
{
    eois++;
}

static struct vlapic_owner owner = {.kick = on_kick, .eoi = on_eoi};

static void poster(void)
{
    uint8_t vector = vectors[explorer_self()];
    unsigned count = posts[explorer_self()];

    for (unsigned i = 0; i < count; i++) {
        posted[vector]++;
        ASSERT(scene_lapic_post(lapic, vector, levels));
    }
    explorer_finish();
}

/* Takes and ends what there is, then sleeps until it is kicked. */
static void looker(void)
{
    for (;;) {
        explorer_step();
        unsigned vector = vlapic_highest(lapic);
        if (vector == 0) {
            sleeps = true;
            explorer_step();
            sleeps = kicked = false;
            continue;
        }
        scene_lapic_accept(lapic, vector);
        seen[vector] = posted[vector];
        scene_lapic_end(lapic);
    }
}

static bool able(unsigned actor)
{
    return actor != LOOKER || !sleeps || kicked;
}

static void scene_start(void)
{
    scene_lapic_init(&lapics, 1, &owner);
    atomic_store(&lapic->state.svr, 0x1ff);
    memset(posted, 0, sizeof(posted));
    memset(seen, 0, sizeof(seen));
    sleeps = kicked = false;
    kicks = eois = 0;
}

/* Each possible order; how many there are. */
static unsigned scene_all(uint8_t vector1, unsigned posts1, uint8_t vector2, unsigned posts2)
{
    static void (*const fns[])(void) = {looker, poster, poster};
    unsigned scenes = 0;

    vectors[1] = vector1;
    vectors[2] = vector2;
    posts[1] = posts1;
    posts[2] = posts2;
    explorer_cast(posts2 ? 3 : 2, fns, able);
    do {
        scene_start();
        explorer_run(false);
        ASSERT_EQ(seen[vector1], posted[vector1]); /* The last one was taken after it came. */
        ASSERT_EQ(seen[vector2], posted[vector2]);
        ASSERT_EQ(vlapic_waiting(lapic), 0);
        ASSERT_EQ(lapic->state.isr_words, 0);
        ASSERT(kicks >= 1 && kicks <= posts1 + posts2);
        ASSERT(levels ? eois >= 1 : eois == 0);
        scenes++;
    } while (explorer_next());
    return scenes;
}

TEST(no_interleaving_of_a_poster_with_a_vcpu_loses_a_vector)
{
    for (unsigned i = 0; i < 2; i++) {
        levels = i;
        ASSERT(scene_all(0x41, 3, 0, 0) > 500);
    }
}

TEST(no_interleaving_of_two_posters_with_a_vcpu_loses_a_vector)
{
    /* The same, of one word, of two, of one class. */
    static const uint8_t pairs[][2] = {{0x41, 0x41}, {0x41, 0x61}, {0x41, 0xf1}, {0x41, 0x42}};

    for (unsigned i = 0; i < 2 * ARRAY_SIZE(pairs); i++) {
        levels = i % 2;
        ASSERT(scene_all(pairs[i / 2][0], 1, pairs[i / 2][1], 1) > 500);
    }
}
