/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of tools/example/hypervisor.c: wherever it is loaded, in VS-mode, without a stack. */
        .section .rodata
        .globl  guest_start, guest_end
        .hidden guest_start, guest_end
        .option push
        .option norvc                   /* Nothing in it is moved or relaxed by the linker. */
        .option norelax
        .balign 8
guest_start:
        li      s0, 0x10001000          /* CONSOLE */
        lla     s1, text
print:  lbu     a0, 0(s1)
        beqz    a0, load
        sb      a0, 0(s0)
        addi    s1, s1, 1
        j       print
load:   lw      t0, 0(s0)
        beqz    t0, wrong
        li      a7, 1                   /* CALL_SQUARE */
        li      a0, 12
        ecall
        li      t0, 144
        beq     a0, t0, right
wrong:  lla     s1, text_wrong
        j       end
right:  lla     s1, text_right
end:    lbu     a0, 0(s1)
        beqz    a0, stop
        sb      a0, 0(s0)
        addi    s1, s1, 1
        j       end
stop:   li      a7, 0                   /* CALL_STOP */
        ecall
        j       stop
text:   .asciz  "hello from riscv64\n"
text_right: .asciz "12 * 12 is 144\n"
text_wrong: .asciz "something is wrong\n"
        .balign 8
guest_end:
        .option pop
