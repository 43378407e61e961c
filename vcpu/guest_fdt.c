/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the device tree of a guest: what is the same on all architectures.
 * [Devicetree Specification 0.4]
 */
#include "vcpu/guest_fdt_impl.h"

#include "kernel/string.h"
#include "vcpu/config.h"
#include "vcpu/machine.h"

void guest_fdt_reg(struct fdt_writer *w, uint64_t base, uint64_t size)
{
    uint64_t pair[1][2] = {{base, size}};

    fdt_write_reg(w, pair, 1);
}

static void write_chosen(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    fdt_write_node(w, "chosen");
    if (params->cmdline && *params->cmdline)
        fdt_write_string(w, "bootargs", params->cmdline);
    if (machine_device(params->machine, "pl011"))
        fdt_write_string(w, "stdout-path", "/pl011@9000000");
    else
        fdt_write_string(w, "stdout-path", "/soc/serial@10000000");
    if (params->initrd_size) {
        fdt_write_u64(w, "linux,initrd-start", params->initrd);
        fdt_write_u64(w, "linux,initrd-end", params->initrd + params->initrd_size);
    }
    if (params->rng_seed)
        fdt_write_bytes(w, "rng-seed", params->rng_seed, params->rng_seed_size);
    fdt_write_node_end(w);
}

static void write_memory(struct fdt_writer *w, uint64_t base, uint64_t size)
{
    fdt_write_node(w, "memory@%llx", (unsigned long long)base);
    fdt_write_string(w, "device_type", "memory");
    guest_fdt_reg(w, base, size);
    fdt_write_node_end(w);
}

/* RAM is memory; the others the guest finds by their compatible and label. */
static void write_region(struct fdt_writer *w, const struct config_region *region)
{
    static const char *const compatibles[] = {
        [CONFIG_ROM] = "caisson,rom",
        [CONFIG_DEVICE] = "caisson,device",
        [CONFIG_SHARED] = "caisson,shared-memory",
    };

    if (region->kind == CONFIG_RAM) {
        write_memory(w, region->address, region->size);
        return;
    }
    fdt_write_node(w, "%s@%llx", config_region_kind_text(region->kind),
                   (unsigned long long)region->address);
    fdt_write_string(w, "compatible", compatibles[region->kind]);
    fdt_write_string(w, "label", region->name);
    guest_fdt_reg(w, region->address, region->size);
    fdt_write_node_end(w);
}

static void write_hypervisor(struct fdt_writer *w, const struct guest_fdt_params *params)
{
    fdt_write_node(w, "hypervisor");
    fdt_write_string(w, "compatible", "caisson,hypervisor");
    fdt_write_string(w, "label", params->name);
    fdt_write_node_end(w);
}

enum err guest_fdt_write(const struct guest_fdt_params *params, void *buf, size_t room,
                         size_t *size)
{
    struct fdt_writer w;

    fdt_write_begin(&w, buf, room);
    fdt_write_node(&w, "%s", "");
    if (machine_device(params->machine,
                       "gicd")) /* RISC-V harts' own controllers would inherit it. */
        fdt_write_u32(&w, "interrupt-parent", GUEST_FDT_PHANDLE_IRQCHIP);
    fdt_write_string(&w, "model", "caisson-virt");
    GUEST_FDT_STRINGS(&w, "compatible", "caisson,virt\0linux,dummy-virt");
    fdt_write_u32(&w, "#address-cells", 2);
    fdt_write_u32(&w, "#size-cells", 2);
    write_chosen(&w, params);
    write_memory(&w, params->machine->ram_base, params->ram_size);
    params->write_machine(&w, params);
    for (unsigned i = 0; i < params->region_count; i++)
        write_region(&w, &params->regions[i]);
    write_hypervisor(&w, params);
    fdt_write_node_end(&w);
    return fdt_write_end(&w, size);
}
