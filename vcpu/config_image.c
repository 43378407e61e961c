/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans where a VM's files go; see image.h. [Linux: arch/arm64/booting.rst,
 * arch/riscv/boot-image-header.rst]
 */
#include "vcpu/config_image.h"

#include "kernel/fmt.h"
#include "kernel/string.h"
#include "vcpu/config_bzimage.h"
#include "vcpu/config_elf.h"

#define LINUX_ALIGN     (2 * MIB)
#define LINUX_OLD_SIZE  (16 * MIB) /* Of an Image that does not tell: before Linux 3.17. */
#define LINUX_OLD_START ((uint64_t)0x80000)

/* The header that arm64 and riscv share. */
struct linux_header {
    uint32_t code[2];
    uint64_t text_offset, image_size, flags;
    uint32_t version, reserved1;
    uint64_t reserved2;
    uint64_t magic1; /* riscv: "RISCV". */
    uint32_t magic2; /* "ARM\x64" or "RSC\x05". */
    uint32_t reserved3;
};

_Static_assert(sizeof(struct linux_header) == 64, "as in the file");

#define LINUX_BIG_ENDIAN 1u /* Of flags. */
#define LINUX_MAGIC      offsetof(struct linux_header, magic2)

const char *image_format_text(enum image_format format)
{
    static const char *const words[] = {"arm64 Image", "riscv Image", "ELF",           "raw",
                                        "bzImage",     "PVH ELF",     "multiboot ELF", "firmware"};

    return words[format];
}

enum err image_refuse(struct planner *p, enum err err, const char *file, const char *format, ...)
{
    va_list args;
    size_t used = fmt_buf(p->why, p->why_size, "'%s' ", file);

    if (used >= p->why_size)
        return err;
    va_start(args, format);
    fmt_vbuf(p->why + used, p->why_size - used, format, args);
    va_end(args);
    return err;
}

static bool starts_with(const struct config_file *file, size_t offset, const char *text,
                        size_t size)
{
    return file->size >= offset + size &&
           memcmp((const char *)file->data + offset, text, size) == 0;
}

/* Neither format fits: name what it is, if that is known. */
static enum err unknown_format(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    const char *image = p->machine->images->known;

    if (starts_with(file, 0, "\x1f\x8b", 2))
        return image_refuse(p, E_UNSUPPORTED, file->name,
                            "is gzip-compressed; unpack it first (gunzip): it must be %s", image);
    if (starts_with(file, 0, "MZ\0\0zimg", 8))
        return image_refuse(
            p, E_UNSUPPORTED, file->name,
            "is a compressed EFI zboot image; use the Image inside it: it must be %s", image);
    if (starts_with(file, LINUX_MAGIC, "ARM\x64", 4) ||
        starts_with(file, LINUX_MAGIC, "RSC\x05", 4))
        return image_refuse(p, E_UNSUPPORTED, file->name,
                            "is a kernel for another architecture than %s", p->machine->arch);
    if (starts_with(file, 0x202, "HdrS", 4))
        return image_refuse(p, E_UNSUPPORTED, file->name, "is a bzImage, for x86; it must be %s",
                            image);
    if (starts_with(file, 0, "MZ", 2))
        return image_refuse(p, E_UNSUPPORTED, file->name, "is an EFI program, not %s", image);
    return image_refuse(p, E_INVALID, file->name, "is not %s; format = \"raw\" takes any file",
                        image);
}

static enum err plan_linux(struct planner *p)
{
    struct image_plan *plan = p->plan;
    struct linux_header h;

    memcpy(&h, p->vm->kernel.data, sizeof(h));
    if (h.flags & LINUX_BIG_ENDIAN)
        return image_refuse(p, E_UNSUPPORTED, p->vm->kernel.name, "is a big-endian kernel");
    if (h.image_size == 0) {
        h.text_offset = LINUX_OLD_START;
        h.image_size = MAX(LINUX_OLD_SIZE, p->vm->kernel.size);
    }
    if (h.text_offset > GIB || h.image_size > p->machine->ram_max || !IS_ALIGNED(h.text_offset, 8))
        return image_refuse(p, E_INVALID, p->vm->kernel.name, "has a damaged Image header");
    plan->kernel = ALIGN_UP(p->machine->ram_base, LINUX_ALIGN) + h.text_offset;
    plan->kernel_size = MAX(h.image_size, p->vm->kernel.size);
    plan->entry = plan->kernel;
    return OK;
}

static enum err plan_if_linux(struct planner *p, enum image_format format, const char *magic,
                              bool *known)
{
    const struct config_file *file = &p->vm->kernel;

    *known = !p->vm->raw && !elf_is(file->data, file->size) &&
             file->size >= sizeof(struct linux_header) && starts_with(file, LINUX_MAGIC, magic, 4);
    if (!*known)
        return OK;
    p->plan->format = format;
    return plan_linux(p);
}

static enum err plan_arm64(struct planner *p, bool *known)
{
    return plan_if_linux(p, IMAGE_ARM64, "ARM\x64", known);
}

static enum err plan_riscv(struct planner *p, bool *known)
{
    return plan_if_linux(p, IMAGE_RISCV, "RSC\x05", known);
}

