/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor only says that the guest's state is not valid. This finds out why, by all that it
 * checks there, with "unrestricted guest" on; what the segments of one may be is in 27.3.1.2.
 * [SDM 3, 27.3.1]
 */
#include "arch/x86_64/vmx_check.h"

#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/vmx_event.h"
#include "kernel/fmt.h"

#define CR4_CET        BIT(23)
#define DEBUGCTL_KNOWN (BITS(15, 6) | BITS(1, 0))
#define DEBUGCTL_BTF   BIT(1)
#define BLOCKED_KNOWN  BITS(4, 0)
#define PENDING_DEBUG_KNOWN                                                                        \
    (BITS(3, 0) | VMX_PENDING_ENABLED | VMX_PENDING_STEP | VMX_PENDING_RTM | BIT(11))
#define LINK_NONE           ~(uint64_t)0
#define PDPTE_RESERVED      (BITS(2, 1) | BITS(8, 5))

#define SELECTOR_LDT        BIT(2)

#define RIGHTS_TYPE         BITS(3, 0)
#define RIGHTS_CODE_OR_DATA BIT(4)
#define RIGHTS_D            BIT(14)
#define RIGHTS_G            BIT(15)
#define RIGHTS_V86          0xf3u

#define TYPE_ACCESSED       BIT(0)
#define TYPE_READABLE       BIT(1)
#define TYPE_CODE           BIT(3)
#define TYPE_LDT            2u
#define TYPE_TSS_16         3u
#define TYPE_TSS            11u

struct check {
    const uint64_t *value;
    const struct vmx_limits *limits;
    struct fmt_sink *out;
    unsigned failed;
    bool long_mode, v86;
    uint64_t cr0, rflags, event;
    unsigned cpl;
};

#define FIELD(c, name) ((c)->value[VMCS_INDEX_##name])

/* Where the fields of a segment are. */
struct segment_fields {
    const char *name;
    enum vmcs_index selector, base, limit, rights;
};

#define SEGMENT_FIELDS(text, name)                                                                 \
    {                                                                                              \
        (text), VMCS_INDEX_GUEST_##name##_SELECTOR, VMCS_INDEX_GUEST_##name##_BASE,                \
            VMCS_INDEX_GUEST_##name##_LIMIT, VMCS_INDEX_GUEST_##name##_RIGHTS                      \
    }

static const struct segment_fields code = SEGMENT_FIELDS("CS", CS);
static const struct segment_fields stack = SEGMENT_FIELDS("SS", SS);
static const struct segment_fields task = SEGMENT_FIELDS("TR", TR);
static const struct segment_fields local = SEGMENT_FIELDS("LDTR", LDTR);
static const struct segment_fields data[] = {
    SEGMENT_FIELDS("ES", ES),
    SEGMENT_FIELDS("DS", DS),
    SEGMENT_FIELDS("FS", FS),
    SEGMENT_FIELDS("GS", GS),
};

static void check(struct check *c, bool refused, const char *text)
{
    if (!refused)
        return;
    c->failed++;
    fmt_print(c->out, "  the entry refuses it: %s\n", text);
}

static void check_segment(struct check *c, bool refused, const struct segment_fields *segment,
                          const char *text)
{
    if (!refused)
        return;
    c->failed++;
    fmt_print(c->out, "  the entry refuses it: %s %s\n", segment->name, text);
}

static bool canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* --- Control registers, debug registers and MSRs. [27.3.1.1] --- */

static void check_control(struct check *c)
{
    const struct vmx_limits *limits = c->limits;
    uint64_t free = CR0_PE | CR0_PG | CR0_NW | CR0_CD; /* Of an unrestricted guest; or ignored. */
    uint64_t cr4 = FIELD(c, GUEST_CR4);

    check(c, limits->cr0_ones & ~free & ~c->cr0, "CR0 lacks bits that VMX needs");
    check(c, c->cr0 & ~limits->cr0_may & ~free, "CR0 has bits that must be zero");
    check(c, (c->cr0 & CR0_PG) && !(c->cr0 & CR0_PE), "CR0.PG is set and CR0.PE is not");
    check(c, limits->cr4_ones & ~cr4, "CR4 lacks bits that VMX needs");
    check(c, cr4 & ~limits->cr4_may, "CR4 has bits that must be zero");
    check(c, (cr4 & CR4_CET) && !(c->cr0 & CR0_WP), "CR4.CET is set and CR0.WP is not");
    check(c, c->long_mode && !(c->cr0 & CR0_PG), "long mode without CR0.PG");
    check(c, c->long_mode && !(cr4 & CR4_PAE), "long mode without CR4.PAE");
    check(c, !c->long_mode && (cr4 & CR4_PCIDE), "CR4.PCIDE is set outside of long mode");
    check(c, FIELD(c, GUEST_CR3) >> limits->physical_bits, "CR3 has bits that must be zero");
}

