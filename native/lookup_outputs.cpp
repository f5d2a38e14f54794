// Look-ups with outputs side by side: every code picks a row of the table, which stays in registers while the weights of
// a block of outputs go through it. Products in the border are the same for many pixels: they are summed once.
#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "lookup.h"
#include "threads.h"

namespace axdnn {
namespace {

class OverOutputs {
 public:
  OverOutputs(const Lookup &l, const Entries &e, const Target &t) : l_(l), e_(e), t_(t), kernel_(output_permutes[e.count - 1]) {
    const int64_t blocks = (l.outputs + kLanes - 1) / kLanes;
    lanes_ = ((l.outputs + blocks - 1) / blocks + 63) / 64 * 64;
    blocks_ = (l.outputs + lanes_ - 1) / lanes_;
  }

  int64_t units() const { return l_.s.groups * blocks_; }

  // Pixels [begin, end) of one block of outputs.
  void run(int64_t unit, int64_t begin, int64_t end) const {
    const int64_t group = unit / blocks_, first = group * l_.outputs + unit % blocks_ * lanes_;
    const int64_t outputs = std::min(lanes_, (group + 1) * l_.outputs - first);
    const std::vector<uint8_t> weights = lay_out(first, outputs);
    const std::vector<int32_t> border = border_sums(weights.data());
    std::vector<int32_t> sums(lanes_);
    for (int64_t t = 0; t < l_.terms; t += kTermsAtOnce)
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        const int64_t count = gather(group, pixel, t, weights.data());
        kernel_(codes_of().data(), lines_of().data(), count, e_.rows, lanes_ / 64, sums.data());
        int32_t *to = t_.out + pixel * l_.s.outputs + first;
        if (t == 0) start(pixel, first, outputs, border, to);
        for (int64_t n = 0; n < outputs; ++n)
          accumulate(to[n], sums[n]);
      }
  }

 private:
  static std::vector<uint8_t> &codes_of() {
    static thread_local std::vector<uint8_t> codes(kTermsAtOnce);
    return codes;
  }
  static std::vector<const uint8_t *> &lines_of() {
    static thread_local std::vector<const uint8_t *> lines(kTermsAtOnce);
    return lines;
  }

  // (terms, lanes), four groups of sixteen outputs interleaved byte by byte.
  std::vector<uint8_t> lay_out(int64_t first, int64_t outputs) const {
    std::vector<uint8_t> padded, turned(l_.terms * lanes_ + kSlack);
    const uint8_t *from = l_.w + first * l_.terms;
    if (outputs < lanes_) {
      padded.resize(lanes_ * l_.terms);
      std::memcpy(padded.data(), from, outputs * l_.terms);
      from = padded.data();
    }
    transpose(from, l_.terms, lanes_, l_.terms, turned.data());
    for (int64_t i = 0; i < l_.terms * lanes_; i += 64) {
      uint8_t group[64];
      for (int q = 0; q < 16; ++q)
        for (int r = 0; r < 4; ++r) group[4 * q + r] = turned[i + 16 * r + q];
      std::memcpy(turned.data() + i, group, 64);
    }
    return turned;
  }

  // Sums over the input channels of what each tap finds in the border, (taps, lanes).
  std::vector<int32_t> border_sums(const uint8_t *weights) const {
    if (l_.s.pad_h == 0 && l_.s.pad_w == 0) return {};
    std::vector<int32_t> found(l_.taps * lanes_), sums(lanes_);
    std::fill(codes_of().begin(), codes_of().end(), static_cast<uint8_t>(l_.s.pad));
    for (int64_t tap = 0; tap < l_.taps; ++tap)
      for (int64_t c = 0; c < l_.inputs; c += kTermsAtOnce) {
        const int64_t count = std::min(kTermsAtOnce, l_.inputs - c);
        for (int64_t i = 0; i < count; ++i) lines_of()[i] = weights + ((c + i) * l_.taps + tap) * lanes_;
        kernel_(codes_of().data(), lines_of().data(), count, e_.rows, lanes_ / 64, sums.data());
        for (int64_t n = 0; n < lanes_; ++n) accumulate(found[tap * lanes_ + n], sums[n]);
      }
    return found;
  }

  bool inside(int64_t pixel, int64_t tap) const {
    const axdnn_shape &s = l_.s;
    const int64_t y = pixel / s.out_w % s.out_h * s.stride_h + tap / s.kernel_w * s.dilation_h - s.pad_h;
    const int64_t x = pixel % s.out_w * s.stride_w + tap % s.kernel_w * s.dilation_w - s.pad_w;
    return y >= 0 && y < s.height && x >= 0 && x < s.width;
  }

  // Codes and weights of the terms [first, first + kTermsAtOnce) of a window that meet the input.
  int64_t gather(int64_t group, int64_t pixel, int64_t first, const uint8_t *weights) const {
    const int64_t x = pixel % l_.s.out_w, y = pixel / l_.s.out_w % l_.s.out_h, end = std::min(first + kTermsAtOnce, l_.terms);
    const uint8_t *corner = l_.corner(pixel / l_.pixels_out, group, y, x);
    uint8_t *codes = codes_of().data();
    const uint8_t **lines = lines_of().data();
    const uint8_t *line = weights + first * lanes_;
    const bool whole = inside(pixel, 0) && inside(pixel, l_.taps - 1);
    int64_t count = 0;
    if (whole) {
      for (int64_t t = first; t < end; ++t, line += lanes_) {
        codes[count] = corner[l_.offsets[t]];
        lines[count++] = line;
      }
      return count;
    }
    std::vector<bool> meets(l_.taps);
    for (int64_t tap = 0; tap < l_.taps; ++tap) meets[tap] = inside(pixel, tap);
    for (int64_t t = first, tap = first % l_.taps; t < end; ++t, line += lanes_) {
      if (meets[tap]) {
        codes[count] = corner[l_.offsets[t]];
        lines[count++] = line;
      }
      if (++tap == l_.taps) tap = 0;
    }
    return count;
  }

  // What a pixel's sums begin with: the constant and the products in the border.
  void start(int64_t pixel, int64_t first, int64_t outputs, const std::vector<int32_t> &border, int32_t *to) const {
    const int32_t *constant = e_.constant.data() + first;
    if (!t_.add) std::copy(constant, constant + outputs, to);
    else
      for (int64_t n = 0; n < outputs; ++n) accumulate(to[n], constant[n]);
    if (border.empty() || (inside(pixel, 0) && inside(pixel, l_.taps - 1))) return;
    for (int64_t tap = 0; tap < l_.taps; ++tap)
      if (!inside(pixel, tap))
        for (int64_t n = 0; n < outputs; ++n)
          accumulate(to[n], border[tap * lanes_ + n]);
  }

  const Lookup &l_;
  const Entries &e_;
  const Target &t_;
  OutputKernel kernel_;
  int64_t lanes_, blocks_;
};

}  // namespace

void over_outputs(const Lookup &l, const Entries &e, const Target &t, int32_t threads) {
  const OverOutputs work(l, e, t);
  const int64_t pixels = l.s.batch * l.pixels_out;
  const int64_t parts = std::max<int64_t>(1, (threads + work.units() - 1) / work.units());
  in_parallel(work.units() * parts, threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t part = i % parts;
      work.run(i / parts, pixels * part / parts, pixels * (part + 1) / parts);
    }
  });
}

}  // namespace axdnn
