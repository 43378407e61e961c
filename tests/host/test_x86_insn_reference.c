/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86 instruction decoder beside Zydis, an independent one, over generated encodings of all
 * modes: what either accepts, the other must, with the same length, operands and address. Three
 * differences are wanted: see reference_covered().
 */
#define ZYAN_NO_LIBC /* Its assert.h would take the place of ours. */
#include <Zydis/Zydis.h>

#include "arch/x86_64/insn.h"
#include "tests/host/test.h"

#define ENCODINGS 3000000u

static const struct {
    ZydisMachineMode machine;
    ZydisStackWidth stack;
    enum insn_mode mode;
} modes[] = {
    {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, INSN_MODE_64},
    {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, INSN_MODE_32},
    {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, INSN_MODE_16},
};

/* What we decode. Several names of Zydis may be one operation. */
static const struct {
    ZydisMnemonic mnemonic;
    enum insn_op op;
} covered[] = {
    {ZYDIS_MNEMONIC_ADD, INSN_ADD},         {ZYDIS_MNEMONIC_OR, INSN_OR},
    {ZYDIS_MNEMONIC_ADC, INSN_ADC},         {ZYDIS_MNEMONIC_SBB, INSN_SBB},
    {ZYDIS_MNEMONIC_AND, INSN_AND},         {ZYDIS_MNEMONIC_SUB, INSN_SUB},
    {ZYDIS_MNEMONIC_XOR, INSN_XOR},         {ZYDIS_MNEMONIC_CMP, INSN_CMP},
    {ZYDIS_MNEMONIC_TEST, INSN_TEST},       {ZYDIS_MNEMONIC_INC, INSN_INC},
    {ZYDIS_MNEMONIC_DEC, INSN_DEC},         {ZYDIS_MNEMONIC_NOT, INSN_NOT},
    {ZYDIS_MNEMONIC_NEG, INSN_NEG},         {ZYDIS_MNEMONIC_BT, INSN_BT},
    {ZYDIS_MNEMONIC_BTS, INSN_BTS},         {ZYDIS_MNEMONIC_BTR, INSN_BTR},
    {ZYDIS_MNEMONIC_BTC, INSN_BTC},         {ZYDIS_MNEMONIC_MOV, INSN_MOV},
    {ZYDIS_MNEMONIC_MOVNTI, INSN_MOV},      {ZYDIS_MNEMONIC_MOVDIRI, INSN_MOV},
    {ZYDIS_MNEMONIC_MOVZX, INSN_MOVZX},     {ZYDIS_MNEMONIC_MOVSX, INSN_MOVSX},
    {ZYDIS_MNEMONIC_MOVSXD, INSN_MOVSX},    {ZYDIS_MNEMONIC_MOVBE, INSN_MOVBE},
    {ZYDIS_MNEMONIC_XCHG, INSN_XCHG},       {ZYDIS_MNEMONIC_XADD, INSN_XADD},
    {ZYDIS_MNEMONIC_CMPXCHG, INSN_CMPXCHG}, {ZYDIS_MNEMONIC_MOVSB, INSN_MOVS},
    {ZYDIS_MNEMONIC_MOVSW, INSN_MOVS},      {ZYDIS_MNEMONIC_MOVSD, INSN_MOVS},
    {ZYDIS_MNEMONIC_MOVSQ, INSN_MOVS},      {ZYDIS_MNEMONIC_CMPSB, INSN_CMPS},
    {ZYDIS_MNEMONIC_CMPSW, INSN_CMPS},      {ZYDIS_MNEMONIC_CMPSD, INSN_CMPS},
    {ZYDIS_MNEMONIC_CMPSQ, INSN_CMPS},      {ZYDIS_MNEMONIC_STOSB, INSN_STOS},
    {ZYDIS_MNEMONIC_STOSW, INSN_STOS},      {ZYDIS_MNEMONIC_STOSD, INSN_STOS},
    {ZYDIS_MNEMONIC_STOSQ, INSN_STOS},      {ZYDIS_MNEMONIC_LODSB, INSN_LODS},
    {ZYDIS_MNEMONIC_LODSW, INSN_LODS},      {ZYDIS_MNEMONIC_LODSD, INSN_LODS},
    {ZYDIS_MNEMONIC_LODSQ, INSN_LODS},      {ZYDIS_MNEMONIC_SCASB, INSN_SCAS},
    {ZYDIS_MNEMONIC_SCASW, INSN_SCAS},      {ZYDIS_MNEMONIC_SCASD, INSN_SCAS},
    {ZYDIS_MNEMONIC_SCASQ, INSN_SCAS},      {ZYDIS_MNEMONIC_INSB, INSN_INS},
    {ZYDIS_MNEMONIC_INSW, INSN_INS},        {ZYDIS_MNEMONIC_INSD, INSN_INS},
    {ZYDIS_MNEMONIC_OUTSB, INSN_OUTS},      {ZYDIS_MNEMONIC_OUTSW, INSN_OUTS},
    {ZYDIS_MNEMONIC_OUTSD, INSN_OUTS},      {ZYDIS_MNEMONIC_SETO, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNO, INSN_SETCC},     {ZYDIS_MNEMONIC_SETB, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNB, INSN_SETCC},     {ZYDIS_MNEMONIC_SETZ, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNZ, INSN_SETCC},     {ZYDIS_MNEMONIC_SETBE, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNBE, INSN_SETCC},    {ZYDIS_MNEMONIC_SETS, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNS, INSN_SETCC},     {ZYDIS_MNEMONIC_SETP, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNP, INSN_SETCC},     {ZYDIS_MNEMONIC_SETL, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNL, INSN_SETCC},     {ZYDIS_MNEMONIC_SETLE, INSN_SETCC},
    {ZYDIS_MNEMONIC_SETNLE, INSN_SETCC},
};

