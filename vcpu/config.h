/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a configuration (a compiled device tree, "caisson,config-1") into plain structs, and reports
 * every mistake with the path of its node. The one parser, in the hypervisor and in the host tool. Pure: no
 * allocation; pointers in the result point into the tree. tools/README.md is the reference of the properties.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/fdt.h"
#include "kernel/types.h"

#define CONFIG_VMS_MAX      64u
#define CONFIG_VCPUS_MAX    32u /* Per VM. */
#define CONFIG_REGIONS_MAX  8u  /* Per VM, beside its RAM. */
#define CONFIG_NAME_MAX     32u

enum config_action { ACTION_STOP, ACTION_RESTART, ACTION_PAUSE };
enum config_region_kind { CONFIG_RAM, CONFIG_ROM, CONFIG_DEVICE, CONFIG_SHARED };

/* A file named by the configuration. */
struct config_file {
    const char *name; /* NULL: none. */
    const void *data; /* NULL: not packed (the host tool looks on disk). */
    size_t size;
};

struct config_region {
    const char *name;
    enum config_region_kind kind;
    uint64_t address, size;
    uint64_t host; /* Pinned host address; 0: anywhere. */
};

struct config_vm {
    const char *name; /* Of its node. */
    int node;
    unsigned index;
    unsigned cpu_count;
    uint64_t affinity[CONFIG_VCPUS_MAX]; /* Mask of pCPUs of each vCPU; 0: any. */
    uint64_t memory_size;
    uint64_t memory_host;                /* Pinned host address of RAM; 0: anywhere. */
    uint8_t priority;
    bool autostart;                      /* Default true. */
    bool exclusive;                      /* Its vCPUs own their pCPUs. */
    enum config_action on_crash, on_reset, on_poweroff; /* Default stop, restart, stop. */
    struct config_file kernel, initrd, fdt;
    const char *cmdline;
    uint64_t load_address;               /* For raw images; 0: the machine's usual place. */
    bool raw;                            /* boot { format = "raw"; }: no header needed. */
    bool test_exit;                      /* devices: the guest may use our test hypercalls. */
    unsigned region_count;
    struct config_region regions[CONFIG_REGIONS_MAX];
};

struct config {
    struct fdt fdt;
    unsigned vm_count;
    struct config_vm vms[CONFIG_VMS_MAX];
};

/* Receives each mistake as a whole sentence without newline: "/vms/web: unknown property 'cpu'". */
struct config_report {
    void (*mistake)(struct config_report *report, const char *path, const char *text);
    unsigned count; /* The parser counts. */
};

/*
 * Parses; a VM with mistakes is left out of the result, the others are in it. E_INVALID: some mistake was
 * reported; E_ABSENT: not a configuration at all. limit: bytes that may be read at blob.
 */
enum err config_parse(struct config *config, const void *blob, size_t limit,
                      struct config_report *report);
