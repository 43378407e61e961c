/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seam 2: what a backend owes a vCPU. The same meaning on VMX, SVM, EL2 and H. struct arch_vcpu is
 * embedded in the portable one. Interrupts are masked in all of these.
 *
 * "Bound" means: this vCPU's state is loaded on the calling pCPU. Functions that say so work on
 * bound and unbound vCPUs alike; the others say which they want.
 */
#pragma once

#include "kernel/arch.h"
#include "vcpu/exit.h"

struct arch_regs;
struct fmt_sink;
struct pcpu;

/* How it is found out which memory a guest has written (mm/guestmap.h). */
enum virt_dirty {
    VIRT_DIRTY_FAULTS, /* The first write to a page is stopped. */
    VIRT_DIRTY_BITS,   /* Hardware sets a bit in the page's leaf, */
    VIRT_DIRTY_LOG,    /* and says of which pages it did: arch_stage2_log(). */
};

/* What this machine's backend can do; valid after arch_virt_enable() on the boot processor. */
struct virt_caps {
    const char *backend; /* "el2", "h", "svm", "vmx". */
    unsigned vcpus_max;  /* Per VM. */
    unsigned vmids_max;
    unsigned gpa_bits;    /* Size of a guest-physical address. */
    unsigned virq_slots;  /* Interrupts the hardware can hold for a vCPU. */
    unsigned gic_version; /* Arm: of the controller that guests can be given; else 0. */
    const char *isa;  /* RISC-V: the ISA string that guests are told, as platform.isa; else NULL. */
    bool guest_timer; /* RISC-V: guests have a timer of their own in hardware (Sstc). */
    bool guest_msi;   /* RISC-V: guests can have the CSRs of the AIA and a guest interrupt file. */
    enum virt_dirty dirty;
    bool access_gva;         /* cause[1] of an access's exit is its guest-virtual address. */
    unsigned guest_files;    /* RISC-V: guest interrupt files of each pCPU, numbered from 1. */
    bool apic;               /* x86: there is arch_apic_load(), */
    bool apic_posted;        /* and arch_apic_send(). */
    hpa_t apic_window;       /* x86: see struct arch_apic; 0: there is none. */
    uint32_t guest_file_irq; /* RISC-V: the host interrupt of arch_guest_file_watch(). */
};

extern struct virt_caps virt_caps;

/* Turn virtualization on, on the calling pCPU. E_UNSUPPORTED: logged why. */
enum err arch_virt_enable(void);
const struct pt_format *arch_stage2_format(void);

struct arch_vcpu_config {
    uint16_t vmid;
    unsigned index;      /* In its VM. */
    unsigned vcpu_count; /* Of its VM. */
    hpa_t stage2_root;
    bool trap_wait; /* WFI, HLT exit; else the hardware waits (exclusive pCPUs). */
};

/* Power-on state, off: everything zeroed, nothing leaks from an earlier user. Unbound. */
enum err arch_vcpu_init(struct arch_vcpu *vcpu, const struct arch_vcpu_config *config);

/* Gives back what arch_vcpu_init() took. Unbound. */
void arch_vcpu_free(struct arch_vcpu *vcpu);

/* In which mode a vCPU begins. x86 has several; the others start as their firmware starts one. */
enum arch_mode {
    ARCH_MODE_NATIVE,    /* Arm: EL1; RISC-V: VS-mode. x86: as ARCH_MODE_REAL. */
    ARCH_MODE_REAL,      /* At arg = 0: cs:ip = pc >> 4 : 0, as after a SIPI; pc RESET_VECTOR: as
                            after a reset, with edx = family, model, stepping. */
    ARCH_MODE_PROTECTED, /* 32 bits, flat, paging off; ebx = arg, eax = ARCH_MULTIBOOT_MAGIC. */
    ARCH_MODE_LONG,      /* 64 bits, flat; rsi = arg; cr3 = ARCH_BOOT_TABLES, GDT at ARCH_BOOT_GDT,
                            which the loader fills in. */
};

struct arch_entry {
    gpa_t pc;
    uint64_t arg; /* The first argument register. */
    enum arch_mode mode;
};

static inline struct arch_entry arch_entry(gpa_t pc, uint64_t arg)
{
    return (struct arch_entry){.pc = pc, .arg = arg};
}

/* Reset to the architecture's state for a CPU that starts so. Unbound. */
void arch_vcpu_start(struct arch_vcpu *vcpu, struct arch_entry entry);

