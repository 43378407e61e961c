/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `caisson disk`: a GPT disk with one EFI system partition (FAT32) that has EFI/BOOT/BOOT<arch>.EFI
 * for each program given. The same programs give the same bytes: identifiers and times are fixed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/caisson/tool.h"

#define SECTOR         512u
#define PARTITION      2048u      /* First sector, and what is kept free behind the last. */
#define SIZE_MIN       (48 * MIB) /* FAT32 needs 65525 clusters: 33 MiB. */
#define DISK_GUID      "6b1c0f5e-8f5e-4c1b-9e2d-c0a155041501"
#define PARTITION_GUID "6b1c0f5e-8f5e-4c1b-9e2d-c0a155041502"
#define TIME           1767225600L /* 2026-01-01, for files in the partition. */

struct program {
    const char *path, *boot_name;
    uint64_t size;
};

static const char *boot_name(unsigned machine)
{
    switch (machine) {
    case PE_MACHINE_AARCH64:
        return "BOOTAA64.EFI";
    case PE_MACHINE_RISCV64:
        return "BOOTRISCV64.EFI";
    case PE_MACHINE_X86_64:
        return "BOOTX64.EFI";
    default:
        return NULL;
    }
}

/* Copies the program to a temporary file with a fixed time, named as it will be on the disk. */
static bool program_read(struct program *program, const char *path)
{
    const struct timespec times[2] = {{.tv_sec = TIME}, {.tv_sec = TIME}};
    size_t size;
    char *data = file_read(path, &size);

    if (!data)
        return fail("%s: %s", path, strerror(errno));
    program->boot_name = boot_name(pe_machine(data, size));
    program->size = size;
    if (!program->boot_name)
        return fail("%s: not an EFI program for aarch64, riscv64 or x86_64", path);
    program->path = temp_path(program->boot_name);
    if (!program->path)
        return false;
    if (access(program->path, F_OK) == 0)
        return fail("%s: another of the files is for the same architecture", path);
    if (!file_write(program->path, data, size))
        return false;
    free(data);
    return utimensat(AT_FDCWD, program->path, times, 0) == 0 ||
           fail("%s: %s", program->path, strerror(errno));
}

static bool disk_partition(const char *disk, uint64_t size)
{
    const char *new =
        text_of("--new=1:%u:%llu", PARTITION, (unsigned long long)(size / SECTOR - PARTITION - 1));
    const char *sgdisk[] = {"sgdisk",
                            "--clear",
                            "--disk-guid=" DISK_GUID,
                            new,
                            "--typecode=1:ef00",
                            "--partition-guid=1:" PARTITION_GUID,
                            "--change-name=1:Caisson",
                            disk,
                            NULL};
    const char *blocks = text_of("%llu", (unsigned long long)(size / SECTOR - 2 * PARTITION) / 2);
    const char *offset = text_of("--offset=%u", PARTITION);
    const char *errors = temp_path("mkfs.err"); /* It warns that the disk goes on behind. */
    const char *mkfs[] = {"mkfs.vfat",   "-F",   "32", "-n",   "CAISSON",
                          "--invariant", offset, disk, blocks, NULL};

    return (run(sgdisk, "gdisk", "/dev/null", NULL) ||
            fail("sgdisk could not partition %s", disk)) &&
           (run(mkfs, "dosfstools", "/dev/null", errors) ||
            fail("mkfs.vfat could not format %s", disk));
}

static bool disk_fill(const char *disk, const struct program *programs, unsigned count)
{
    const char *image = text_of("%s@@%u", disk, PARTITION * SECTOR);
    const char *mmd[] = {"mmd", "-i", image, "::EFI", "::EFI/BOOT", NULL};

    if (!run(mmd, "mtools", NULL, NULL))
        return fail("mmd could not make EFI/BOOT on %s", disk);
    for (unsigned i = 0; i < count; i++) {
        const char *target = text_of("::EFI/BOOT/%s", programs[i].boot_name);
        const char *mcopy[] = {"mcopy", "-m", "-i", image, programs[i].path, target, NULL};

        if (!run(mcopy, "mtools", NULL, NULL))
            return fail("mcopy could not write %s; is --size large enough?", target);
    }
    return true;
}

static bool disk_create(const char *path, uint64_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)size) == 0;

    if (!ok)
        fail("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The programs' environment: fixed times, no user's settings, and where Debian has them. */
static void environment_set(void)
{
    const char *path = getenv("PATH");

    setenv("SOURCE_DATE_EPOCH", "1767225600", 1);
    setenv("TZ", "UTC", 1);
    setenv("MTOOLSRC", "/dev/null", 1);
    setenv("MTOOLS_SKIP_CHECK", "1", 1);
    setenv("PATH", text_of("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin"), 1);
}

bool command_disk(const struct options *options)
{
    struct program programs[INPUTS_MAX] = {0};
    const char *part = text_of("%s.part", options->out);
    uint64_t size = 8 * MIB;

    environment_set();
    for (unsigned i = 0; i < options->input_count; i++) {
        if (!program_read(&programs[i], options->inputs[i]))
            return false;
        size += programs[i].size + programs[i].size / 64;
    }
    size = MAX(ALIGN_UP(size, MIB), SIZE_MIN);
    if (options->size && options->size < size)
        return fail("--size: these programs need at least %lluM", (unsigned long long)(size / MIB));
    if (options->size)
        size = ALIGN_DOWN(options->size, MIB);
    if (!disk_create(part, size) || !disk_partition(part, size) ||
        !disk_fill(part, programs, options->input_count)) {
        unlink(part);
        return false;
    }
    return rename(part, options->out) == 0 || fail("%s: %s", options->out, strerror(errno));
}
