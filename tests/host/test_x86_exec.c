/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How x86 instructions are carried out: the exits that they take, addresses, strings, faults. What
 * they compute is compared with a processor in test_x86_native.c.
 */
#include <string.h>

#include "arch/x86_64/insn_alu.h"
#include "arch/x86_64/insn_exec.h"
#include "tests/host/test.h"

#define RAM_SIZE 0x4000u

static uint8_t ram[RAM_SIZE]; /* Guest-physical memory from ram_base. */
static uint64_t ram_base;
static unsigned exits, exits_misaligned;
static uint64_t ports_read; /* The next value that a port gives. */
static uint64_t port_written;

struct machine {
    uint64_t gpr[16], rip, rflags;
    struct insn_cpu cpu;
    struct insn_exec exec;
    struct insn_fault fault;
};

static struct insn_regs machine_regs(struct machine *machine)
{
    return (struct insn_regs){machine->gpr, &machine->rip, &machine->rflags};
}

static void answer(struct vcpu_exit *exit)
{
    uint64_t offset = exit->mmio.gpa.v - ram_base;

    exits++;
    ASSERT(exit->advance);
    if (exit->kind == EXIT_PIO_IN) {
        exit->pio.data = ports_read++;
        return;
    }
    if (exit->kind == EXIT_PIO_OUT) {
        port_written = exit->pio.data;
        return;
    }
    ASSERT(offset + exit->mmio.width <= RAM_SIZE);
    exits_misaligned += !IS_ALIGNED(exit->mmio.gpa.v, exit->mmio.width);
    if (exit->kind == EXIT_MMIO_WRITE) {
        memcpy(&ram[offset], &exit->mmio.data, exit->mmio.width);
        return;
    }
    ASSERT_EQ(exit->kind, EXIT_MMIO_READ);
    exit->mmio.data = test_random(); /* What is above the width does not count. */
    memcpy(&exit->mmio.data, &ram[offset], exit->mmio.width);
}

/* Until it is complete, or the guest is to go on by itself. bytes: it is saved and goes on from
 * there before each exit. */
static enum insn_begin run_saved(struct machine *machine, const struct insn *insn,
                                 const uint8_t *bytes)
{
    struct insn_regs regs = machine_regs(machine);
    enum insn_begin begin =
        insn_exec_begin(&machine->exec, insn, &regs, &machine->cpu, &machine->fault);
    struct insn_progress progress;
    struct vcpu_exit exit;

    if (bytes)
        memcpy(machine->exec.bytes, bytes, insn->length);
    while (begin == INSN_BEGIN_OK && machine->exec.active) {
        if (bytes) {
            insn_exec_save(&machine->exec, &progress);
            memset(&machine->exec, 0xff, sizeof(machine->exec));
            ASSERT(insn_exec_restore(&machine->exec, &progress, 40));
        }
        insn_exec_next(&machine->exec, &exit);
        answer(&exit);
        insn_exec_finish(&machine->exec, &regs, &exit);
    }
    return begin;
}

static enum insn_begin run(struct machine *machine, const struct insn *insn)
{
    return run_saved(machine, insn, NULL);
}

static struct machine machine_make(enum insn_mode mode)
{
    struct machine machine = {.rip = 0x1000, .rflags = BIT(1), .cpu = {.mode = mode}};

    if (mode == INSN_MODE_64)
        machine.cpu.paging.efer = EFER_LMA; /* For canonical addresses; paging is off. */
    machine.cpu.paging.gpa_bits = 40;
    memset(ram, 0, sizeof(ram));
    ram_base = 0;
    exits = exits_misaligned = 0;
    return machine;
}

static struct insn decode(const uint8_t *bytes, unsigned count, enum insn_mode mode)
{
    struct insn insn = {0};

    ASSERT_EQ(insn_decode(bytes, count, mode, &insn), INSN_OK);
    return insn;
}

static void run_bytes(struct machine *machine, const uint8_t *bytes, unsigned count)
{
    struct insn insn = decode(bytes, count, machine->cpu.mode);

    ASSERT_EQ(run_saved(machine, &insn, bytes), INSN_BEGIN_OK);
}

#define RUN(machine, ...)                                                                          \
    do {                                                                                           \
        static const uint8_t bytes_[] = {__VA_ARGS__};                                             \
        run_bytes(machine, bytes_, sizeof(bytes_));                                                \
    } while (0)

