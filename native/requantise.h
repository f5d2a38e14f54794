// From sums to codes, row by row.
#ifndef AXDNN_REQUANTISE_H
#define AXDNN_REQUANTISE_H

#include "axdnn_kernels.h"

namespace axdnn {

// Rows of sums and of codes lie at distances of their own.
struct Sums {
  const int32_t *sums, *bias;
  const float *unit;
  int64_t channels, sums_stride, codes_stride;
  axdnn_coding coding;
  uint8_t *codes;
};

// Rows [begin, end).
using Requantiser = void (*)(const Sums &sums, int64_t begin, int64_t end);

Requantiser requantiser(int32_t variant);

// All rows of whole results (rows, channels), shared out to threads.
void requantise_all(const int32_t *sums, int64_t rows, int64_t channels, const axdnn_emission &e, int32_t variant,
                    int32_t threads);

}  // namespace axdnn

#endif
