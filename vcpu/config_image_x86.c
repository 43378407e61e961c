/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of x86_64 guests; see image.h. */
#include "vcpu/config_image.h"

#include "kernel/string.h"
#include "vcpu/config_bzimage.h"
#include "vcpu/config_elf.h"

#define RESET_VECTOR 16u /* From the firmware's end. [SDM 3, 11.1.4] */

#define ull(x)       ((unsigned long long)(x))

static enum err plan_firmware(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    const struct machine_device *room = machine_device(p->machine, "firmware");

    if (!IS_ALIGNED(file->size, PAGE_SIZE) || file->size > room->size)
        return image_refuse(p, E_INVALID, file->name,
                            "is no firmware: its size must be a multiple of 4K, at most %lluM",
                            ull(room->size / MIB));
    if (p->vm->memory_size < IMAGE_ACPI_END)
        return image_refuse(p, E_RANGE, file->name, "needs 1M of memory");
    p->plan->format = IMAGE_FIRMWARE;
    p->plan->kernel = IMAGE_FIRMWARE_END - file->size;
    p->plan->kernel_size = file->size;
    p->plan->entry = IMAGE_FIRMWARE_END - RESET_VECTOR;
    return OK;
}

static enum err plan_bzimage(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    struct image_plan *plan = p->plan;
    struct bzimage image;
    const char *wrong = bzimage_check(file->data, file->size, &image);

    if (wrong)
        return image_refuse(p, E_INVALID, file->name, "%s", wrong);
    if (strlen(p->vm->cmdline) > image.cmdline_max)
        return image_refuse(p, E_RANGE, file->name,
                            "takes a command line of at most %llu characters",
                            ull(image.cmdline_max));
    plan->format = IMAGE_BZIMAGE;
    plan->kernel = image.preferred;
    plan->kernel_size = image.memory_size;
    if (image.relocatable && !image_in_ram(p, plan->kernel, plan->kernel_size))
        plan->kernel = ALIGN_UP(MIB, image.alignment);
    plan->entry = plan->kernel + BZIMAGE_ENTRY;
    return OK;
}

static enum err plan_elf(struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    struct image_plan *plan = p->plan;
    struct elf_range range;
    const char *wrong = elf_check(file->data, file->size, p->machine->elf_machine, &range);

    if (!wrong)
        wrong = elf_multiboot(file->data, file->size, &range);
    if (wrong)
        return image_refuse(p, E_INVALID, file->name, "%s", wrong);
    if (range.narrow && !range.pvh_entry && !range.multiboot)
        return image_refuse(p, E_UNSUPPORTED, file->name,
                            "is a 32-bit ELF file with neither a PVH note nor a multiboot header");
    plan->format = range.pvh_entry ? IMAGE_PVH : range.multiboot ? IMAGE_MULTIBOOT : IMAGE_ELF;
    plan->kernel = range.base;
    plan->kernel_size = range.size;
    plan->entry = range.pvh_entry ? range.pvh_entry : range.entry;
    if (plan->format != IMAGE_ELF && plan->entry >> 32)
        return image_refuse(p, E_INVALID, file->name, "has an entry beyond 4 GiB");
    return OK;
}

static enum err plan_x86(struct planner *p, bool *known)
{
    const struct config_file *file = &p->vm->kernel;

    *known = true;
    if (p->vm->firmware)
        return plan_firmware(p);
    if (!p->vm->raw && elf_is(file->data, file->size))
        return plan_elf(p);
    if (!p->vm->raw && bzimage_is(file->data, file->size))
        return plan_bzimage(p);
    *known = false;
    return OK;
}

static bool overlaps(const struct image_segment *s, uint64_t base, uint64_t end)
{
    return s->address < end && base < s->address + s->memory_size;
}

/* Kernels may have segments below 1 MiB, but not where the loader writes. */
static enum err check_low(struct planner *p)
{
    struct image_segment s;

    for (unsigned i = 0; image_segment(p->vm, p->plan, i, &s); i++)
        if (overlaps(&s, IMAGE_BOOT_BASE, IMAGE_BOOT_END) ||
            overlaps(&s, IMAGE_ACPI_BASE, IMAGE_ACPI_END))
            return image_refuse(p, E_RANGE, p->vm->kernel.name,
                                "would lie at 0x%llx-0x%llx; 0x%x-0x%x and 0x%x-0x%x are taken",
                                ull(s.address), ull(s.address + s.memory_size - 1), IMAGE_BOOT_BASE,
                                IMAGE_BOOT_END - 1, IMAGE_ACPI_BASE, IMAGE_ACPI_END - 1);
    return OK;
}

/* The last address that the initrd may have. */
static uint64_t initrd_max(const struct planner *p)
{
    const struct config_file *file = &p->vm->kernel;
    struct bzimage image;

    if (p->plan->format == IMAGE_BZIMAGE && !bzimage_check(file->data, file->size, &image))
        return image.initrd_max;
    return UINT32_MAX;
}

static enum err place_x86(struct planner *p)
{
    struct image_plan *plan = p->plan;
    uint64_t ram = machine_ram(p->machine, p->vm->memory_size, 0).size;
    uint64_t end = MIN(ram, initrd_max(p) + 1);
    uint64_t low = MAX(plan->kernel + plan->kernel_size, IMAGE_ACPI_END);

    if (p->vm->fdt.name)
        return image_refuse(p, E_UNSUPPORTED, p->vm->fdt.name,
                            "is a device tree; x86_64 guests have ACPI");
    if (plan->format == IMAGE_FIRMWARE && plan->initrd_size)
        return image_refuse(p, E_UNSUPPORTED, p->vm->initrd.name, "cannot be given to a firmware");
    if (plan->format == IMAGE_FIRMWARE)
        return OK;
    if (ram < IMAGE_ACPI_END)
        return image_refuse(p, E_RANGE, p->vm->kernel.name, "needs 1M of memory");
    TRY(check_low(p));
    if (plan->initrd_size == 0)
        return OK;
    plan->initrd = ALIGN_DOWN(end - plan->initrd_size, PAGE_SIZE);
    if (end < plan->initrd_size || plan->initrd < low)
        return image_refuse(p, E_RANGE, p->vm->kernel.name,
                            "with %lluK and its initrd with %lluK do not fit into %lluM",
                            ull(plan->kernel_size / KIB), ull(plan->initrd_size / KIB),
                            ull(ram / MIB));
    return OK;
}

const struct image_rules image_rules_x86 = {"a bzImage or ELF", plan_x86, place_x86};