static bool pat_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = pat >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static void check_msrs(struct check *c)
{
    uint64_t efer = FIELD(c, GUEST_EFER);
    bool lme = efer & EFER_LME, lma = efer & EFER_LMA;

    check(c, FIELD(c, GUEST_DEBUGCTL) & ~DEBUGCTL_KNOWN, "DEBUGCTL has bits that must be zero");
    check(c, FIELD(c, GUEST_DR7) >> 32, "DR7 has bits above 31");
    check(c, !canonical(FIELD(c, GUEST_SYSENTER_ESP)), "SYSENTER_ESP is not canonical");
    check(c, !canonical(FIELD(c, GUEST_SYSENTER_EIP)), "SYSENTER_EIP is not canonical");
    check(c, !pat_valid(FIELD(c, GUEST_PAT)), "PAT has a memory type that there is not");
    check(c, efer & ~c->limits->efer, "EFER has bits that must be zero");
    check(c, lma != c->long_mode, "EFER.LMA is not as the entry's mode");
    check(c, (c->cr0 & CR0_PG) && lma != lme, "EFER.LMA is not EFER.LME, and CR0.PG is set");
}

/* --- Segments. [27.3.1.2] --- */

static bool usable(const struct check *c, const struct segment_fields *segment)
{
    return !(c->value[segment->rights] & VMX_RIGHTS_UNUSABLE);
}

/* Bits that all segments have; that are usable. */
static void check_rights(struct check *c, const struct segment_fields *segment, bool system)
{
    uint64_t rights = c->value[segment->rights], limit = c->value[segment->limit];
    bool pages = rights & RIGHTS_G;

    check_segment(c, !(rights & RIGHTS_CODE_OR_DATA) != system, segment,
                  system ? "is no system segment" : "is a system segment");
    check_segment(c, !(rights & SEGMENT_PRESENT), segment, "is not present");
    check_segment(c, rights & VMX_RIGHTS_RESERVED, segment, "has reserved rights");
    check_segment(c, pages && (limit & 0xfff) != 0xfff, segment,
                  "has a limit that is not of whole pages, and G");
    check_segment(c, !pages && limit >> 20, segment, "has a limit above 1 MiB, and not G");
}

static void check_code(struct check *c)
{
    uint64_t rights = c->value[code.rights], type = rights & RIGHTS_TYPE;
    uint64_t dpl = field_get(SEGMENT_DPL, rights);

    check_rights(c, &code, false);
    check_segment(c,
                  type != 3 && (type & (TYPE_CODE | TYPE_ACCESSED)) != (TYPE_CODE | TYPE_ACCESSED),
                  &code, "has a wrong type");
    check_segment(c, type == 3 && dpl != 0, &code, "is data, and its DPL is not 0");
    check_segment(c, (type == 9 || type == 11) && dpl != c->cpl, &code,
                  "has a DPL that is not that of SS");
    check_segment(c, type >= 13 && dpl > c->cpl, &code,
                  "conforms, and its DPL is above that of SS");
    check_segment(c, c->long_mode && (rights & VMX_RIGHTS_LONG) && (rights & RIGHTS_D), &code,
                  "has both L and D");
    check_segment(c, c->value[code.base] >> 32, &code, "has a base above 4 GiB");
}

static void check_stack(struct check *c)
{
    uint64_t type = c->value[stack.rights] & RIGHTS_TYPE;
    bool real = (c->value[code.rights] & RIGHTS_TYPE) == 3 || !(c->cr0 & CR0_PE);

    check_segment(c, real && c->cpl != 0, &stack, "has a DPL that is not 0, as CS or CR0.PE want");
    if (!usable(c, &stack))
        return;
    check_rights(c, &stack, false);
    check_segment(c, type != 3 && type != 7, &stack, "has a wrong type");
    check_segment(c, c->value[stack.base] >> 32, &stack, "has a base above 4 GiB");
}

