// Look-ups with outputs side by side: every code picks a row of the table, which stays in registers while the weights of
// a block of outputs go through it. Products in the border are the same for many pixels: they are summed once.
#include <algorithm>
#include <cstring>
#include <utility>

#include "bytes.h"
#include "lookup.h"
#include "threads.h"

namespace axdnn {
namespace {

// Splits column numbers into what permutes look at, and signs.
void fold(uint8_t *columns, int64_t count, uint8_t *signs) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t upper = columns[i] & 128 ? 255 : 0;
    const uint8_t half = (upper ? -columns[i] : columns[i]) & 127;
    columns[i] = static_cast<uint8_t>((half & 63) | (half & 64) << 1);
    signs[i] = upper;
  }
}

class OverOutputs {
 public:
  OverOutputs(const Lookup &l, const Entries &e, const Target &t)
      : l_(l), e_(e), t_(t), kernel_((e.folded ? folded_permutes : output_permutes)[e.count - 1]) {
    const int64_t blocks = (l.outputs + kLanes - 1) / kLanes;
    lanes_ = ((l.outputs + blocks - 1) / blocks + 63) / 64 * 64;
    blocks_ = (l.outputs + lanes_ - 1) / lanes_;
    signs_ = l.terms * lanes_;
  }

  int64_t units() const { return l_.s.groups * blocks_; }

  // Pixels [begin, end) of one block of outputs.
  void run(int64_t unit, int64_t begin, int64_t end) const {
    const int64_t group = unit / blocks_, first = group * l_.outputs + unit % blocks_ * lanes_;
    const int64_t outputs = std::min(lanes_, (group + 1) * l_.outputs - first);
    static thread_local Memory memory;
    const uint8_t *weights = lay_out(first, outputs, memory);
    const std::vector<int32_t> border = border_sums(weights);
    const std::vector<Kind> kinds = kinds_of(group, begin, end);
    Scratch b;
    for (int64_t t = 0; t < l_.terms; t += kTermsAtOnce)
      for (const Kind &kind : kinds) {
        int64_t count = 0;
        for (int64_t term = t, tap = t % l_.taps; term < std::min(t + kTermsAtOnce, l_.terms); ++term) {
          if (kind.meets[tap]) {
            b.offsets[count] = l_.offsets[term];
            b.lines[count++] = weights + term * lanes_;
          }
          if (++tap == l_.taps) tap = 0;
        }
        for (const Pixel &pixel : kind.pixels) {
          for (int64_t i = 0; i < count; ++i) b.codes[i] = pixel.corner[b.offsets[i]];
          kernel_(b.codes, b.lines, signs_, count, e_.rows, lanes_ / 64, b.sums);
          int32_t *to = t_.out + pixel.number * l_.s.outputs + first;
          if (t == 0) start(kind, first, outputs, border, to);
          for (int64_t n = 0; n < outputs; ++n) accumulate(to[n], b.sums[n]);
        }
      }
    memory.release_if_large();
  }

 private:
  struct Pixel {
    int64_t number;
    const uint8_t *corner;
  };

  // Pixels whose windows reach into the border in the same way.
  struct Kind {
    int64_t top, bottom, left, right;  // taps that meet the input
    std::vector<uint8_t> meets;        // by tap
    std::vector<Pixel> pixels;
  };

  struct Scratch {
    uint8_t codes[kTermsAtOnce + 8] = {};  // the kernel looks ahead
    int64_t offsets[kTermsAtOnce];
    const uint8_t *lines[kTermsAtOnce];
    int32_t sums[kLanes];
  };

  // First and last tap of a window at `at` whose position in the border-free input is inside [0, size).
  static std::pair<int64_t, int64_t> meeting(int64_t at, int64_t taps, int64_t dilation, int64_t size) {
    int64_t low = 0, high = taps;
    while (low < taps && at + low * dilation < 0) ++low;
    while (high > low && at + (high - 1) * dilation >= size) --high;
    return {low, high};
  }

