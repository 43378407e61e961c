/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets that svm_entry.S knows; svm.c checks them. */
#pragma once

#define VCPU_BLOCK     128
#define VCPU_RIP       136
#define VCPU_CODE_BASE 144

#define VMCB_CS_BASE   0x418
#define VMCB_RIP       0x578
#define VMCB_RSP       0x5d8
#define VMCB_RAX       0x5f8
