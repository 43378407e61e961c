/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt controllers of riscv64 guests, saved, and loaded into ones that were just made. */
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/host/state_rig.h"
#include "vcpu/arch_vcpu.h"
#include "vcpu/irqchip/vaplic.h"
#include "vcpu/irqchip/vimsic.h"
#include "vcpu/irqchip/vplic.h"

#define HARTS           4u
#define ENABLE(hart)    (0x2000u + 0x80u * (2 * (hart) + 1))
#define THRESHOLD(hart) (0x200000u + 0x1000u * (2 * (hart) + 1))
#define CLAIM(hart)     (THRESHOLD(hart) + 4u)

static struct state_rig rig;
static uint32_t kicked;
static unsigned msis;
static uint32_t msi_identity;

static void on_kick([[maybe_unused]] struct vplic_owner *owner, unsigned hart)
{
    kicked |= 1u << hart;
}

static void on_msi([[maybe_unused]] struct vaplic_owner *owner, [[maybe_unused]] uint32_t hart,
                   uint32_t identity)
{
    msis++;
    msi_identity = identity;
}

static struct vplic_owner plic_owner = {.kick = on_kick};
static struct vaplic_owner aplic_owner = {.msi = on_msi};

/* Each byte less, and each bit other, than what was saved. */
static void damage(enum err (*load)(void), void (*use)(void))
{
    for (size_t limit = 0; limit < rig.size; limit++) {
        rig.limit = limit;
        ASSERT_ERR(E_INVALID, load());
        use();
    }
    rig.limit = rig.size;
    for (size_t bit = 0; bit < rig.size * 8; bit++) {
        rig.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        err_ignore(load());
        use();
        rig.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ASSERT_OK(load());
}

/* --- PLIC --- */

static struct vplic plic;

static uint32_t get(uint64_t offset)
{
    return (uint32_t)vplic_read(&plic, offset, 4);
}

static void set(uint64_t offset, uint32_t value)
{
    vplic_write(&plic, offset, 4, value);
}

static void plic_save(void)
{
    state_rig_save(&rig, 0);
    vplic_state(&plic, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
}

static enum err plic_load(void)
{
    vplic_init(&plic, HARTS, &plic_owner);
    state_rig_load(&rig, 0);
    vplic_state(&plic, &rig.state);
    return state_rig_end(&rig);
}

/* 10: pending for hart 1; 70: claimed by hart 2, its wire up; 20: claimed, an edge behind it. */
static void plic_start(void)
{
    vplic_init(&plic, HARTS, &plic_owner);
    for (unsigned hart = 1; hart < 3; hart++) {
        set(ENABLE(hart), hart == 1 ? 1u << 10 : 1u << 20);
        set(ENABLE(hart) + 8, hart == 1 ? 0 : 1u << 6);
    }
    set(4 * 10, 3);
    set(4 * 20, 1);
    set(4 * 70, 7);
    set(THRESHOLD(1), 2);
    vplic_set_wire(&plic, 70, true);
    ASSERT_EQ(get(CLAIM(2)), 70);
    vplic_edge(&plic, 20);
    ASSERT_EQ(get(CLAIM(2)), 20);
    vplic_edge(&plic, 20);
    vplic_set_wire(&plic, 10, true);
    vplic_set_wire(&plic, 10, false);
    kicked = 0;
}

static void plic_use(void)
{
    for (uint32_t source = 0; source < 100; source++)
        vplic_edge(&plic, source);
    for (unsigned hart = 0; hart < HARTS; hart++)
        for (unsigned i = 0; i < 5; i++)
            set(CLAIM(hart), get(CLAIM(hart)));
}

TEST(a_plic_keeps_what_is_pending_claimed_and_enabled)
{
    plic_start();
    plic_save();
    ASSERT_OK(plic_load());
    ASSERT_EQ(kicked, 1u << 1);
    ASSERT(vplic_line(&plic, 1) && !vplic_line(&plic, 2));
    ASSERT_EQ(get(THRESHOLD(1)), 2);
    ASSERT_EQ(get(4 * 70), 7);
    ASSERT_EQ(get(ENABLE(2)), 1u << 20);
    vplic_set_wire(&plic, 70, true); /* The device, that has it up still: no second request. */
    ASSERT_EQ(get(CLAIM(2)), 0);
    ASSERT_EQ(get(CLAIM(1)), 10);
    set(CLAIM(2), 70);
    ASSERT_EQ(get(CLAIM(2)), 70);
    set(CLAIM(2), 20);
    ASSERT_EQ(get(CLAIM(2)), 20);
    vplic_set_wire(&plic, 70, false);
    set(CLAIM(2), 70);
    set(CLAIM(2), 20);
    ASSERT_EQ(get(CLAIM(2)), 0);
}

TEST(a_plic_takes_no_state_that_is_damaged)
{
    plic_start();
    plic_save();
    damage(plic_load, plic_use);
}

TEST(a_plic_of_another_number_of_harts_is_refused)
{
    plic_start();
    plic_save();
    vplic_init(&plic, HARTS - 1, &plic_owner);
    state_rig_load(&rig, 0);
    vplic_state(&plic, &rig.state);
    ASSERT_ERR(E_INVALID, state_rig_end(&rig));
    ASSERT(strcmp(rig.state.why, "another number of harts") == 0);
}

/* --- APLIC --- */

static struct vaplic aplic;

static void aplic_set(uint64_t offset, uint32_t value)
{
    vaplic_write(&aplic, offset, 4, value);
}

static uint32_t aplic_get(uint64_t offset)
{
    return (uint32_t)vaplic_read(&aplic, offset, 4);
}

static void aplic_save(void)
{
    state_rig_save(&rig, 0);
    vaplic_state(&aplic, &rig.state);
    ASSERT_OK(state_rig_end(&rig));
}

static enum err aplic_load(void)
{
    vaplic_init(&aplic, &aplic_owner);
    state_rig_load(&rig, 0);
    vaplic_state(&aplic, &rig.state);
    return state_rig_end(&rig);
}

/* 5: an edge that waits for its enable; 40: a level, up and sent; 96: an inverted one. */
static void aplic_start(void)
{
    vaplic_init(&aplic, &aplic_owner);
    aplic_set(0, 0x100);
    aplic_set(4 * 5, 4);
    aplic_set(4 * 40, 6);
    aplic_set(4 * 96, 7);
    for (uint32_t source = 1; source <= 96; source++)
        aplic_set(0x3000 + 4 * source, 100 + source);
    vaplic_set_wire(&aplic, 96, true);
    vaplic_set_wire(&aplic, 5, true);
    vaplic_set_wire(&aplic, 5, false);
    aplic_set(0x1edc, 40);
    vaplic_set_wire(&aplic, 40, true);
    aplic_set(0x3000, 77); /* genmsi */
    msis = 0;
}

static void aplic_use(void)
{
    for (uint32_t source = 0; source < 100; source++) {
        vaplic_set_wire(&aplic, source, true);
        vaplic_set_wire(&aplic, source, false);
        aplic_set(0x1edc, source);
        aplic_set(0x1cdc, source);
    }
}

TEST(an_aplic_keeps_its_sources_and_sends_nothing_twice)
{
    aplic_start();
    aplic_save();
    ASSERT_OK(aplic_load());
    vaplic_set_wire(&aplic, 40, true); /* The device, that has it up still. */
    ASSERT_EQ(msis, 0);
    ASSERT_EQ(aplic_get(0x1c00), 1u << 5);
    ASSERT_EQ(aplic_get(4 * 96), 7);
    ASSERT_EQ(aplic_get(0x3000), 77);
    ASSERT_EQ(aplic_get(0x1d00 + 4), 1u << 8); /* The input of 40. */
    aplic_set(0x1edc, 5);
    ASSERT_EQ(msis, 1);
    ASSERT_EQ(msi_identity, 105);
    aplic_set(0x1cdc, 40); /* Still up: once more, as its driver asks. */
    ASSERT_EQ(msi_identity, 140);
    aplic_set(0x1edc, 96);
    vaplic_set_wire(&aplic, 96, false);
    ASSERT_EQ(msi_identity, 196);
}

TEST(an_aplic_takes_no_state_that_is_damaged)
{
    aplic_start();
    aplic_save();
    damage(aplic_load, aplic_use);
}

/* --- Interrupt files --- */

TEST(an_interrupt_file_is_taken_out_and_put_back)
{
    static struct vimsic file, other;
    struct arch_guest_file contents;

    vimsic_reset(&file);
    vimsic_reset(&other);
    file.delivery = true;
    file.threshold = 100;
    file.enabled[1] = BIT(6) | BIT(7);
    ASSERT(vimsic_msi(&file, 70) && vimsic_msi(&file, 200));
    vimsic_get(&file, &contents);
    ASSERT(vimsic_set(&other, &contents));
    ASSERT(vimsic_line(&other));
    ASSERT_EQ(vimsic_top_claim(&other) >> 16, 70);
    ASSERT(!vimsic_line(&other));
    other.threshold = 0;
    other.enabled[3] = ~0ull;
    ASSERT_EQ(vimsic_top_claim(&other) >> 16, 200);
}

TEST(an_interrupt_file_takes_no_more_than_it_has)
{
    static struct vimsic file;
    struct arch_guest_file good = {.delivery = 1, .threshold = 255}, contents;

    vimsic_reset(&file);
    for (unsigned wrong = 0; wrong < 6; wrong++) {
        contents = good;
        if (wrong == 0)
            contents.delivery = 2;
        else if (wrong == 1)
            contents.threshold = 256;
        else if (wrong == 2)
            contents.pending[0] = 1;
        else if (wrong == 3)
            contents.enabled[0] = 1;
        else if (wrong == 4)
            contents.pending[VIMSIC_WORDS] = 1;
        else
            contents.enabled[ARCH_GUEST_FILE_WORDS - 1] = 1;
        ASSERT(!vimsic_set(&file, &contents));
        ASSERT(!file.delivery);
    }
    ASSERT(vimsic_set(&file, &good));
}