/* Operation of each mnemonic + 1; 0: not covered. */
static uint8_t op_of[ZYDIS_MNEMONIC_MAX_VALUE + 1];

struct reference {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const ZydisDecodedOperand *memory, *reg, *imm;
};

static void fail(const uint8_t *bytes, enum insn_mode mode, const char *what, uint64_t want,
                 uint64_t is)
{
    char text[3 * INSN_LENGTH_MAX + 1], *at = text;

    for (unsigned i = 0; i < INSN_LENGTH_MAX; i++) {
        *at++ = "0123456789abcdef"[bytes[i] >> 4];
        *at++ = "0123456789abcdef"[bytes[i] & 15];
        *at++ = ' ';
    }
    *at = 0;
    test_fail(__FILE__, __LINE__, "%s in mode %d: %s: want %llx, is %llx", text, mode, what,
              (unsigned long long)want, (unsigned long long)is);
}

static bool is_general(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return true;
    default:
        return false;
    }
}

static void reference_operands(struct reference *ref)
{
    ref->memory = ref->reg = ref->imm = NULL;
    for (unsigned i = 0; i < ref->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &ref->operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && !ref->memory)
            ref->memory = operand;
        if (operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            continue;
        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER)
            ref->reg = operand;
        if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            ref->imm = operand;
    }
}

/*
 * One of ours, with an operand in memory. Not so: MOV of segment registers; MOVSXD with prefix 66,
 * in which the makers differ; MOVNTI and MOVDIRI with prefixes that mean nothing or #UD.
 */
static bool reference_covered(struct reference *ref)
{
    const ZydisDecodedInstruction *insn = &ref->insn;

    if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || op_of[insn->mnemonic] == 0)
        return false;
    reference_operands(ref);
    if (!ref->memory || (ref->reg && !is_general(ref->reg->reg.value)))
        return false;
    /* The names of string instructions are also those of SSE's. */
    if (op_of[insn->mnemonic] > INSN_MOVS && insn->meta.category != ZYDIS_CATEGORY_STRINGOP &&
        insn->meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
        return false;
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOVSXD)
        return !(insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE);
    return true;
}

