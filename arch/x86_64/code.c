/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the guest's instructions, which the hardware leaves to us: the guest's own tables, and
 * stage 2 behind each of their entries. The ways to the pages of the last ones are remembered with
 * the entries that they went by; when these are still the same, so is the page, and a walk anew
 * would find it.
 *
 * No lock: memory of stage 2 is not taken away before all pCPUs have answered (arch_stage2_flush),
 * which this one does not do between an exit and its use of the page; then, it forgets the pages
 * before the next entry.
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/guest_walk.h"
#include "kernel/string.h"
#include "mm/pt.h"

/* A walk under way, which notes its steps. */
struct code_walk {
    const struct arch_vcpu *vcpu;
    unsigned levels;
    const uint64_t *slot[ARCH_CODE_LEVELS];
    uint64_t entry[ARCH_CODE_LEVELS];
};

const void *code_memory(const struct arch_vcpu *vcpu, gpa_t addr)
{
    const struct pt stage2 = {
        .format = virt_backend->stage2_format(),
        .root = phys_to_ptr(vcpu->stage2_root),
    };
    struct pt_leaf leaf;

    if (addr.v >= pt_size(stage2.format) || pt_lookup(&stage2, addr.v, &leaf) != OK)
        return NULL;
    if (!leaf.attr.read || leaf.attr.memory != PT_NORMAL)
        return NULL;
    return phys_to_ptr(hpa(leaf.pa.v + (addr.v - leaf.va)));
}

static enum err code_read_entry(void *arg, gpa_t addr, uint64_t *entry)
{
    struct code_walk *walk = arg;
    const volatile uint64_t *slot = code_memory(walk->vcpu, addr);

    if (!slot || walk->levels == ARCH_CODE_LEVELS)
        return E_ABSENT;
    *entry = *slot;
    walk->slot[walk->levels] = (const uint64_t *)slot;
    walk->entry[walk->levels++] = *entry;
    return OK;
}

/* CR3 is never all ones. */
static const struct arch_code code_none = {.cr3 = ~(uint64_t)0};

/* Of that page, or all (NULL). */
static void code_forget_insns(struct arch_vcpu *vcpu, const struct arch_code *code)
{
    for (unsigned i = 0; i < ARCH_CODE_INSNS; i++)
        if (!code || vcpu->insns[i].code == code)
            vcpu->insns[i].code = &code_none;
}

void code_forget(struct arch_vcpu *vcpu)
{
    for (unsigned i = 0; i < ARCH_CODE_PAGES; i++)
        vcpu->code[i].page = 1;
    code_forget_insns(vcpu, NULL);
}

static struct arch_code *code_place(struct arch_vcpu *vcpu, uint64_t linear)
{
    return &vcpu->code[linear / PAGE_SIZE % ARCH_CODE_PAGES];
}

/* The page that holds the linear address, found and remembered; NULL: the guest has none there. */
static const uint8_t *code_find(struct arch_vcpu *vcpu, uint64_t linear)
{
    struct arch_code *code = code_place(vcpu, linear);
    struct code_walk walk = {.vcpu = vcpu};
    const struct arch_guest_memory memory = {.read = code_read_entry, .arg = &walk};
    const struct guest_paging paging = vcpu_paging(vcpu);
    uint32_t error;
    gpa_t addr;

    code->page = 1;
    code_forget_insns(vcpu, code);
    if (guest_walk(&paging, gva(linear & ~(PAGE_SIZE - 1)), ACCESS_FETCH, &memory, &addr, &error) !=
        OK)
        return NULL;
    code->host = code_memory(vcpu, addr);
    if (!code->host)
        return NULL;
    code->cr0 = paging.cr0;
    code->cr3 = paging.cr3;
    for (unsigned i = 0; i < ARCH_CODE_LEVELS; i++) {
        code->slot[i] = i < walk.levels ? walk.slot[i] : &code->entry[i];
        code->entry[i] = walk.entry[i];
    }
    code->page = linear & ~(PAGE_SIZE - 1);
    return code->host;
}

/* The same, remembered or not. */
static const uint8_t *code_page(struct arch_vcpu *vcpu, uint64_t linear)
{
    const struct arch_code *code = code_place(vcpu, linear);

    if (code->page == (linear & ~(PAGE_SIZE - 1)) &&
        code_is_same(code, virt_backend->reg(vcpu, REG_CR0), virt_backend->reg(vcpu, REG_CR3)))
        return code->host;
    return code_find(vcpu, linear);
}

/*
 * Takes note of what is at RIP, for the caller to decode: count bytes from *bytes on. NULL: it is
 * nowhere, or CS has a base.
 */
static struct arch_code_insn *code_note(struct arch_vcpu *vcpu, const uint8_t **bytes,
                                        unsigned *count)
{
    uint64_t offset = vcpu->rip % PAGE_SIZE, first = MIN(offset, PAGE_SIZE - ARCH_CODE_INSN_SIZE);
    const uint8_t *page = vcpu->code_base == 0 ? code_page(vcpu, vcpu->rip) : NULL;
    struct arch_code_insn *insn = code_insn(vcpu);

    if (!page)
        return NULL;
    insn->rip = vcpu->rip;
    insn->code = code_place(vcpu, vcpu->rip);
    insn->host = page + first;
    memcpy(insn->words, insn->host, sizeof(insn->words));
    insn->mov = (struct insn_mov){};
    insn->known = INSN_KNOWNS;
    *bytes = (const uint8_t *)insn->words + (offset - first);
    *count = MIN(ARCH_CODE_INSN_SIZE - (unsigned)(offset - first), INSN_LENGTH_MAX);
    return insn;
}

const struct arch_code_insn *code_decode_mov(struct arch_vcpu *vcpu)
{
    const uint8_t *bytes;
    unsigned count;
    struct arch_code_insn *insn = code_note(vcpu, &bytes, &count);

    if (insn)
        insn->mov = insn_decode_mov(bytes, count);
    return insn;
}

unsigned code_fetch(struct arch_vcpu *vcpu, uint8_t bytes[INSN_LENGTH_MAX])
{
    uint64_t linear = arch_vcpu_pc(vcpu);
    unsigned done = 0;

    while (done < INSN_LENGTH_MAX) { /* Over the end of a page, at most once. */
        uint64_t offset = (linear + done) % PAGE_SIZE;
        uint64_t size = MIN((uint64_t)INSN_LENGTH_MAX - done, PAGE_SIZE - offset);
        const uint8_t *code = code_page(vcpu, linear + done);

        if (!code)
            break;
        memcpy(bytes + done, code + offset, size);
        done += (unsigned)size;
    }
    return done;
}

unsigned code_length(struct arch_vcpu *vcpu, enum insn_known known)
{
    uint8_t across[INSN_LENGTH_MAX];
    const uint8_t *bytes;
    unsigned count, length;
    struct arch_code_insn *insn = code_note(vcpu, &bytes, &count);

    length = insn ? insn_length_known(bytes, count, vcpu_mode(vcpu), known) : 0;
    if (length != 0) {
        insn->known = (uint8_t)known;
        insn->length = (uint8_t)length;
        return length;
    }
    count = code_fetch(vcpu, across);
    return insn_length_known(across, count, vcpu_mode(vcpu), known);
}
