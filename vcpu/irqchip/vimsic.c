/* SPDX-License-Identifier: Apache-2.0 */
/* The software interrupt file. [RISC-V AIA 1.0, chapter 3; sections by name] */
#include "vcpu/irqchip/vimsic.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "vcpu/arch_vcpu.h"

/* By siselect ["CSRs for external interrupts via an IMSIC"]. Of 64 bits, so odd ones are none. */
#define EIDELIVERY  0x70u
#define EITHRESHOLD 0x72u
#define EIP0        0x80u
#define EIE0        0xc0u
#define SELECT_END  0x100u

#define SETIPNUM_LE 0x000u

static uint64_t vimsic_ready(const struct vimsic *imsic, unsigned word)
{
    return atomic_load_explicit(&imsic->pending[word], memory_order_relaxed) & imsic->enabled[word];
}

/* The most urgent that is pending and enabled, the lowest number; 0: none below the threshold. */
static uint32_t vimsic_top(const struct vimsic *imsic)
{
    for (unsigned w = 0; w < VIMSIC_WORDS; w++) {
        uint64_t ready = vimsic_ready(imsic, w);
        uint32_t identity;

        if (ready == 0)
            continue;
        /* What was written before the MSI was sent is visible to who claims it. */
        atomic_thread_fence(memory_order_acquire);
        identity = 64 * w + bit_lowest(ready);
        return imsic->threshold == 0 || identity < imsic->threshold ? identity : 0;
    }
    return 0;
}

bool vimsic_line(const struct vimsic *imsic)
{
    uint64_t any = 0;

    for (unsigned w = 0; w < VIMSIC_WORDS; w++)
        any |= vimsic_ready(imsic, w);
    return imsic->delivery && any != 0 && (imsic->threshold == 0 || vimsic_top(imsic) != 0);
}

bool vimsic_msi(struct vimsic *imsic, uint64_t identity)
{
    uint64_t bit = BIT(identity % 64);

    if (identity == 0 || identity > VIMSIC_IDS)
        return false;
    return !(atomic_fetch_or_explicit(&imsic->pending[identity / 64], bit, memory_order_acq_rel) &
             bit);
}

bool vimsic_page_write(struct vimsic *imsic, uint64_t offset, unsigned width, uint64_t value)
{
    return offset == SETIPNUM_LE && width == 4 && vimsic_msi(imsic, (uint32_t)value);
}

/* --- Registers --- */

/* Word of the array at base that the selector means: VIMSIC_WORDS and more are zeros. */
static unsigned select_word(uint32_t select, uint32_t base)
{
    return (select - base) / 2;
}

bool vimsic_read(struct vimsic *imsic, uint32_t select, bool both, uint64_t *value)
{
    unsigned word;

    *value = 0;
    if (select < EIDELIVERY || select >= SELECT_END || (select >= EIP0 && select % 2 != 0))
        return false;
    if (select == EIDELIVERY) {
        *value = imsic->delivery;
    } else if (select == EITHRESHOLD) {
        *value = imsic->threshold;
    } else if (select >= EIE0) {
        word = select_word(select, EIE0);
        *value = word < VIMSIC_WORDS ? imsic->enabled[word] : 0;
    } else if (select >= EIP0) {
        word = select_word(select, EIP0);
        *value = word < VIMSIC_WORDS ? atomic_load(&imsic->pending[word]) : 0;
        if (both)
            imsic->read_pending = *value;
    }
    return true;
}

/* Of an instruction that read first, only what it changed: an MSI may have come between. */
static void write_pending(struct vimsic *imsic, unsigned word, bool both, uint64_t value)
{
    uint64_t before = both ? imsic->read_pending : ~0ull;

    if (word == 0)
        value &= ~BIT(0);
    if (both)
        atomic_fetch_or(&imsic->pending[word], value & ~before);
    else
        atomic_fetch_or(&imsic->pending[word], value);
    atomic_fetch_and(&imsic->pending[word], ~(before & ~value));
}

bool vimsic_write(struct vimsic *imsic, uint32_t select, bool both, uint64_t value)
{
    unsigned word;

    if (select < EIDELIVERY || select >= SELECT_END || (select >= EIP0 && select % 2 != 0))
        return false;
    if (select == EIDELIVERY) {
        imsic->delivery = value & 1;
    } else if (select == EITHRESHOLD) {
        imsic->threshold = (uint8_t)value;
    } else if (select >= EIE0) {
        word = select_word(select, EIE0);
        if (word < VIMSIC_WORDS)
            imsic->enabled[word] = word == 0 ? value & ~BIT(0) : value;
    } else if (select >= EIP0) {
        word = select_word(select, EIP0);
        if (word < VIMSIC_WORDS)
            write_pending(imsic, word, both, value);
    }
    return true;
}

uint64_t vimsic_top_read(const struct vimsic *imsic)
{
    uint32_t top = vimsic_top(imsic);

    return (uint64_t)top << 16 | top;
}

uint64_t vimsic_top_claim(struct vimsic *imsic)
{
    uint32_t top = vimsic_top(imsic);

    if (top != 0)
        atomic_fetch_and_explicit(&imsic->pending[top / 64], ~BIT(top % 64), memory_order_acq_rel);
    return (uint64_t)top << 16 | top;
}

void vimsic_reset(struct vimsic *imsic)
{
    for (unsigned w = 0; w < VIMSIC_WORDS; w++) {
        atomic_store(&imsic->pending[w], 0);
        imsic->enabled[w] = 0;
    }
    imsic->delivery = false;
    imsic->threshold = 0;
    imsic->read_pending = 0;
}

void vimsic_get(const struct vimsic *imsic, struct arch_guest_file *contents)
{
    *contents = (struct arch_guest_file){
        .delivery = imsic->delivery,
        .threshold = imsic->threshold,
    };
    for (unsigned w = 0; w < VIMSIC_WORDS; w++) {
        contents->pending[w] = atomic_load(&imsic->pending[w]);
        contents->enabled[w] = imsic->enabled[w];
    }
}

bool vimsic_set(struct vimsic *imsic, const struct arch_guest_file *contents)
{
    uint64_t beyond = contents->delivery & ~BIT(0);

    beyond |= (contents->pending[0] | contents->enabled[0]) & BIT(0);
    for (unsigned w = VIMSIC_WORDS; w < ARCH_GUEST_FILE_WORDS; w++)
        beyond |= contents->pending[w] | contents->enabled[w];
    if (beyond != 0 || contents->threshold > VIMSIC_IDS)
        return false;
    imsic->delivery = contents->delivery;
    imsic->threshold = (uint8_t)contents->threshold;
    imsic->read_pending = 0;
    for (unsigned w = 0; w < VIMSIC_WORDS; w++) {
        atomic_store(&imsic->pending[w], contents->pending[w]);
        imsic->enabled[w] = contents->enabled[w];
    }
    return true;
}

_Static_assert(VIMSIC_IDS == VIMSIC_WORDS * 64 - 1, "every bit but 0 is an identity");
