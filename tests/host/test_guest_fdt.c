/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu/guest_fdt.c: read back, and compiled back by dtc without a warning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fdt.h"
#include "tests/host/test.h"
#include "vcpu/config.h"
#include "vcpu/guest_fdt_impl.h"
#include "vcpu/machine.h"

static alignas(8) uint8_t blob[65536];

static const struct config_region regions[] = {
    {"more", CONFIG_RAM, 0x100000000, MIB, 0},
    {"bios", CONFIG_ROM, 0x110000000, MIB, 0},
    {"uart", CONFIG_DEVICE, 0x120000000, 4096, 0x9040000},
    {"mailbox", CONFIG_SHARED, 0x130000000, 4096, 0x60000000},
};

static struct guest_fdt_params params_of(unsigned cpus, unsigned gic_version)
{
    return (struct guest_fdt_params){
        .machine = &machine_layout_aarch64,
        .write_machine = guest_fdt_aarch64,
        .name = "web",
        .cpu_count = cpus,
        .ram_size = 256 * MIB,
        .cmdline = "console=ttyAMA0",
        .initrd = 0x44000000,
        .initrd_size = 0x1234,
        .gic_version = gic_version,
        .region_count = ARRAY_SIZE(regions),
        .regions = regions,
    };
}

static struct guest_fdt_params riscv_params_of(unsigned cpus, enum config_irqchip irqchip)
{
    struct guest_fdt_params params = params_of(cpus, 0);

    params.machine = &machine_layout_riscv64;
    params.write_machine = guest_fdt_riscv64;
    params.isa = "rv64imafdc_zicbom_zicsr_zba_sstc";
    params.irqchip = irqchip;
    params.timer_hz = 10000000;
    params.va_bits = 48;
    params.cbom_size = params.cboz_size = 64;
    return params;
}

static struct fdt written(const struct guest_fdt_params *params)
{
    struct fdt fdt;
    size_t size = 0;

    ASSERT_OK(guest_fdt_write(params, blob, sizeof(blob), &size));
    ASSERT_OK(fdt_open(&fdt, blob, size));
    return fdt;
}

static void expect_reg(const struct fdt *fdt, const char *path, unsigned index, uint64_t base,
                       uint64_t size)
{
    uint64_t b, s;

    ASSERT_OK(fdt_reg(fdt, fdt_node(fdt, path), index, &b, &s));
    ASSERT_EQ(b, base);
    ASSERT_EQ(s, size);
}

static void expect_spi(const struct fdt *fdt, const char *path, uint32_t spi)
{
    uint32_t cells[4];

    ASSERT_EQ(fdt_interrupt(fdt, fdt_node(fdt, path), 0, cells), 3);
    ASSERT_EQ(cells[0], 0);
    ASSERT_EQ(cells[1], spi);
    ASSERT_EQ(cells[2], 4);
}

TEST(the_guests_tree_describes_the_machine_of_qemu_virt)
{
    struct guest_fdt_params params = params_of(3, 3);
    struct fdt fdt = written(&params);
    int chosen = fdt_node(&fdt, "/chosen");
    uint64_t v;

    ASSERT_STR(fdt_str(&fdt, chosen, "bootargs"), "console=ttyAMA0");
    ASSERT_STR(fdt_str(&fdt, chosen, "stdout-path"), "/pl011@9000000");
    ASSERT_OK(fdt_u64(&fdt, chosen, "linux,initrd-end", &v));
    ASSERT_EQ(v, 0x44001234);
    ASSERT(!fdt_has(&fdt, chosen, "rng-seed"));
    expect_reg(&fdt, "/memory@40000000", 0, 0x40000000, 256 * MIB);
    expect_reg(&fdt, "/intc@8000000", 0, 0x08000000, 0x10000);
    expect_reg(&fdt, "/intc@8000000", 1, 0x080a0000, 0x60000);
    expect_reg(&fdt, "/pl011@9000000", 0, 0x09000000, 0x1000);
    expect_reg(&fdt, "/pl031@9010000", 0, 0x09010000, 0x1000);
    expect_spi(&fdt, "/pl011@9000000", 1);
    expect_spi(&fdt, "/pl031@9010000", 2);
    ASSERT(fdt_is_compatible(&fdt, fdt_node(&fdt, "/intc@8000000"), "arm,gic-v3"));
    ASSERT(fdt_is_compatible(&fdt, fdt_node(&fdt, "/psci"), "arm,psci-0.2"));
    ASSERT_STR(fdt_str(&fdt, fdt_node(&fdt, "/psci"), "method"), "hvc");
    ASSERT_STR(fdt_str(&fdt, fdt_node(&fdt, "/hypervisor"), "compatible"), "caisson,hypervisor");
    expect_reg(&fdt, "/memory@100000000", 0, 0x100000000, MIB);
    expect_reg(&fdt, "/shared@130000000", 0, 0x130000000, 4096);
}

