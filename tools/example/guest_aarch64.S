/* SPDX-License-Identifier: Apache-2.0 */
/* The guest of tools/example/hypervisor.c: wherever it is loaded, at EL1, without a stack. */
        .section .rodata
        .globl  guest_start, guest_end
        .hidden guest_start, guest_end
        .balign 8
guest_start:
        mov     x20, #0x1000
        movk    x20, #0x1000, lsl #16   /* CONSOLE */
        adr     x21, text
print:  ldrb    w0, [x21], #1
        cbz     w0, load
        strb    w0, [x20]
        b       print
load:   ldr     w1, [x20]
        cbz     w1, wrong
        mov     x0, #1                  /* CALL_SQUARE */
        mov     x1, #12
        hvc     #0
        cmp     x0, #144
        b.eq    right
wrong:  adr     x21, text_wrong
        b       end
right:  adr     x21, text_right
end:    ldrb    w0, [x21], #1
        cbz     w0, stop
        strb    w0, [x20]
        b       end
stop:   mov     x0, #0                  /* CALL_STOP */
        hvc     #0
        b       stop
text:   .asciz  "hello from aarch64\n"
text_right: .asciz "12 * 12 is 144\n"
text_wrong: .asciz "something is wrong\n"
        .balign 8
guest_end:
