/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a configuration (a compiled device tree, "caisson,config-1") into plain structs, and
 * reports every mistake with the path of its node. The one parser, in the hypervisor and in the
 * host tool. Pure: no allocation; pointers in the result point into the tree. tools/README.md is
 * the reference of the properties.
 *
 * config.c: the nodes. config_cpus.c: how pCPUs are shared. config_read.c: typed reads of
 * properties. config_check.c: what must hold between nodes and VMs.
 */
#pragma once

#include "kernel/err.h"
#include "kernel/fdt.h"
#include "kernel/log.h"
#include "kernel/types.h"

struct machine_layout;

#define CONFIG_VMS_MAX          64u
#define CONFIG_VCPUS_MAX        32u   /* Per VM. */
#define CONFIG_REGIONS_MAX      8u    /* Per VM, beside its RAM. */
#define CONFIG_NAME_MAX         32u   /* With NUL. */
#define CONFIG_CMDLINE_MAX      2048u /* With NUL; as Linux has it. */

#define CONFIG_PRIORITY_DEFAULT 16u
#define CONFIG_PRIORITY_MAX     31u
#define CONFIG_WEIGHT_DEFAULT   10u
#define CONFIG_SLOTS_MAX        64u /* Of all time tables. */
#define CONFIG_MEMORY_MIN       MIB

enum config_action { ACTION_STOP, ACTION_RESTART, ACTION_PAUSE, ACTION_RESTORE };
enum config_region_kind { CONFIG_RAM, CONFIG_ROM, CONFIG_DEVICE, CONFIG_SHARED };

enum config_irqchip { CONFIG_PLIC, CONFIG_AIA };
enum config_policy { CONFIG_SHARED_CPU, CONFIG_EXCLUSIVE_CPU, CONFIG_TABLE_CPU };

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
    uint64_t memory_host; /* Pinned host address of RAM; 0: anywhere. */
    uint8_t priority;     /* 0 to 31; higher runs first. */
    uint8_t weight;       /* Among vCPUs of the same priority. */
    uint32_t budget_us;   /* Of each vCPU in each period_us; 0: none. */
    uint32_t period_us;
    uint32_t table_vcpus; /* Bit per vCPU that has slots in a time table. */
    bool autostart;       /* Default true. */
    bool exclusive;       /* Its vCPUs own their pCPUs: each affinity has one bit. */
    bool balance;         /* Its vCPUs go where a pCPU of their affinity is idle. */
    enum config_action on_crash, on_reset, on_poweroff; /* Default stop, restart, stop. */
    uint32_t watchdog_ms;                               /* 0: none. */
    uint32_t snapshot_ms; /* ACTION_RESTORE: a golden snapshot so long after a start; 0: none. */
    bool clock_runs;      /* Also while it is paused. */
    enum config_irqchip irqchip; /* riscv64: default PLIC. */
    struct config_file kernel, initrd, fdt;
    const char *cmdline;   /* "" when none. */
    uint64_t load_address; /* For raw images; 0: the machine's usual place. */
    bool raw;              /* boot { format = "raw"; }: no header needed. */
    bool firmware;         /* boot { format = "firmware"; }: x86_64, at the reset vector. */
    unsigned region_count;
    struct config_region regions[CONFIG_REGIONS_MAX];
};

/* Initializers: what a VM is that says nothing else; for those that are made in code, too. Name,
 * memory and kernel are still to be said. */
#define CONFIG_VM_DEFAULTS                                                                         \
    .cpu_count = 1, .priority = CONFIG_PRIORITY_DEFAULT, .weight = CONFIG_WEIGHT_DEFAULT,          \
    .autostart = true, .on_crash = ACTION_STOP, .on_reset = ACTION_RESTART,                        \
    .on_poweroff = ACTION_STOP, .cmdline = ""

/* A vCPU's time in a table. */
struct config_slot {
    const char *vm; /* It may have been left out for its mistakes. */
    unsigned vcpu;
    uint32_t start_us, length_us;
};

struct config_cpu {
    enum config_policy policy;
    uint32_t slice_us; /* Shared: of a vCPU with the default weight; 0: not said. */
    uint32_t cycle_us; /* Table: it repeats after this. */
    unsigned slot_first, slot_count;
};

struct config {
    struct fdt fdt;
    bool log_set; /* The hypervisor node names a log level. */
    enum log_level log;
    const char *console; /* Who has the console first: a VM's name or "prompt"; NULL: not said. */
    uint64_t exclusive_cpus; /* pCPUs that an exclusive vCPU owns. */
    uint64_t table_cpus;     /* pCPUs with a time table. */
    struct config_cpu cpus[CPUS_MAX];
    unsigned slot_count;
    struct config_slot slots[CONFIG_SLOTS_MAX];
    unsigned vm_count;
    struct config_vm vms[CONFIG_VMS_MAX];
};

/* What a configuration is checked against. */
struct config_context {
    const struct machine_layout *machine; /* Of the guests. */
    unsigned cpu_count;                   /* pCPUs of the host; 0: not known. */
    uint64_t ram_size;                    /* Of the host; 0: not known. */
    bool packed;                          /* In the image: a file that is not in it is a mistake. */
};

/*
 * Receives each mistake: the path of its node ("/vms/web") and a sentence without path and newline
 * ("unknown property 'cpu', did you mean 'cpus'?"). To be shown as "path: text".
 */
struct config_report {
    void (*mistake)(struct config_report *report, const char *path, const char *text);
    const char *property; /* During the call: the property that is meant, NULL: the node. */
    unsigned count;       /* The parser counts. */
};

/* The boot options in a configuration, before it is parsed; "": none. */
const char *config_options(const void *blob, size_t limit);

/*
 * Parses; a VM with mistakes is left out of the result, the others are in it. E_INVALID: some
 * mistake was reported; E_ABSENT: not a configuration at all. limit: bytes that may be read at
 * blob.
 */
enum err config_parse(struct config *config, const void *blob, size_t limit,
                      const struct config_context *context, struct config_report *report);
/* NULL: no VM of that name is in the result. */
const struct config_vm *config_find(const struct config *config, const char *name);
/* The words of the configuration. */
const char *config_action_text(enum config_action action);
const char *config_irqchip_text(enum config_irqchip irqchip);
const char *config_region_kind_text(enum config_region_kind kind);