static enum err plan_elf(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    struct elf_range range;
    const char *wrong = elf_check(file->data, file->size, p->machine->elf_machine, &range);

    if (wrong)
        return image_refuse(p, E_INVALID, file->name, "%s", wrong);
    p->plan->kernel = range.base;
    p->plan->kernel_size = range.size;
    p->plan->entry = range.entry;
    return OK;
}

static enum err plan_kernel(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    struct image_plan *plan = p->plan;
    bool known = false;

    if (!file->data || file->size == 0)
        return image_refuse(p, E_INVALID, file->name, "is empty");
    TRY(p->machine->images->kernel(p, &known));
    if (known)
        return OK;
    if (p->vm->raw) {
        plan->format = IMAGE_RAW;
        plan->kernel = p->vm->load_address ? p->vm->load_address
                                           : p->machine->ram_base + p->machine->raw_offset;
        plan->kernel_size = file->size;
        plan->entry = plan->kernel;
        return OK;
    }
    plan->format = IMAGE_ELF;
    if (elf_is(file->data, file->size))
        return plan_elf(p);
    return unknown_format(p);
}

bool image_in_ram(const struct planner *p, uint64_t base, uint64_t size)
{
    struct machine_ram ram = machine_ram(p->machine, p->vm->memory_size, 0);

    return base >= ram.base && base - ram.base <= ram.size && size <= ram.size - (base - ram.base);
}

/* Tree at this address, initrd behind both; false when something does not fit. */
static bool try_tree(struct planner *p, uint64_t tree)
{
    struct image_plan *plan = p->plan;
    uint64_t kernel_end = plan->kernel + plan->kernel_size;
    uint64_t tree_end = tree + plan->tree_room;
    uint64_t initrd = ALIGN_UP(MAX(kernel_end, tree_end), PAGE_SIZE);

    if (!image_in_ram(p, tree, plan->tree_room) || (tree < kernel_end && tree_end > plan->kernel))
        return false;
    if (plan->initrd_size && !image_in_ram(p, initrd, plan->initrd_size))
        return false;
    plan->tree = tree;
    plan->initrd = plan->initrd_size ? initrd : 0;
    return true;
}

static enum err place_with_tree(struct planner *p)
{
    const struct config_vm *vm = p->vm;
    struct image_plan *plan = p->plan;
    uint64_t kernel_end = plan->kernel + plan->kernel_size;

    plan->tree_room = MAX(IMAGE_TREE_SIZE, ALIGN_UP(vm->fdt.name ? vm->fdt.size : 0, PAGE_SIZE));
    if (try_tree(p, ALIGN_UP(kernel_end, LINUX_ALIGN)) || try_tree(p, p->machine->ram_base) ||
        try_tree(p, ALIGN_UP(kernel_end, PAGE_SIZE)))
        return OK;
    return image_refuse(
        p, E_RANGE, vm->kernel.name,
        "with %lluK, its initrd with %lluK and the device tree do not fit into %lluM",
        (unsigned long long)(plan->kernel_size / KIB),
        (unsigned long long)(plan->initrd_size / KIB), (unsigned long long)(vm->memory_size / MIB));
}

const struct image_rules image_rules_arm64 = {"an arm64 Image or ELF", plan_arm64, place_with_tree};
const struct image_rules image_rules_riscv = {"a riscv Image or ELF", plan_riscv, place_with_tree};

enum err image_plan(const struct config_vm *vm, const struct machine_layout *machine,
                    struct image_plan *plan, char *why, size_t why_size)
{
    struct planner p = {vm, machine, plan, why, why_size};
    const struct machine_ram ram = machine_ram(machine, vm->memory_size, 0);

    memset(plan, 0, sizeof(*plan));
    TRY(plan_kernel(&p));
    if (plan->format != IMAGE_FIRMWARE && !image_in_ram(&p, plan->kernel, plan->kernel_size))
        return image_refuse(&p, E_RANGE, vm->kernel.name,
                            "needs the memory at 0x%llx-0x%llx; the VM's RAM is 0x%llx-0x%llx",
                            (unsigned long long)plan->kernel,
                            (unsigned long long)(plan->kernel + plan->kernel_size - 1),
                            (unsigned long long)ram.base,
                            (unsigned long long)(ram.base + ram.size - 1));
    plan->initrd_size = vm->initrd.name ? vm->initrd.size : 0;
    return machine->images->place(&p);
}

bool image_segment(const struct config_vm *vm, const struct image_plan *plan, unsigned index,
                   struct image_segment *segment)
{
    const struct config_file *file = &vm->kernel;
    uint64_t skip = 0;

    if (plan->format == IMAGE_ELF || plan->format == IMAGE_PVH || plan->format == IMAGE_MULTIBOOT)
        return elf_segment(file->data, file->size, index, segment);
    if (plan->format == IMAGE_BZIMAGE)
        skip = bzimage_code_offset(file->data); /* Its real-mode part is not loaded. */
    if (plan->format == IMAGE_FIRMWARE && index == 1) {
        uint64_t size = MIN(file->size, IMAGE_FIRMWARE_LOW);

        *segment = (struct image_segment){
            .address = IMAGE_ACPI_END - size,
            .memory_size = size,
            .data = (const char *)file->data + file->size - size,
            .data_size = size,
        };
        return true;
    }
    *segment = (struct image_segment){
        .address = plan->kernel,
        .memory_size = file->size - skip, /* Its .bss is its own affair. */
        .data = (const char *)file->data + skip,
        .data_size = file->size - skip,
    };
    return index == 0;
}