/*
 * The guest's clock shows arch_ticks() - offset from its next bind. Unbound. x86: bound, too, and
 * then from its next entry: a guest may write its TSC.
 */
void arch_vcpu_set_time(struct arch_vcpu *vcpu, uint64_t offset);

void arch_vcpu_bind(struct arch_vcpu *vcpu);
void arch_vcpu_unbind(struct arch_vcpu *vcpu);
/*
 * Run the guest until something needs us, and say what in *exit. Bound. A host interrupt ends the
 * run as EXIT_INTERRUPT and stays pending. Never calls up, never allocates, never fails.
 */
void arch_vcpu_run(struct arch_vcpu *vcpu, struct vcpu_exit *exit);
/* Complete an MMIO, PIO or system-register exit: load the register for a read, step over. */
void arch_vcpu_finish(struct arch_vcpu *vcpu, const struct vcpu_exit *exit);

/*
 * How a backend reads the guest's page tables, 8 aligned bytes, and sets bits in them (x86:
 * accessed and dirty, for accesses of ours); E_BUSY: they no longer were `old`. update may be NULL.
 */
struct arch_guest_memory {
    enum err (*read)(void *arg, gpa_t addr, uint64_t *entry);
    enum err (*update)(void *arg, gpa_t addr, uint64_t old, uint64_t new);
    void *arg;
};

/*
 * A stage-2 fault on data without a syndrome: make an MMIO exit of it by decoding the instruction
 * (size bytes at the guest's pc). False: not an instruction that we know. Its MMIO exits may be
 * several: finish each; an address of one may be RAM (x86: a string instruction), or a port.
 * EXIT_NOTHING: it made none, or the guest takes a fault.
 */
bool arch_vcpu_decode(struct arch_vcpu *vcpu, const void *insn, unsigned size,
                      const struct arch_guest_memory *memory, struct vcpu_exit *exit);

/*
 * Whether the last exit was of an instruction that arch_vcpu_decode() carries out: then it is not
 * to be made again, for part of it may be done. Bound.
 */
bool arch_vcpu_midway(const struct arch_vcpu *vcpu);

/*
 * System registers that the backend itself answers: identification without what is not virtualized,
 * and those of hidden debug facilities. False: not one of these; nothing was changed. True: exit is
 * ready to be finished.
 */
bool arch_vcpu_sysreg(struct arch_vcpu *vcpu, struct vcpu_exit *exit);

/* General registers by the architecture's number; bound or not. */
uint64_t arch_vcpu_gpr(const struct arch_vcpu *vcpu, unsigned reg);
void arch_vcpu_set_gpr(struct arch_vcpu *vcpu, unsigned reg, uint64_t value);
/* Where its next instruction is, guest-virtual (x86: linear). */
uint64_t arch_vcpu_pc(const struct arch_vcpu *vcpu);
/* Result of a hypercall: the return registers in order; count at most 4. */
void arch_vcpu_set_return(struct arch_vcpu *vcpu, unsigned index, uint64_t value);

/*
 * The complete register file, tagged by architecture, without padding: also an instruction that is
 * halfway through its accesses. Its exit, if there was one, is finished. Not in it: what the clock
 * shows (arch_vcpu_set_time()), the guest interrupt file. Unbound, any pCPU, while nobody binds it.
 */
void arch_vcpu_get_regs(const struct arch_vcpu *vcpu, struct arch_regs *regs);
/*
 * Replaces them all; what pCPUs remember of its former tables is dropped. E_INVALID: they are of
 * another architecture, processor or vCPU; E_RANGE: a value that this guest could not have put
 * there itself. Then nothing is changed, and the log says which.
 */
enum err arch_vcpu_set_regs(struct arch_vcpu *vcpu, const struct arch_regs *regs);
/* All registers by name, and the exit in words. Bound or not. */
void arch_vcpu_print(const struct arch_vcpu *vcpu, struct fmt_sink *out);
void arch_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out);
/*
 * The guest's own translation of a virtual address (x86: linear), by walking its tables; E_ABSENT:
 * it has none. x86: with the rights that the guest has now for such an access. Bound or not.
 */
enum arch_access { ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH }; /* NONE: any rights. */
enum err arch_vcpu_translate(const struct arch_vcpu *vcpu, gva_t addr, enum arch_access access,
                             const struct arch_guest_memory *memory, gpa_t *result);

