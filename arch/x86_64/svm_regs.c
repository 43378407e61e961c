/* SPDX-License-Identifier: Apache-2.0 */
/* See svm_regs.h. */
#include "arch/x86_64/svm_regs.h"

#include "arch/x86_64/guest_regs.h"
#include "kernel/string.h"

/* EFER.SVME must be set to be run; the guest does not see it. What GDTR and IDTR have beside base
 * and limit is reserved. */
void svm_get_regs(const struct vmcb *vmcb, struct x86_regs *regs)
{
    const struct vmcb_control *control = &vmcb->control;
    const struct vmcb_save *save = &vmcb->save;

#define X(name, text, field) regs->reg[REG_##name] = save->field;
#define OURS(name, text)
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
    regs->reg[REG_EFER] &= ~EFER_SVME;
    regs->reg[REG_CR8] = field_get(VMCB_V_TPR, control->int_control);
    memcpy(regs->segment, save->segment, sizeof(regs->segment));
    regs->segment[SEGMENT_GDTR].selector = regs->segment[SEGMENT_GDTR].attributes = 0;
    regs->segment[SEGMENT_IDTR].selector = regs->segment[SEGMENT_IDTR].attributes = 0;
    regs->cpl = save->cpl;
    regs->event = control->event_inj & VMCB_EVENT_VALID ? control->event_inj : 0;
    if (control->int_state & VMCB_SHADOW)
        regs->blocked |=
            (uint32_t)(save->rflags & RFLAGS_IF ? REGS_BLOCKED_STI : REGS_BLOCKED_MOV_SS);
}

void svm_put_regs(struct vmcb *vmcb, const struct x86_regs *regs)
{
    struct vmcb_control *control = &vmcb->control;
    struct vmcb_save *save = &vmcb->save;

#define X(name, text, field) save->field = regs->reg[REG_##name];
#define OURS(name, text)
#include "arch/x86_64/reg.def"
#undef X
#undef OURS
    save->efer |= EFER_SVME;
    control->int_control =
        (control->int_control & ~VMCB_V_TPR) | field_put(VMCB_V_TPR, regs->reg[REG_CR8]);
    memcpy(save->segment, regs->segment, sizeof(regs->segment));
    save->cpl = regs->cpl;
    control->event_inj = regs->event;
    control->int_state = regs->blocked & REGS_BLOCKED_SHADOW ? VMCB_SHADOW : 0;
    control->clean = 0;
}

/* The processor reads the entries of PAE paging from memory, and wakes from HLT by itself. */
const char *svm_refuses(const struct x86_regs *regs)
{
    if (regs->debug_pending)
        return "SVM has no place for debug exceptions that wait";
    if (regs->pdpte[0] | regs->pdpte[1] | regs->pdpte[2] | regs->pdpte[3])
        return "SVM has no place for the entries of PAE paging";
    if (regs->halted)
        return "SVM has no place for a processor that is halted";
    return NULL;
}
