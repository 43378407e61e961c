/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every instruction has a plan of one or two steps. insn_address.c says where the operands are;
 * here is what is done with them.
 */
#include "arch/x86_64/insn_exec.h"

#include "arch/x86_64/insn_address.h"
#include "arch/x86_64/insn_alu.h"
#include "kernel/string.h"

enum exec_step {
    STEP_END,
    STEP_READ, /* Place 0. */
    STEP_WRITE,
    STEP_READ_DEST, /* Place 1: where a string goes. */
    STEP_WRITE_DEST,
    STEP_IN,
    STEP_OUT,
};

#define PLAN_STEPS 2u

struct exec_plan {
    uint8_t steps[PLAN_STEPS + 1];
};

/* What an instruction leaves behind. */
struct exec_result {
    uint64_t memory; /* What is written there, of insn->width. */
    uint64_t reg;    /* Of reg_width, */
    bool reg_set;    /* if so; */
    bool rax_set;    /* or of rAX, CMPXCHG. */
    uint64_t flags;
};

static bool exec_is_plain_store(const struct insn *insn)
{
    return insn->op == INSN_SETCC ||
           ((insn->op == INSN_MOV || insn->op == INSN_MOVBE) && insn->form != INSN_LOAD);
}

static bool exec_only_reads(const struct insn *insn)
{
    return insn->form == INSN_LOAD || insn->op == INSN_CMP || insn->op == INSN_TEST ||
           insn->op == INSN_BT;
}

static struct exec_plan exec_plan(const struct insn *insn)
{
    static const struct exec_plan strings[INSN_OPS] = {
        [INSN_MOVS] = {{STEP_READ, STEP_WRITE_DEST}},
        [INSN_CMPS] = {{STEP_READ, STEP_READ_DEST}},
        [INSN_STOS] = {{STEP_WRITE_DEST}},
        [INSN_LODS] = {{STEP_READ}},
        [INSN_SCAS] = {{STEP_READ_DEST}},
        [INSN_INS] = {{STEP_IN, STEP_WRITE_DEST}},
        [INSN_OUTS] = {{STEP_READ, STEP_OUT}},
    };

    if (insn->form == INSN_STRING)
        return strings[insn->op];
    if (exec_is_plain_store(insn))
        return (struct exec_plan){{STEP_WRITE}};
    if (exec_only_reads(insn))
        return (struct exec_plan){{STEP_READ}};
    return (struct exec_plan){{STEP_READ, STEP_WRITE}};
}

static bool step_is_write(enum exec_step step)
{
    return step == STEP_WRITE || step == STEP_WRITE_DEST || step == STEP_OUT;
}

static bool step_is_port(enum exec_step step)
{
    return step == STEP_IN || step == STEP_OUT;
}

static bool step_is_dest(enum exec_step step)
{
    return step == STEP_READ_DEST || step == STEP_WRITE_DEST;
}

static enum exec_step exec_step(const struct insn_exec *exec)
{
    return (enum exec_step)exec_plan(&exec->insn).steps[exec->step];
}

static uint64_t exec_reg(const struct insn *insn, const uint64_t *gpr)
{
    return insn->reg_high ? gpr[insn->reg] >> 8 & 0xff : insn_cut(gpr[insn->reg], insn->reg_width);
}

static void exec_set_reg(const struct insn *insn, uint64_t *gpr, uint64_t value)
{
    if (insn->reg_high)
        gpr[insn->reg] = (gpr[insn->reg] & ~BITS(15, 8)) | (value & 0xff) << 8;
    else
        insn_set_reg(gpr, insn->reg, insn->reg_width, value);
}

static uint64_t exec_swap_bytes(uint64_t value, unsigned width)
{
    return __builtin_bswap64(value) >> (64 - 8 * width);
}

/* The source: of a bit test the bit's number, of MOV and the like what is stored. */
static uint64_t exec_source(const struct insn_exec *exec, const uint64_t *gpr)
{
    const struct insn *insn = &exec->insn;

    if (insn->op >= INSN_BT && insn->op <= INSN_BTC)
        return exec->bit;
    if (insn->form == INSN_IMM)
        return insn_cut((uint64_t)insn->imm, insn->width);
    return insn->form == INSN_UNARY ? 0 : exec_reg(insn, gpr);
}

static struct exec_result exec_cmpxchg(const struct insn_exec *exec, const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    uint64_t old = exec->read[0], accumulator = insn_cut(regs->gpr[INSN_RAX], insn->width);
    struct exec_result result = {.flags = *regs->rflags, .reg = old};

    insn_alu(INSN_CMP, insn->width, accumulator, old, &result.flags);
    result.rax_set = accumulator != old;
    /* What differs is written back as it was: there is always a write. */
    result.memory = result.rax_set ? old : exec_reg(insn, regs->gpr);
    return result;
}

