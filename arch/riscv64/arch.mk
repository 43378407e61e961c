# SPDX-License-Identifier: Apache-2.0
CROSS      ?= riscv64-linux-gnu-
ARCH_FLAGS := -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -msmall-data-limit=0 \
              -mstrict-align
EFI_NAME   := BOOTRISCV64.EFI
EFI_FORMAT := -O binary
# GNU-EFI's libraries are built for the ABI with floating point.
EFI_FLAGS  := -march=rv64gc -mabi=lp64d -mcmodel=medany

# Called often, and calling nothing.
$O/arch/riscv64/builtins.c.o: CFLAGS += -fno-lto -fomit-frame-pointer
ARCH_HOT   := aia.c builtins.c insn.c irqchip.c plic.c timer.c vcpu.c vcpu_exit.c
