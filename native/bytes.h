// Bytes moved between layouts.
#ifndef AXDNN_BYTES_H
#define AXDNN_BYTES_H

#include <cstdint>

#include "axdnn_kernels.h"

namespace axdnn {

constexpr int64_t kSlack = 128;  // bytes that may be read or written beyond a buffer's use

// to (columns, rows) = the transpose of from (rows, columns; row stride from_stride), which no read leaves. Up to kSlack
// bytes behind `to` are overwritten.
void transpose(const uint8_t *from, int64_t from_stride, int64_t rows, int64_t columns, uint8_t *to);

// Four groups of sixteen bytes at `at` become sixteen of four, the first bytes of all groups first.
void interleave_four(uint8_t *at);

// Input rows [first, first + count) of an image, channels [channel, channel + channels), as (count, width, channels):
// a pointer into x where they lie so, else a copy in `buffer` of that size and kSlack.
const uint8_t *inner_rows(const axdnn_shape &s, const uint8_t *x, int64_t image, int64_t first, int64_t count,
                          int64_t channel, int64_t channels, uint8_t *buffer);

// Weights of one output as (kernel_h, kernel_w, channels / groups): a pointer into w, or a copy in `buffer`.
const uint8_t *inner_weights(const axdnn_shape &s, const uint8_t *w, int64_t output, uint8_t *buffer);

}  // namespace axdnn

#endif
