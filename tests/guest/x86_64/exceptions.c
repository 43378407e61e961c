/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions: their error codes and addresses, those that come while another is delivered, those of
 * software, single steps over what exits, breakpoints, user code. [SDM 3, chapters 6 and 18]
 */
#include "x86.h"

#define UNMAPPED 0x200000000ul /* No table maps it. */
#define DR6_STEP (1ul << 14)
#define DR7_FIX  0x400ul

static volatile unsigned taken[256];
static uint64_t last_rip;
static unsigned steps_left;

#define DR_READ(n)                                                                                 \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value_)::"memory");                           \
        value_;                                                                                    \
    })
#define DR_WRITE(n, v) __asm__ volatile("mov %0, %%dr" #n ::"r"((uint64_t)(v)) : "memory")

static bool note(struct frame *frame)
{
    taken[frame->vector]++;
    last_rip = frame->rip;
    return frame->vector == VECTOR_BP || frame->vector == VECTOR_DB;
}

/* --- One instruction each. --- */

static void do_divide(void *)
{
    __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" ::: "eax", "ecx", "edx", "cc");
}

static void do_undefined(void *)
{
    __asm__ volatile("ud2");
}

static void do_read(void *at)
{
    (void)*(volatile uint64_t *)at;
}

static void do_call(void *at)
{
    ((void (*)(void))at)();
}

static void do_selector(void *value)
{
    __asm__ volatile("movw %w0, %%fs" ::"r"(*(uint16_t *)value) : "memory");
}

static void do_int(void *)
{
    __asm__ volatile("int $0x20");
}

static void check_codes(void)
{
    uint16_t selector = 0x7f8;

    check_eq(probe(do_divide, NULL), VECTOR_DE, "a division by 0");
    check_eq(probe(do_undefined, NULL), VECTOR_UD, "an undefined instruction");
    check_eq(probe(do_read, (void *)UNMAPPED), VECTOR_PF, "a read of what is not mapped");
    check(probe_error == 0 && probe_address == UNMAPPED, "with its error code and address");
    check_eq(probe(do_call, (void *)(UNMAPPED + 5)), VECTOR_PF, "a call of it");
    check_eq(probe_address, UNMAPPED + 5, "with its address");
    check_eq(probe(do_read, (void *)0x8000000000000000), VECTOR_GP, "a read of no address at all");
    check_eq(probe_error, 0, "with a code of 0");
    check_eq(probe(do_selector, &selector), VECTOR_GP, "a selector beyond the table");
    check_eq(probe_error, 0x7f8, "with the selector as code");
}

/* --- While another is delivered. --- */

static void no_stack(void *)
{
    __asm__ volatile("movq %0, %%rsp; ud2" ::"r"(UNMAPPED) : "memory");
}

/* The frame of #UD cannot be written: #PF comes in its place, on a stack of its own. */
static void check_delivery(void)
{
    extern char trap_stubs[];

    gate_set(VECTOR_PF, trap_stubs + 16 * VECTOR_PF, 1, 0);
    check_eq(probe(no_stack, NULL), VECTOR_PF, "a frame that cannot be written is a page fault");
    check_eq(probe_address, UNMAPPED - 8, "at the frame's address");
    check_eq(probe_error, 2, "as a write");
    gate_reset(VECTOR_PF);
    check_eq(probe(no_stack, NULL), VECTOR_DF, "which without a stack is a double fault");
    check_eq(probe_error, 0, "with a code of 0");
}

static void check_no_gate(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) kept;
    volatile uint8_t *idt;

    __asm__ volatile("sidt %0" : "=m"(kept));
    idt = (volatile uint8_t *)kept.base;
    idt[VECTOR_UD * 16 + 5] &= 0x7f;
    check_eq(probe(do_undefined, NULL), VECTOR_NP, "a gate that is not present");
    check_eq(probe_error & ~1ull, VECTOR_UD * 8 + 2, "is named by the code");
    gate_reset(VECTOR_UD);
    idt[0x20 * 16 + 5] &= 0x7f;
    check_eq(probe(do_int, NULL), VECTOR_NP, "so is that of an INT");
    check_eq(probe_error, 0x20 * 8 + 2, "which is not external");
    gate_reset(0x20);
}

/* --- Software's, and steps. --- */

static void check_software(void)
{
    extern char after_bp[];

    taken[VECTOR_BP] = 0;
    __asm__ volatile("int3\n .global after_bp\n after_bp:" ::: "memory");
    check_eq(taken[VECTOR_BP], 1, "INT3 is taken");
    check_eq(last_rip, (uint64_t)after_bp, "its frame is behind it");
}

static void ints_and_timers(void)
{
    for (unsigned i = 0; i < 20000; i++)
        __asm__ volatile("int3" ::: "memory");
}

static volatile unsigned ticks;

static void tick(unsigned irq)
{
    ticks += irq == TIMER_IRQ;
    timer_set(clock_read() + clock_hz() / 2000);
}

/* Exits fall between an INT and its handler now and then: none is lost, none doubled. */
static void check_under_load(void)
{
    taken[VECTOR_BP] = 0;
    irq_handler = tick;
    irq_line_enable(TIMER_IRQ);
    irq_enable();
    timer_set(clock_read() + 1000);
    ints_and_timers();
    WAIT_FOR(ticks > 20, LATE_MS);
    irq_disable();
    timer_off();
    check_eq(taken[VECTOR_BP], 20000, "each INT3 is taken once while timers interrupt");
    check(ticks > 20, "and so are the timers");
}

