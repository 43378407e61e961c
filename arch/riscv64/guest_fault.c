/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions that we make the guest take, its own address translation, and the words for an
 * exit. [supervisor.adoc, Virtual Address Translation Process; hypervisor.adoc, Trap Entry]
 */
#include "arch/riscv64/pt_riscv64.h"
#include "arch/riscv64/vcpu.h"
#include "kernel/assert.h"
#include "kernel/fmt.h"

/* As a trap into VS-mode by hardware, which returns by SRET to what SPP says. */
void arch_vcpu_inject_fault(struct arch_vcpu *vcpu, enum arch_fault fault,
                            const struct vcpu_exit *exit)
{
    uint64_t vsstatus = csr_read("vsstatus");
    uint64_t cause = CAUSE_ILLEGAL;

    assert(vcpu->bound);
    if (fault == FAULT_DATA_ABORT)
        cause = exit->cause[0] == CAUSE_STORE_GUEST_PAGE ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS;
    else if (fault == FAULT_FETCH_ABORT)
        cause = CAUSE_FETCH_ACCESS;
    csr_write("vscause", cause);
    csr_write("vstval", exit->cause[1]);
    csr_write("vsepc", vcpu->pc);
    vsstatus &= ~(SSTATUS_SPP | SSTATUS_SPIE);
    if (vcpu_in_supervisor(vcpu))
        vsstatus |= SSTATUS_SPP;
    if (vsstatus & SSTATUS_SIE)
        vsstatus |= SSTATUS_SPIE;
    csr_write("vsstatus", vsstatus & ~SSTATUS_SIE);
    vcpu->access.active = false;
    vcpu->pc = csr_read("vstvec") & ~(uint64_t)3;
    csr_set("sstatus", SSTATUS_SPP);
}

enum err arch_vcpu_translate(const struct arch_vcpu *vcpu, gva_t addr,
                             [[maybe_unused]] enum arch_access access,
                             const struct arch_guest_memory *memory, gpa_t *result)
{
    uint64_t vsatp = vcpu_csr(vcpu, CSR_VSATP), mode = field_get(SATP_MODE, vsatp);
    uint64_t table = field_get(SATP_PPN, vsatp) << PAGE_SHIFT, pte, size;
    unsigned level;

    *result = gpa(addr.v);
    if (mode == MODE_BARE)
        return OK;
    if (!memory || mode < MODE_SV39 || mode > MODE_SV57)
        return E_ABSENT;
    for (level = 3 + (unsigned)(mode - MODE_SV39); level-- > 0;) {
        size = PAGE_SIZE << 9 * level;
        TRY(memory->read(memory->arg, gpa(table + (addr.v / size & 511) * sizeof(pte)), &pte));
        if (!(pte & PTE_V))
            return E_ABSENT;
        table = field_get(PTE_PPN, pte) << PAGE_SHIFT;
        if (pte & (PTE_R | PTE_W | PTE_X)) {
            size = pte & PTE_N ? 64 * KIB : size;
            *result = gpa(ALIGN_DOWN(table, size) | (addr.v & (size - 1)));
            return OK;
        }
    }
    return E_ABSENT;
}

void arch_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    fmt_print(out, "  cause: %s (scause %llu, stval %016llx)\n", trap_text(exit->cause[0]),
              (unsigned long long)(exit->cause[0] & ~SCAUSE_INTERRUPT),
              (unsigned long long)exit->cause[1]);
}
