// Depthwise windows of 3 x 3: which layers, and their weights.
#include "depthwise_3x3.h"

#include <algorithm>

namespace axdnn {
namespace {

const Kernel3x3 &kernel_of(int32_t variant) {
#if defined(__x86_64__)
  return variant >= AXDNN_VNNI ? kernel_3x3_vnni : kernel_3x3_avx2;
#else
  static_cast<void>(variant);
  static const Kernel3x3 none = {};  // `suits` says so
  return none;
#endif
}

}  // namespace

bool Windows3x3::suits(const axdnn_shape &s, int32_t variant) {
#if defined(__x86_64__)
  return variant >= AXDNN_AVX2 && s.groups == s.channels && s.outputs == s.channels && s.kernel_h == 3 &&
         s.kernel_w == 3 && s.dilation_h == 1 && s.dilation_w == 1 && s.stride_w <= 2;
#else
  return static_cast<void>(s), static_cast<void>(variant), false;
#endif
}

Windows3x3::Windows3x3(const axdnn_shape &s, const uint8_t *w, const axdnn_digits &d, int32_t variant)
    : s_(s), kernel_(kernel_of(variant)), unsigned_(variant >= AXDNN_VNNI), constant_(s.channels) {
  for (int64_t g = 0; g < d.groups; ++g) scales_.insert(scales_.end(), d.sizes[g], d.scales[g]);
  const int64_t group = kernel_.group, groups = (s.channels + group - 1) / group;
  weights_.resize(groups * static_cast<int64_t>(scales_.size()) * kernel_.bytes);
  for (int64_t c = 0; c < s.channels; c += group) pack(w, d, c, std::min(group, s.channels - c));
}

// Channels [first, first + channels), a group or what is left of one.
void Windows3x3::pack(const uint8_t *w, const axdnn_digits &d, int64_t first, int64_t channels) {
  const int64_t pairs = static_cast<int64_t>(scales_.size());
  int8_t *weights = weights_.data() + first / kernel_.group * pairs * kernel_.bytes;
  uint8_t codes[3][3][kMost3x3];
  uint32_t constant[kMost3x3] = {};
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = 0; y < 3; ++y)
      for (int64_t x = 0; x < 3; ++x) {
        codes[y][x][c] = w[(first + c) * s_.w_output + y * s_.w_row + x * s_.w_column];
        constant[c] += static_cast<uint32_t>(d.shift[codes[y][x][c]]);
      }
  Digits3x3 digits = {};  // zero for channels that are not there
  for (int64_t pair = 0; pair < pairs; ++pair, weights += kernel_.bytes) {
    int32_t total[kMost3x3] = {};
    for (int64_t y = 0; y < 3; ++y)
      for (int64_t x = 0; x < 3; ++x)
        for (int64_t c = 0; c < channels; ++c) {
          digits[y][x][c] = d.g[pair * 256 + codes[y][x][c]];
          total[c] += digits[y][x][c];
        }
    kernel_.pack(digits, weights);
    if (!unsigned_) continue;
    for (int64_t c = 0; c < channels; ++c)
      constant[c] -= 128u * static_cast<uint32_t>(total[c]) * static_cast<uint32_t>(scales_[pair]);
  }
  for (int64_t c = 0; c < channels; ++c) constant_[first + c] = static_cast<int32_t>(constant[c]);
}

void Windows3x3::run(const int8_t *planes, int64_t plane, int64_t line, int64_t rows, int32_t *to) const {
  kernel_.run({planes, plane, line, s_.channels, static_cast<int64_t>(scales_.size()), scales_.data(), weights_.data(),
               constant_.data(), s_.channels, rows, s_.out_w, s_.stride_h, s_.stride_w, to, s_.out_w * s_.outputs,
               s_.outputs});
}

}  // namespace axdnn
