/* SPDX-License-Identifier: Apache-2.0 */
/* The host program `caisson`: reads the command line, calls the command. tools/README.md is its
 * reference. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/string.h"
#include "tools/caisson/tool.h"

static const char help[] =
    "caisson check FILE.dts [--arch A] [--cpus N] [--ram SIZE] [-I DIR]...\n"
    "    Says what is wrong with a configuration, and with the files it names. With --cpus and\n"
    "    --ram also whether it fits a host with so many processors and so much memory.\n"
    "caisson explain FILE.dts [--arch A] [-I DIR]...\n"
    "    Prints the machines that the guests will see.\n"
    "caisson pack --arch A FILE.dts -o OUT.efi [--efi IN.efi] [-I DIR]...\n"
    "    Puts the configuration and its files into the hypervisor (build/A/caisson.efi).\n"
    "caisson pack --arch A FILE.dts -o OUT.dtb --config-only [-I DIR]...\n"
    "    The same without the hypervisor: what it takes as initrd where it starts without UEFI.\n"
    "caisson disk OUT.efi... -o DISK.img [--size SIZE]\n"
    "    Makes a disk that boots them, one for each architecture.\n"
    "caisson help\n"
    "\n"
    "A is aarch64 (the default of check and explain), riscv64 or x86_64. Sizes are such as 512M.\n"
    "Files are looked for beside FILE.dts, then in each DIR.\n";

static const struct command {
    const char *name;
    bool (*fn)(const struct options *options);
    bool needs_out;
} commands[] = {
    {"check", command_check, false},
    {"explain", command_explain, false},
    {"pack", command_pack, true},
    {"disk", command_disk, true},
};

enum { OPT_ARCH = 256, OPT_CPUS, OPT_RAM, OPT_EFI, OPT_CONFIG_ONLY, OPT_SIZE };

static const struct option long_options[] = {
    {"arch", required_argument, NULL, OPT_ARCH},
    {"cpus", required_argument, NULL, OPT_CPUS},
    {"ram", required_argument, NULL, OPT_RAM},
    {"efi", required_argument, NULL, OPT_EFI},
    {"config-only", no_argument, NULL, OPT_CONFIG_ONLY},
    {"size", required_argument, NULL, OPT_SIZE},
    {"include", required_argument, NULL, 'I'},
    {"output", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0},
};

static bool include_add(struct options *options, const char *folder)
{
    if (options->include_count == INCLUDES_MAX)
        return fail("more than %u folders with -I", INCLUDES_MAX);
    options->includes[options->include_count++] = folder;
    return true;
}

static bool option_read(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPT_ARCH:
        options->arch = value;
        return true;
    case OPT_CPUS:
        return (str_to_u64(value, &options->cpus) && options->cpus - 1 < 1024) ||
               fail("--cpus: '%s' is not a number of processors", value);
    case OPT_RAM:
        return str_to_size(value, &options->ram) || fail("--ram: '%s' is not a size", value);
    case OPT_SIZE:
        return str_to_size(value, &options->size) || fail("--size: '%s' is not a size", value);
    case OPT_EFI:
        options->efi = value;
        return true;
    case OPT_CONFIG_ONLY:
        options->config_only = true;
        return true;
    case 'I':
        return include_add(options, value);
    case 'o':
        options->out = value;
        return true;
    default: /* getopt has said it. */
        return false;
    }
}

static bool options_read(struct options *options, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "-I:o:", long_options, NULL)) != -1) {
        if (option != 1) {
            if (!option_read(options, option, optarg))
                return false;
        } else if (options->input_count == INPUTS_MAX) {
            return fail("more than %u files", INPUTS_MAX);
        } else {
            options->inputs[options->input_count++] = optarg;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    const char *name = argc > 1 ? argv[1] : "help";

    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(help, stdout);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *command = &commands[i];

        if (strcmp(command->name, name) != 0)
            continue;
        if (!options_read(&options, argc - 1, argv + 1))
            return 1;
        if (options.input_count == 0)
            return !fail("%s: no file given; see `caisson help`", name);
        if (command->needs_out && !options.out)
            return !fail("%s: no output given (-o FILE)", name);
        return command->fn(&options) ? 0 : 1;
    }
    fail("there is no command '%s'; there are check, explain, pack, disk and help", name);
    return 1;
}
