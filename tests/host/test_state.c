/* SPDX-License-Identifier: Apache-2.0 */
/* A model's state: what is saved comes back, and what does not fit is refused. */
#include "kernel/timer.h"
#include "tests/host/state_rig.h"

enum mood { MOOD_GOOD, MOOD_BAD };

struct model {
    uint8_t byte;
    uint16_t half;
    int32_t word;
    uint64_t large;
    bool flag;
    enum mood mood;
    _Atomic uint32_t shared;
    _Atomic bool asked;
    uint16_t fifo[3];
    uint64_t fires_at, fired_at, never;
    char text[5];
};

static struct state_rig rig;
static const struct model full = {
    .byte = 0xfe,
    .half = 0x1234,
    .word = -5,
    .large = 0x8000000000000001,
    .flag = true,
    .mood = MOOD_BAD,
    .shared = 0xcafe,
    .asked = true,
    .fifo = {1, 0xffff, 3},
    .fires_at = 1500,
    .fired_at = 400,
    .never = TICKS_NEVER,
    .text = "abcd",
};

static void model_state(struct model *m, struct state *s)
{
    state_section(s, "model", 3);
    STATE(s, m->byte);
    STATE(s, m->half);
    STATE(s, m->word);
    STATE(s, m->large);
    STATE(s, m->flag);
    STATE(s, m->mood);
    STATE(s, m->shared);
    STATE(s, m->asked);
    state_section(s, "model's end", 1);
    STATE_ARRAY(s, m->fifo);
    state_ticks(s, &m->fires_at);
    state_ticks(s, &m->fired_at);
    state_ticks(s, &m->never);
    state_bytes(s, m->text, sizeof(m->text));
    state_require(s, m->fifo[0] < 3, "its FIFO is too full");
}

static void save(void)
{
    struct model m = full;

    state_rig_save(&rig, 1000);
    model_state(&m, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
}

TEST(a_state_of_every_kind_of_field_comes_back_with_its_moments_moved)
{
    struct model m = {};

    save();
    state_rig_load(&rig, 7000);
    model_state(&m, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
    ASSERT_EQ(m.byte, 0xfe);
    ASSERT_EQ(m.half, 0x1234);
    ASSERT(m.word == -5);
    ASSERT_EQ(m.large, full.large);
    ASSERT(m.flag && m.asked);
    ASSERT_EQ(m.mood, MOOD_BAD);
    ASSERT_EQ(m.shared, 0xcafe);
    ASSERT_EQ(m.fifo[0] + m.fifo[1] + m.fifo[2], 0x10003);
    ASSERT_EQ(m.fires_at, 7500);
    ASSERT_EQ(m.fired_at, 6400);
    ASSERT_EQ(m.never, TICKS_NEVER);
    ASSERT_STR(m.text, "abcd");
}

TEST(saving_a_state_changes_nothing)
{
    struct model m = full;

    state_rig_save(&rig, 1000);
    model_state(&m, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
    ASSERT_EQ(m.fires_at, full.fires_at);
    ASSERT_EQ(m.fired_at, full.fired_at);
    ASSERT_EQ(m.large, full.large);
    ASSERT_EQ(m.shared, full.shared);
    ASSERT_STR(m.text, full.text);
}

TEST(a_state_that_was_cut_anywhere_is_refused)
{
    save();
    for (rig.limit = 0; rig.limit < rig.size; rig.limit++) {
        struct model m = {};

        state_rig_load(&rig, 1000);
        model_state(&m, &rig.state);
        ASSERT_ERR(E_INVALID, state_rig_end(&rig));
        ASSERT_STR(rig.state.why, "it ends too early");
    }
}

TEST(what_was_not_loaded_any_more_stays_as_it_was)
{
    struct model m = {.large = 77, .fires_at = 78};

    save();
    rig.limit = 40;
    state_rig_load(&rig, 1000);
    model_state(&m, &rig.state);
    ASSERT_ERR(E_INVALID, state_rig_end(&rig));
    ASSERT_EQ(m.large, 77);
    ASSERT_EQ(m.fires_at, 78);
}

TEST(a_state_refuses_another_section_and_another_version_and_what_a_model_does_not_want)
{
    struct model m = {};

    save();
    state_rig_load(&rig, 0);
    state_section(&rig.state, "mode1", 3);
    ASSERT_ERR(E_INVALID, state_rig_end(&rig));
    ASSERT_STR(rig.state.why, "another section");
    state_rig_load(&rig, 0);
    state_section(&rig.state, "model", 2);
    ASSERT_ERR(E_INVALID, state_rig_end(&rig));
    ASSERT_STR(rig.state.why, "another version");

    m = full;
    m.fifo[0] = 3;
    state_rig_save(&rig, 0);
    model_state(&m, &rig.state);
    ASSERT_OK(state_rig_end(&rig)); /* When saving, nothing is required: it is ours. */
    state_rig_load(&rig, 0);
    model_state(&m, &rig.state);
    ASSERT_ERR(E_INVALID, state_rig_end(&rig));
    ASSERT_STR(rig.state.why, "its FIFO is too full");
    ASSERT_STR(rig.state.part, "model's end");
}

TEST(the_first_refusal_of_a_state_is_the_one_that_is_told)
{
    state_rig_load(&rig, 0);
    state_refuse(&rig.state, E_NOMEM, "first");
    state_require(&rig.state, false, "second");
    ASSERT_ERR(E_NOMEM, state_rig_end(&rig));
    ASSERT_STR(rig.state.why, "first");
}
