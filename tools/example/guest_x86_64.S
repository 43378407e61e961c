/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of tools/example/hypervisor.c: wherever it is loaded, in long mode, without a stack. It
 * prints by port first, and by memory then; each vendor has its instruction for a call. */
        .section .rodata
        .globl  guest_start, guest_end
        .hidden guest_start, guest_end
        .balign 8
guest_start:
        mov     $0x10001000, %r12d      /* CONSOLE */
        lea     text(%rip), %rsi
print:  lodsb
        test    %al, %al
        jz      load
        out     %al, $0xe9              /* CONSOLE_PORT */
        jmp     print
load:   mov     (%r12), %eax
        test    %eax, %eax
        jz      wrong
        xor     %eax, %eax
        cpuid
        mov     %ebx, %r13d
        mov     $1, %eax                /* CALL_SQUARE */
        mov     $12, %ebx
        cmp     $0x756e6547, %r13d      /* "Genu", Intel's */
        je      intel
        vmmcall
        jmp     called
intel:  vmcall
called: cmp     $144, %rax
        je      right
wrong:  lea     text_wrong(%rip), %rsi
        jmp     end
right:  lea     text_right(%rip), %rsi
end:    lodsb
        test    %al, %al
        jz      stop
        mov     %al, (%r12)
        jmp     end
stop:   xor     %eax, %eax              /* CALL_STOP */
        cmp     $0x756e6547, %r13d
        je      vmx
        vmmcall
vmx:    vmcall
text:   .asciz  "hello from x86_64\n"
text_right: .asciz "12 * 12 is 144\n"
text_wrong: .asciz "something is wrong\n"
        .balign 8
guest_end:
        .section .note.GNU-stack, "", @progbits
