/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors of a guest's local APIC in the hardware: IRR, ISR, TPR and PPR are in a page of their
 * own. The processor takes the most urgent vector when the guest can, ends it, and sends it to the
 * guest itself, all without an exit. Ends of level-triggered vectors exit. In xAPIC mode what the
 * guest writes to TPR and EOI, and its reads of TPR, are taken to that page where stage 2 has the
 * window's at the local APIC's address; its other accesses there exit. [SDM 3, chapter 30]
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/trap.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "mm/page.h"

#define MSR_VMX_CPU2      0x48bu
#define MSR_VMX_TRUE_PIN  0x48du
#define MSR_VMX_TRUE_CPU  0x48eu
#define MSR_VMX_TRUE_EXIT 0x48fu

#define CPU2_VECTORS      ((uint32_t)(VMX_CPU2_X2APIC | VMX_CPU2_VECTORS))
#define CPU2_WINDOW       ((uint32_t)(VMX_CPU2_APIC_WINDOW | VMX_CPU2_VECTORS))
#define CPU_CR8           ((uint32_t)(VMX_CPU_CR8_LOAD | VMX_CPU_CR8_STORE))

/* Registers in the page. Arrays have 32 bits in each 16 bytes. */
#define PAGE_TPR          0x080u
#define PAGE_ISR          0x100u
#define PAGE_IRR          0x200u

/* Of its own: the posted-interrupt descriptor, in 64 bytes that no register is in. [30.6] */
#define PAGE_POSTED       0xc00u

struct posted {
    _Atomic uint64_t requests[ARCH_APIC_WORDS];
    _Atomic uint64_t control;
    uint64_t reserved[3];
};
#define POSTED_ON BIT(0) /* A notification is under way. */

_Static_assert(sizeof(struct posted) == 64, "as the manual has it");

/* GUEST_VECTORS: the most urgent that waits, and that is in service. */
#define VECTORS_WAITING BITS(7, 0)
#define VECTORS_SERVED  BITS(15, 8)

/* Vectors need the TPR, the others need vectors. */
static bool want_tpr = true, want_window = true, want_vectors = true, want_reads = true;
static bool want_posted = true;
BOOT_OPTION(want_tpr, "vmx.tpr-shadow", "the TPR of guests in hardware");
BOOT_OPTION(want_window, "vmx.apic-access", "local APICs of guests in xAPIC mode in hardware");
BOOT_OPTION(want_vectors, "vmx.virtual-interrupts", "vectors of guests in hardware");
BOOT_OPTION(want_posted, "vmx.posted-interrupts", "vectors of other processors without an exit");
BOOT_OPTION(want_reads, "vmx.apic-registers", "reads of guests' local APICs in hardware");

/* The TPR alone is of no use here: the vectors that it holds back would be elsewhere. */
[[gnu::cold]] uint8_t vmx_apic_find(void)
{
    uint32_t may = (uint32_t)(msr_read(MSR_VMX_TRUE_CPU) >> 32);
    uint32_t may2 = (uint32_t)(msr_read(MSR_VMX_CPU2) >> 32);
    uint8_t found = (uint8_t)VMX_APIC_VECTORS;

    if (!want_tpr || !want_vectors || !(may & VMX_CPU_TPR_SHADOW) ||
        (may2 & CPU2_VECTORS) != CPU2_VECTORS)
        return 0;
    if (want_window && (may2 & VMX_CPU2_APIC_WINDOW))
        found |= (uint8_t)VMX_APIC_WINDOW;
    if (want_reads && (may2 & VMX_CPU2_APIC_READS))
        found |= (uint8_t)VMX_APIC_READS;
    if (want_posted && (msr_read(MSR_VMX_TRUE_PIN) >> 32 & VMX_PIN_POSTED) &&
        (msr_read(MSR_VMX_TRUE_EXIT) >> 32 & VMX_EXIT_ACKNOWLEDGE))
        found |= (uint8_t)VMX_APIC_POSTED;
    return found;
}

[[gnu::cold]] void vmx_apic_print(uint8_t features)
{
    if (!(features & VMX_APIC_VECTORS)) {
        log_info("vmx: vectors of guests by software");
        return;
    }
    log_info("vmx: vectors of guests in hardware%s%s%s",
             features & VMX_APIC_POSTED ? ", posted" : "",
             features & VMX_APIC_READS ? "" : ", reads by software",
             features & VMX_APIC_WINDOW ? "" : ", x2APIC alone");
}