static uint64_t ram_get(uint64_t at, unsigned width)
{
    uint64_t value = 0;

    memcpy(&value, &ram[at], width);
    return value;
}

TEST(x86_load_and_store_take_one_exit_and_step_over)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RDI] = 0x100;
    m.gpr[INSN_RAX] = 0xaabbccdd11223344;
    RUN(&m, 0x89, 0x47, 0x10); /* mov %eax,0x10(%rdi) */
    ASSERT_EQ(ram_get(0x110, 8), 0x11223344);
    ASSERT_EQ(m.rip, 0x1003);
    RUN(&m, 0x66, 0x8b, 0x57, 0x12); /* mov 0x12(%rdi),%dx */
    ASSERT_EQ(m.gpr[INSN_RDX], 0x1122);
    RUN(&m, 0x8a, 0x67, 0x10); /* mov 0x10(%rdi),%ah */
    ASSERT_EQ(m.gpr[INSN_RAX], 0xaabbccdd11224444);
    ASSERT_EQ(exits, 3);
}

TEST(x86_read_modify_write_is_two_exits)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RBX] = 0x200;
    ram[0x200] = 0xff;
    RUN(&m, 0xf0, 0x80, 0x03, 0x01); /* lock addb $1,(%rbx) */
    ASSERT_EQ(ram[0x200], 0);
    ASSERT_EQ(exits, 2);
    ASSERT_EQ(m.rflags & FLAGS_ARITHMETIC, FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF);
}

TEST(x86_misaligned_accesses_are_split_into_aligned_ones)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RBX] = 0x201;
    m.gpr[INSN_RCX] = 0x8877665544332211;
    RUN(&m, 0x48, 0x89, 0x0b); /* mov %rcx,(%rbx) */
    ASSERT_EQ(exits, 4);       /* 1, 2, 4, 1 */
    ASSERT_EQ(ram_get(0x201, 8), 0x8877665544332211);
    m.gpr[INSN_RBX] = 0xfff;
    RUN(&m, 0x48, 0x89, 0x0b);
    RUN(&m, 0x48, 0x8b, 0x13); /* mov (%rbx),%rdx */
    ASSERT_EQ(m.gpr[INSN_RDX], 0x8877665544332211);
    ASSERT_EQ(exits_misaligned, 0);
}

TEST(x86_bit_of_a_register_moves_the_address)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RBX] = 0x400;
    m.gpr[INSN_RAX] = (uint64_t)-33;
    RUN(&m, 0x0f, 0xab, 0x03); /* bts %eax,(%rbx) */
    ASSERT_EQ(ram_get(0x3f8, 8), BIT(31));
    m.gpr[INSN_RAX] = 70;
    RUN(&m, 0x48, 0x0f, 0xbb, 0x03); /* btc %rax,(%rbx) */
    ASSERT_EQ(ram_get(0x408, 8), BIT(6));
    RUN(&m, 0x0f, 0xba, 0x6b, 0x10, 33); /* btsl $33,0x10(%rbx) */
    ASSERT_EQ(ram_get(0x410, 8), BIT(1));
}

TEST(x86_cmpxchg_writes_in_both_cases)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RBX] = 0x400;
    m.gpr[INSN_RAX] = 0xffffffff00000007;
    m.gpr[INSN_RCX] = 9;
    ram[0x400] = 7;
    RUN(&m, 0xf0, 0x0f, 0xb1, 0x0b); /* lock cmpxchg %ecx,(%rbx) */
    ASSERT_EQ(ram_get(0x400, 4), 9);
    ASSERT(m.rflags & FLAG_ZF);
    RUN(&m, 0xf0, 0x0f, 0xb1, 0x0b);
    ASSERT_EQ(m.gpr[INSN_RAX], 9);
    ASSERT(!(m.rflags & FLAG_ZF));
    ASSERT_EQ(exits, 4);
}

TEST(x86_movbe_swaps_bytes)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RBX] = 0x400;
    m.gpr[INSN_RCX] = 0x1122334455667788;
    RUN(&m, 0x48, 0x0f, 0x38, 0xf1, 0x0b); /* movbe %rcx,(%rbx) */
    ASSERT_EQ(ram_get(0x400, 8), 0x8877665544332211);
    RUN(&m, 0x0f, 0x38, 0xf0, 0x13); /* movbe (%rbx),%edx */
    ASSERT_EQ(m.gpr[INSN_RDX], 0x11223344);
    RUN(&m, 0x66, 0x0f, 0x38, 0xf0, 0x0b); /* movbe (%rbx),%cx */
    ASSERT_EQ(m.gpr[INSN_RCX], 0x1122334455661122);
}

