// Look-ups with output pixels side by side: every weight picks a column of the table, which stays in registers while the
// codes of a block of pixels go through it. With strides of one the pixels are a stretch of the input itself, border
// included, and what was found there is dropped; else their codes are laid out.
#include <algorithm>
#include <cstring>
#include <memory>

#include "cpu.h"
#include "lookup.h"
#include "threads.h"

namespace axdnn {
namespace {

template <int kPlanes>
void portable(const uint8_t *codes, const int64_t *offsets, int64_t terms, const uint8_t *w, const uint8_t *columns,
              int64_t vectors, int32_t *sums) {
  std::fill(sums, sums + 64 * vectors, 0);
  for (int64_t t = 0; t < terms; ++t) {
    const uint8_t *column = columns + w[t] * kPlanes * 256, *line = codes + offsets[t];
    for (int64_t i = 0; i < 64 * vectors; ++i) {
      int32_t entry = column[line[i]];
      if (kPlanes == 2) entry += int32_t{column[256 + line[i]]} << 8;
      sums[i] += entry;
    }
  }
}

void turn(const int32_t *sums, int64_t count, int32_t *to) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < kOutputs; ++j) to[i * kOutputs + j] = sums[j * kLanes + i];
}

struct Scratch {
  alignas(64) int32_t found[kLanes], sums[kOutputs * kLanes], turned[kLanes * kOutputs];
  uint8_t codes[kTermsAtOnce * kLanes];
  int64_t lines[kTermsAtOnce];
};

class OverPixels {
 public:
  OverPixels(const Lookup &l, const Entries &e, const Target &t, bool permutes)
      : l_(l), e_(e), t_(t), straight_(l.s.stride_h == 1 && l.s.stride_w == 1),
        kernel_(permutes ? pixel_permutes[e.count - 1] : e.count == 1 ? portable<1> : portable<2>),
        turn_(permutes ? turn_512 : turn) {}

  int64_t units() const { return (l_.s.outputs + kOutputs - 1) / kOutputs; }

  // Sixteen outputs of one image.
  void run(int64_t image, int64_t unit, Scratch &b) const {
    const int64_t positions = straight_ ? (l_.s.out_h - 1) * l_.width + l_.s.out_w : l_.pixels_out;
    const int64_t first = unit * kOutputs, outputs = std::min(kOutputs, l_.s.outputs - first);
    for (int64_t p = 0; p < positions; p += kLanes) {
      const int64_t count = std::min(kLanes, positions - p), vectors = (count + 63) / 64;
      for (int64_t t = 0; t < l_.terms; t += kTermsAtOnce) {
        const int64_t terms = std::min(kTermsAtOnce, l_.terms - t);
        for (int64_t j = 0, laid_out = -1; j < outputs; ++j) {
          const int64_t n = first + j, group = n / l_.outputs;
          const uint8_t *codes = l_.corner(image, group, 0, 0) + p;
          const int64_t *offsets = l_.offsets.data() + t;
          if (!straight_) {
            if (group != laid_out) lay_out(image, group, p, count, t, terms, b);
            laid_out = group, codes = b.codes, offsets = b.lines;
          }
          int32_t *sums = b.sums + j * kLanes, *found = t ? b.found : sums;
          kernel_(codes, offsets, terms, l_.w + n * l_.terms + t, e_.columns, vectors, found);
          if (t)
            for (int64_t i = 0; i < count; ++i) accumulate(sums[i], found[i]);
        }
      }
      turn_(b.sums, count, b.turned);
      store(image, p, count, first, outputs, b);
    }
  }

 private:
  void lay_out(int64_t image, int64_t group, int64_t first, int64_t count, int64_t t, int64_t terms, Scratch &b) const {
    const int64_t step = l_.s.stride_w;
    for (int64_t k = 0; k < terms; ++k) b.lines[k] = k * kLanes;
    for (int64_t i = 0; i < count;) {
      const int64_t x = (first + i) % l_.s.out_w, y = (first + i) / l_.s.out_w;
      const int64_t length = std::min(l_.s.out_w - x, count - i);
      const uint8_t *corner = l_.corner(image, group, y, x);
      for (int64_t k = 0; k < terms; ++k) {
        const uint8_t *from = corner + l_.offsets[t + k];
        for (int64_t j = 0; j < length; ++j) b.codes[k * kLanes + i + j] = from[j * step];
      }
      i += length;
    }
  }

  void store(int64_t image, int64_t first, int64_t count, int64_t output, int64_t outputs, const Scratch &b) const {
    const int64_t line = straight_ ? l_.width : l_.s.out_w;
    int32_t start[kOutputs] = {};
    std::copy_n(e_.constant.data() + output, outputs, start);
    for (int64_t i = 0, x = first % line, y = first / line; i < count; ++i, ++x) {
      if (x == line) x = 0, ++y;
      if (x >= l_.s.out_w) continue;
      int32_t *to = t_.out + ((image * l_.s.out_h + y) * l_.s.out_w + x) * l_.s.outputs + output;
      int32_t found[kOutputs];
      for (int64_t j = 0; j < kOutputs; ++j) {
        found[j] = b.turned[i * kOutputs + j];
        accumulate(found[j], start[j]);
      }
      if (t_.add)
        for (int64_t j = 0; j < outputs; ++j) accumulate(to[j], found[j]);
      else if (outputs == kOutputs) std::memcpy(to, found, sizeof found);
      else std::copy_n(found, outputs, to);
    }
  }

  const Lookup &l_;
  const Entries &e_;
  const Target &t_;
  bool straight_;
  PixelKernel kernel_;
  Turner turn_;
};

}  // namespace

void over_pixels(const Lookup &l, const Entries &e, const Target &t, bool permutes, int32_t threads) {
  const OverPixels work(l, e, t, permutes);
  in_parallel(l.s.batch * work.units(), threads, [&](int64_t begin, int64_t end) {
    const auto scratch = std::make_unique<Scratch>();
    for (int64_t i = begin; i < end; ++i) work.run(i / work.units(), i % work.units(), *scratch);
  });
}

}  // namespace axdnn
