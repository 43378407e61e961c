/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C, the checksum of Castagnoli's polynomial 1edc6f41. [RFC 3720, 12.1 and B.4] */
#pragma once

#include "kernel/types.h"

/* Of what came before, whose checksum is crc (0: nothing), and of these bytes. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);