/* Those that compute, and those of which source or destination is a register. */
static struct exec_result exec_arithmetic(const struct insn_exec *exec,
                                          const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    uint64_t source = exec_source(exec, regs->gpr);
    struct exec_result result = {.flags = *regs->rflags};

    if (insn->form != INSN_LOAD) {
        result.memory =
            insn_alu((enum insn_op)insn->op, insn->width, exec->read[0], source, &result.flags);
        return result;
    }
    result.reg =
        insn_alu((enum insn_op)insn->op, insn->width, source, exec->read[0], &result.flags);
    result.reg_set = insn->op != INSN_CMP;
    return result;
}

static struct exec_result exec_compute(const struct insn_exec *exec, const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    uint64_t old = exec->read[0], source = exec_source(exec, regs->gpr);
    struct exec_result result = {
        .memory = source, .reg = old, .reg_set = insn->form == INSN_LOAD, .flags = *regs->rflags};

    switch ((enum insn_op)insn->op) {
    case INSN_MOV:
    case INSN_MOVZX:
        return result;
    case INSN_MOVSX:
        result.reg = insn_sign_extend(old, insn->width);
        return result;
    case INSN_MOVBE:
        result.reg = exec_swap_bytes(old, insn->width);
        result.memory = exec_swap_bytes(source, insn->width);
        return result;
    case INSN_SETCC:
        result.memory = insn_condition(insn->cond, *regs->rflags);
        return result;
    case INSN_XCHG:
        result.reg_set = true;
        return result;
    case INSN_XADD:
        result.reg_set = true;
        result.memory = insn_alu(INSN_ADD, insn->width, old, source, &result.flags);
        return result;
    case INSN_CMPXCHG:
        return exec_cmpxchg(exec, regs);
    default:
        return exec_arithmetic(exec, regs);
    }
}

/* --- Strings. --- */

static void exec_move(uint64_t *gpr, unsigned reg, unsigned addr_size, int64_t by)
{
    insn_set_reg(gpr, reg, addr_size, gpr[reg] + (uint64_t)by);
}

/* After an element: registers, flags. True: there are more of them. */
static bool exec_element_done(const struct insn_exec *exec, const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    int64_t by = *regs->rflags & FLAG_DF ? -(int64_t)insn->width : insn->width;
    uint64_t source = insn->op == INSN_CMPS ? exec->read[0] : regs->gpr[INSN_RAX];
    bool compares = insn->op == INSN_CMPS || insn->op == INSN_SCAS;

    if (compares)
        insn_alu(INSN_CMP, insn->width, source, exec->read[1], regs->rflags);
    if (insn->op == INSN_LODS)
        insn_set_reg(regs->gpr, INSN_RAX, insn->width, exec->read[0]);
    if (insn_string_has_source(insn))
        exec_move(regs->gpr, INSN_RSI, insn->addr_size, by);
    if (insn_string_has_dest(insn))
        exec_move(regs->gpr, INSN_RDI, insn->addr_size, by);
    if (insn->rep == INSN_ONCE)
        return false;
    exec_move(regs->gpr, INSN_RCX, insn->addr_size, -1);
    if (compares && !(*regs->rflags & FLAG_ZF) != (insn->rep == INSN_REPNE))
        return false;
    return insn_cut(regs->gpr[INSN_RCX], insn->addr_size) != 0;
}

/* Whether the register that was moved may have wrapped: then the next element is elsewhere. */
static bool exec_wrapped(const struct insn *insn, uint64_t reg, bool down)
{
    uint64_t addr = insn_cut(reg, insn->addr_size);

    return down ? insn_cut(~addr, insn->addr_size) < insn->width : addr < insn->width;
}

/* Moves a place to the next element, if that is in the same page. */
static bool exec_place_next(struct insn_place *place, unsigned width, bool down)
{
    uint64_t next = down ? place->gpa[0] - width : place->gpa[0] + width;

    if (place->first_size < width || (next ^ place->gpa[0]) >= PAGE_SIZE ||
        ((next + width - 1) ^ next) >= PAGE_SIZE)
        return false;
    place->gpa[0] = next;
    return true;
}

static bool exec_next_element(struct insn_exec *exec, const struct insn_regs *regs)
{
    const struct insn *insn = &exec->insn;
    bool down = *regs->rflags & FLAG_DF;

    if (insn_string_has_source(insn) && (exec_wrapped(insn, regs->gpr[INSN_RSI], down) ||
                                         !exec_place_next(&exec->places[0], insn->width, down)))
        return false;
    return !insn_string_has_dest(insn) || (!exec_wrapped(insn, regs->gpr[INSN_RDI], down) &&
                                           exec_place_next(&exec->places[1], insn->width, down));
}

