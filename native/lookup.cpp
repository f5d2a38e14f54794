// Look-up path: for a block of output pixels, the codes of each term of the window lie side by side; every weight picks
// a column of the table, which is held in registers while the codes of the block go through it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cpu.h"
#include "lookup.h"
#include "shape.h"
#include "threads.h"

namespace axdnn {
namespace {

constexpr int64_t kSlack = 64;

class Lookup {
 public:
  Lookup(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const uint8_t *planes, const int32_t *base,
         int32_t *out, LookupKernel kernel)
      : s_(s), x_(x), w_(w), planes_(planes), out_(out), kernel_(kernel),
        inputs_(s.channels / s.groups), outputs_(s.outputs / s.groups),
        terms_(inputs_ * s.kernel_h * s.kernel_w), constant_(s.outputs) {
    for (int64_t c = 0; c < inputs_; ++c)
      for (int64_t y = 0; y < s.kernel_h; ++y)
        for (int64_t k = 0; k < s.kernel_w; ++k)
          offsets_.push_back((c * s.height + y * s.dilation_h) * s.width + k * s.dilation_w);
    for (int64_t n = 0; n < s.outputs; ++n)
      for (int64_t t = 0; t < terms_; ++t) constant_[n] += static_cast<uint32_t>(base[w[n * terms_ + t]]);
  }

  int64_t blocks() const { return (pixels() + kPixels - 1) / kPixels; }

  void run(int64_t begin, int64_t end) const {
    std::vector<uint8_t> codes(kTermsAtOnce * kPixels + kSlack);
    alignas(64) uint32_t sums[kPixels];
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kPixels, count = std::min(kPixels, pixels() - first);
      for (int64_t group = 0; group < s_.groups; ++group)
        for (int64_t t = 0; t < terms_; t += kTermsAtOnce) {
          const int64_t terms = std::min(kTermsAtOnce, terms_ - t);
          lay_out(first, count, group, t, terms, codes.data());
          for (int64_t n = group * outputs_; n < (group + 1) * outputs_; ++n) {
            kernel_(codes.data(), terms, w_ + n * terms_ + t, planes_, sums);
            const uint32_t constant = t == 0 ? constant_[n] : 0;
            int32_t *to = out_ + first * s_.outputs + n;
            for (int64_t i = 0; i < count; ++i, to += s_.outputs)
              *to = static_cast<int32_t>(static_cast<uint32_t>(*to) + sums[i] + constant);
          }
        }
    }
  }

 private:
  int64_t pixels() const { return s_.batch * s_.out_h * s_.out_w; }

  // codes[t][i] = the code that term t of pixel i meets; a block is a list of stretches of output rows.
  void lay_out(int64_t first, int64_t count, int64_t group, int64_t t, int64_t terms, uint8_t *codes) const {
    for (int64_t i = 0; i < count;) {
      const int64_t pixel = first + i, x = pixel % s_.out_w, y = pixel / s_.out_w % s_.out_h;
      const int64_t image = pixel / (s_.out_w * s_.out_h), length = std::min(s_.out_w - x, count - i);
      const int64_t plane = s_.height * s_.width;
      const uint8_t *corner = x_ + (image * s_.channels + group * inputs_) * plane + y * s_.stride_h * s_.width +
                              x * s_.stride_w;
      for (int64_t k = 0; k < terms; ++k) {
        const uint8_t *from = corner + offsets_[t + k];
        uint8_t *to = codes + k * kPixels + i;
        if (s_.stride_w == 1) std::memcpy(to, from, length);
        else
          for (int64_t j = 0; j < length; ++j) to[j] = from[j * s_.stride_w];
      }
      i += length;
    }
  }

  const axdnn_shape &s_;
  const uint8_t *x_, *w_, *planes_;
  int32_t *out_;
  LookupKernel kernel_;
  int64_t inputs_, outputs_, terms_;
  std::vector<int64_t> offsets_;
  std::vector<uint32_t> constant_;
};

template <int kPlanes>
void portable(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes, uint32_t *sums) {
  std::fill(sums, sums + kPixels, 0);
  for (int64_t t = 0; t < terms; ++t, codes += kPixels) {
    const uint8_t *column = planes + w[t] * kPlanes * 256;
    for (int64_t i = 0; i < kPixels; ++i) {
      uint32_t entry = column[codes[i]];
      if (kPlanes == 2) entry += uint32_t{column[256 + codes[i]]} << 8;
      sums[i] += entry;
    }
  }
}

}  // namespace
}  // namespace axdnn

extern "C" int32_t axdnn_conv_lookup(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                     const uint8_t *planes, int32_t count, const int32_t *base, int32_t *out,
                                     int32_t variant, int32_t threads) {
  using namespace axdnn;
  if (!sound(*shape) || (count != 1 && count != 2) || threads < 1) return AXDNN_BAD_SHAPE;
  if (variant != AXDNN_PORTABLE && !(variant == AXDNN_VNNI && axdnn_has_permutes())) return AXDNN_NO_VARIANT;
  LookupKernel kernel = count == 1 ? portable<1> : portable<2>;
  if (variant == AXDNN_VNNI) kernel = count == 1 ? permutes_one : permutes_two;
  try {
    const Lookup lookup(*shape, x, w, planes, base, out, kernel);
    in_parallel(lookup.blocks(), threads, [&](int64_t begin, int64_t end) { lookup.run(begin, end); });
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