  std::vector<Kind> kinds_of(int64_t group, int64_t begin, int64_t end) const {
    const axdnn_shape &s = l_.s;
    std::vector<Kind> kinds;
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const int64_t x = pixel % s.out_w, y = pixel / s.out_w % s.out_h;
      const auto [top, bottom] = meeting(y * s.stride_h - s.pad_h, s.kernel_h, s.dilation_h, s.height);
      const auto [left, right] = meeting(x * s.stride_w - s.pad_w, s.kernel_w, s.dilation_w, s.width);
      auto kind = kinds.begin();
      while (kind != kinds.end() &&
             !(kind->top == top && kind->bottom == bottom && kind->left == left && kind->right == right))
        ++kind;
      if (kind == kinds.end()) {
        kinds.push_back({top, bottom, left, right, std::vector<uint8_t>(l_.taps), {}});
        kind = kinds.end() - 1;
        for (int64_t i = top; i < bottom; ++i)
          std::fill(&kind->meets[i * s.kernel_w] + left, &kind->meets[i * s.kernel_w] + right, 1);
      }
      kind->pixels.push_back({pixel, l_.corner(pixel / l_.pixels_out, group, y, x)});
    }
    return kinds;
  }

  // (terms, lanes), four groups of sixteen outputs interleaved byte by byte; behind it the signs of folded ones.
  const uint8_t *lay_out(int64_t first, int64_t outputs, Memory &memory) const {
    const int64_t bytes = l_.terms * lanes_;
    const int64_t behind = std::max(e_.folded ? bytes : 0, outputs < lanes_ ? bytes : 0);
    uint8_t *turned = memory.room<uint8_t>(bytes + kSlack + behind);
    const uint8_t *from = l_.w + first * l_.terms;
    if (outputs < lanes_) {
      uint8_t *padded = turned + bytes + kSlack;
      std::memcpy(padded, from, outputs * l_.terms);
      std::memset(padded + outputs * l_.terms, 0, (lanes_ - outputs) * l_.terms);
      from = padded;
    }
    transpose(from, l_.terms, lanes_, l_.terms, turned);
    for (int64_t i = 0; i < bytes; i += 64) interleave_four(turned + i);
    if (e_.folded) fold(turned, bytes, turned + signs_);
    return turned;
  }

  // Sums over the input channels of what each tap finds in the border, (taps, lanes).
  std::vector<int32_t> border_sums(const uint8_t *weights) const {
    if (l_.s.pad_h == 0 && l_.s.pad_w == 0) return {};
    std::vector<int32_t> found(l_.taps * lanes_);
    Scratch b;
    std::memset(b.codes, static_cast<int>(l_.s.pad), sizeof b.codes);
    for (int64_t tap = 0; tap < l_.taps; ++tap)
      for (int64_t c = 0; c < l_.inputs; c += kTermsAtOnce) {
        const int64_t count = std::min(kTermsAtOnce, l_.inputs - c);
        for (int64_t i = 0; i < count; ++i) b.lines[i] = weights + ((c + i) * l_.taps + tap) * lanes_;
        kernel_(b.codes, b.lines, signs_, count, e_.rows, lanes_ / 64, b.sums);
        for (int64_t n = 0; n < lanes_; ++n) accumulate(found[tap * lanes_ + n], b.sums[n]);
      }
    return found;
  }

  // What a pixel's sums begin with: the constant and the products in the border.
  void start(const Kind &kind, int64_t first, int64_t outputs, const std::vector<int32_t> &border, int32_t *to) const {
    const int32_t *constant = e_.constant.data() + first;
    if (!t_.add) std::copy(constant, constant + outputs, to);
    else
      for (int64_t n = 0; n < outputs; ++n) accumulate(to[n], constant[n]);
    for (int64_t tap = 0; tap < l_.taps; ++tap)
      if (!kind.meets[tap])
        for (int64_t n = 0; n < outputs; ++n) accumulate(to[n], border[tap * lanes_ + n]);
  }

  const Lookup &l_;
  const Entries &e_;
  const Target &t_;
  OutputKernel kernel_;
  int64_t lanes_, blocks_, signs_;
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