static unsigned register_number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return INSN_NO_REG;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return INSN_RIP;
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_DIL)
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + INSN_RSP;
    if (reg >= ZYDIS_REGISTER_R8B && reg <= ZYDIS_REGISTER_R15B)
        return (unsigned)(reg - ZYDIS_REGISTER_R8B) + 8;
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return (unsigned)(reg - ZYDIS_REGISTER_AH);
    return (unsigned)ZydisRegisterGetId(reg);
}

static uint64_t cut(uint64_t value, unsigned width)
{
    return width == 8 ? value : value & ((1ull << 8 * width) - 1);
}

static unsigned segment_number(ZydisRegister segment, enum insn_mode mode)
{
    unsigned number = (unsigned)(segment - ZYDIS_REGISTER_ES);

    return mode == INSN_MODE_64 && number < INSN_FS ? (unsigned)INSN_ES : number;
}

#define SAME(what, want, is)                                                                       \
    do {                                                                                           \
        if ((uint64_t)(want) != (uint64_t)(is))                                                    \
            fail(bytes, mode, what, (uint64_t)(want), (uint64_t)(is));                             \
    } while (0)

static void compare_address(const uint8_t *bytes, enum insn_mode mode, const struct insn *insn,
                            const struct reference *ref)
{
    const ZydisDecodedOperandMem *mem = &ref->memory->mem;
    const ZydisDecodedInstructionRaw *raw = &ref->insn.raw;
    unsigned seg = mode == INSN_MODE_64 && insn->seg < INSN_FS ? INSN_ES : insn->seg;
    unsigned base = register_number(mem->base), index = register_number(mem->index);
    int64_t disp = mem->disp.value;

    SAME("address size", ref->insn.address_width / 8, insn->addr_size);
    if (insn->form == INSN_STRING) {
        if (insn->op != INSN_STOS && insn->op != INSN_SCAS && insn->op != INSN_INS) {
            const ZydisDecodedOperand *source = ref->memory;

            /* Of MOVS the first operand is the destination. */
            if (insn->op == INSN_MOVS)
                source = &ref->operands[1];
            SAME("segment", segment_number(source->mem.segment, mode), seg);
        }
        return;
    }
    SAME("segment", segment_number(mem->segment, mode), seg);
    /* Zydis 4.0.0 says r13d, without displacement, where prefix 67 and REX.B are. */
    if (mode == INSN_MODE_64 && raw->modrm.mod == 0 && raw->modrm.rm == 4 && raw->sib.base == 5) {
        base = INSN_NO_REG;
        disp = raw->disp.value;
    }
    SAME("base", base, insn->base);
    SAME("index", index, insn->index);
    if (index != INSN_NO_REG)
        SAME("scale", mem->scale, 1u << insn->scale);
    SAME("displacement", cut((uint64_t)disp, insn->addr_size),
         cut((uint64_t)insn->disp, insn->addr_size));
}

