# SPDX-License-Identifier: Apache-2.0
CROSS      ?= aarch64-linux-gnu-
ARCH_FLAGS := -mgeneral-regs-only -mstrict-align -march=armv8-a -mno-outline-atomics \
              -mbranch-protection=none
EFI_NAME   := BOOTAA64.EFI
EFI_FORMAT := --target efi-app-aarch64
ARCH_HOT   := gic.c gich.c gicv2.c gicv3.c timer.c vcpu.c vcpu_exit.c
