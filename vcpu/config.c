/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes of a configuration, one function each. The contract is in config.h. */
#include "vcpu/config.h"

#include "kernel/string.h"
#include "vcpu/config_read.h"
#include "vcpu/machine.h"

#define LIST(...)       ((const char *const[]){__VA_ARGS__, NULL})

#define WATCHDOG_MIN_MS 10u
#define WATCHDOG_MAX_MS 3600000u
#define SNAPSHOT_MAX_MS 3600000u

/* The last one is for on-crash alone. */
static const char *const action_words[] = {"stop", "restart", "pause", "restore", NULL};
static const char *const action_words_asked[] = {"stop", "restart", "pause", NULL};
static const char *const kind_words[] = {"ram", "rom", "device", "shared", NULL};
static const char *const irqchip_words[] = {"plic", "aia", NULL};
static const char *const log_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const boot_words[] = {"kernel", "initrd",       "fdt", "cmdline",
                                         "format", "load-address", NULL};

const char *config_action_text(enum config_action action)
{
    return action_words[action];
}

const char *config_irqchip_text(enum config_irqchip irqchip)
{
    return irqchip_words[irqchip];
}

const char *config_region_kind_text(enum config_region_kind kind)
{
    return kind_words[kind];
}

/* A file by its name in /files; data stays NULL when it is not packed. */
static void file_find(struct config_reader *r, int node, const char *property,
                      struct config_file *file)
{
    int files = fdt_node(r->fdt, "/files");
    const char *name;

    if (!config_string(r, node, property, &file->name))
        return;
    for (int f = files < 0 ? -1 : fdt_first_child(r->fdt, files); f >= 0;
         f = fdt_next_child(r->fdt, f)) {
        name = fdt_str(r->fdt, f, "name");
        if (!name || strcmp(name, file->name) != 0)
            continue;
        file->data = fdt_prop(r->fdt, f, "data", &file->size);
        break;
    }
    if (r->context->packed && !file->data)
        config_mistake(r, node, property, "file '%s' is not in the image", file->name);
}

static void boot_read(struct config_reader *r, struct config_vm *vm)
{
    int node = fdt_child(r->fdt, vm->node, "boot");
    unsigned format = 0;

    if (node < 0) {
        config_mistake(r, vm->node, NULL, "there is no node 'boot', which names the kernel");
        return;
    }
    config_known(r, node, boot_words, LIST(NULL));
    if (!fdt_has(r->fdt, node, "kernel"))
        config_mistake(r, node, NULL, "there is no 'kernel'");
    file_find(r, node, "kernel", &vm->kernel);
    file_find(r, node, "initrd", &vm->initrd);
    file_find(r, node, "fdt", &vm->fdt);
    config_string(r, node, "cmdline", &vm->cmdline);
    if (strlen(vm->cmdline) >= CONFIG_CMDLINE_MAX)
        config_mistake(r, node, "cmdline", "'cmdline' has more than %u characters",
                       CONFIG_CMDLINE_MAX - 1);
    config_choice(r, node, "format", LIST("auto", "raw", "firmware"), &format);
    vm->raw = format == 1;
    vm->firmware = format == 2;
    if (vm->firmware && !machine_device(r->context->machine, "firmware"))
        config_mistake(r, node, "format",
                       "format \"firmware\" is for x86_64 guests; this is for %s",
                       r->context->machine->arch);
    config_address(r, node, "load-address", &vm->load_address);
    if (vm->load_address && !vm->raw)
        config_mistake(r, node, "load-address", "'load-address' needs format = \"raw\"");
}

static void region_read(struct config_reader *r, struct config_region *region, int node)
{
    unsigned kind = CONFIG_RAM, mistakes = r->report->count;

    region->name = fdt_name(r->fdt, node);
    config_known(r, node, LIST("kind", "address", "size", "host"), LIST(NULL));
    config_choice(r, node, "kind", kind_words, &kind);
    region->kind = kind;
    config_address(r, node, "address", &region->address);
    config_size(r, node, "size", &region->size);
    config_address(r, node, "host", &region->host);
    if (!fdt_has(r->fdt, node, "kind"))
        config_mistake(r, node, NULL, "there is no 'kind': ram, rom, device or shared");
    if (!fdt_has(r->fdt, node, "address"))
        config_mistake(r, node, NULL, "there is no 'address'");
    if (!fdt_has(r->fdt, node, "size"))
        config_mistake(r, node, NULL, "there is no 'size'");
    if ((kind == CONFIG_DEVICE || kind == CONFIG_SHARED) && !fdt_has(r->fdt, node, "host"))
        config_mistake(r, node, NULL, "there is no 'host'; a %s region needs its host address",
                       kind_words[kind]);
    if (r->report->count != mistakes)
        region->size = 0;
}