/* All guests' alike: nobody gets to what is in it. */
hpa_t vmx_apic_window(void)
{
    static alignas(PAGE_SIZE) uint8_t window[PAGE_SIZE];

    return vmx_host.apic & VMX_APIC_WINDOW ? ptr_to_phys(window) : hpa(0);
}

enum err vmx_apic_init(struct arch_vcpu *vcpu)
{
    if (!vmx_host.apic)
        return OK;
    vcpu->apic_page = page_alloc_zeroed(0);
    return vcpu->apic_page ? OK : E_NOMEM;
}

static volatile uint32_t *page_reg(const struct arch_vcpu *vcpu, unsigned offset)
{
    return (volatile uint32_t *)((char *)vcpu->apic_page + offset);
}

uint32_t vmx_apic_tpr(const struct arch_vcpu *vcpu)
{
    return *page_reg(vcpu, PAGE_TPR) & 0xff;
}

void vmx_apic_set_tpr(struct arch_vcpu *vcpu, uint32_t value)
{
    *page_reg(vcpu, PAGE_TPR) = value;
}

static struct posted *page_posted(const struct arch_vcpu *vcpu)
{
    return (struct posted *)((char *)vcpu->apic_page + PAGE_POSTED);
}

[[gnu::cold]] static unsigned page_put(const struct arch_vcpu *vcpu, unsigned offset,
                                       const uint64_t *words)
{
    unsigned top = 0;

    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++) {
        *page_reg(vcpu, offset + 32 * w) = (uint32_t)words[w];
        *page_reg(vcpu, offset + 32 * w + 16) = (uint32_t)(words[w] >> 32);
        if (words[w] != 0)
            top = 64 * w + bit_highest(words[w]);
    }
    return top;
}

[[gnu::cold]] static void page_get(const struct arch_vcpu *vcpu, unsigned offset, uint64_t *words)
{
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++)
        words[w] = *page_reg(vcpu, offset + 32 * w) |
                   (uint64_t)*page_reg(vcpu, offset + 32 * w + 16) << 32;
}

static enum vmcs_field levels_field(unsigned word)
{
    return (enum vmcs_field)(VMCS_APIC_LEVELS0 + 2 * word);
}

static void vmx_apic_levels(struct arch_vcpu *vcpu, unsigned word, uint64_t level)
{
    if (vcpu->apic_levels[word] == level)
        return;
    vcpu->apic_levels[word] = level;
    vmwrite(levels_field(word), level);
}

/* Of the page's registers xAPIC mode would have all be read there, and they are not. */
static uint32_t apic_controls2(unsigned mode)
{
    if (mode == VMX_APIC_MODE_XAPIC)
        return CPU2_WINDOW;
    if (mode == VMX_APIC_MODE_X2APIC)
        return CPU2_VECTORS | (vmx_host.apic & VMX_APIC_READS ? (uint32_t)VMX_CPU2_APIC_READS : 0);
    return 0;
}

void vmx_apic_set_controls2(struct arch_vcpu *vcpu)
{
    vmwrite(VMCS_CPU_CONTROLS2, vcpu->cpu_controls2 | apic_controls2(vcpu->apic_mode));
}

/*
 * Controls, and what exits: CR8 is in the page then. Translations from before the window know
 * nothing of it. [SDM 3, 30.4.5]
 */
[[gnu::cold]] static void vmx_apic_switch(struct arch_vcpu *vcpu, unsigned mode)
{
    uint32_t controls = vcpu->cpu_controls & ~(CPU_CR8 | (uint32_t)VMX_CPU_TPR_SHADOW);
    bool on = mode != VMX_APIC_MODE_OFF;

    if (vcpu->apic_mode == mode)
        return;
    vcpu->apic_mode = (uint8_t)mode;
    vmx_apic_set_controls2(vcpu);
    vmwrite(VMCS_MSR_MAP, ptr_to_phys(vmx_msr_map(mode == VMX_APIC_MODE_X2APIC)).v);
    if (mode == VMX_APIC_MODE_XAPIC) {
        vmwrite(VMCS_APIC_WINDOW, vmx_apic_window().v);
        vmx_flush_stage2(vcpu);
    }
    vmx_set_cpu_controls(vcpu, controls | (on ? (uint32_t)VMX_CPU_TPR_SHADOW : CPU_CR8));
    if (vmx_host.apic & VMX_APIC_POSTED) {
        vmwrite(VMCS_PIN_CONTROLS, vmx_host.pin | (on ? (uint32_t)VMX_PIN_POSTED : 0));
        vmwrite(VMCS_POSTED_VECTOR, VECTOR_POSTED);
        vmwrite(VMCS_POSTED_REQUESTS, ptr_to_phys(page_posted(vcpu)).v);
    }
    if (!on)
        return;
    vmwrite(VMCS_APIC_PAGE, ptr_to_phys(vcpu->apic_page).v);
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++)
        vmwrite(levels_field(w), vcpu->apic_levels[w]);
}

