/* SPDX-License-Identifier: Apache-2.0 */
/* See svm_event.h. */
#include "arch/x86_64/svm_event.h"

#include "arch/x86_64/guest_msr.h"
#include "arch/x86_64/guest_regs.h"
#include "kernel/fmt.h"

#define VECTOR_OF 4u

uint64_t svm_event_again(uint64_t info)
{
    unsigned vector = (unsigned)field_get(VMCB_EVENT_VECTOR, info);

    if (!(info & VMCB_EVENT_VALID) || svm_event_is(info, SVM_EVENT_SOFTWARE))
        return 0;
    if (svm_event_is(info, SVM_EVENT_EXCEPTION) && (vector == VECTOR_BP || vector == VECTOR_OF))
        return 0;
    return info & ~VMCB_EVENT_RESERVED;
}

bool svm_event_valid(uint64_t event)
{
    uint64_t vector = field_get(VMCB_EVENT_VECTOR, event);

    if (!(event & VMCB_EVENT_VALID))
        return true;
    switch (field_get(VMCB_EVENT_TYPE, event)) {
    case SVM_EVENT_INTR:
    case SVM_EVENT_NMI: /* The vector is ignored. */
    case SVM_EVENT_SOFTWARE:
        return true;
    case SVM_EVENT_EXCEPTION: /* Beyond 31 there are none, and 2 is no exception. */
        return vector < 32 && vector != 2;
    default:
        return false;
    }
}

/* --- What VMRUN refuses. --- */

struct check {
    const struct vmcb *vmcb;
    const struct svm_limits *limits;
    struct fmt_sink *out;
    unsigned failed;
};

static void check(struct check *c, bool refused, const char *text)
{
    if (!refused)
        return;
    c->failed++;
    fmt_print(c->out, "  VMRUN refuses it: %s\n", text);
}

static void check_control(struct check *c)
{
    const struct vmcb_control *control = &c->vmcb->control;
    uint64_t beyond = ~(uint64_t)0 << c->limits->physical_bits;

    check(c, control->asid == 0, "the ASID is 0");
    check(c, control->asid >= c->limits->asids, "the ASID is beyond those that the processor has");
    check(c, !(control->intercept[1] & VMCB_VMRUN), "VMRUN is not intercepted");
    check(c, (control->io_map + 3 * PAGE_SIZE - 1) & beyond,
          "the I/O permission map is beyond physical memory");
    check(c, (control->msr_map + 2 * PAGE_SIZE - 1) & beyond,
          "the MSR permission map is beyond physical memory");
    check(c, !svm_event_valid(control->event_inj), "the event to be injected is none that exists");
    check(c, (control->nested_control & VMCB_NESTED_PAGING) && (control->nested_cr3 & beyond),
          "nested CR3 has bits that must be zero");
    check(c,
          (control->nested_control & VMCB_NESTED_PAGING) && !guest_msr_pat_valid(c->vmcb->save.pat),
          "PAT has a memory type that there is not");
}

static void check_control_registers(struct check *c)
{
    const struct vmcb_save *save = &c->vmcb->save;
    bool paged_long = (save->efer & EFER_LME) && (save->cr0 & CR0_PG);
    uint64_t beyond = ~(uint64_t)0 << c->limits->physical_bits;

    check(c, !(save->cr0 & CR0_CD) && (save->cr0 & CR0_NW), "CR0.NW is set and CR0.CD is not");
    check(c, save->cr0 >> 32, "CR0 has bits above 31");
    check(c, (save->efer & EFER_LMA) && (save->cr3 & beyond), "CR3 has bits that must be zero");
    check(c, save->cr4 & ~c->limits->cr4, "CR4 has bits that must be zero");
    check(c, !(save->efer & EFER_SVME), "EFER.SVME is clear");
    check(c, save->efer & ~c->limits->efer, "EFER has bits that must be zero");
    check(c, paged_long && !(save->cr4 & CR4_PAE),
          "EFER.LME and CR0.PG are set and CR4.PAE is not");
    check(c, paged_long && !(save->cr0 & CR0_PE), "EFER.LME and CR0.PG are set and CR0.PE is not");
    check(c,
          paged_long && (save->cr4 & CR4_PAE) &&
              (save->segment[SEGMENT_CS].attributes & SEGMENT_LONG) &&
              (save->segment[SEGMENT_CS].attributes & SEGMENT_BIG),
          "CS has both L and D in long mode");
}

unsigned svm_check(const struct vmcb *vmcb, const struct svm_limits *limits, struct fmt_sink *out)
{
    struct check c = {.vmcb = vmcb, .limits = limits, .out = out};

    check_control(&c);
    check_control_registers(&c);
    check(&c, vmcb->save.dr6 >> 32, "DR6 has bits above 31");
    check(&c, vmcb->save.dr7 >> 32, "DR7 has bits above 31");
    return c.failed;
}
