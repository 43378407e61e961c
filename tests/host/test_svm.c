/* SPDX-License-Identifier: Apache-2.0 */
/* Events of SVM, and what VMRUN refuses. Its exits are proved by the guests in tests/guest. */
#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/svm_event.h"
#include "kernel/string.h"
#include "tests/host/refusal.h"
#include "vcpu/arch_vcpu.h"

static const struct svm_limits limits = {
    .cr4 = BITS(11, 0) | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP,
    .efer = BIT(0) | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME,
    .physical_bits = 40,
    .asids = 16,
};

static struct vmcb vmcb;

/* A guest in long mode that VMRUN would take. */
static void make_good(void)
{
    memset(&vmcb, 0, sizeof(vmcb));
    vmcb.control.intercept[1] = (uint32_t)VMCB_VMRUN;
    vmcb.control.asid = 1;
    vmcb.control.io_map = 0x10000;
    vmcb.control.msr_map = 0x20000;
    vmcb.control.nested_control = VMCB_NESTED_PAGING;
    vmcb.control.nested_cr3 = 0x30000;
    vmcb.save.cr0 = CR0_PE | CR0_PG | CR0_ET;
    vmcb.save.cr3 = 0x40000;
    vmcb.save.cr4 = CR4_PAE;
    vmcb.save.efer = EFER_LME | EFER_LMA | EFER_SVME;
    vmcb.save.segment[SEGMENT_CS].attributes = 0xa9b;
    vmcb.save.dr6 = DR6_RESET;
    vmcb.save.dr7 = DR7_RESET;
    vmcb.save.rflags = RFLAGS_FIXED;
    vmcb.save.pat = PAT_RESET;
}

/* How many lines svm_check() says, and that one of them has the words. */
static unsigned refused(const char *words)
{
    struct refusal said = {.sink.put = refusal_put};

    return refusal_says(&said, svm_check(&vmcb, &limits, &said.sink), words);
}

TEST(svm_a_good_block_is_not_refused)
{
    make_good();
    ASSERT_EQ(refused(""), 0u);
    vmcb.save.cr0 = CR0_CD | CR0_NW | CR0_ET; /* As after a reset. */
    vmcb.save.cr3 = ~(uint64_t)0;             /* Of no meaning outside of long mode. */
    vmcb.save.efer = EFER_SVME;
    ASSERT_EQ(refused(""), 0u);
}

TEST(svm_each_mistake_is_said_in_a_line_of_its_own)
{
#define REFUSES(words, change)                                                                     \
    make_good();                                                                                   \
    change;                                                                                        \
    ASSERT_EQ(refused(words), 1u)

    REFUSES("ASID is 0", vmcb.control.asid = 0);
    REFUSES("ASID is beyond", vmcb.control.asid = 16);
    REFUSES("VMRUN is not intercepted", vmcb.control.intercept[1] = 0);
    REFUSES("I/O permission map", vmcb.control.io_map = BIT(40) - 2 * PAGE_SIZE);
    REFUSES("MSR permission map", vmcb.control.msr_map = BIT(40) - PAGE_SIZE);
    REFUSES("nested CR3", vmcb.control.nested_cr3 = BIT(40));
    REFUSES("PAT has", vmcb.save.pat = 2);
    REFUSES("PAT has", vmcb.save.pat |= BIT(63));
    REFUSES("none that exists", vmcb.control.event_inj = VMCB_EVENT_VALID | 1 << 8);
    REFUSES("CR0.NW", vmcb.save.cr0 |= CR0_NW);
    REFUSES("CR0 has bits above 31", vmcb.save.cr0 |= BIT(32));
    REFUSES("CR3 has bits", vmcb.save.cr3 = BIT(40));
    REFUSES("CR4 has bits", vmcb.save.cr4 |= BIT(22));
    REFUSES("EFER.SVME", vmcb.save.efer &= ~EFER_SVME);
    REFUSES("EFER has bits", vmcb.save.efer |= BIT(1));
    REFUSES("CR4.PAE is not", vmcb.save.cr4 = 0);
    REFUSES("CR0.PE is not", vmcb.save.cr0 &= ~CR0_PE);
    REFUSES("both L and D", vmcb.save.segment[SEGMENT_CS].attributes |= SEGMENT_BIG);
    REFUSES("DR6", vmcb.save.dr6 |= BIT(32));
    REFUSES("DR7", vmcb.save.dr7 |= BIT(63));
#undef REFUSES
    make_good();
    vmcb.control.asid = 0;
    vmcb.save.dr7 = BIT(32);
    ASSERT_EQ(refused("DR7"), 2u);
}

TEST(svm_only_events_that_exist_are_valid)
{
    ASSERT(svm_event_valid(0));
    ASSERT(svm_event_valid(1 << 8)); /* Not valid, so whatever. */
    ASSERT(svm_event_valid(svm_event(SVM_EVENT_INTR, 0xff)));
    ASSERT(svm_event_valid(svm_event(SVM_EVENT_NMI, 2)));
    ASSERT(svm_event_valid(svm_event(SVM_EVENT_SOFTWARE, 0x80)));
    ASSERT(svm_event_valid(svm_event_error(VECTOR_PF, 7)));
    ASSERT(!svm_event_valid(svm_event(SVM_EVENT_EXCEPTION, 2)));
    ASSERT(!svm_event_valid(svm_event(SVM_EVENT_EXCEPTION, 32)));
    for (unsigned type = 1; type < 8; type++)
        if (type != SVM_EVENT_NMI && type != SVM_EVENT_EXCEPTION && type != SVM_EVENT_SOFTWARE)
            ASSERT(!svm_event_valid(svm_event((enum svm_event_type)type, 0)));
}

TEST(svm_an_interrupted_delivery_begins_again)
{
    uint64_t fault = svm_event_error(VECTOR_PF, 0x1234);

    ASSERT_EQ(svm_event_again(0), 0u);
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_INTR, 0x31) & ~VMCB_EVENT_VALID), 0u);
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_INTR, 0x31)), svm_event(SVM_EVENT_INTR, 0x31));
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_NMI, 2)), svm_event(SVM_EVENT_NMI, 2));
    ASSERT_EQ(svm_event_again(fault), fault);
    ASSERT_EQ(svm_event_again(fault | VMCB_EVENT_RESERVED), fault);
}

TEST(svm_an_instruction_raises_its_event_again_by_itself)
{
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_SOFTWARE, 0x80)), 0u);
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_EXCEPTION, 3)), 0u); /* INT3 */
    ASSERT_EQ(svm_event_again(svm_event(SVM_EVENT_EXCEPTION, 4)), 0u); /* INTO */
}

TEST(svm_a_guest_is_open_for_events_as_its_flags_say)
{
    const uint64_t both = BIT(VIRQ_SLOT_VECTOR) | BIT(VIRQ_SLOT_NMI);

    make_good();
    ASSERT_EQ(svm_event_open(&vmcb, false), BIT(VIRQ_SLOT_NMI));
    ASSERT_EQ(svm_event_open(&vmcb, true), 0u);
    vmcb.save.rflags |= RFLAGS_IF;
    ASSERT_EQ(svm_event_open(&vmcb, false), both);
    ASSERT_EQ(svm_event_open(&vmcb, true), BIT(VIRQ_SLOT_VECTOR));
    vmcb.control.int_state = VMCB_SHADOW;
    ASSERT_EQ(svm_event_open(&vmcb, false), 0u);
    vmcb.control.int_state = 0;
    vmcb.control.event_inj = svm_event(SVM_EVENT_INTR, 0x31);
    ASSERT_EQ(svm_event_open(&vmcb, false), 0u);
}
