// The digit path where every channel is a group of its own: nothing is shared between outputs, so that products of
// vectors of channels are added up straight from the planes.
#include <algorithm>
#include <optional>
#include <vector>

#include "depthwise.h"
#include "depthwise_3x3.h"
#include "planes.h"
#include "requantise.h"
#include "threads.h"

namespace axdnn {
namespace {

constexpr int64_t kPlaneBytes = 1 << 18;    // planes of a band, if a row of outputs allows it

class Depthwise {
 public:
  Depthwise(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
            const axdnn_emission *emission, int32_t variant, const Variant &v)
      : s_(s), x_(x), d_(d), out_(out), emission_(emission), requantise_(requantiser(variant)), mapping_(v), width_(s.width + 2 * s.pad_w), each_(s.outputs / s.groups),
        taps_(s.kernel_h * s.kernel_w), blocks_((s.channels + kChannels - 1) / kChannels),
        in_fours_(variant >= AXDNN_VNNI), sum_(variant >= AXDNN_AVX2 ? sum_avx2 : sum_portable) {
    mapping_.initial = in_fours_ ? initial_bytes : nullptr;  // unsigned bytes, or signed ones
    int64_t fours = 0;
    for (int64_t g = 0; g < d.groups; ++g) {
      pairs_ += d.sizes[g];
      scales_.push_back({(d.sizes[g] * taps_ + 3) / 4, d.scales[g]});
      fours += scales_.back().count;
    }
    if (Windows3x3::suits(s, variant)) windows_3x3_.emplace(s, w, d, variant);
    else set_weights(w, fours);
    const int64_t fit = kPlaneBytes / (width_ * s.channels * pairs_) - (s.kernel_h - 1) * s.dilation_h;
    rows_ = std::clamp<int64_t>(fit / s.stride_h, std::min<int64_t>(4, s.out_h), s.out_h);
    bands_ = (s.out_h + rows_ - 1) / rows_;
  }

  int64_t units() const { return s_.batch * bands_; }

  void run(int64_t unit) const {
    static thread_local Memory plane_memory, code_memory, sum_memory;
    const int64_t image = unit / bands_, top = unit % bands_ * rows_, rows = std::min(rows_, s_.out_h - top);
    const int64_t height = (rows - 1) * s_.stride_h + (s_.kernel_h - 1) * s_.dilation_h + 1;
    const int64_t line = width_ * s_.channels, plane = height * line;
    int8_t *planes = plane_memory.room<int8_t>(pairs_ * plane + s_.channels);
    map_planes(s_, x_, {image, 1, top * s_.stride_h, height, 0, s_.channels}, d_.f, pairs_, mapping_, code_memory, planes);
    const int64_t first = (image * s_.out_h + top) * s_.out_w, pixels = rows * s_.out_w;
    int32_t *to = emission_ ? sum_memory.room<int32_t>(pixels * s_.outputs) : out_ + first * s_.outputs;
    if (windows_3x3_) windows_3x3_->run(planes, plane, line, rows, to);
    else each_pixel(planes, plane, line, rows, to);
    if (!emission_) return;
    const axdnn_emission &e = *emission_;
    requantise_({to, e.bias, e.unit, s_.outputs, s_.outputs, s_.outputs, e.coding, e.codes + first * s_.outputs}, 0,
                pixels);
    sum_memory.release_if_large();
  }

 private:
  void set_weights(const uint8_t *w, int64_t fours) {
    terms_ = in_fours_ ? 4 * fours : pairs_ * taps_;
    if (in_fours_) bytes_.resize(each_ * blocks_ * fours * kFourBytes);
    else weights_.resize(each_ * terms_ * s_.channels);
    constant_.resize(each_ * s_.channels);
    for (int64_t j = 0; j < each_; ++j)
      for (int64_t c = 0; c < s_.channels; ++c)
        for (int64_t tap = 0; tap < taps_; ++tap) {
          const int64_t y = tap / s_.kernel_w, i = tap % s_.kernel_w;
          set_weight(j, c, tap, w[(c * each_ + j) * s_.w_output + y * s_.w_row + i * s_.w_column]);
        }
  }

