/* CRC32C: Castagnoli's polynomial 0x1EDC6F41, reflected (RFC 3720 B.4). */
#ifndef HOLDFAST_CRC32C_H
#define HOLDFAST_CRC32C_H

#include <stddef.h>
#include <stdint.h>

void crc32c_start(void);
const char *crc32c_name(void);

/* Continues a bare register: no inversion before or after. */
uint32_t crc32c_update(uint32_t state, const uint8_t *bytes, size_t length);

#endif