static void check_data(struct check *c, const struct segment_fields *segment)
{
    uint64_t type = c->value[segment->rights] & RIGHTS_TYPE, base = c->value[segment->base];
    bool wide = segment->selector == VMCS_INDEX_GUEST_FS_SELECTOR ||
                segment->selector == VMCS_INDEX_GUEST_GS_SELECTOR;

    check_segment(c, wide && !canonical(base), segment, "has a base that is not canonical");
    if (!usable(c, segment))
        return;
    check_rights(c, segment, false);
    check_segment(c, !(type & TYPE_ACCESSED), segment, "is not accessed");
    check_segment(c, (type & TYPE_CODE) && !(type & TYPE_READABLE), segment, "cannot be read");
    check_segment(c, !wide && base >> 32, segment, "has a base above 4 GiB");
}

static void check_v86(struct check *c, const struct segment_fields *segment)
{
    uint64_t selector = c->value[segment->selector];

    check_segment(c, c->value[segment->base] != selector << 4, segment,
                  "has a base that is not that of virtual-8086 mode");
    check_segment(c, c->value[segment->limit] != 0xffff, segment,
                  "has a limit that is not that of virtual-8086 mode");
    check_segment(c, c->value[segment->rights] != RIGHTS_V86, segment,
                  "has rights that are not those of virtual-8086 mode");
}

static void check_system(struct check *c)
{
    uint64_t type = c->value[task.rights] & RIGHTS_TYPE;

    check_segment(c, c->value[task.selector] & SELECTOR_LDT, &task, "is in the LDT");
    check_segment(c, !usable(c, &task), &task, "is not usable");
    check_segment(c, type != TYPE_TSS && (c->long_mode || type != TYPE_TSS_16), &task,
                  "is no busy TSS");
    check_segment(c, !canonical(c->value[task.base]), &task, "has a base that is not canonical");
    check_rights(c, &task, true);
    if (!usable(c, &local))
        return;
    check_segment(c, c->value[local.selector] & SELECTOR_LDT, &local, "is in the LDT");
    check_segment(c, (c->value[local.rights] & RIGHTS_TYPE) != TYPE_LDT, &local, "is no LDT");
    check_segment(c, !canonical(c->value[local.base]), &local, "has a base that is not canonical");
    check_rights(c, &local, true);
}