/* --- The steps. --- */

static void exec_retire(struct insn_exec *exec, const struct insn_regs *regs)
{
    *regs->rip += exec->insn.length;
    if (exec->mode != INSN_MODE_64)
        *regs->rip = (uint32_t)*regs->rip;
    *regs->rflags &= ~FLAG_RF;
    exec->active = false;
}

/* What a step that writes has to write. */
static uint64_t exec_value(const struct insn_exec *exec, const struct insn_regs *regs)
{
    if (exec->insn.form != INSN_STRING)
        return exec_compute(exec, regs).memory;
    return exec->insn.op == INSN_STOS ? regs->gpr[INSN_RAX] : exec->read[0];
}

static void exec_start_step(struct insn_exec *exec, const struct insn_regs *regs)
{
    exec->done = 0;
    exec->value = 0;
    if (step_is_write(exec_step(exec)))
        exec->value = insn_cut(exec_value(exec, regs), exec->insn.width);
}

static void exec_apply(struct insn_exec *exec, const struct insn_regs *regs)
{
    struct exec_result result = exec_compute(exec, regs);

    *regs->rflags = result.flags;
    if (result.reg_set)
        exec_set_reg(&exec->insn, regs->gpr, result.reg);
    if (result.rax_set)
        insn_set_reg(regs->gpr, INSN_RAX, exec->insn.width, result.reg);
    exec_retire(exec, regs);
}

/* All steps are done. True: of the whole instruction. */
static bool exec_complete(struct insn_exec *exec, const struct insn_regs *regs)
{
    if (exec->insn.form != INSN_STRING) {
        exec_apply(exec, regs);
        return true;
    }
    if (!exec_element_done(exec, regs)) {
        exec_retire(exec, regs);
        return true;
    }
    exec->step = 0;
    exec->between = true;
    if (exec_next_element(exec, regs))
        exec_start_step(exec, regs);
    else
        insn_exec_stop(exec);
    return false;
}

static bool exec_touches(const struct insn_exec *exec, const struct insn_place *place, gpa_t addr)
{
    bool second = place->first_size < exec->insn.width;

    return place->first_size != 0 && ((place->gpa[0] ^ addr.v) < PAGE_SIZE ||
                                      (second && (place->gpa[1] ^ addr.v) < PAGE_SIZE));
}

/*
 * Whether this is what the hardware stopped at, and not what another processor has put in its place
 * since: for that the hardware has not checked all rights (of ports), and has to (LOCK on memory).
 */
static bool exec_is_expected(const struct insn_exec *exec, const struct insn_cpu *cpu)
{
    if (cpu->access == ACCESS_NONE)
        return true;
    return exec->insn.op != INSN_INS && exec->insn.op != INSN_OUTS &&
           (exec_touches(exec, &exec->places[0], cpu->gpa) ||
            exec_touches(exec, &exec->places[1], cpu->gpa));
}

enum insn_begin insn_exec_begin(struct insn_exec *exec, const struct insn *insn,
                                const struct insn_regs *regs, const struct insn_cpu *cpu,
                                struct insn_fault *fault)
{
    struct exec_plan plan = exec_plan(insn);
    bool write = plan.steps[0] == STEP_WRITE || plan.steps[1] == STEP_WRITE;
    bool write_dest = plan.steps[0] == STEP_WRITE_DEST || plan.steps[1] == STEP_WRITE_DEST;
    enum insn_begin begin;

    *exec = (struct insn_exec){
        .insn = *insn, .mode = (uint8_t)cpu->mode, .port = (uint16_t)regs->gpr[INSN_RDX]};
    if (insn->rep != INSN_ONCE && insn_cut(regs->gpr[INSN_RCX], insn->addr_size) == 0) {
        exec_retire(exec, regs);
        return INSN_BEGIN_OK;
    }
    if (insn->form == INSN_STRING)
        begin = insn_address_string(exec, regs, cpu, write_dest, fault);
    else
        begin = insn_address_operand(exec, regs, cpu, write, fault);
    if (begin != INSN_BEGIN_OK)
        return begin;
    exec->active = exec_is_expected(exec, cpu);
    if (exec->active)
        exec_start_step(exec, regs);
    return INSN_BEGIN_OK;
}

/* Where the next piece of an access is, and how much of it: what is aligned, and in one page. */
static uint64_t exec_piece(const struct insn_exec *exec, unsigned *width)
{
    const struct insn_place *place = &exec->places[step_is_dest(exec_step(exec))];
    unsigned left = exec->insn.width - exec->done;
    uint64_t addr;

    if (exec->done < place->first_size) {
        addr = place->gpa[0] + exec->done;
        left = MIN(left, (unsigned)place->first_size - exec->done);
    } else {
        addr = place->gpa[1] + exec->done - place->first_size;
    }
    *width = 8;
    while (*width > left || (addr & (*width - 1)) != 0)
        *width /= 2;
    return addr;
}