/* What hardware would do for a wrong access: make the guest take the exception. Bound. */
enum arch_fault { FAULT_UNDEFINED, FAULT_DATA_ABORT, FAULT_FETCH_ABORT };
void arch_vcpu_inject_fault(struct arch_vcpu *vcpu, enum arch_fault fault,
                            const struct vcpu_exit *exit);

/*
 * Software breakpoints (BRK, EBREAK, INT3) come as EXIT_DEBUG, in place of being the guest's own
 * exceptions: until this is off again, or the vCPU is unbound. Arm: hardware breakpoints and single
 * steps of the guest as well. Bound.
 */
void arch_vcpu_trap_breakpoints(struct arch_vcpu *vcpu, bool on);

/*
 * Absolute host ticks at which a timer of the guest fires next; TICKS_NEVER when none. Bound or
 * not.
 */
uint64_t arch_vcpu_timer_deadline(const struct arch_vcpu *vcpu);

/*
 * Interrupt slots of the hardware (list registers), for the vCPU that is bound here. Their layout
 * is the architecture's (Arm: ICH_LR<n>_EL2). On unbind the backend keeps them, on bind it restores
 * them.
 */
uint64_t arch_virq_read(const struct arch_vcpu *vcpu, unsigned slot);
void arch_virq_write(struct arch_vcpu *vcpu, unsigned slot, uint64_t value);
/*
 * Arm: bits of slots that are empty (ICH_ELRSR_EL2), and that the guest ended with notice asked
 * (ICH_EISR_EL2).
 */
uint64_t arch_virq_empty(const struct arch_vcpu *vcpu);
uint64_t arch_virq_ended(const struct arch_vcpu *vcpu);
/* Arm: control word ICH_HCR_EL2 (EOIcount, maintenance enables, traps). */
uint64_t arch_virq_control(const struct arch_vcpu *vcpu);
void arch_virq_set_control(struct arch_vcpu *vcpu, uint64_t value);

/*
 * x86. A slot holds what is to be injected at the next entry: a vector, an NMI (value 1); written
 * only when arch_virq_empty() has its bit: the guest takes such an interrupt now, and nothing else
 * is being injected. The TPR slot is not injected: it is what the guest reads as CR8, in TPR
 * format. arch_virq_set_control(): bits of slots whose taking is waited for; EXIT_INTERRUPT_WINDOW
 * comes when one can, and the bits are clear then.
 */
enum arch_virq_slot { VIRQ_SLOT_VECTOR, VIRQ_SLOT_NMI, VIRQ_SLOT_TPR };
/* Whether the guest has its local APIC enabled: CPUID says so too. Bound or not. */
void arch_vcpu_set_apic(struct arch_vcpu *vcpu, bool enabled);
/* exit->sysreg.addr of a write to CR8; value: in TPR format. MSRs have their own number. */
#define ARCH_SYSREG_CR8      0xffff0008u
/* The same of the end of a level-triggered vector, which is the value; see arch_apic_load(). */
#define ARCH_SYSREG_APIC_END 0xffff000bu

/*
 * Where virt_caps.apic is set, the hardware takes the vectors of a local APIC in x2APIC mode, ends
 * them, holds them back by the TPR and sends them to the vCPU itself, without an exit. Then
 * VIRQ_SLOT_VECTOR and VIRQ_SLOT_TPR have no use. A bit for each vector, in words of 64.
 *
 * Where virt_caps.apic_window is not 0, it does so in xAPIC mode, and is best when stage 2 maps
 * ARCH_APIC_BASE to that page. Then it is memory to vCPUs of the VM whose local APIC is in another
 * mode, or in software.
 */
#define ARCH_APIC_BASE       0xfee00000u
#define ARCH_APIC_WORDS      4u
struct arch_apic {
    uint64_t irr[ARCH_APIC_WORDS], isr[ARCH_APIC_WORDS];
    uint64_t level[ARCH_APIC_WORDS]; /* Whose end is told, by EXIT_SYSREG_WRITE. */
    uint32_t tpr;
    bool x2apic;
};
/* Gives it to the hardware, which keeps it while the vCPU is unbound; NULL: software sees to it.
 * Bound. */
void arch_apic_load(struct arch_vcpu *vcpu, const struct arch_apic *apic);
/* What has become of it: irr, isr, tpr. It is given anew before the next entry. Bound or not, after
 * arch_apic_load(). */
void arch_apic_store(struct arch_vcpu *vcpu, struct arch_apic *apic);
/* More vectors wait: bits of a word of irr; level: that of all its vectors. Bound, after
 * arch_apic_load(), as are the next two. */
