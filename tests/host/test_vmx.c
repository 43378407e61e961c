/* SPDX-License-Identifier: Apache-2.0 */
/* Events of VMX, what an entry refuses, and EPT. Its exits are proved by guests on Bochs. */
#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/pt_ept.h"
#include "arch/x86_64/vmx_event.h"
#include "kernel/string.h"
#include "tests/host/refusal.h"
#include "tests/host/vmx_rig.h"
#include "vcpu/arch_vcpu.h"

#define NOT_CANONICAL BIT(47)

static struct vmx_fields fields;

#define F(name) fields.value[VMCS_INDEX_##name]
#define SET_SEGMENT(name, selector, limit, rights)                                                 \
    F(GUEST_##name##_SELECTOR) = (selector);                                                       \
    F(GUEST_##name##_BASE) = 0;                                                                    \
    F(GUEST_##name##_LIMIT) = (limit);                                                             \
    F(GUEST_##name##_RIGHTS) = (rights)

/* A guest in long mode that an entry would take. */
static void make_good(void)
{
    memset(&fields, 0, sizeof(fields));
    F(GUEST_CR0) = CR0_PE | CR0_NE | CR0_PG | CR0_ET;
    F(GUEST_CR3) = 0x40000;
    F(GUEST_CR4) = CR4_PAE | CR4_VMXE;
    F(GUEST_EFER) = EFER_LME | EFER_LMA;
    F(GUEST_PAT) = PAT_RESET;
    F(GUEST_DR7) = DR7_RESET;
    F(GUEST_RFLAGS) = RFLAGS_FIXED;
    F(ENTRY_CONTROLS) = VMX_ENTRY_GUEST_LONG;
    F(LINK_POINTER) = ~(uint64_t)0;
    SET_SEGMENT(CS, 8, UINT32_MAX, 0xa09b);
    SET_SEGMENT(SS, 16, UINT32_MAX, 0xc093);
    SET_SEGMENT(DS, 16, UINT32_MAX, 0xc093);
    SET_SEGMENT(ES, 0, 0, VMX_RIGHTS_UNUSABLE);
    SET_SEGMENT(FS, 0, 0, VMX_RIGHTS_UNUSABLE);
    SET_SEGMENT(GS, 0, 0, VMX_RIGHTS_UNUSABLE);
    SET_SEGMENT(LDTR, 0, 0, VMX_RIGHTS_UNUSABLE);
    SET_SEGMENT(TR, 24, 0x67, 0x8b);
}

/* As after a reset. */
static void make_real(void)
{
    make_good();
    F(GUEST_CR0) = CR0_NE | CR0_ET;
    F(GUEST_CR4) = CR4_VMXE;
    F(GUEST_EFER) = 0;
    F(ENTRY_CONTROLS) = 0;
    F(GUEST_RIP) = 0xfff0;
    SET_SEGMENT(CS, 0xf000, 0xffff, 0x9b);
    F(GUEST_CS_BASE) = 0xffff0000;
    SET_SEGMENT(SS, 0, 0xffff, 0x93);
    SET_SEGMENT(DS, 0, 0xffff, 0x93);
    SET_SEGMENT(LDTR, 0, 0xffff, 0x82);
}

static void make_v86(void)
{
    make_good();
    F(GUEST_EFER) = 0;
    F(ENTRY_CONTROLS) = 0;
    F(GUEST_CR4) = CR4_VMXE;
    F(GUEST_RFLAGS) |= RFLAGS_VM;
    SET_SEGMENT(CS, 0, 0xffff, 0xf3);
    SET_SEGMENT(SS, 0, 0xffff, 0xf3);
    SET_SEGMENT(DS, 0, 0xffff, 0xf3);
    SET_SEGMENT(ES, 0, 0xffff, 0xf3);
    SET_SEGMENT(FS, 0, 0xffff, 0xf3);
    SET_SEGMENT(GS, 0, 0xffff, 0xf3);
}

/* How many lines vmx_check() says, and that one of them has the words. */
static unsigned refused(const char *words)
{
    struct refusal said = {.sink.put = refusal_put};

    return refusal_says(&said, vmx_check(&fields, &vmx_rig_limits, &said.sink), words);
}

#define REFUSES_OF(make, words, change)                                                            \
    make();                                                                                        \
    change;                                                                                        \
    ASSERT_EQ(refused(words), 1u)
#define REFUSES(words, change) REFUSES_OF(make_good, words, change)

TEST(vmx_good_states_of_all_modes_are_not_refused)
{
    make_good();
    ASSERT_EQ(refused(""), 0u);
    make_real();
    ASSERT_EQ(refused(""), 0u);
    make_v86();
    ASSERT_EQ(refused(""), 0u);
    make_real();
    F(GUEST_CR0) |= CR0_PE | CR0_PG;
    F(GUEST_CR4) |= CR4_PAE;
    F(GUEST_PDPTE2) = 0x5001;
    ASSERT_EQ(refused(""), 0u);
}

TEST(vmx_wrong_control_registers_are_said)
{
    REFUSES("CR0 lacks", F(GUEST_CR0) &= ~CR0_NE);
    REFUSES("CR0 has bits", F(GUEST_CR0) |= BIT(32));
    REFUSES_OF(make_real, "CR0.PE is not", F(GUEST_CR0) |= CR0_PG);
    REFUSES("CR4 lacks", F(GUEST_CR4) &= ~CR4_VMXE);
    REFUSES("CR4 has bits", F(GUEST_CR4) |= BIT(24));
    REFUSES("CR4.CET", F(GUEST_CR4) |= BIT(23));
    REFUSES("without CR4.PAE", F(GUEST_CR4) &= ~CR4_PAE);
    REFUSES_OF(make_real, "CR4.PCIDE", F(GUEST_CR4) |= CR4_PCIDE);
    REFUSES("CR3 has bits", F(GUEST_CR3) = BIT(40));
    REFUSES("DEBUGCTL", F(GUEST_DEBUGCTL) = BIT(2));
    REFUSES("DR7", F(GUEST_DR7) |= BIT(32));
    REFUSES("SYSENTER_ESP", F(GUEST_SYSENTER_ESP) = NOT_CANONICAL);
    REFUSES("SYSENTER_EIP", F(GUEST_SYSENTER_EIP) = NOT_CANONICAL);
    REFUSES("PAT has", F(GUEST_PAT) = 2);
    REFUSES("EFER has bits", F(GUEST_EFER) |= EFER_SVME);
    REFUSES_OF(make_real, "not as the entry's mode", F(GUEST_EFER) = EFER_LME | EFER_LMA);
    REFUSES("not EFER.LME", F(GUEST_EFER) = EFER_LMA);
    make_real();
    F(ENTRY_CONTROLS) = VMX_ENTRY_GUEST_LONG;
    ASSERT_EQ(refused("without CR0.PG"), 3u); /* And PAE, and LMA. */
}

TEST(vmx_wrong_code_and_stack_segments_are_said)
{
    REFUSES("CS has a wrong type", F(GUEST_CS_RIGHTS) &= ~BIT(0));
    REFUSES("CS is a system segment", F(GUEST_CS_RIGHTS) &= ~BIT(4));
    REFUSES("CS is not present", F(GUEST_CS_RIGHTS) &= ~SEGMENT_PRESENT);
    REFUSES("CS has reserved rights", F(GUEST_CS_RIGHTS) |= BIT(8));
    REFUSES("whole pages", F(GUEST_CS_LIMIT) = 0xffff0000);
    REFUSES("above 1 MiB", F(GUEST_CS_RIGHTS) &= ~BIT(15));
    REFUSES("both L and D", F(GUEST_CS_RIGHTS) |= BIT(14));
    REFUSES("CS has a base above", F(GUEST_CS_BASE) = BIT(32));
    REFUSES("not that of SS", F(GUEST_CS_RIGHTS) |= SEGMENT_DPL);
    REFUSES("conforms", F(GUEST_CS_RIGHTS) |= SEGMENT_DPL | BIT(2));
    REFUSES_OF(make_real, "is data", F(GUEST_CS_RIGHTS) = 0xf3);
    REFUSES("SS has a wrong type", F(GUEST_SS_RIGHTS) &= ~BIT(1));
    REFUSES("SS has a base above", F(GUEST_SS_BASE) = BIT(32));
    make_real();
    F(GUEST_CS_RIGHTS) = F(GUEST_SS_RIGHTS) = 0xf3;
    ASSERT_EQ(refused("SS has a DPL"), 2u);
}

TEST(vmx_wrong_other_segments_are_said)
{
    REFUSES("DS is not accessed", F(GUEST_DS_RIGHTS) &= ~BIT(0));
    REFUSES("DS cannot be read", F(GUEST_DS_RIGHTS) = 0xc099);
    REFUSES("DS has a base above", F(GUEST_DS_BASE) = BIT(32));
    REFUSES("FS has a base that is not canonical", F(GUEST_FS_BASE) = NOT_CANONICAL);
    REFUSES("TR is in the LDT", F(GUEST_TR_SELECTOR) |= BIT(2));
    REFUSES("TR is no busy TSS", F(GUEST_TR_RIGHTS) = 0x89);
    REFUSES("TR is no busy TSS", F(GUEST_TR_RIGHTS) = 0x83);
    REFUSES("TR is not usable", F(GUEST_TR_RIGHTS) |= VMX_RIGHTS_UNUSABLE);
    REFUSES("TR has a base", F(GUEST_TR_BASE) = NOT_CANONICAL);
    REFUSES_OF(make_real, "LDTR is in the LDT", F(GUEST_LDTR_SELECTOR) = BIT(2));
    REFUSES_OF(make_real, "LDTR is no LDT", F(GUEST_LDTR_RIGHTS) = 0x83);
    REFUSES("GDTR has a base", F(GUEST_GDTR_BASE) = NOT_CANONICAL);
    REFUSES("IDTR has a base", F(GUEST_IDTR_BASE) = NOT_CANONICAL);
    REFUSES("GDTR has a limit", F(GUEST_GDTR_LIMIT) = 0x10000);
    REFUSES("IDTR has a limit", F(GUEST_IDTR_LIMIT) = 0x10000);
    REFUSES_OF(make_v86, "base that is not that of virtual-8086", F(GUEST_GS_SELECTOR) = 1);
    REFUSES_OF(make_v86, "limit that is not that of virtual-8086", F(GUEST_CS_LIMIT) = 0xfffff);
    REFUSES_OF(make_v86, "rights that are not those of virtual-8086",
               F(GUEST_SS_RIGHTS) |= BIT(15));
}

TEST(vmx_wrong_flags_and_blocked_events_are_said)
{
    const uint64_t intr = svm_event(SVM_EVENT_INTR, 0x31), nmi = svm_event(SVM_EVENT_NMI, 2);

    REFUSES_OF(make_real, "RIP is above 4 GiB", F(GUEST_RIP) = BIT(32));
    REFUSES("RIP is not canonical", F(GUEST_RIP) = NOT_CANONICAL);
    REFUSES("RFLAGS has bits", F(GUEST_RFLAGS) |= BIT(3));
    REFUSES("RFLAGS lacks", F(GUEST_RFLAGS) &= ~RFLAGS_FIXED);
    REFUSES("RFLAGS.IF is clear", F(ENTRY_EVENT) = intr);
    REFUSES("the activity", F(GUEST_ACTIVITY) = 4);
    REFUSES("reserved bits", F(GUEST_BLOCKED) = BIT(5));
    REFUSES("STI blocks events, and", F(GUEST_BLOCKED) = VMX_BLOCKED_STI);
    REFUSES("SMIs are", F(GUEST_BLOCKED) = VMX_BLOCKED_SMI);
    REFUSES("MOV SS blocks it", F(ENTRY_EVENT) = nmi; F(GUEST_BLOCKED) = VMX_BLOCKED_MOV_SS);
    REFUSES("NMIs are blocked", F(ENTRY_EVENT) = nmi; F(GUEST_BLOCKED) = VMX_BLOCKED_NMI);
    REFUSES("not active", F(GUEST_ACTIVITY) = VMX_HALTED; F(GUEST_BLOCKED) = VMX_BLOCKED_MOV_SS);
    REFUSES("pending debug", F(GUEST_PENDING_DEBUG) = BIT(4));
    REFUSES("in a transaction", F(GUEST_PENDING_DEBUG) = VMX_PENDING_RTM);
    REFUSES("in a transaction", F(GUEST_PENDING_DEBUG) = VMX_PENDING_RTM | VMX_PENDING_ENABLED | 1);
    REFUSES("in a transaction", F(GUEST_PENDING_DEBUG) = VMX_PENDING_RTM | VMX_PENDING_ENABLED;
            F(GUEST_BLOCKED) = VMX_BLOCKED_MOV_SS);
    REFUSES("an enclave", F(GUEST_BLOCKED) = VMX_BLOCKED_ENCLAVE | VMX_BLOCKED_MOV_SS);
    REFUSES("pending step", F(GUEST_BLOCKED) = VMX_BLOCKED_MOV_SS; F(GUEST_RFLAGS) |= RFLAGS_TF);
    REFUSES("link", F(LINK_POINTER) = 0);
    make_good();
    F(GUEST_RFLAGS) |= RFLAGS_IF;
    F(ENTRY_EVENT) = intr;
    ASSERT_EQ(refused(""), 0u);
    F(GUEST_BLOCKED) = VMX_BLOCKED_STI;
    ASSERT_EQ(refused("STI or MOV SS block it"), 1u);
}

TEST(vmx_events_that_do_not_end_an_activity_are_said)
{
    const struct {
        uint64_t event;
        bool halted, shutdown;
    } events[] = {
        {svm_event(SVM_EVENT_INTR, 0x31), true, false},
        {svm_event(SVM_EVENT_NMI, 2), true, true},
        {svm_event(SVM_EVENT_EXCEPTION, VECTOR_MC), true, true},
        {svm_event(SVM_EVENT_EXCEPTION, VECTOR_DB), true, false},
        {svm_event(SVM_EVENT_EXCEPTION, VECTOR_UD), false, false},
        {svm_event(SVM_EVENT_SOFTWARE, 3), false, false},
        {svm_event(VMX_EVENT_OTHER, 0), true, false},
        {0, true, true},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
        for (uint64_t activity = VMX_ACTIVE; activity <= VMX_ACTIVITY_LAST; activity++) {
            bool taken = activity == VMX_ACTIVE     ? true
                         : activity == VMX_HALTED   ? events[i].halted
                         : activity == VMX_SHUTDOWN ? events[i].shutdown
                                                    : events[i].event == 0;

            make_good();
            F(GUEST_RFLAGS) |= RFLAGS_IF;
            F(GUEST_ACTIVITY) = activity;
            F(ENTRY_EVENT) = events[i].event;
            ASSERT_EQ(refused(taken ? "" : "does not end"), taken ? 0u : 1u);
        }
}

TEST(vmx_each_wrong_pdpte_is_said)
{
    make_real();
    F(GUEST_CR0) |= CR0_PE | CR0_PG;
    F(GUEST_CR4) |= CR4_PAE;
    F(GUEST_PDPTE0) = 0x3;
    F(GUEST_PDPTE1) = 0x2; /* Not present. */
    F(GUEST_PDPTE3) = BIT(40) | 1;
    ASSERT_EQ(refused("PDPTE"), 2u);
}

TEST(vmx_an_interrupted_delivery_begins_again)
{
    uint64_t fault = svm_event_error(VECTOR_PF, 0x1234);
    uint32_t valid = (uint32_t)VMCB_EVENT_VALID;

    ASSERT_EQ(vmx_event_again(0, 7), 0u);
    ASSERT_EQ(vmx_event_again(0x31, 7), 0u);
    ASSERT_EQ(vmx_event_again(valid | 0x31, 7), svm_event(SVM_EVENT_INTR, 0x31));
    ASSERT_EQ(vmx_event_again(valid | 0x1202, 7), svm_event(SVM_EVENT_NMI, 2));
    ASSERT_EQ(vmx_event_again((uint32_t)fault, 0x1234), fault);
    for (uint32_t type = SVM_EVENT_SOFTWARE; type < 8; type++)
        ASSERT_EQ(vmx_event_again(valid | type << 8 | 3, 0), 0u);
}

TEST(vmx_exceptions_have_no_error_code_in_real_mode)
{
    uint64_t fault = svm_event_error(VECTOR_GP, 0x1234);

    ASSERT_EQ(vmx_event_fit(fault, true), fault);
    ASSERT_EQ(vmx_event_fit(fault, false), svm_event(SVM_EVENT_EXCEPTION, VECTOR_GP));
}

TEST(vmx_a_guest_is_open_for_events_as_its_flags_say)
{
    const uint64_t both = BIT(VIRQ_SLOT_VECTOR) | BIT(VIRQ_SLOT_NMI);

    ASSERT_EQ(vmx_event_open(0, 0, 0), BIT(VIRQ_SLOT_NMI));
    ASSERT_EQ(vmx_event_open(0, RFLAGS_IF, 0), both);
    ASSERT_EQ(vmx_event_open(0, RFLAGS_IF, VMX_BLOCKED_NMI), BIT(VIRQ_SLOT_VECTOR));
    ASSERT_EQ(vmx_event_open(0, RFLAGS_IF, VMX_BLOCKED_STI), 0u);
    ASSERT_EQ(vmx_event_open(0, RFLAGS_IF, VMX_BLOCKED_MOV_SS), 0u);
    ASSERT_EQ(vmx_event_open(svm_event(SVM_EVENT_INTR, 0x31), RFLAGS_IF, 0), 0u);
}

/* [SDM 3, tables 29-3 to 29-7] */
TEST(ept_entries_are_as_the_manual_has_them)
{
    const struct pt_attr rw = {.read = true, .write = true};
    const struct pt_attr rx = {.read = true, .execute = true};
    const struct pt_attr device = {.read = true, .write = true, .memory = PT_DEVICE};
    const struct pt_attr wo = {.write = true}, xo = {.execute = true};
    const struct pt_format *f = &pt_format_ept;

    ASSERT_EQ(f->leaf_bits(0, rw) & ~f->writable, 0x333u); /* Write-back, accessed, dirty. */
    ASSERT_EQ(f->leaf_bits(1, rx) & ~f->writable, 0x3b5u); /* A leaf of 2 MiB. */
    ASSERT_EQ(f->leaf_bits(2, device) & ~f->writable, 0x383u);
    ASSERT_EQ(f->table_bits, 0x107u);
    ASSERT_EQ(f->leaf_bits(0, wo) & 7, 3u); /* Else misconfigured, or not known everywhere. */
    ASSERT_EQ(f->leaf_bits(0, xo) & 7, 5u);
    ASSERT_EQ(f->kind(f->leaf_bits(1, (struct pt_attr){}), 1), PTE_HOLE);
}