TEST(each_vcpu_has_a_node_with_its_affinity)
{
    struct guest_fdt_params params = params_of(32, 3);
    struct fdt fdt = written(&params);
    unsigned count = 0;
    uint32_t reg;

    for (int cpu = fdt_first_child(&fdt, fdt_node(&fdt, "/cpus")); cpu >= 0;
         cpu = fdt_next_child(&fdt, cpu)) {
        ASSERT_OK(fdt_u32(&fdt, cpu, "reg", 0, &reg));
        ASSERT_EQ(reg, machine_mpidr(count));
        ASSERT_STR(fdt_str(&fdt, cpu, "enable-method"), "psci");
        count++;
    }
    ASSERT_EQ(count, 32);
    ASSERT_EQ(machine_mpidr(17), 0x101);
}

TEST(a_guest_with_a_gicv2_is_told_so)
{
    struct guest_fdt_params params = params_of(2, 2);
    struct fdt fdt = written(&params);
    uint32_t flags;

    ASSERT(fdt_is_compatible(&fdt, fdt_node(&fdt, "/intc@8000000"), "arm,cortex-a15-gic"));
    expect_reg(&fdt, "/intc@8000000", 1, 0x08010000, 0x10000);
    ASSERT_OK(fdt_u32(&fdt, fdt_node(&fdt, "/timer"), "interrupts", 2, &flags));
    ASSERT_EQ(flags, 0x304);
}

TEST(a_seed_is_given_only_when_there_is_one)
{
    struct guest_fdt_params params = params_of(1, 3);
    size_t size;
    struct fdt fdt;

    params.rng_seed = "12345678";
    params.rng_seed_size = 8;
    params.cmdline = "";
    params.initrd_size = 0;
    fdt = written(&params);
    ASSERT(fdt_prop(&fdt, fdt_node(&fdt, "/chosen"), "rng-seed", &size) && size == 8);
    ASSERT(!fdt_has(&fdt, fdt_node(&fdt, "/chosen"), "bootargs"));
    ASSERT(!fdt_has(&fdt, fdt_node(&fdt, "/chosen"), "linux,initrd-start"));
}

TEST(a_buffer_that_is_too_small_for_the_guests_tree_is_an_error)
{
    struct guest_fdt_params params = params_of(2, 3);
    size_t size = 0, room = 0;

    while (guest_fdt_write(&params, blob, room, &size) != OK) {
        room += 64;
        ASSERT(room < sizeof(blob));
    }
    ASSERT(size <= room && room > 1024);
}

TEST(a_riscv64_guests_tree_describes_the_machine_of_qemu_virt)
{
    struct guest_fdt_params params = riscv_params_of(3, CONFIG_PLIC);
    struct fdt fdt = written(&params);
    int cpu = fdt_node(&fdt, "/cpus/cpu@2"), plic = fdt_node(&fdt, "/soc/plic@c000000");
    uint32_t v, cells[4];

    ASSERT_STR(fdt_str(&fdt, fdt_node(&fdt, "/chosen"), "stdout-path"), "/soc/serial@10000000");
    ASSERT_OK(fdt_u32(&fdt, fdt_node(&fdt, "/cpus"), "timebase-frequency", 0, &v));
    ASSERT_EQ(v, 10000000);
    ASSERT_STR(fdt_str(&fdt, cpu, "riscv,isa"), "rv64imafdc_zicbom_zicsr_zba_sstc");
    ASSERT_STR(fdt_str(&fdt, cpu, "riscv,isa-base"), "rv64i");
    ASSERT_STR(fdt_str_at(&fdt, cpu, "riscv,isa-extensions", 0), "i");
    ASSERT_STR(fdt_str_at(&fdt, cpu, "riscv,isa-extensions", 9), "sstc");
    ASSERT(!fdt_str_at(&fdt, cpu, "riscv,isa-extensions", 10));
    ASSERT_STR(fdt_str(&fdt, cpu, "mmu-type"), "riscv,sv48");
    ASSERT(fdt_has(&fdt, cpu, "riscv,cbom-block-size"));
    ASSERT(!fdt_has(&fdt, cpu, "riscv,cboz-block-size")); /* The guest has no Zicboz. */
    expect_reg(&fdt, "/soc/plic@c000000", 0, 0xc000000, 0x600000);
    ASSERT_OK(fdt_u32(&fdt, plic, "riscv,ndev", 0, &v));
    ASSERT_EQ(v, 95);
    ASSERT_OK(fdt_u32(&fdt, plic, "interrupts-extended", 9, &v)); /* Of context 4. */
    ASSERT_EQ(v, UINT32_MAX);
    ASSERT_OK(fdt_u32(&fdt, plic, "interrupts-extended", 11, &v)); /* Of context 5. */
    ASSERT_EQ(v, 9);
    ASSERT_EQ(fdt_interrupt(&fdt, fdt_node(&fdt, "/soc/serial@10000000"), 0, cells), 1);
    ASSERT_EQ(cells[0], 10);
    ASSERT_EQ(fdt_interrupt(&fdt, fdt_node(&fdt, "/soc/rtc@101000"), 0, cells), 1);
    ASSERT_EQ(cells[0], 11);
    ASSERT(!fdt_has(&fdt, fdt_node(&fdt, "/"), "interrupt-parent"));
    ASSERT(fdt_node(&fdt, "/poweroff") >= 0 && fdt_node(&fdt, "/reboot") >= 0);
    ASSERT(fdt_node(&fdt, "/soc/interrupt-controller@d000000") < 0);
}

