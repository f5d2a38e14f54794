// The digit path in plain C++.
#include "digits.h"

namespace axdnn {
namespace {

void straight(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs, int64_t count,
              const int8_t *b, int64_t panel_bytes, const int32_t *, int64_t columns, const Target &t) {
  for (int64_t i = 0; i < windows; ++i)
    for (int64_t n = 0; n < columns; n += kPanel) {
      int32_t sums[kPanel] = {};
      const int8_t *right = b + n / kPanel * panel_bytes;
      for (int64_t r = 0; r < count; ++r) {
        const int8_t *left = planes + corners[i] + runs[r].from;
        for (int64_t k = 0; k < runs[r].length; k += kFour, right += kFour * kPanel)
          for (int64_t j = 0; j < kPanel; ++j) {
            int32_t four = 0;
            for (int64_t q = 0; q < kFour; ++q) four += int32_t{left[k + q]} * right[kFour * j + q];
            sums[j] = static_cast<int32_t>(static_cast<uint32_t>(sums[j]) + static_cast<uint32_t>(four));
          }
      }
      put_row(sums, columns - n < kPanel ? columns - n : kPanel, t.start ? t.start + n : nullptr, t.scale,
              t.to + i * t.stride + n);
    }
}

}  // namespace

const Variant portable_variant = {straight, map_bytes, interleave_bytes, nullptr};

#if !defined(__x86_64__)
const Variant avx2_variant = portable_variant, avx_vnni_variant = portable_variant, vnni_variant = portable_variant, amx_variant = portable_variant;
#endif

}  // namespace axdnn