void insn_exec_next(struct insn_exec *exec, struct vcpu_exit *exit)
{
    enum exec_step step = exec_step(exec);
    unsigned width = exec->insn.width;

    exec->between = false;
    exit->advance = true;
    if (step_is_port(step)) {
        exit->kind = step == STEP_IN ? EXIT_PIO_IN : EXIT_PIO_OUT;
        exit->pio.port = exec->port;
        exit->pio.width = exec->insn.width;
        exit->pio.data = exec->value;
        return;
    }
    exit->kind = step_is_write(step) ? EXIT_MMIO_WRITE : EXIT_MMIO_READ;
    exit->mmio.gpa = gpa(exec_piece(exec, &width));
    exit->mmio.width = (uint8_t)width;
    exit->mmio.data = insn_cut(exec->value >> 8 * exec->done, width);
    exit->mmio.reg = exit->mmio.reg_width = 0;
    exit->mmio.sign_extend = false;
}

bool insn_exec_finish(struct insn_exec *exec, const struct insn_regs *regs,
                      const struct vcpu_exit *exit)
{
    enum exec_step step = exec_step(exec);
    unsigned width = step_is_port(step) ? exit->pio.width : exit->mmio.width;
    uint64_t data = step_is_port(step) ? exit->pio.data : exit->mmio.data;

    if (!step_is_write(step))
        exec->value |= insn_cut(data, width) << 8 * exec->done;
    exec->done += (uint8_t)width;
    if (exec->done < exec->insn.width)
        return false;
    if (!step_is_write(step))
        exec->read[step == STEP_READ_DEST] = exec->value;
    exec->step++;
    if (exec_step(exec) == STEP_END)
        return exec_complete(exec, regs);
    exec_start_step(exec, regs);
    return false;
}

/* --- Kept for later. --- */

void insn_exec_save(const struct insn_exec *exec, struct insn_progress *progress)
{
    memset(progress, 0, sizeof(*progress));
    if (!exec->active)
        return;
    memcpy(progress->bytes, exec->bytes, sizeof(progress->bytes));
    progress->value = exec->value;
    for (unsigned i = 0; i < 2; i++) {
        progress->read[i] = exec->read[i];
        progress->place[i][0] = exec->places[i].gpa[0];
        progress->place[i][1] = exec->places[i].gpa[1];
        progress->first_size[i] = exec->places[i].first_size;
    }
    progress->port = exec->port;
    progress->active = true;
    progress->between = exec->between;
    progress->mode = exec->mode;
    progress->step = exec->step;
    progress->done = exec->done;
    progress->bit = exec->bit;
}

/* What indexes, shifts, or says where an access goes. */
static bool exec_is_possible(const struct insn_exec *exec, unsigned gpa_bits)
{
    const struct insn *insn = &exec->insn;
    enum exec_step step;

    if (exec->step >= PLAN_STEPS || exec->done >= insn->width || exec->bit >= 8 * insn->width)
        return false;
    step = exec_step(exec);
    if (step == STEP_END || (step_is_port(step) && exec->done != 0))
        return false;
    if (exec->between && (insn->rep == INSN_ONCE || exec->step != 0 || exec->done != 0))
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (exec->places[i].first_size > insn->width || exec->places[i].gpa[0] >> gpa_bits ||
            exec->places[i].gpa[1] >> gpa_bits)
            return false;
    return true;
}

bool insn_exec_restore(struct insn_exec *exec, const struct insn_progress *progress,
                       unsigned gpa_bits)
{
    struct insn_progress none = {0};

    *exec = (struct insn_exec){
        .value = progress->value,
        .port = progress->port,
        .between = progress->between,
        .mode = progress->mode,
        .step = progress->step,
        .done = progress->done,
        .bit = progress->bit,
    };
    if (!progress->active)
        return memcmp(progress, &none, sizeof(none)) == 0;
    if (exec->mode != INSN_MODE_16 && exec->mode != INSN_MODE_32 && exec->mode != INSN_MODE_64)
        return false;
    if (insn_decode(progress->bytes, INSN_LENGTH_MAX, (enum insn_mode)exec->mode, &exec->insn) !=
        INSN_OK)
        return false;
    memcpy(exec->bytes, progress->bytes, sizeof(exec->bytes));
    for (unsigned i = 0; i < 2; i++) {
        exec->read[i] = progress->read[i];
        exec->places[i] = (struct insn_place){.gpa = {progress->place[i][0], progress->place[i][1]},
                                              .first_size = progress->first_size[i]};
    }
    exec->active = exec_is_possible(exec, gpa_bits);
    return exec->active;
}