static void regions_read(struct config_reader *r, struct config_vm *vm)
{
    int node = fdt_child(r->fdt, vm->node, "regions");

    if (node < 0)
        return;
    config_known(r, node, LIST(NULL), NULL);
    for (int child = fdt_first_child(r->fdt, node); child >= 0;
         child = fdt_next_child(r->fdt, child)) {
        if (vm->region_count == CONFIG_REGIONS_MAX) {
            config_mistake(r, child, NULL, "a VM cannot have more than %u regions",
                           CONFIG_REGIONS_MAX);
            return;
        }
        region_read(r, &vm->regions[vm->region_count++], child);
    }
}

static void action_read(struct config_reader *r, int node, const char *name,
                        const char *const *words, enum config_action *action)
{
    unsigned value;

    if (config_choice(r, node, name, words, &value))
        *action = value;
}

static void actions_read(struct config_reader *r, struct config_vm *vm)
{
    uint64_t number;

    action_read(r, vm->node, "on-crash", action_words, &vm->on_crash);
    action_read(r, vm->node, "on-reset", action_words_asked, &vm->on_reset);
    action_read(r, vm->node, "on-poweroff", action_words_asked, &vm->on_poweroff);
    if (config_number(r, vm->node, "watchdog-ms", WATCHDOG_MIN_MS, WATCHDOG_MAX_MS, &number))
        vm->watchdog_ms = (uint32_t)number;
    if (config_number(r, vm->node, "snapshot-after-ms", 1, SNAPSHOT_MAX_MS, &number))
        vm->snapshot_ms = (uint32_t)number;
    if (vm->snapshot_ms && vm->on_crash != ACTION_RESTORE)
        config_mistake(r, vm->node, "snapshot-after-ms",
                       "'snapshot-after-ms' needs on-crash = \"restore\"");
}

static void clock_read(struct config_reader *r, struct config_vm *vm)
{
    unsigned value;

    if (config_choice(r, vm->node, "clock-in-pause", LIST("stops", "runs"), &value))
        vm->clock_runs = value == 1;
}

/* What the architecture leaves no choice of is not a property there. */
static void irqchip_read(struct config_reader *r, struct config_vm *vm)
{
    unsigned value;

    if (!config_choice(r, vm->node, "interrupt-controller", irqchip_words, &value))
        return;
    vm->irqchip = value;
    if (!machine_device(r->context->machine, irqchip_words[CONFIG_PLIC]))
        config_mistake(r, vm->node, "interrupt-controller",
                       "'interrupt-controller' is for riscv64 guests; this one is for %s",
                       r->context->machine->arch);
}

static void memory_read(struct config_reader *r, struct config_vm *vm)
{
    uint64_t max = r->context->machine->ram_max;

    if (!fdt_has(r->fdt, vm->node, "memory"))
        config_mistake(r, vm->node, NULL, "there is no 'memory', such as \"256M\"");
    else if (config_size(r, vm->node, "memory", &vm->memory_size) &&
             (vm->memory_size < CONFIG_MEMORY_MIN || vm->memory_size > max))
        config_mistake(r, vm->node, "memory", "'memory' is %lluK; it must be from 1M to %lluG",
                       (unsigned long long)(vm->memory_size / KIB),
                       (unsigned long long)(max / GIB));
    config_address(r, vm->node, "memory-host", &vm->memory_host);
}

/* A property that is known, but belongs into "boot": say so, beside that it is unknown here. */
static void misplaced_check(struct config_reader *r, const struct config_vm *vm)
{
    for (const char *const *word = boot_words; *word; word++)
        if (fdt_has(r->fdt, vm->node, *word))
            config_mistake(r, vm->node, *word, "'%s' belongs into the node 'boot'", *word);
}

static void name_check(struct config_reader *r, const struct config_vm *vm)
{
    const char *name = vm->name;
    size_t length = strlen(name);

    if (length >= CONFIG_NAME_MAX)
        config_mistake(r, vm->node, NULL, "the VM's name has more than %u characters",
                       CONFIG_NAME_MAX - 1);
    for (const char *c = name; *c; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-')
            continue;
        config_mistake(r, vm->node, NULL, "a VM's name has only a-z, 0-9 and -, not '%c'", *c);
        break;
    }
    if (strcmp(name, "prompt") == 0)
        config_mistake(r, vm->node, NULL, "a VM cannot be named 'prompt', as the console is");
    for (int other = fdt_first_child(r->fdt, fdt_parent(r->fdt, vm->node));
         other >= 0 && other != vm->node; other = fdt_next_child(r->fdt, other))
        if (strcmp(fdt_name(r->fdt, other), name) == 0)
            config_mistake(r, vm->node, NULL, "there is another VM named '%s'", name);
}

