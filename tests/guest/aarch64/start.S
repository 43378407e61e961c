/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of an arm64 guest, its vectors, and the start of its other CPUs. The image
 * has the Linux header. [Linux: Documentation/arch/arm64/booting.rst]
 */
#define R_AARCH64_RELATIVE 1027
#define STACK_SHIFT        14

    .section .head, "ax"
    .global _head
_head:
    b       start
    .word   0
    .quad   0                       /* text_offset: from 2 MiB. */
    .quad   _end - . + 16           /* image_size. */
    .quad   0xa                     /* Little endian, 4 KiB pages, anywhere in memory. */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

    .text
/* x0: the device tree. FP registers are kept as found, for those who look at them. */
start:
    mrs     x20, cntpct_el0         /* start_clock. */
    mov     x19, x0
    adrp    x1, _head
    add     x1, x1, :lo12:_head
    adrp    x2, _rela_start
    add     x2, x2, :lo12:_rela_start
    adrp    x3, _rela_end
    add     x3, x3, :lo12:_rela_end
1:  cmp     x2, x3
    b.hs    2f
    ldp     x4, x5, [x2], #16
    ldr     x6, [x2], #8
    cmp     x5, #R_AARCH64_RELATIVE
    b.ne    1b
    add     x6, x6, x1
    str     x6, [x1, x4]
    b       1b
2:  adrp    x2, _bss_start
    add     x2, x2, :lo12:_bss_start
    adrp    x3, _bss_end
    add     x3, x3, :lo12:_bss_end
3:  cmp     x2, x3
    b.hs    4f
    stp     xzr, xzr, [x2], #16
    b       3b
4:  adrp    x2, start_clock
    str     x20, [x2, :lo12:start_clock]
    mov     x0, #0
    bl      stack_set
    mov     x0, x19
    bl      cpu_setup_first
    b       runtime_main

/* Sets sp for CPU x0. Changes x1, x2. */
stack_set:
    adrp    x1, stacks
    add     x1, x1, :lo12:stacks
    add     x2, x0, #1
    add     x1, x1, x2, lsl #STACK_SHIFT
    mov     sp, x1
    ret

/*
 * Where CPU_ON sends a CPU. x0: the context; its low byte is the CPU's number. Notes what it
 * finds: EL, DAIF and SCTLR_EL1, which cpu_setup() changes.
 */
    .global secondary_entry
secondary_entry:
    mov     x19, x0
    and     x0, x0, #0xff
    adrp    x3, secondary_state
    add     x3, x3, :lo12:secondary_state
    mrs     x4, currentel
    mrs     x5, daif
    stp     x4, x5, [x3], #16
    mrs     x4, sctlr_el1
    mrs     x5, mpidr_el1
    stp     x4, x5, [x3]
    bl      stack_set
    bl      cpu_setup
    mov     x0, x19
    b       secondary_main

/* --- Vectors. The frame: x0 to x30 but x18, ELR, SPSR. --- */

    .macro frame_push
    sub     sp, sp, #272
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x19, x20, [sp, #144]
    stp     x21, x22, [sp, #160]
    stp     x23, x24, [sp, #176]
    stp     x25, x26, [sp, #192]
    stp     x27, x28, [sp, #208]
    stp     x29, x30, [sp, #224]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x0, x1, [sp, #240]
    .endm

    .macro frame_pop
    ldp     x0, x1, [sp, #240]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x19, x20, [sp, #144]
    ldp     x21, x22, [sp, #160]
    ldp     x23, x24, [sp, #176]
    ldp     x25, x26, [sp, #192]
    ldp     x27, x28, [sp, #208]
    ldp     x29, x30, [sp, #224]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #272
    .endm

    .macro vector_bad number
    .balign 128
    mov     x0, #\number
    b       vector_unexpected
    .endm

    .balign 2048
    .global vectors
vectors:
    vector_bad 0
    vector_bad 1
    vector_bad 2
    vector_bad 3
    .balign 128
    b       sync_vector
    .balign 128
    mrs     x18, cntvct_el0         /* The first instruction: see bench_arm.S. */
    b       irq_vector
    vector_bad 6
    vector_bad 7
    vector_bad 8
    vector_bad 9
    vector_bad 10
    vector_bad 11
    vector_bad 12
    vector_bad 13
    vector_bad 14
    vector_bad 15

sync_vector:
    frame_push
    mov     x0, sp
    bl      sync_taken
    frame_pop
    eret

irq_vector:
    frame_push
    bl      irq_taken
    frame_pop
    eret

    .bss
    .balign 16
    .global start_clock
start_clock:
    .space  16
    .global secondary_state
secondary_state:
    .space  32
    .balign 16
stacks:
    .space  8 << STACK_SHIFT        /* CPUS_MAX. */