TEST(x86_string_goes_on_by_elements_until_its_page_ends)
{
    struct machine m = machine_make(INSN_MODE_64);
    struct insn insn = decode((const uint8_t[]){0xf3, 0xa5}, 2, INSN_MODE_64); /* rep movsl */

    for (unsigned i = 0; i < 0x1000; i++)
        ram[i] = (uint8_t)(i * 7);
    m.gpr[INSN_RSI] = 0x103;
    m.gpr[INSN_RDI] = 0x1ff0;
    m.gpr[INSN_RCX] = 6;
    ASSERT_EQ(run(&m, &insn), INSN_BEGIN_OK);
    ASSERT_EQ(m.gpr[INSN_RCX], 2); /* Four to the end of the page; rip stays. */
    ASSERT_EQ(m.gpr[INSN_RSI], 0x113);
    ASSERT_EQ(m.gpr[INSN_RDI], 0x2000);
    ASSERT_EQ(m.rip, 0x1000);
    ASSERT_EQ(run(&m, &insn), INSN_BEGIN_OK);
    ASSERT_EQ(m.gpr[INSN_RCX], 0);
    ASSERT_EQ(m.rip, 0x1002);
    ASSERT(memcmp(&ram[0x103], &ram[0x1ff0], 24) == 0);
    exits = 0;
    ASSERT_EQ(run(&m, &insn), INSN_BEGIN_OK); /* None is left. */
    ASSERT_EQ(exits, 0);
    ASSERT_EQ(m.rip, 0x1004);
}

TEST(x86_string_can_be_stopped_between_elements)
{
    struct machine m = machine_make(INSN_MODE_64);
    struct insn insn = decode((const uint8_t[]){0xf3, 0xaa}, 2, INSN_MODE_64); /* rep stosb */
    struct insn_regs regs = machine_regs(&m);
    struct vcpu_exit exit;

    m.gpr[INSN_RDI] = 0x100;
    m.gpr[INSN_RCX] = 3;
    ASSERT_EQ(insn_exec_begin(&m.exec, &insn, &regs, &m.cpu, &m.fault), INSN_BEGIN_OK);
    ASSERT(!m.exec.between);
    insn_exec_next(&m.exec, &exit);
    ASSERT(!insn_exec_finish(&m.exec, &regs, &exit));
    ASSERT(m.exec.between && m.exec.active);
    insn_exec_stop(&m.exec);
    ASSERT_EQ(m.gpr[INSN_RCX], 2);
    ASSERT_EQ(m.gpr[INSN_RDI], 0x101);
    ASSERT_EQ(m.rip, 0x1000);
    ASSERT_EQ(insn_exec_begin(&m.exec, &insn, &regs, &m.cpu, &m.fault), INSN_BEGIN_OK);
    insn_exec_next(&m.exec, &exit);
    ASSERT(!m.exec.between);
    ASSERT(!insn_exec_finish(&m.exec, &regs, &exit));
    insn_exec_next(&m.exec, &exit);
    ASSERT(insn_exec_finish(&m.exec, &regs, &exit)); /* The last one completes it. */
    ASSERT(!m.exec.active);
}

TEST(x86_strings_wrap_in_16_bit_code_and_ask_again_there)
{
    struct machine m = machine_make(INSN_MODE_16);
    struct insn insn = decode((const uint8_t[]){0xf3, 0xaa}, 2, INSN_MODE_16); /* rep stosb */

    m.cpu.base[INSN_ES] = 0x10;
    ram_base = 0x10000 - 0x100;
    m.gpr[INSN_RDI] = 0xabcdffff;
    m.gpr[INSN_RCX] = 0x10002;
    m.gpr[INSN_RAX] = 0x55;
    ASSERT_EQ(run(&m, &insn), INSN_BEGIN_OK);
    ASSERT_EQ(exits, 1);
    ASSERT_EQ(ram[0x10f], 0x55);
    ASSERT_EQ(m.gpr[INSN_RDI], 0xabcd0000);
    ASSERT_EQ(m.gpr[INSN_RCX], 0x10001);
}

