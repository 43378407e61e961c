/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest does to cause each exit, in long mode, without an IDT. r12: HOLE. r13: vendor. */
        .macro act name
        .globl  act_\name
        .hidden act_\name
act_\name:
        .endm
        .macro hcall nr
        mov     $\nr, %eax
        cmp     $0x756e6547, %r13d      /* "Genu", Intel's */
        je      7f
        vmmcall
        jmp     8f
7:      vmcall
8:
        .endm
        .macro done
        hcall   0x77                    /* CALL_DONE; rbx: what is told. */
        jmp     .
        .endm
        .macro wmsr msr, high, low
        mov     $\msr, %ecx
        mov     $\high, %edx
        mov     $\low, %eax
        wrmsr
        mov     $1, %ebx
        done
        .endm

        .section .rodata
        .globl  actions_start, actions_end
        .hidden actions_start, actions_end
        .balign 8
actions_start:
        jmp     start
        .org    actions_start + 8
        .long   0, 0                    /* Where to go; RISC-V's. */
start:  xor     %eax, %eax
        cpuid
        mov     %ebx, %r13d
        mov     $0x10001000, %r12d
        lea     actions_start(%rip), %rdi
        mov     8(%rdi), %esi
        add     %rdi, %rsi
        jmp     *%rsi

        act hypercall
        mov     $1, %ebx
        mov     $2, %ecx
        mov     $3, %edx
        mov     $4, %esi
        mov     $5, %edi
        mov     $6, %ebp
        hcall   0x1234
        mov     %rax, %rbx
        done
        act mmio_read
        xor     %ebx, %ebx
        mov     (%r12), %bx
        done
        act mmio_write
        mov     $0x11223344, %ebx
        mov     %ebx, (%r12)
        done
        act pio_in
        xor     %eax, %eax
        mov     $0x1f0, %edx
        in      %dx, %ax
        mov     %eax, %ebx
        done
        act pio_out
        mov     $0x11223344, %eax
        mov     %eax, %ebx
        mov     $0x1f0, %edx
        out     %eax, %dx
        done
        act sysreg_read
        mov     $0x1b, %ecx             /* IA32_APIC_BASE */
        rdmsr
        mov     %eax, %ebx
        done
        act sysreg_write
        mov     $0x6e0, %ecx            /* IA32_TSC_DEADLINE */
        xor     %edx, %edx
        mov     $0x11223344, %eax
        mov     %eax, %ebx
        wrmsr
        done
        act fetch
        jmp     *%r12
        act halt
        hlt
        mov     $1, %ebx
        done
        act wfe
0:      pause
        jmp     0b
        act cpu_up
        wmsr    0x830, 1, 0x608         /* x2APIC's ICR: a SIPI. */
        act cpu_down
        wmsr    0x830, 0, 0x500         /* An INIT to itself. */
        act send_ipi
        wmsr    0x830, 1, 0x41
        act end
        wmsr    0x80b, 0, 0             /* x2APIC's EOI. */
        act system_down
        mov     $0x604, %edx            /* PM1a_CNT: SLP_EN, S5. */
        mov     $0x3400, %eax
        out     %ax, %dx
        done
        act system_reset
        mov     $0xcf9, %edx
        mov     $6, %eax
        out     %al, %dx
        done
        act shutdown
        ud2
        act debug
        mov     $1, %ebx
        int3
        done
        act window
        cli
        mov     $1, %ebx
        hcall   0x1234
        sti
        nop
0:      jmp     0b
        act nothing
        xor     %eax, %eax
        cpuid
        mov     $1, %ebx
        done
        act spin
        jmp     .
        act count
0:      incq    0x20000                 /* RAM's base + COUNTER */
        jmp     0b
        /* INJECT of the local APIC in x2APIC mode, and what counts. */
        .macro interrupts
        mov     $0x28000, %esp
        lea     interrupt(%rip), %rax
        mov     %ax, 0x30000 + 40 * 16  /* A gate of the IDT. */
        movl    $0x8e000010, %ebx
        mov     %bx, 0x30002 + 40 * 16
        shr     $16, %ebx
        mov     %bx, 0x30004 + 40 * 16
        shr     $16, %rax
        mov     %ax, 0x30006 + 40 * 16
        movq    $0, 0x30008 + 40 * 16
        movw    $0xfff, 0x27000
        movq    $0x30000, 0x27002
        lidt    0x27000
        mov     $0x1b, %ecx             /* IA32_APIC_BASE: on, x2APIC. */
        rdmsr
        or      $0xc00, %eax
        wrmsr
        mov     $0x80f, %ecx            /* SVR: on. */
        xor     %edx, %edx
        mov     $0x1ff, %eax
        wrmsr
        sti
        .endm
        act interrupts
        interrupts
0:      incq    0x20000                 /* RAM's base + COUNTER */
        jmp     0b
        act wait
        interrupts
0:      hlt
        incq    0x20000
        jmp     0b
        .balign 8
interrupt:
        incq    0x20008                 /* TAKEN */
        mov     $0x80b, %ecx            /* EOI */
        xor     %eax, %eax
        xor     %edx, %edx
        wrmsr
        iretq
        /* A task gate's like, from 32-bit code. */
        .code32
        act task_switch
        mov     $0x28000, %esp
        call    1f
1:      pop     %ebp
        lea     (tss - 1b)(%ebp), %eax
        mov     %ax, (gdt_tss + 2 - 1b)(%ebp)
        shr     $16, %eax
        mov     %al, (gdt_tss + 4 - 1b)(%ebp)
        lea     (gdt - 1b)(%ebp), %eax
        mov     %eax, (gdtr + 2 - 1b)(%ebp)
        lgdt    (gdtr - 1b)(%ebp)
        ljmp    $0x18, $0
        .code64
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_tss: .quad  0x0000890000000067
gdtr:   .word   31
        .long   0
        .balign 8
tss:    .zero   104
        act break
        mov     $0x10000000, %edx       /* Between RAM and the hole of a PC. */
        mov     (%rdx), %eax
        jmp     .
        .balign 8
actions_end:
        .section .note.GNU-stack, "", @progbits
