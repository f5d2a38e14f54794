// The digit path in plain C++.
#include "digits.h"

namespace axdnn {
namespace {

void kernel(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b, int64_t panel_bytes, int64_t panels,
            int64_t steps, int32_t *scratch) {
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t i = 0; i < rows; ++i) {
      int32_t sums[kPanel] = {};
      const int8_t *left = a + i * lda, *right = b + p * panel_bytes;
      for (int64_t k = 0; k < steps * kStep; k += 4, right += 4 * kPanel) {
        for (int64_t j = 0; j < kPanel; ++j) {
          int32_t four = 0;
          for (int64_t q = 0; q < 4; ++q) four += int32_t{left[k + q]} * right[4 * j + q];
          sums[j] = static_cast<int32_t>(static_cast<uint32_t>(sums[j]) + static_cast<uint32_t>(four));
        }
      }
      for (int64_t j = 0; j < kPanel; ++j) scratch[i * kTile + p * kPanel + j] = sums[j];
    }
  }
}

void add(const int32_t *scratch, int64_t rows, int64_t columns, int32_t scale, const int32_t *start, int32_t *out,
         int64_t out_stride) {
  for (int64_t i = 0; i < rows; ++i) add_columns(scratch + i * kTile, 0, columns, scale, start, out + i * out_stride);
}

}  // namespace

const Variant portable_variant = {kernel, add,   map_bytes,  lay_out_bytes, interleave_bytes,
                                  false,  do_nothing, do_nothing};

#if !defined(__x86_64__)
const Variant avx2_variant = portable_variant, avx_vnni_variant = portable_variant, vnni_variant = portable_variant, amx_variant = portable_variant;
#endif

}  // namespace axdnn