[[gnu::cold]] void vmx_apic_load(struct arch_vcpu *vcpu, const struct arch_apic *apic)
{
    unsigned waiting, served;

    vcpu->apic_loaded = apic;
    if (!apic) {
        vmx_apic_switch(vcpu, VMX_APIC_MODE_OFF);
        return;
    }
    vmx_apic_switch(vcpu, apic->x2apic ? VMX_APIC_MODE_X2APIC : VMX_APIC_MODE_XAPIC);
    *page_reg(vcpu, PAGE_TPR) = apic->tpr;
    waiting = page_put(vcpu, PAGE_IRR, apic->irr);
    served = page_put(vcpu, PAGE_ISR, apic->isr);
    vmwrite(VMCS_GUEST_VECTORS,
            field_put(VECTORS_WAITING, waiting) | field_put(VECTORS_SERVED, served));
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++)
        vmx_apic_levels(vcpu, w, apic->level[w]);
}

[[gnu::cold]] void vmx_apic_store(struct arch_vcpu *vcpu, struct arch_apic *apic)
{
    page_get(vcpu, PAGE_IRR, apic->irr);
    page_get(vcpu, PAGE_ISR, apic->isr);
    apic->tpr = vmx_apic_tpr(vcpu);
    vcpu->tpr = apic->tpr;
    vcpu->apic_loaded = false;
}

/* The guest does not run, so the page is ours. */
static void vmx_apic_add(struct arch_vcpu *vcpu, unsigned word, uint64_t bits)
{
    uint64_t vectors = vmread(VMCS_GUEST_VECTORS);
    unsigned top = 64 * word + bit_highest(bits);
    volatile uint32_t *low = page_reg(vcpu, PAGE_IRR + 32 * word);

    low[0] |= (uint32_t)bits;
    low[4] |= (uint32_t)(bits >> 32);
    if (top > field_get(VECTORS_WAITING, vectors))
        vmwrite(VMCS_GUEST_VECTORS, (vectors & VECTORS_SERVED) | top);
}

void vmx_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level)
{
    vmx_apic_levels(vcpu, word, level);
    vmx_apic_add(vcpu, word, bits);
}

/* As the hardware does it: first the mark, so that who posts later notifies anew. [30.6] */
bool vmx_apic_send(struct arch_vcpu *vcpu, unsigned vector)
{
    struct posted *posted = page_posted(vcpu);

    atomic_fetch_or(&posted->requests[vector / 64], BIT(vector % 64));
    return !(atomic_fetch_or(&posted->control, POSTED_ON) & POSTED_ON);
}

uint64_t vmx_apic_take(struct arch_vcpu *vcpu, unsigned word)
{
    struct posted *posted = page_posted(vcpu);

    if (word == 0)
        atomic_fetch_and(&posted->control, ~POSTED_ON);
    return atomic_load(&posted->requests[word]) ? atomic_exchange(&posted->requests[word], 0) : 0;
}

/* Without the mark there is nothing, or who sends it has not told of it yet. */
void vmx_apic_sync(struct arch_vcpu *vcpu)
{
    vcpu->stale &= (uint8_t)~VMX_STALE_POSTED;
    if (likely(!vcpu->apic_loaded || !(atomic_load(&page_posted(vcpu)->control) & POSTED_ON)))
        return;
    for (unsigned w = 0; w < ARCH_APIC_WORDS; w++) {
        uint64_t bits = vmx_apic_take(vcpu, w);

        if (bits != 0)
            vmx_apic_add(vcpu, w, bits);
    }
}

bool vmx_apic_pending(struct arch_vcpu *vcpu, uint32_t *ppr)
{
    uint32_t tpr = vmx_apic_tpr(vcpu), served;
    uint64_t vectors;

    vmx_apic_sync(vcpu);
    vectors = vmread(VMCS_GUEST_VECTORS);
    served = (uint32_t)field_get(VECTORS_SERVED, vectors) & 0xf0;
    *ppr = tpr >> 4 >= served >> 4 ? tpr : served;
    return field_get(VECTORS_WAITING, vectors) >> 4 > *ppr >> 4;
}

uint32_t vmx_apic_written(const struct arch_vcpu *vcpu, unsigned offset)
{
    return *page_reg(vcpu, offset & ~3u);
}
