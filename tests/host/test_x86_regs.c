/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register file of an x86 vCPU: what is refused of it, and that it comes back from a VMCB and
 * from the fields of a VMCS as it went in. That guests find it so is proved by tests/guest.
 */
#include <string.h>

#include "arch/x86_64/guest_cpuid.h"
#include "arch/x86_64/guest_regs.h"
#include "arch/x86_64/svm_event.h"
#include "arch/x86_64/svm_regs.h"
#include "arch/x86_64/vmx_event.h"
#include "arch/x86_64/vmx_fields.h"
#include "kernel/fmt.h"
#include "tests/host/test.h"
#include "tests/host/vmx_rig.h"

#define PRINT         0x1234u
#define NOT_CANONICAL BIT(47)

static struct guest_cpuid told;
static struct x86_regs regs, again;

/* A host that has everything that CPUID can tell. */
static void cpuid_all(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
    if (leaf == 0 || leaf == 0x80000000)
        *r = (struct cpuid_regs){leaf | 0x21, 0x756e6547, 0x6c65746e, 0x49656e69};
    if (leaf == 7 && subleaf == 0)
        r->eax = 0;
}

static struct regs_limits limits_make(void)
{
    static const struct guest_cpuid_host host = {
        .read = cpuid_all, .xcr0 = 7, .tsc_hz = 1000000000, .gpa_bits = 40};

    guest_cpuid_init(&told, &host);
    return (struct regs_limits){
        .cpuid = &told, .processor = PRINT, .components = 7, .mxcsr = 0xffff, .gpa_bits = 40};
}

static void set_segment(enum arch_segment_index index, uint16_t selector, uint32_t limit,
                        uint16_t attributes)
{
    regs.segment[index] = (struct arch_segment){
        .selector = selector, .limit = limit, .attributes = attributes, .base = 0x1000u * index};
}