static uint64_t step_rips[16];

static bool step_note(struct frame *frame)
{
    if (frame->vector != VECTOR_DB)
        return false;
    if (taken[VECTOR_DB] < 16)
        step_rips[taken[VECTOR_DB]] = frame->rip;
    taken[VECTOR_DB]++;
    if (--steps_left == 0)
        frame->rflags &= ~(uint64_t)FLAG_TF;
    return true;
}

/* Each of these exits; after each there is a step. */
static void check_steps(void)
{
    extern char step_1[], step_2[], step_3[], step_4[], step_5[], step_6[];
    uint64_t want[] = {(uint64_t)step_1, (uint64_t)step_2, (uint64_t)step_3,
                       (uint64_t)step_4, (uint64_t)step_5, (uint64_t)step_6};
    unsigned wrong = 0;

    exception_hook = step_note;
    taken[VECTOR_DB] = 0;
    steps_left = 6;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
                     "movl $1, %%eax\n step_1: cpuid\n step_2: inb $0x61, %%al\n"
                     "step_3: movl $0x1b, %%ecx\n step_4: rdmsr\n step_5: movl (%%rsi), %%eax\n"
                     "step_6: nop"
                     :
                     : "S"(IOAPIC_BASE)
                     : "eax", "ebx", "ecx", "edx", "memory", "cc");
    for (unsigned i = 0; i < 6; i++)
        wrong += step_rips[i] != want[i];
    check_eq(taken[VECTOR_DB], 6, "a single step comes after each instruction, exit or not");
    check_eq(wrong, 0, "at the next");
    check(DR_READ(6) & DR6_STEP, "DR6 says that it was a step");
    exception_hook = note;
}

static volatile uint64_t watched[2];

static void check_breakpoints(void)
{
    taken[VECTOR_DB] = 0;
    DR_WRITE(6, 0xffff0ff0);
    DR_WRITE(0, watched);
    DR_WRITE(7, DR7_FIX | 1 | 0x90000); /* Writes, 8 bytes. */
    hypercall();
    cpu_yield();
    cpuid(0, 0);
    watched[1] = 1;
    check_eq(taken[VECTOR_DB], 0, "a write beside what is watched");
    watched[0] = 1;
    check_eq(taken[VECTOR_DB], 1, "a write to what is watched is a debug exception");
    check_eq(DR_READ(6) & 15, 1, "DR6 says which it was");
    check_eq(DR_READ(0), (uint64_t)watched, "debug registers are kept over exits");
    check_eq(DR_READ(7), DR7_FIX | 1 | 0x90000, "and their control");
    DR_WRITE(7, DR7_FIX);
    watched[0] = 2;
    check_eq(taken[VECTOR_DB], 1, "turned off there is none");
}

/* --- User code. --- */

static uint8_t user_stack[PAGE] __attribute__((aligned(16)));

#define USER(label, text)                                                                          \
    __asm__(".pushsection .text\n .global " #label "\n" #label ":\n" text "\n ud2\n .popsection"); \
    extern char label[]

USER(user_cli, "cli");
USER(user_in, "inb $0x61, %al");
USER(user_rdmsr, "movl $0x1b, %ecx; rdmsr");
USER(user_call, "xorl %eax, %eax;" HYPERVISOR_CALL);
USER(user_hlt, "hlt");
USER(user_int, "int $0x20");
USER(user_cpuid, "xorl %eax, %eax; cpuid");
USER(user_mmio, "movl $0xfec00000, %eax; movl $0x5d, (%rax)");
USER(user_cr, "movq %cr0, %rax");

static void enter_user(void *at)
{
    cpu_tss(0)->rsp[0] = (uint64_t)__builtin_frame_address(0) - 512;
    __asm__ volatile(
        "pushq %0; pushq %1; pushq $0x202; pushq %2; pushq %3; iretq" ::"i"(SEL_USER_DATA),
        "r"((uint64_t)user_stack + PAGE), "i"(SEL_USER64), "r"((uint64_t)at)
        : "memory");
}

static void check_user(void)
{
    exception_hook = NULL;
    check_eq(probe(enter_user, user_cli), VECTOR_GP, "user code: CLI");
    check_eq(probe(enter_user, user_in), VECTOR_GP, "IN");
    check_eq(probe(enter_user, user_rdmsr), VECTOR_GP, "RDMSR");
    check_eq(probe(enter_user, user_hlt), VECTOR_GP, "HLT");
    check_eq(probe(enter_user, user_cr), VECTOR_GP, "control registers");
    check_eq(probe(enter_user, user_int), VECTOR_GP, "INT by a gate that is not its own");
    check_eq(probe_error, 0x20 * 8 + 2, "which the code names");
    if (is_caisson)
        check_eq(probe(enter_user, user_call), VECTOR_UD, "calls of the hypervisor");
    check_eq(probe(enter_user, user_cpuid), VECTOR_UD, "CPUID it may use");
    check_eq(probe(enter_user, user_mmio), VECTOR_UD, "and a device that is mapped for it");
    check_eq(mmio_read(IOAPIC_BASE), 0x5d, "which it has changed");
}

void guest_main(void)
{
    check_codes();
    check_delivery();
    check_no_gate();
    exception_hook = note;
    check_software();
    check_under_load();
    check_steps();
    check_breakpoints();
    check_user();
}