static void vm_read(struct config_reader *r, struct config_vm *vm, int node)
{
    uint64_t number;

    *vm = (struct config_vm){
        CONFIG_VM_DEFAULTS,
        .name = fdt_name(r->fdt, node),
        .node = node,
    };
    name_check(r, vm);
    config_known(r, node,
                 LIST("cpus", "affinity", "memory", "memory-host", "priority", "weight",
                      "budget-us", "period-us", "exclusive", "balance", "autostart", "on-crash",
                      "on-reset", "on-poweroff", "kernel", "initrd", "fdt", "cmdline", "format",
                      "load-address", "interrupt-controller", "clock-in-pause", "watchdog-ms",
                      "snapshot-after-ms"),
                 LIST("boot", "regions"));
    misplaced_check(r, vm);
    if (config_number(r, node, "cpus", 1, CONFIG_VCPUS_MAX, &number))
        vm->cpu_count = (unsigned)number;
    if (config_number(r, node, "priority", 0, CONFIG_PRIORITY_MAX, &number))
        vm->priority = (uint8_t)number;
    config_flag(r, node, "exclusive", &vm->exclusive);
    config_flag(r, node, "balance", &vm->balance);
    config_flag(r, node, "autostart", &vm->autostart);
    actions_read(r, vm);
    config_affinity(r, vm);
    config_share(r, vm);
    memory_read(r, vm);
    irqchip_read(r, vm);
    clock_read(r, vm);
    boot_read(r, vm);
    regions_read(r, vm);
}

static void vms_read(struct config_reader *r)
{
    struct config *config = r->config;
    int vms = fdt_node(r->fdt, "/vms");

    if (vms < 0 || fdt_first_child(r->fdt, vms) < 0) {
        config_mistake(r, vms < 0 ? fdt_node(r->fdt, "/") : vms, NULL,
                       "there are no VMs; the node 'vms' has one node for each");
        return;
    }
    config_known(r, vms, LIST(NULL), NULL);
    for (int node = fdt_first_child(r->fdt, vms); node >= 0; node = fdt_next_child(r->fdt, node)) {
        struct config_vm *vm = &config->vms[config->vm_count];
        unsigned mistakes = r->report->count;

        if (config->vm_count == CONFIG_VMS_MAX) {
            config_mistake(r, node, NULL, "there cannot be more than %u VMs", CONFIG_VMS_MAX);
            return;
        }
        vm_read(r, vm, node);
        config_check_vm(r, vm);
        if (r->report->count == mistakes)
            config->vm_count++;
    }
}

static void hypervisor_read(struct config_reader *r)
{
    int vms = fdt_node(r->fdt, "/vms"), node = fdt_node(r->fdt, "/hypervisor");
    unsigned level;

    if (node < 0)
        return;
    config_known(r, node, LIST("log", "console", "options"), LIST(NULL));
    r->config->log_set = config_choice(r, node, "log", log_words, &level);
    if (r->config->log_set)
        r->config->log = (enum log_level)level;
    if (!config_string(r, node, "console", &r->config->console))
        return;
    if (strcmp(r->config->console, "prompt") == 0 ||
        (vms >= 0 && fdt_child(r->fdt, vms, r->config->console) >= 0))
        return;
    config_mistake(r, node, "console", "'console' is \"%s\", which is neither a VM nor \"prompt\"",
                   r->config->console);
    r->config->console = NULL;
}

const char *config_options(const void *blob, size_t limit)
{
    struct fdt fdt;
    const char *text = NULL;
    int node;

    if (limit == 0 || fdt_open(&fdt, blob, limit) != OK)
        return "";
    node = fdt_node(&fdt, "/hypervisor");
    if (node >= 0)
        text = fdt_str(&fdt, node, "options");
    return text ? text : "";
}

enum err config_parse(struct config *config, const void *blob, size_t limit,
                      const struct config_context *context, struct config_report *report)
{
    struct config_reader r = {config, &config->fdt, context, report};
    int root;

    memset(config, 0, sizeof(*config));
    report->count = 0;
    report->property = NULL;
    if (fdt_open(&config->fdt, blob, limit) != OK)
        return E_ABSENT;
    root = fdt_node(&config->fdt, "/");
    if (root < 0 || !fdt_is_compatible(&config->fdt, root, "caisson,config-1"))
        return E_ABSENT;
    config_known(&r, root, LIST("compatible", "model", "#address-cells", "#size-cells"),
                 LIST("vms", "cpus", "hypervisor", "files"));
    vms_read(&r);
    config_cpus(&r);
    config_check_all(&r);
    hypervisor_read(&r);
    return report->count ? E_INVALID : OK;
}

const struct config_vm *config_find(const struct config *config, const char *name)
{
    for (unsigned i = 0; i < config->vm_count; i++)
        if (strcmp(config->vms[i].name, name) == 0)
            return &config->vms[i];
    return NULL;
}
