/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets that svm_entry.S and vmx_entry.S know; svm.c and vmx.c check them. */
#pragma once

#define VCPU_BLOCK          128
#define VCPU_RIP            136
#define VCPU_CODE_BASE      144
#define VCPU_HOST_RSP       152

#define VMCB_HOST           0x3e0
#define VMCB_CS_BASE        0x418
#define VMCB_RIP            0x578
#define VMCB_RSP            0x5d8
#define VMCB_RAX            0x5f8

#define VMCS_GUEST_CS_BASE_ 0x6808
#define VMCS_GUEST_RSP_     0x681c
#define VMCS_GUEST_RIP_     0x681e
#define VMCS_HOST_RSP_      0x6c14
