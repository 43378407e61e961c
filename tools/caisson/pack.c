/* SPDX-License-Identifier: Apache-2.0 */
/* `caisson pack`: hypervisor, configuration and files in one EFI program. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/caisson/tool.h"

#define SECTION ".config" /* The EFI program looks for it in its own image. */

static struct input input; /* Large. */

static unsigned arch_machine(const char *arch)
{
    if (strcmp(arch, "aarch64") == 0)
        return PE_MACHINE_AARCH64;
    return strcmp(arch, "riscv64") == 0 ? PE_MACHINE_RISCV64 : PE_MACHINE_X86_64;
}

static bool efi_write(const struct options *options)
{
    const char *name = options->efi ? options->efi : text_of("build/%s/caisson.efi", options->arch);
    struct pe_file in, out;
    const char *wrong;

    in.data = (uint8_t *)file_read(name, &in.size);
    if (!in.data)
        return fail("%s: %s; build it (make ARCH=%s), or name it with --efi", name, strerror(errno),
                    options->arch);
    if (pe_machine(in.data, in.size) != arch_machine(options->arch))
        return fail("%s: not an EFI program for %s", name, options->arch);
    wrong = pe_add_section(&in, SECTION, input.packed, input.packed_size, &out);
    if (wrong)
        return fail("%s: %s", name, wrong);
    return file_write(options->out, out.data, out.size);
}

bool command_pack(const struct options *options)
{
    if (!options->arch)
        return fail("pack: no --arch given: aarch64, riscv64 or x86_64");
    if (options->input_count != 1)
        return fail("pack takes one file");
    if (!input_load(&input, options))
        return false;
    if (input.mistakes)
        return fail("%s: %u mistake%s; nothing was packed", options->inputs[0], input.mistakes,
                    input.mistakes == 1 ? "" : "s");
    if (options->config_only)
        return file_write(options->out, input.packed, input.packed_size);
    return efi_write(options);
}