TEST(x86_strings_move_data_between_ports_and_memory)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.gpr[INSN_RDX] = 0x1f0;
    m.gpr[INSN_RDI] = 0x100;
    m.gpr[INSN_RCX] = 3;
    ports_read = 0x10;
    RUN(&m, 0xf3, 0x66, 0x6d); /* rep insw */
    ASSERT_EQ(ram_get(0x100, 8), 0x001200110010);
    m.gpr[INSN_RSI] = 0x102;
    RUN(&m, 0x6e); /* outsb */
    ASSERT_EQ(port_written, 0x11);
    ASSERT_EQ(m.gpr[INSN_RSI], 0x103);
}

TEST(x86_segments_and_address_sizes_make_the_linear_address)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.cpu.base[INSN_DS] = m.cpu.base[INSN_ES] = 0x1000; /* Have none in 64-bit code. */
    m.cpu.base[INSN_GS] = 0x100;
    ram[0x120] = 1;
    ram[0x20] = 2;
    m.gpr[INSN_RAX] = 0xffffffff00000020;
    RUN(&m, 0x65, 0x67, 0x8a, 0x08); /* mov %gs:(%eax),%cl */
    ASSERT_EQ(m.gpr[INSN_RCX], 1);
    RUN(&m, 0x67, 0x8a, 0x08);
    ASSERT_EQ(m.gpr[INSN_RCX], 2);
    m.rip = 0x1000;
    RUN(&m, 0x8a, 0x0d, 0x1a, 0xf1, 0xff, 0xff); /* mov -0xee6(%rip),%cl */
    ASSERT_EQ(m.gpr[INSN_RCX], 1);
    m = machine_make(INSN_MODE_16);
    m.cpu.base[INSN_SS] = 0xfffffff0;
    m.gpr[INSN_RBP] = 0x10020;
    m.gpr[INSN_RSI] = 0xfff0;
    ram[0x03] = 3;
    RUN(&m, 0x8a, 0x4a, 0x03); /* mov 3(%bp,%si),%cl: 0x13 in the segment */
    ASSERT_EQ(m.gpr[INSN_RCX], 3);
}

TEST(x86_address_that_hardware_translated_is_used)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.cpu.access = ACCESS_READ;
    m.cpu.gpa = gpa(0x3008);
    m.gpr[INSN_RBX] = 0x1008; /* Paging is off: else it would be there. */
    ram[0x3008] = 1;
    ram[0x1008] = 2;
    RUN(&m, 0x8a, 0x0b); /* mov (%rbx),%cl */
    ASSERT_EQ(m.gpr[INSN_RCX], 1);
    m.cpu.gpa = gpa(0x2000);
    m.gpr[INSN_RBX] = 0x1fff; /* The second page of an operand. */
    RUN(&m, 0x66, 0x8b, 0x0b);
    ASSERT_EQ(exits, 3);
    m.gpr[INSN_RBX] = 0x2000; /* It was a read; for a write the tables are walked again. */
    RUN(&m, 0xfe, 0x03);      /* incb (%rbx) */
    ASSERT_EQ(ram[0x2000], 1);
}

TEST(x86_what_is_not_the_access_that_stopped_is_left_to_the_guest)
{
    struct machine m = machine_make(INSN_MODE_64);

    m.cpu.access = ACCESS_READ;
    m.cpu.gpa = gpa(0x3008);
    m.gpr[INSN_RBX] = m.gpr[INSN_RDI] = 0x1010;
    RUN(&m, 0x8a, 0x0b); /* mov (%rbx),%cl: at another offset */
    m.gpr[INSN_RBX] = 0x1008;
    RUN(&m, 0xf0, 0xfe, 0x03); /* lock incb (%rbx): in memory */
    m.gpr[INSN_RDI] = 0x3008;
    RUN(&m, 0x6c); /* insb: to the right address, but from a port */
    RUN(&m, 0xaa); /* stosb: another access to the same is carried out */
    ASSERT_EQ(exits, 1);
    ASSERT_EQ(m.rip, 0x1001);
    ASSERT_EQ(m.gpr[INSN_RDI], 0x3009);
}

static enum err no_entries(void *, gpa_t, uint64_t *entry)
{
    *entry = 0;
    return OK;
}