static void check_segments(struct check *c)
{
    if (c->v86) {
        check_v86(c, &code);
        check_v86(c, &stack);
    } else {
        check_code(c);
        check_stack(c);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        if (c->v86)
            check_v86(c, &data[i]);
        else
            check_data(c, &data[i]);
    check_system(c);
    check(c, !canonical(FIELD(c, GUEST_GDTR_BASE)), "GDTR has a base that is not canonical");
    check(c, !canonical(FIELD(c, GUEST_IDTR_BASE)), "IDTR has a base that is not canonical");
    check(c, FIELD(c, GUEST_GDTR_LIMIT) >> 16, "GDTR has a limit above 64 KiB");
    check(c, FIELD(c, GUEST_IDTR_LIMIT) >> 16, "IDTR has a limit above 64 KiB");
}

/* --- RIP, RFLAGS, and what is in no register. [27.3.1.4 to 27.3.1.6] --- */

static void check_flags(struct check *c)
{
    bool code64 = c->long_mode && (c->value[code.rights] & VMX_RIGHTS_LONG);
    uint64_t rip = FIELD(c, GUEST_RIP);

    check(c, !code64 && rip >> 32, "RIP is above 4 GiB, and the code is not of 64 bits");
    check(c, code64 && !canonical(rip), "RIP is not canonical");
    check(c, c->rflags & ~RFLAGS_GUEST, "RFLAGS has bits that must be zero");
    check(c, !(c->rflags & RFLAGS_FIXED), "RFLAGS lacks the bit that must be one");
    check(c, c->v86 && (c->long_mode || !(c->cr0 & CR0_PE)),
          "RFLAGS.VM is set in long mode or in real mode");
    check(c, svm_event_is(c->event, SVM_EVENT_INTR) && !(c->rflags & RFLAGS_IF),
          "an interrupt is injected, and RFLAGS.IF is clear");
}

/* Whether an event may be injected while the guest does that. */
static bool wakes(uint64_t event, uint64_t activity)
{
    uint64_t vector = event & VMCB_EVENT_VECTOR;
    bool machine_check = svm_event_is(event, SVM_EVENT_EXCEPTION) && vector == VECTOR_MC;

    if (!(event & VMCB_EVENT_VALID) || activity == VMX_ACTIVE)
        return true;
    if (activity == VMX_HALTED)
        return svm_event_is(event, SVM_EVENT_INTR) || svm_event_is(event, SVM_EVENT_NMI) ||
               svm_event_is(event, VMX_EVENT_OTHER) || machine_check ||
               (svm_event_is(event, SVM_EVENT_EXCEPTION) && vector == VECTOR_DB);
    return activity == VMX_SHUTDOWN && (svm_event_is(event, SVM_EVENT_NMI) || machine_check);
}

static void check_blocked(struct check *c)
{
    uint64_t blocked = FIELD(c, GUEST_BLOCKED), activity = FIELD(c, GUEST_ACTIVITY);
    bool nmi = svm_event_is(c->event, SVM_EVENT_NMI);

    check(c, activity > VMX_ACTIVITY_LAST, "the activity is none that there is");
    check(c, activity == VMX_HALTED && c->cpl != 0, "it is halted, and its CPL is not 0");
    check(c, activity != VMX_ACTIVE && (blocked & VMX_BLOCKED_SHADOW),
          "it is not active, and STI or MOV SS block events");
    check(c, blocked & ~BLOCKED_KNOWN, "what blocks events has reserved bits");
    check(c, (blocked & VMX_BLOCKED_SHADOW) == VMX_BLOCKED_SHADOW,
          "both STI and MOV SS block events");
    check(c, (blocked & VMX_BLOCKED_STI) && !(c->rflags & RFLAGS_IF),
          "STI blocks events, and RFLAGS.IF is clear");
    check(c, svm_event_is(c->event, SVM_EVENT_INTR) && (blocked & VMX_BLOCKED_SHADOW),
          "an interrupt is injected, and STI or MOV SS block it");
    check(c, nmi && (blocked & VMX_BLOCKED_MOV_SS), "an NMI is injected, and MOV SS blocks it");
    check(c, nmi && (blocked & VMX_BLOCKED_NMI), "an NMI is injected, and NMIs are blocked");
    check(c, blocked & VMX_BLOCKED_SMI, "SMIs are blocked outside of SMM");
    check(c, (blocked & VMX_BLOCKED_ENCLAVE) && (blocked & VMX_BLOCKED_MOV_SS),
          "an enclave was interrupted, and MOV SS blocks events");
    check(c, !wakes(c->event, activity), "an event is injected that does not end its activity");
}

static void check_pending(struct check *c)
{
    uint64_t pending = FIELD(c, GUEST_PENDING_DEBUG);
    bool held =
        (FIELD(c, GUEST_BLOCKED) & VMX_BLOCKED_SHADOW) || FIELD(c, GUEST_ACTIVITY) == VMX_HALTED;
    bool step = (c->rflags & RFLAGS_TF) && !(FIELD(c, GUEST_DEBUGCTL) & DEBUGCTL_BTF);

    check(c, pending & ~PENDING_DEBUG_KNOWN, "pending debug exceptions have reserved bits");
    check(c,
          (pending & VMX_PENDING_RTM) && (pending != (VMX_PENDING_RTM | VMX_PENDING_ENABLED) ||
                                          (FIELD(c, GUEST_BLOCKED) & VMX_BLOCKED_MOV_SS)),
          "a debug exception in a transaction is pending beside others, or MOV SS blocks it");
    check(c, held && step != !!(pending & VMX_PENDING_STEP),
          "a pending step is not as RFLAGS.TF says");
    check(c, FIELD(c, LINK_POINTER) != LINK_NONE, "there is a link to another VMCS");
}

static void check_pdptes(struct check *c)
{
    uint64_t reserved = PDPTE_RESERVED | ~(uint64_t)0 << c->limits->physical_bits;

    if (c->long_mode || !(c->cr0 & CR0_PG) || !(FIELD(c, GUEST_CR4) & CR4_PAE))
        return;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t entry = c->value[VMCS_INDEX_GUEST_PDPTE0 + i];

        check(c, (entry & 1) && (entry & reserved), "a PDPTE has bits that must be zero");
    }
}

unsigned vmx_check(const struct vmx_fields *fields, const struct vmx_limits *limits,
                   struct fmt_sink *out)
{
    struct check c = {.value = fields->value, .limits = limits, .out = out};

    c.cr0 = FIELD(&c, GUEST_CR0);
    c.rflags = FIELD(&c, GUEST_RFLAGS);
    c.event = FIELD(&c, ENTRY_EVENT);
    c.long_mode = FIELD(&c, ENTRY_CONTROLS) & VMX_ENTRY_GUEST_LONG;
    c.v86 = c.rflags & RFLAGS_VM;
    c.cpl = (unsigned)field_get(SEGMENT_DPL, c.value[stack.rights]);
    check_control(&c);
    check_msrs(&c);
    check_segments(&c);
    check_flags(&c);
    check_blocked(&c);
    check_pending(&c);
    check_pdptes(&c);
    return c.failed;
}
