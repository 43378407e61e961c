/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration with its files: the tree is copied with the files packed into it, and that is
 * parsed, so that what is checked here is byte by byte what the hypervisor gets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fdt.h"
#include "tools/caisson/tool.h"
#include "vcpu/machine.h"

#define FILES_MAX (3 * CONFIG_VMS_MAX)

static const char *const file_properties[] = {"kernel", "initrd", "fdt"};

struct packed_file {
    const char *name;
    char *data; /* NULL: not found. */
    size_t size;
};

struct reporter {
    struct config_report report; /* First. */
    struct input *input;
};

static struct packed_file files[FILES_MAX];
static unsigned file_count;

static void mistake_print(struct config_report *report, const char *path, const char *text)
{
    struct input *input = ((struct reporter *)report)->input;

    fprintf(stderr, "%s: %s: %s\n", source_place(&input->source, path, report->property), path,
            text);
    input->mistakes++;
}

static const struct packed_file *file_known(const char *name)
{
    for (unsigned i = 0; i < file_count; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}

/* Beside the source first, then in the folders of -I; absolute names as they are. */
static char *file_find(const struct options *options, const char *name, size_t *size)
{
    const char *source = options->inputs[0], *slash = strrchr(source, '/');
    char *data = NULL;

    if (name[0] == '/')
        return file_read(name, size);
    data = file_read(text_of("%.*s%s", slash ? (int)(slash - source) + 1 : 0, source, name), size);
    for (unsigned i = 0; !data && i < options->include_count; i++)
        data = file_read(text_of("%s/%s", options->includes[i], name), size);
    return data;
}

static void file_load(struct input *input, const struct options *options, const struct fdt *fdt,
                      int boot, const char *property)
{
    struct reporter reporter = {{mistake_print, property, 0}, input};
    const char *name = fdt_str(fdt, boot, property);
    struct packed_file *file = &files[file_count];
    char path[160];

    if (!name || !*name || file_known(name) || file_count == FILES_MAX)
        return;
    file->name = name;
    file->data = file_find(options, name, &file->size);
    file_count++;
    if (!file->data)
        mistake_print(&reporter.report, fdt_path(fdt, boot, path, sizeof(path)),
                      text_of("file '%s': %s (looked beside %s, and in the folders given by -I)",
                              name, strerror(errno), options->inputs[0]));
}

static void files_load(struct input *input, const struct options *options, const struct fdt *fdt)
{
    int vms = fdt_node(fdt, "/vms");

    for (int vm = vms < 0 ? -1 : fdt_first_child(fdt, vms); vm >= 0; vm = fdt_next_child(fdt, vm)) {
        int boot = fdt_child(fdt, vm, "boot");

        for (unsigned i = 0; boot >= 0 && i < ARRAY_SIZE(file_properties); i++)
            file_load(input, options, fdt, boot, file_properties[i]);
    }
}

static void node_copy(struct fdt_writer *w, const struct fdt *fdt, int node)
{
    const char *name;
    const void *value;
    size_t size;

    for (unsigned i = 0; (name = fdt_prop_at(fdt, node, i, &value, &size)); i++)
        fdt_write_bytes(w, name, value, size);
    for (int child = fdt_first_child(fdt, node); child >= 0; child = fdt_next_child(fdt, child)) {
        fdt_write_node(w, "%s", fdt_name(fdt, child));
        node_copy(w, fdt, child);
        fdt_write_node_end(w);
    }
}

static void files_write(struct fdt_writer *w)
{
    fdt_write_node(w, "files");
    for (unsigned i = 0; i < file_count; i++) {
        if (!files[i].data)
            continue;
        fdt_write_node(w, "file@%x", i);
        fdt_write_string(w, "name", files[i].name);
        fdt_write_bytes(w, "data", files[i].data, files[i].size);
        fdt_write_node_end(w);
    }
    fdt_write_node_end(w);
}

static bool tree_pack(struct input *input, const struct fdt *fdt)
{
    size_t room = 2 * input->source.size + 65536;
    struct fdt_writer w;

    for (unsigned i = 0; i < file_count; i++)
        room += files[i].size + strlen(files[i].name) + 64;
    input->packed = allocate(room);
    fdt_write_begin(&w, input->packed, room);
    fdt_write_node(&w, "%s", "");
    node_copy(&w, fdt, fdt_node(fdt, "/"));
    if (fdt_node(fdt, "/files") < 0)
        files_write(&w);
    fdt_write_node_end(&w);
    if (fdt_write_end(&w, &input->packed_size) != OK)
        return fail("%s: the packed tree cannot be written", input->source.name);
    return true;
}

bool input_load(struct input *input, const struct options *options)
{
    struct reporter reporter = {{mistake_print, NULL, 0}, input};
    struct config_context context = {
        .machine = machine_find(options->arch),
        .cpu_count = (unsigned)options->cpus,
        .ram_size = options->ram,
    };
    struct fdt fdt;

    memset(input, 0, sizeof(*input));
    input->machine = context.machine;
    if (!input->machine)
        return fail("there is no architecture '%s'; there are aarch64, riscv64 and x86_64",
                    options->arch);
    if (!source_load(&input->source, options))
        return false;
    if (fdt_open(&fdt, input->source.blob, input->source.size) != OK)
        return fail("%s: not a sound device tree", input->source.name);
    if (fdt_node(&fdt, "/files") < 0) /* Not packed already. */
        files_load(input, options, &fdt);
    if (!tree_pack(input, &fdt))
        return false;
    if (config_parse(&input->config, input->packed, input->packed_size, &context,
                     &reporter.report) == E_ABSENT)
        return fail("%s: not a configuration: its root needs compatible = \"caisson,config-1\"",
                    input->source.name);
    return true;
}