void arch_apic_post(struct arch_vcpu *vcpu, unsigned word, uint64_t bits, uint64_t level);
/* Whether one waits that the PPR, which is told, does not hold back. */
bool arch_apic_pending(struct arch_vcpu *vcpu, uint32_t *ppr);
/* What was sent while it was unbound, waits. */
void arch_apic_sync(struct arch_vcpu *vcpu);
/*
 * The vector waits, and the hardware takes it without an exit once it is told (true: it was not
 * yet). What of them nobody has taken, from the first word to the last, is the caller's at last.
 * Any pCPU.
 */
bool arch_apic_send(struct arch_vcpu *vcpu, unsigned vector);
uint64_t arch_apic_take(struct arch_vcpu *vcpu, unsigned word);
/* Tells the pCPU, on which it is bound and arch_apic_load() was done. */
void arch_apic_notify(const struct pcpu *cpu);

/* Guest-physical; what ARCH_MODE_LONG finds there is the loader's to write: page tables that map
 * the first 4 GiB one to one, and a GDT with code at 0x10 and data at 0x18. */
#define ARCH_BOOT_GDT        0x8000u
#define ARCH_BOOT_GDT_SIZE   32u
#define ARCH_BOOT_TABLES     0x9000u
#define ARCH_RESET_VECTOR    0xfffffff0u
#define ARCH_MULTIBOOT_MAGIC 0x2badb002u

/*
 * RISC-V. Slots of arch_virq_read() and arch_virq_write() are the lines of hvip, value 0 or 1; in
 * every state of the vCPU. The software line is the guest's too: it may set and clear it. The timer
 * line is free where there is no Sstc.
 */
enum arch_virq_line { VIRQ_LINE_EXTERNAL, VIRQ_LINE_SOFTWARE, VIRQ_LINE_TIMER };
/* Whether an interrupt is pending that the guest has enabled: its WFI would end. Bound or not. */
bool arch_vcpu_irq_pending(const struct arch_vcpu *vcpu);
/*
 * Set the guest's own timer to a time of its clock (SBI set_timer). False: there is no such
 * hardware, or none bound to this vCPU; then the caller sets VIRQ_LINE_TIMER when the time has
 * come. Bound.
 */
bool arch_vcpu_timer_set(struct arch_vcpu *vcpu, uint64_t guest_time);
/* What the guest's clock shows. Bound or not. */
uint64_t arch_vcpu_time(const struct arch_vcpu *vcpu);
/*
 * SBI RFENCE of a guest, done on all pCPUs of the mask (bit n: pcpu(n)), for the VM of the vCPU;
 * returns when done. All of the address space: size UINT64_MAX. Bound.
 */
enum arch_fence { FENCE_INSTRUCTIONS, FENCE_TRANSLATIONS, FENCE_TRANSLATIONS_ASID };
void arch_vcpu_fence(const struct arch_vcpu *vcpu, enum arch_fence fence, uint64_t pcpus,
                     gva_t start, uint64_t size, uint64_t asid);
/*
 * The vCPU's guest interrupt file, 1 to virt_caps.guest_files of the pCPU that it will run on; 0:
 * none. Unbound. The page for MSIs is platform.cpus[].imsic + file * PAGE_SIZE. What is in the file
 * stays there while the vCPU is unbound.
 */
void arch_vcpu_set_guest_file(struct arch_vcpu *vcpu, unsigned file);
/* What is in an interrupt file, by the registers of the AIA; zeroes after a reset. */
#define ARCH_GUEST_FILE_WORDS 32u /* Of 64 identities. */
struct arch_guest_file {
    uint64_t delivery, threshold; /* eidelivery, eithreshold */
    uint64_t pending[ARCH_GUEST_FILE_WORDS], enabled[ARCH_GUEST_FILE_WORDS]; /* eip, eie */
};
/* All of it is read; replaced, but for what the file has not. On its pCPU. */
void arch_guest_file_read(unsigned file, struct arch_guest_file *contents);
void arch_guest_file_write(unsigned file, const struct arch_guest_file *contents);
/* virt_caps.guest_file_irq comes on this pCPU while the file has an interrupt; off: never. For
 * vCPUs that wait unbound. */
void arch_guest_file_watch(unsigned file, bool on);
/* Whether the file has an interrupt that is enabled. On its pCPU. */
bool arch_guest_file_pending(unsigned file);