static bool is_high(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

static void compare_register(const uint8_t *bytes, enum insn_mode mode, const struct insn *insn,
                             const struct reference *ref)
{
    bool is_source = ref->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;

    ASSERT(ref->reg != NULL);
    SAME("register", register_number(ref->reg->reg.value), insn->reg);
    SAME("high byte", is_high(ref->reg->reg.value), insn->reg_high);
    SAME("register width", ref->reg->size / 8, insn->reg_width);
    SAME("direction", is_source, insn->form == INSN_STORE);
}

static void compare(const uint8_t *bytes, enum insn_mode mode, const struct insn *insn,
                    const struct reference *ref)
{
    bool rep = ref->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE);
    bool repne = ref->insn.attributes & ZYDIS_ATTRIB_HAS_REPNE;
    bool bit = insn->op >= INSN_BT && insn->op <= INSN_BTC; /* The number is a byte. */
    unsigned imm_width = bit ? 1 : insn->width;

    SAME("operation", op_of[ref->insn.mnemonic] - 1, insn->op);
    SAME("length", ref->insn.length, insn->length);
    SAME("width", ref->memory->size / 8, insn->width);
    SAME("lock", !!(ref->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK), insn->lock);
    compare_address(bytes, mode, insn, ref);
    if (insn->form == INSN_LOAD || insn->form == INSN_STORE)
        compare_register(bytes, mode, insn, ref);
    if (insn->form == INSN_IMM)
        SAME("immediate", cut(ref->imm->imm.value.u, imm_width),
             cut((uint64_t)insn->imm, imm_width));
    if (insn->op == INSN_SETCC)
        SAME("condition", ref->insn.opcode & 15, insn->cond);
    if (insn->form == INSN_STRING)
        SAME("repeat", rep || repne, insn->rep != INSN_ONCE);
    if (insn->op == INSN_CMPS || insn->op == INSN_SCAS)
        SAME("repeat while equal", rep, insn->rep == INSN_REP);
}

/* --- Encodings. --- */

/* A third of the opcodes are any, the rest those of which some are ours. */
static unsigned generate_opcode(uint8_t *at)
{
    static const uint8_t prefixed[] = {0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba,
                                       0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0xc7, 0x90};
    static const uint8_t plain[] = {0x63, 0x6c, 0x6d, 0x6e, 0x6f, 0x80, 0x81, 0x82, 0x83, 0x84,
                                    0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2,
                                    0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae,
                                    0xaf, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff};
    unsigned kind = (unsigned)test_random_below(12);

    if (kind < 3) {
        at[0] = (uint8_t)test_random();
        return 1;
    }
    if (kind < 6) {
        at[0] = plain[test_random_below(sizeof(plain))];
        return 1;
    }
    if (kind < 8) {
        at[0] = (uint8_t)test_random_below(0x40);
        return 1;
    }
    at[0] = 0x0f;
    at[1] = (uint8_t)test_random();
    if (kind < 10)
        at[1] = prefixed[test_random_below(sizeof(prefixed))];
    if (kind > 10) {
        at[1] = 0x38;
        at[2] = (uint8_t)(0xf0 + test_random_below(16));
    }
    return kind > 10 ? 3 : 2;
}

static void generate(uint8_t bytes[INSN_LENGTH_MAX], enum insn_mode mode)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26,
                                       0x2e, 0x36, 0x3e, 0x64, 0x65, 0x48};
    uint8_t all[2 * INSN_LENGTH_MAX];
    unsigned at = 0, count = (unsigned)test_random_below(8);

    /* Mostly few, sometimes so many that the instruction is too long. */
    count = count < 3 ? 0 : count < 6 ? count - 3 : (unsigned)test_random_below(15);
    for (unsigned i = 0; i < 2 * INSN_LENGTH_MAX; i++)
        all[i] = (uint8_t)test_random();
    while (at < count)
        all[at++] = prefixes[test_random_below(sizeof(prefixes))];
    if (mode == INSN_MODE_64 && test_random_below(2))
        all[at++] = (uint8_t)(0x40 + test_random_below(16));
    at += generate_opcode(&all[at]);
    if (test_random_below(2)) /* Without a base. */
        all[at] = (all[at] & 0xb8) | (test_random_below(2) ? 5 : 4);
    for (unsigned i = 0; i < INSN_LENGTH_MAX; i++)
        bytes[i] = all[i];
}

static unsigned accepted[INSN_OPS];