/* A guest's kernel in long mode, no two of whose registers are alike. */
static void make_long(void)
{
    const uint64_t present = 7;
    const uint32_t mxcsr = 0x1f80;

    memset(&regs, 0, sizeof(regs));
    regs.processor = PRINT;
    for (unsigned i = 0; i < 16; i++)
        regs.gpr[i] = 0x1111111111111111u * i + 1;
    regs.rip = 0xffffffff81000000;
    for (unsigned i = 0; i < ARCH_REGS; i++)
        regs.reg[i] = 0xffff888000000000 + 0x1000 * i;
    regs.reg[REG_RFLAGS] = RFLAGS_FIXED | RFLAGS_IF | BIT(0);
    regs.reg[REG_CR0] = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
    regs.reg[REG_CR3] = 0x40000;
    regs.reg[REG_CR4] = CR4_PAE | CR4_PGE | CR4_OSXSAVE;
    regs.reg[REG_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
    regs.reg[REG_DR6] = DR6_RESET | DR6_STEP;
    regs.reg[REG_DR7] = DR7_RESET | 0x55;
    regs.reg[REG_PAT] = PAT_RESET;
    regs.reg[REG_SFMASK] = 0x47700;
    regs.reg[REG_SYSENTER_CS] = 0x10;
    regs.reg[REG_XCR0] = 7;
    regs.reg[REG_TSC_AUX] = 3;
    regs.reg[REG_CR8] = 5;
    set_segment(SEGMENT_CS, 0x10, UINT32_MAX, 0xa9b);
    set_segment(SEGMENT_SS, 0x18, UINT32_MAX, 0xc93);
    set_segment(SEGMENT_DS, 0x20, UINT32_MAX, 0xc93);
    set_segment(SEGMENT_ES, 0, 0, 0);
    set_segment(SEGMENT_FS, 0, 0, 0);
    set_segment(SEGMENT_GS, 0, 0, 0);
    set_segment(SEGMENT_GDTR, 0, 0x7f, 0);
    set_segment(SEGMENT_IDTR, 0, 0xfff, 0);
    set_segment(SEGMENT_LDTR, 0, 0, 0);
    set_segment(SEGMENT_TR, 0x40, 0x67, 0x8b);
    memcpy(regs.fpu + 24, &mxcsr, sizeof(mxcsr));
    memcpy(regs.fpu + 512, &present, sizeof(present));
}

/* As after a reset, then in PAE paging. */
static void make_pae(void)
{
    make_long();
    regs.rip = 0x100000;
    regs.reg[REG_EFER] = 0;
    set_segment(SEGMENT_CS, 0x10, UINT32_MAX, 0xc9b);
    regs.pdpte[0] = 0x5001;
    regs.pdpte[3] = 0x6001;
}

static void make_real(void)
{
    make_long();
    regs.rip = 0xfff0;
    regs.reg[REG_CR0] = CR0_ET | CR0_CD | CR0_NW;
    regs.reg[REG_EFER] = 0;
    regs.reg[REG_CR4] = 0;
    set_segment(SEGMENT_CS, 0xf000, 0xffff, 0x9b);
    set_segment(SEGMENT_SS, 0, 0xffff, 0x93);
}

/* "": it is not refused. */
static const char *refused(void)
{
    const struct regs_limits limits = limits_make();
    const char *why = regs_check(&regs, &limits);

    return why ? why : "";
}

static void assert_refused(const char *words)
{
    const char *why = refused();

    if (!*why || !strstr(why, words))
        test_fail(__FILE__, __LINE__, "not said: %s; but: %s", words, why);
}

#define REFUSES_OF(make, words, change)                                                            \
    make();                                                                                        \
    change;                                                                                        \
    assert_refused(words)
#define REFUSES(words, change) REFUSES_OF(make_long, words, change)

TEST(x86_registers_of_every_mode_are_taken)
{
    make_long();
    ASSERT_STR(refused(), "");
    make_pae();
    ASSERT_STR(refused(), "");
    make_real();
    ASSERT_STR(refused(), "");
    make_pae();
    regs.reg[REG_RFLAGS] |= RFLAGS_VM;
    regs.cpl = 3;
    ASSERT_STR(refused(), "");
    make_long();
    regs.event = svm_event_error(VECTOR_PF, 7);
    regs.blocked = (uint32_t)(REGS_BLOCKED_STI | REGS_BLOCKED_NMI);
    ASSERT_STR(refused(), "");
}

TEST(x86_registers_that_no_guest_can_have_are_refused)
{
    REFUSES("of a processor", regs.processor++);
    REFUSES("reserved is not zero", regs.reg[ARCH_REGS_MAX - 1] = 1);
    REFUSES("reserved is not zero", regs.reserved[5] = 1);
    REFUSES("reserved is not zero", regs.reserved_more[6] = 1);
    REFUSES("CR0.PE is not", regs.reg[REG_CR0] &= ~CR0_PE);
    REFUSES("CR4 has bits", regs.reg[REG_CR4] |= BIT(13)); /* VMXE */
    REFUSES("CR4 has bits", regs.reg[REG_CR4] |= BIT(63));
    REFUSES("EFER has bits", regs.reg[REG_EFER] |= EFER_SVME);
    REFUSES("EFER.LMA is not", regs.reg[REG_EFER] &= ~EFER_LMA);
    REFUSES("EFER.LMA is not", regs.reg[REG_EFER] &= ~EFER_LME);
    REFUSES("CR4.PAE is not", regs.reg[REG_CR4] &= ~CR4_PAE);
    REFUSES_OF(make_pae, "PCIDE", regs.reg[REG_CR4] |= CR4_PCIDE);
    REFUSES("PAT", regs.reg[REG_PAT] = 2);
    REFUSES("DR6 or DR7", regs.reg[REG_DR6] |= BIT(32));
    REFUSES("DR6 or DR7", regs.reg[REG_DR7] |= BIT(63));
    REFUSES("TSC_AUX", regs.reg[REG_TSC_AUX] = BIT(32));
    REFUSES("CR8", regs.reg[REG_CR8] = 16);
    REFUSES("RFLAGS has bits", regs.reg[REG_RFLAGS] |= BIT(22));
    REFUSES("RFLAGS lacks", regs.reg[REG_RFLAGS] &= ~RFLAGS_FIXED);
    REFUSES("RFLAGS.VM", regs.reg[REG_RFLAGS] |= RFLAGS_VM; regs.cpl = 3);
    REFUSES_OF(make_real, "RFLAGS.VM", regs.reg[REG_RFLAGS] |= RFLAGS_VM);
    REFUSES("the CPL", regs.cpl = 4);
    REFUSES_OF(make_real, "the CPL", regs.cpl = 1);
    REFUSES("attributes", regs.segment[SEGMENT_FS].attributes = 0x1000);
    REFUSES("GDTR or IDTR", regs.segment[SEGMENT_GDTR].selector = 1);
    REFUSES("GDTR or IDTR", regs.segment[SEGMENT_IDTR].limit = 0x10000);
}

TEST(x86_events_that_no_guest_takes_are_refused)
{
    const uint64_t intr = svm_event(SVM_EVENT_INTR, 0x31), nmi = svm_event(SVM_EVENT_NMI, 2);

    REFUSES("is not valid", regs.event = intr & ~VMCB_EVENT_VALID);
    REFUSES("none that exists", regs.event = intr | BIT(12));
    REFUSES("none that exists", regs.event = svm_event(SVM_EVENT_SOFTWARE, 0x80));
    REFUSES("none that exists", regs.event = svm_event(SVM_EVENT_EXCEPTION, 32));
    REFUSES("NMI has", regs.event = nmi | 1);
    REFUSES("IF is clear", regs.event = intr; regs.reg[REG_RFLAGS] &= ~RFLAGS_IF);
    REFUSES("has none", regs.event = nmi | VMCB_EVENT_ERROR_VALID);
    REFUSES("has none", regs.event = svm_event_error(VECTOR_UD, 0));
    REFUSES("error code", regs.event = svm_event_error(VECTOR_PF, BIT(15)));
    REFUSES("error code", regs.event = intr | BIT(32));
    REFUSES("reserved bits", regs.blocked = (uint32_t)BIT(2));
    REFUSES("both STI", regs.blocked = (uint32_t)REGS_BLOCKED_SHADOW);
}

TEST(x86_fpu_states_that_would_trap_are_refused)
{
    REFUSES("MXCSR", regs.fpu[26] = 1);
    REFUSES("XCR0", regs.reg[REG_XCR0] = 0);
    REFUSES("XCR0", regs.reg[REG_XCR0] = 5);
    REFUSES("XCR0", regs.reg[REG_XCR0] = BIT(9) | 7);
    REFUSES("cannot have", regs.fpu[513] = 2); /* PKRU */
    REFUSES("header", regs.fpu[527] = 0x80);   /* Compacted. */
    REFUSES("header", regs.fpu[575] = 1);
    make_long();
    regs.reg[REG_XCR0] = 1;
    ASSERT_STR(refused(), "");
}

TEST(x86_an_instruction_under_way_is_of_the_guests_mode)
{
    make_long();
    regs.insn = (struct insn_progress){.bytes = {0x8b, 0x03}, .active = true, .mode = INSN_MODE_64};
    regs.insn.first_size[0] = 4;
    regs.insn.place[0][0] = 0xfee00020;
    ASSERT_STR(refused(), "");
    regs.insn.mode = INSN_MODE_32;
    assert_refused("another mode");
    regs.insn.step = 1;
    assert_refused("so far");
}

/* --- In a vendor's block. --- */

#define SAME(field) ASSERT(memcmp(&regs.field, &again.field, sizeof(regs.field)) == 0)

/* What the block holds of it. */
static void assert_same(uint64_t lost)
{
    for (unsigned i = 0; i < ARCH_REGS; i++)
        if (!(lost >> i & 1))
            ASSERT_EQ(again.reg[i], regs.reg[i]);
    SAME(segment);
    SAME(cpl);
    SAME(blocked);
    SAME(halted);
    SAME(debug_pending);
    SAME(pdpte);
}

static void through_vmcb(void)
{
    const uint64_t ours = BITS(REG_TSC_AUX, REG_DR0);
    static struct vmcb block, *vmcb = &block;

    memset(&again, 0, sizeof(again));
    memset(vmcb, 0, sizeof(*vmcb));
    vmcb->control.clean = VMCB_CLEAN_ALL;
    svm_put_regs(vmcb, &regs);
    ASSERT(vmcb->save.efer & EFER_SVME);
    ASSERT_EQ(vmcb->control.clean, 0);
    svm_get_regs(vmcb, &again);
    ASSERT_EQ(again.event, regs.event);
    assert_same(ours);
}

TEST(x86_registers_come_back_from_a_vmcb)
{
    make_long();
    through_vmcb();
    regs.event = svm_event_error(VECTOR_PF, 7);
    regs.cpl = 3; /* Whatever SS says. */
    through_vmcb();
    regs.blocked = (uint32_t)REGS_BLOCKED_STI;
    through_vmcb();
    make_real();
    regs.reg[REG_RFLAGS] = RFLAGS_FIXED;
    regs.blocked = (uint32_t)REGS_BLOCKED_MOV_SS;
    through_vmcb();
}

TEST(x86_what_svm_has_no_place_for_is_refused)
{
    make_long();
    ASSERT(!svm_refuses(&regs));
    regs.debug_pending = VMX_PENDING_STEP;
    ASSERT(svm_refuses(&regs));
    make_pae();
    ASSERT(svm_refuses(&regs));
    make_long();
    regs.halted = true;
    ASSERT(svm_refuses(&regs));
}

static struct vmx_fields fields;

static void text_put(struct fmt_sink *, const char *text, size_t)
{
    test_fail(__FILE__, __LINE__, "%s", text);
}

static void through_vmcs(void)
{
    uint64_t ours = BITS(REG_CR8, REG_DR0);
    struct fmt_sink sink = {.put = text_put};

    for (unsigned i = 0; i < ARCH_REGS; i++)
        if (vmx_reg_fields[i] == VMX_FIELD_LIVE)
            ours |= BIT(i);
    memset(&again, 0, sizeof(again));
    memset(&fields, 0, sizeof(fields));
    fields.value[VMCS_INDEX_CR0_MASK] = VMX_CR0_OURS;
    fields.value[VMCS_INDEX_CR4_MASK] = ~guest_cpuid_cr4(&told);
    fields.value[VMCS_INDEX_LINK_POINTER] = ~(uint64_t)0;
    vmx_put_regs(&fields, &regs);
    ASSERT(!vmx_refuses(&regs));
    ASSERT_EQ(vmx_check(&fields, &vmx_rig_limits, &sink), 0u);
    ASSERT_EQ(fields.value[VMCS_INDEX_GUEST_RIP], regs.rip);
    ASSERT_EQ(fields.value[VMCS_INDEX_ENTRY_EVENT] | fields.value[VMCS_INDEX_ENTRY_EVENT_ERROR]
                                                         << 32,
              regs.event);
    vmx_get_regs(&fields, &again);
    assert_same(ours);
}

TEST(x86_registers_come_back_from_a_vmcs)
{
    make_long();
    through_vmcs();
    regs.event = svm_event_error(VECTOR_PF, 7);
    regs.blocked = (uint32_t)(REGS_BLOCKED_STI | REGS_BLOCKED_NMI);
    through_vmcs();
    regs.event = 0;
    regs.blocked = (uint32_t)REGS_BLOCKED_MOV_SS;
    regs.reg[REG_RFLAGS] |= RFLAGS_TF;
    regs.debug_pending = VMX_PENDING_STEP;
    through_vmcs();
    make_long();
    regs.halted = true;
    through_vmcs();
    make_real();
    through_vmcs();
    make_pae();
    through_vmcs();
}

TEST(x86_what_an_entry_by_vmx_refuses_beside_is_said)
{
#define VMX_REFUSES(change)                                                                        \
    make_long();                                                                                   \
    change;                                                                                        \
    ASSERT(vmx_refuses(&regs))

    VMX_REFUSES(regs.reg[REG_LSTAR] = NOT_CANONICAL);
    VMX_REFUSES(regs.reg[REG_CSTAR] = NOT_CANONICAL);
    VMX_REFUSES(regs.reg[REG_KERNEL_GS_BASE] = NOT_CANONICAL);
    VMX_REFUSES(regs.reg[REG_SFMASK] = BIT(32));
    VMX_REFUSES(regs.reg[REG_SYSENTER_CS] = BIT(32));
    VMX_REFUSES(regs.cpl = 3);
    VMX_REFUSES(regs.pdpte[2] = 1);
    VMX_REFUSES(regs.event = svm_event(SVM_EVENT_EXCEPTION, VECTOR_PF));
    VMX_REFUSES(regs.reg[REG_CR0] = 0; regs.event = svm_event_error(VECTOR_PF, 2));
#undef VMX_REFUSES
}