TEST(x86_faults_are_found_before_anything_is_done)
{
    static const struct arch_guest_memory empty = {.read = no_entries};
    struct machine m = machine_make(INSN_MODE_64);
    struct insn ins = decode((const uint8_t[]){0xf3, 0x6c}, 2, INSN_MODE_64); /* rep insb */
    struct insn mov = decode((const uint8_t[]){0x8b, 0x03}, 2, INSN_MODE_64);
    struct insn stack = decode((const uint8_t[]){0x8b, 0x45, 0}, 3, INSN_MODE_64);

    m.gpr[INSN_RBX] = m.gpr[INSN_RBP] = BIT(47);
    ASSERT_EQ(run(&m, &mov), INSN_BEGIN_FAULT);
    ASSERT_EQ(m.fault.vector, INSN_VECTOR_GP);
    ASSERT_EQ(run(&m, &stack), INSN_BEGIN_FAULT);
    ASSERT_EQ(m.fault.vector, INSN_VECTOR_SS);
    m.cpu.memory = &empty;
    m.cpu.paging.cr0 = CR0_PG;
    m.cpu.paging.cr4 = CR4_PAE;
    m.gpr[INSN_RDI] = 0x5ff0;
    m.gpr[INSN_RCX] = 1;
    ASSERT_EQ(run(&m, &ins), INSN_BEGIN_FAULT);
    ASSERT_EQ(m.fault.vector, INSN_VECTOR_PF);
    ASSERT_EQ(m.fault.error, PF_WRITE);
    ASSERT_EQ(m.fault.addr, 0x5ff0);
    ASSERT_EQ(exits, 0);
    ASSERT_EQ(m.gpr[INSN_RCX], 1);
    ASSERT_EQ(m.rip, 0x1000);
    ASSERT(!m.exec.active);
}

TEST(x86_an_instruction_that_cannot_be_so_far_is_not_gone_on_with)
{
    struct machine m = machine_make(INSN_MODE_64);
    struct insn_regs regs = machine_regs(&m);
    struct insn insn = decode((const uint8_t[]){0xfe, 0x03}, 2, INSN_MODE_64); /* incb (%rbx) */
    struct insn_progress good, bad;

    ASSERT_EQ(insn_exec_begin(&m.exec, &insn, &regs, &m.cpu, &m.fault), INSN_BEGIN_OK);
    memcpy(m.exec.bytes, (const uint8_t[]){0xfe, 0x03}, 2);
    insn_exec_save(&m.exec, &good);
    ASSERT(insn_exec_restore(&m.exec, &good, 40));
#define REFUSES(change)                                                                            \
    bad = good;                                                                                    \
    bad.change;                                                                                    \
    ASSERT(!insn_exec_restore(&m.exec, &bad, 40));                                                 \
    ASSERT(!m.exec.active)

    REFUSES(bytes[0] = 0x90);
    REFUSES(mode = 3);
    REFUSES(step = 2);
    REFUSES(done = 1);
    REFUSES(bit = 8);
    REFUSES(between = true);
    REFUSES(first_size[0] = 2);
    REFUSES(place[0][0] = BIT(40));
    REFUSES(place[1][1] = BIT(63));
    REFUSES(active = false); /* And the rest is not zero. */
#undef REFUSES
}

/* Whatever is accepted makes exits that are of this guest, and comes to an end. */
TEST(x86_an_instruction_from_a_stranger_does_no_harm)
{
    struct machine m = machine_make(INSN_MODE_64);
    struct insn_regs regs = machine_regs(&m);
    struct insn_progress progress;
    struct vcpu_exit exit;
    unsigned accepted = 0;

    for (unsigned round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof(progress); i++)
            ((uint8_t *)&progress)[i] = (uint8_t)test_random();
        progress.mode = (uint8_t)(2u << test_random_below(3));
        progress.step &= 3;
        progress.done &= 7;
        progress.between &= 1;
        progress.bit = 0;
        for (unsigned i = 0; i < 2; i++) {
            progress.first_size[i] &= 7;
            progress.place[i][0] >>= 24;
            progress.place[i][1] >>= 24;
        }
        if (!insn_exec_restore(&m.exec, &progress, 40))
            continue;
        accepted++;
        m.gpr[INSN_RCX] = 3;
        for (unsigned i = 0; m.exec.active; i++) {
            ASSERT(i < 64);
            insn_exec_next(&m.exec, &exit);
            ASSERT(exit.kind == EXIT_PIO_IN || exit.kind == EXIT_PIO_OUT ||
                   exit.mmio.gpa.v >> 40 <= 1);
            insn_exec_finish(&m.exec, &regs, &exit);
        }
    }
    ASSERT(accepted > 100);
}