static void compare_one(const ZydisDecoder *decoder, enum insn_mode mode, const uint8_t *bytes)
{
    struct reference ref;
    struct insn insn;
    enum insn_result is = insn_decode(bytes, INSN_LENGTH_MAX, mode, &insn);
    ZyanStatus status =
        ZydisDecoderDecodeFull(decoder, bytes, INSN_LENGTH_MAX, &ref.insn, ref.operands);
    bool want = ZYAN_SUCCESS(status) && reference_covered(&ref);

    if (want != (is == INSN_OK))
        fail(bytes, mode, "accepted", want, is == INSN_OK);
    if (is == INSN_SHORT)
        fail(bytes, mode, "15 bytes are enough", INSN_TOO_LONG, is);
    if (ZYAN_SUCCESS(status) && !want)
        SAME("valid, but not ours", INSN_UNKNOWN, is);
    if (!want)
        return;
    compare(bytes, mode, &insn, &ref);
    accepted[insn.op]++;
}

TEST(x86_decoder_agrees_with_an_independent_one)
{
    ZydisDecoder decoders[ARRAY_SIZE(modes)];
    uint8_t bytes[INSN_LENGTH_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(covered); i++)
        op_of[covered[i].mnemonic] = (uint8_t)(covered[i].op + 1);
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
        ASSERT(ZYAN_SUCCESS(ZydisDecoderInit(&decoders[i], modes[i].machine, modes[i].stack)));
    test_random_seed(1);
    for (unsigned i = 0; i < ENCODINGS; i++) {
        unsigned m = i % 4 % ARRAY_SIZE(modes); /* Half of them are of 64-bit code. */

        generate(bytes, modes[m].mode);
        compare_one(&decoders[m], modes[m].mode, bytes);
    }
    for (unsigned op = 0; op < INSN_OPS; op++)
        ASSERT(accepted[op] > ENCODINGS / 2000);
}

/* --- Lengths of known instructions. --- */

static const struct {
    ZydisMnemonic mnemonic;
    enum insn_known known;
} known[] = {
    {ZYDIS_MNEMONIC_CPUID, INSN_KNOWN_CPUID},     {ZYDIS_MNEMONIC_HLT, INSN_KNOWN_HLT},
    {ZYDIS_MNEMONIC_RDMSR, INSN_KNOWN_RDMSR},     {ZYDIS_MNEMONIC_WRMSR, INSN_KNOWN_WRMSR},
    {ZYDIS_MNEMONIC_RDTSC, INSN_KNOWN_RDTSC},     {ZYDIS_MNEMONIC_RDTSCP, INSN_KNOWN_RDTSCP},
    {ZYDIS_MNEMONIC_RDPMC, INSN_KNOWN_RDPMC},     {ZYDIS_MNEMONIC_VMCALL, INSN_KNOWN_VMCALL},
    {ZYDIS_MNEMONIC_VMMCALL, INSN_KNOWN_VMMCALL}, {ZYDIS_MNEMONIC_XSETBV, INSN_KNOWN_XSETBV},
    {ZYDIS_MNEMONIC_INVD, INSN_KNOWN_INVD},       {ZYDIS_MNEMONIC_WBINVD, INSN_KNOWN_WBINVD},
    {ZYDIS_MNEMONIC_PAUSE, INSN_KNOWN_PAUSE},     {ZYDIS_MNEMONIC_MONITOR, INSN_KNOWN_MONITOR},
    {ZYDIS_MNEMONIC_MWAIT, INSN_KNOWN_MWAIT},     {ZYDIS_MNEMONIC_CLTS, INSN_KNOWN_CLTS},
    {ZYDIS_MNEMONIC_LMSW, INSN_KNOWN_LMSW},       {ZYDIS_MNEMONIC_INVLPG, INSN_KNOWN_INVLPG},
    {ZYDIS_MNEMONIC_IN, INSN_KNOWN_IN},           {ZYDIS_MNEMONIC_OUT, INSN_KNOWN_OUT},
    {ZYDIS_MNEMONIC_INT, INSN_KNOWN_INT},         {ZYDIS_MNEMONIC_INT3, INSN_KNOWN_INT},
    {ZYDIS_MNEMONIC_INT1, INSN_KNOWN_ICEBP},      {ZYDIS_MNEMONIC_IRET, INSN_KNOWN_IRET},
    {ZYDIS_MNEMONIC_IRETD, INSN_KNOWN_IRET},      {ZYDIS_MNEMONIC_IRETQ, INSN_KNOWN_IRET},
};