  void set_weight(int64_t j, int64_t c, int64_t tap, uint8_t code) {
    uint32_t constant = static_cast<uint32_t>(constant_[j * s_.channels + c]) + static_cast<uint32_t>(d_.shift[code]);
    int8_t *four = bytes_.data() + (j * blocks_ + c / kChannels) * terms_ * kChannels;
    for (int64_t g = 0, pair = 0; g < d_.groups; four += scales_[g++].count * kFourBytes)
      for (int64_t first = pair, end = pair + d_.sizes[g]; pair < end; ++pair) {
        const int8_t digit = d_.g[pair * 256 + code];
        const uint32_t scaled = static_cast<uint32_t>(int32_t{digit}) * static_cast<uint32_t>(d_.scales[g]);
        if (in_fours_) {
          const int64_t term = (pair - first) * taps_ + tap;
          four[term / 4 * kFourBytes + place_in_four(c % kChannels, term % 4)] = digit;
          constant -= 128 * scaled;
        } else {
          weights_[(j * terms_ + pair * taps_ + tap) * s_.channels + c] = static_cast<int32_t>(scaled);
        }
      }
    constant_[j * s_.channels + c] = static_cast<int32_t>(constant);
  }

  void each_pixel(const int8_t *planes, int64_t plane, int64_t line, int64_t rows, int32_t *to) const {
    std::vector<int64_t> offsets;
    for (int64_t g = 0, pair = 0; g < d_.groups; ++g) {
      for (const int64_t end = pair + d_.sizes[g]; pair < end; ++pair)
        for (int64_t y = 0; y < s_.kernel_h; ++y)
          for (int64_t i = 0; i < s_.kernel_w; ++i)
            offsets.push_back(pair * plane + y * s_.dilation_h * line + i * s_.dilation_w * s_.channels);
      while (in_fours_ && offsets.size() % 4) offsets.push_back(offsets.back());  // their weights are zero
    }
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t i = 0; i < s_.out_w; ++i)
        pixel(planes + y * s_.stride_h * line + i * s_.stride_w * s_.channels, offsets,
              to + (y * s_.out_w + i) * s_.outputs);
  }

  void pixel(const int8_t *corner, const std::vector<int64_t> &offsets, int32_t *to) const {
    for (int64_t j = 0; j < each_; ++j)
      for (int64_t c = 0; c < s_.channels; c += kChannels) {
        const int64_t channels = std::min(kChannels, s_.channels - c);
        const int32_t *constant = constant_.data() + j * s_.channels + c;
        int32_t scratch[kChannels], *sums = each_ == 1 ? to + c : scratch;
        if (in_fours_) {
          const int8_t *weights = bytes_.data() + (j * blocks_ + c / kChannels) * terms_ * kChannels;
          sum_fours(corner + c, offsets.data(), scales_, weights, constant, channels, sums);
        } else {
          std::copy_n(constant, channels, sums);
          sum_(corner + c, offsets.data(), terms_, weights_.data() + j * terms_ * s_.channels + c, s_.channels, channels,
               sums);
        }
        if (each_ > 1)
          for (int64_t i = 0; i < channels; ++i) to[(c + i) * each_ + j] = sums[i];
      }
  }

  const axdnn_shape &s_;
  const uint8_t *x_;
  const axdnn_digits &d_;
  int32_t *out_;
  const axdnn_emission *emission_;  // or null
  Requantiser requantise_;
  Variant mapping_;  // of the left factors
  int64_t width_, each_, taps_, blocks_, pairs_ = 0, terms_ = 0, rows_ = 0, bands_ = 0;
  bool in_fours_;
  Summer sum_;
  std::optional<Windows3x3> windows_3x3_;  // or the weights of any window:
  std::vector<Fours> scales_;
  std::vector<int32_t> weights_, constant_;  // (each, terms, channels), (each, channels)
  std::vector<int8_t> bytes_;                // (each, blocks of channels, fours, kFourBytes)
};

}  // namespace

void convolve_depthwise(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
                        const axdnn_emission *emission, int32_t variant, const Variant &v, int32_t threads) {
  const Depthwise work(s, x, w, d, out, emission, variant, v);
  in_parallel(work.units(), threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work.run(i);
  });
}

}  // namespace axdnn