TEST(a_riscv64_guest_with_an_aia_is_told_so)
{
    struct guest_fdt_params params = riscv_params_of(2, CONFIG_AIA);
    struct fdt fdt = written(&params);
    uint32_t v, cells[4];

    ASSERT(fdt_node(&fdt, "/soc/plic@c000000") < 0);
    expect_reg(&fdt, "/soc/interrupt-controller@d000000", 0, 0xd000000, 0x8000);
    expect_reg(&fdt, "/soc/interrupt-controller@28000000", 0, 0x28000000, 0x2000);
    ASSERT_OK(fdt_u32(&fdt, fdt_node(&fdt, "/soc/interrupt-controller@28000000"), "riscv,num-ids",
                      0, &v));
    ASSERT_EQ(v, 255);
    ASSERT_STR(fdt_str(&fdt, fdt_node(&fdt, "/cpus/cpu@0"), "riscv,isa"),
               "rv64imafdc_zicbom_zicsr_zba_sstc_ssaia");
    ASSERT_EQ(fdt_interrupt(&fdt, fdt_node(&fdt, "/soc/serial@10000000"), 0, cells), 2);
    ASSERT_EQ(cells[1], 4);
}

TEST(a_tree_for_the_most_vcpus_fits_into_the_loaders_scratch)
{
    static char isa[400];
    struct guest_fdt_params params = riscv_params_of(CONFIG_VCPUS_MAX, CONFIG_AIA);

    memset(isa, 'a', sizeof(isa) - 1);
    memcpy(isa, "rv64imafdc", 10);
    for (unsigned i = 10; i < sizeof(isa) - 1; i += 8) {
        isa[i] = '_', isa[i + 1] = 'z';
        isa[i + 2] = (char)('a' + i / 8 % 26), isa[i + 3] = (char)('a' + i / 8 / 26);
    }
    params.isa = isa;
    written(&params);
}

/* What dtc prints about the tree; it must be nothing. */
static void expect_no_warnings_of(struct guest_fdt_params params)
{
    struct fdt fdt = written(&params);
    char name[] = "/tmp/guest-fdt-XXXXXX", command[128], text[256];
    int fd = mkstemp(name);
    FILE *f = fdopen(fd, "wb");

    ASSERT(f && fwrite(blob, 1, fdt.size, f) == fdt.size);
    fclose(f);
    snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null %s 2>&1", name);
    f = popen(command, "r");
    text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
    ASSERT(f && pclose(f) == 0);
    remove(name);
    ASSERT_STR(text, "");
}

TEST(dtc_has_no_warning_about_the_guests_tree)
{
    expect_no_warnings_of(params_of(1, 3));
    expect_no_warnings_of(params_of(20, 3));
    expect_no_warnings_of(params_of(2, 2));
    expect_no_warnings_of(riscv_params_of(1, CONFIG_PLIC));
    expect_no_warnings_of(riscv_params_of(32, CONFIG_PLIC));
    expect_no_warnings_of(riscv_params_of(3, CONFIG_AIA));
}