static enum insn_known known_of(const ZydisDecodedInstruction *insn,
                                const ZydisDecodedOperand *operands)
{
    if (insn->mnemonic == ZYDIS_MNEMONIC_MOV)
        for (unsigned i = 0; i < insn->operand_count_visible; i++)
            switch (ZydisRegisterGetClass(operands[i].reg.value)) {
            case ZYDIS_REGCLASS_CONTROL:
                return INSN_KNOWN_MOV_CR;
            case ZYDIS_REGCLASS_DEBUG:
                return INSN_KNOWN_MOV_DR;
            default:
                break;
            }
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].mnemonic == insn->mnemonic)
            return known[i].known;
    return INSN_KNOWNS;
}

static void generate_known(uint8_t bytes[INSN_LENGTH_MAX])
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x64, 0x48, 0x41, 0x26};
    static const uint8_t plain[] = {0x90, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee,
                                    0xef, 0xcc, 0xcd, 0xce, 0xcf, 0xf1, 0xf4, 0x8b};
    static const uint8_t prefixed[] = {0xa2, 0x01, 0x01, 0x01, 0x01, 0x06, 0x08, 0x09, 0x20,
                                       0x21, 0x22, 0x23, 0x30, 0x31, 0x32, 0x33, 0x00, 0x0b};
    static const uint8_t modrms[] = {0xc1, 0xc8, 0xc9, 0xd1, 0xd8, 0xd9, 0xf8, 0xf9};
    unsigned at = 0, count = (unsigned)test_random_below(4);

    for (unsigned i = 0; i < INSN_LENGTH_MAX; i++)
        bytes[i] = (uint8_t)test_random();
    while (at < count)
        bytes[at++] = prefixes[test_random_below(sizeof(prefixes))];
    if (test_random_below(3) == 0) {
        bytes[at] = plain[test_random_below(sizeof(plain))];
        return;
    }
    bytes[at++] = 0x0f;
    bytes[at++] = prefixed[test_random_below(sizeof(prefixed))];
    if (test_random_below(2))
        bytes[at] = modrms[test_random_below(sizeof(modrms))];
}

TEST(x86_lengths_of_known_instructions_agree_with_an_independent_decoder)
{
    unsigned found[INSN_KNOWNS] = {0};
    uint8_t bytes[INSN_LENGTH_MAX];

    test_random_seed(1);
    for (unsigned i = 0; i < 600000; i++) {
        unsigned m = i % 4 % ARRAY_SIZE(modes);
        enum insn_mode mode = modes[m].mode;
        ZydisDecoder decoder;
        struct reference ref;
        enum insn_known is;

        generate_known(bytes);
        ASSERT(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[m].machine, modes[m].stack)));
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder, bytes, INSN_LENGTH_MAX, &ref.insn, ref.operands)))
            continue;
        is = known_of(&ref.insn, ref.operands);
        for (enum insn_known k = 0; k < INSN_KNOWNS; k++) {
            unsigned length = insn_length_known(bytes, ref.insn.length, mode, k);

            /* 90 without F3 is no PAUSE, and exits nowhere. */
            if (k == is || k != INSN_KNOWN_PAUSE)
                SAME("known length", k == is ? ref.insn.length : 0, length);
        }
        if (is == INSN_KNOWNS)
            continue;
        found[is]++;
        SAME("cut", 0, insn_length_known(bytes, ref.insn.length - 1u, mode, is));
    }
    for (unsigned k = 0; k < INSN_KNOWNS; k++)
        ASSERT(found[k] > 100);
}
