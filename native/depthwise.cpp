// The digit path where every channel is a group of its own: nothing is shared between outputs, so that products of
// vectors of channels are added up straight from the planes.
#include <algorithm>
#include <vector>

#include "planes.h"
#include "threads.h"

#if defined(__x86_64__)
#include "avx512.h"
#endif

namespace axdnn {
namespace {

constexpr int64_t kChannels = 64;           // whose sums are kept in registers
constexpr int64_t kPlaneBytes = 1 << 18;    // planes of a band, if a row of outputs allows it

// sums[c] += the products of `terms` bytes of channel c with its weights, (terms, stride).
using Summer = void (*)(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights,
                        int64_t stride, int64_t channels, int32_t *sums);

void sum_portable(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights, int64_t stride,
                  int64_t channels, int32_t *sums) {
  for (int64_t t = 0; t < terms; ++t)
    for (int64_t c = 0; c < channels; ++c) {
      const uint32_t f = static_cast<uint32_t>(int32_t{planes[offsets[t] + c]});
      sums[c] = static_cast<int32_t>(static_cast<uint32_t>(sums[c]) + f * static_cast<uint32_t>(weights[t * stride + c]));
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void sum_avx2(const int8_t *planes, const int64_t *offsets, int64_t terms,
                                              const int32_t *weights, int64_t stride, int64_t channels, int32_t *sums) {
  constexpr int kVectors = kChannels / 8;
  if (channels < kChannels) return sum_portable(planes, offsets, terms, weights, stride, channels, sums);
  __m256i total[kVectors];
  for (int v = 0; v < kVectors; ++v) total[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(sums) + v);
  for (int64_t t = 0; t < terms; ++t)
    for (int v = 0; v < kVectors; ++v) {
      const auto *f = reinterpret_cast<const __m128i *>(planes + offsets[t] + 8 * v);
      const auto *g = reinterpret_cast<const __m256i *>(weights + t * stride) + v;
      const __m256i left = _mm256_cvtepi8_epi32(_mm_loadl_epi64(f));
      total[v] = _mm256_add_epi32(total[v], _mm256_mullo_epi32(left, _mm256_loadu_si256(g)));
    }
  for (int v = 0; v < kVectors; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i *>(sums) + v, total[v]);
}

AXDNN_512 void sum_512(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights,
                       int64_t stride, int64_t channels, int32_t *sums) {
  constexpr int kVectors = kChannels / 16;
  __mmask16 kept[kVectors];
  __m512i total[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const int64_t rest = std::clamp<int64_t>(channels - 16 * v, 0, 16);
    kept[v] = static_cast<__mmask16>((1u << rest) - 1);
    total[v] = _mm512_maskz_loadu_epi32(kept[v], sums + 16 * v);
  }
  for (int64_t t = 0; t < terms; ++t)
    for (int v = 0; v < kVectors; ++v) {
      const __m512i left = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(kept[v], planes + offsets[t] + 16 * v));
      const __m512i right = _mm512_maskz_loadu_epi32(kept[v], weights + t * stride + 16 * v);
      total[v] = _mm512_add_epi32(total[v], _mm512_mullo_epi32(left, right));
    }
  for (int v = 0; v < kVectors; ++v) _mm512_mask_storeu_epi32(sums + 16 * v, kept[v], total[v]);
}
#else
#define sum_avx2 sum_portable
#define sum_512 sum_portable
#endif

class Depthwise {
 public:
  Depthwise(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
            int32_t variant, const Variant &v)
      : s_(s), x_(x), d_(d), out_(out), plain_(v), width_(s.width + 2 * s.pad_w), each_(s.outputs / s.groups),
        sum_(variant >= AXDNN_VNNI ? sum_512 : variant >= AXDNN_AVX2 ? sum_avx2 : sum_portable) {
    plain_.initial = nullptr;
    for (int64_t g = 0; g < d.groups; ++g) pairs_ += d.sizes[g];
    const int64_t taps = s.kernel_h * s.kernel_w;
    terms_ = pairs_ * taps;
    weights_.resize(each_ * terms_ * s.channels);
    constant_.resize(each_ * s.channels);
    for (int64_t j = 0; j < each_; ++j)
      for (int64_t c = 0; c < s.channels; ++c)
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t y = tap / s.kernel_w, i = tap % s.kernel_w;
          set_weights(j, c, tap, taps, w[(c * each_ + j) * s.w_output + y * s.w_row + i * s.w_column]);
        }
    const int64_t fit = kPlaneBytes / (width_ * s.channels * pairs_) - (s.kernel_h - 1) * s.dilation_h;
    rows_ = std::clamp<int64_t>(fit / s.stride_h, std::min<int64_t>(4, s.out_h), s.out_h);
    bands_ = (s.out_h + rows_ - 1) / rows_;
  }

  int64_t units() const { return s_.batch * bands_; }

  void run(int64_t unit) const {
    static thread_local Memory plane_memory, code_memory;
    const int64_t image = unit / bands_, top = unit % bands_ * rows_, rows = std::min(rows_, s_.out_h - top);
    const int64_t height = (rows - 1) * s_.stride_h + (s_.kernel_h - 1) * s_.dilation_h + 1;
    const int64_t line = width_ * s_.channels, plane = height * line;
    int8_t *planes = plane_memory.room<int8_t>(pairs_ * plane);
    map_planes(s_, x_, {image, 1, top * s_.stride_h, height, 0, s_.channels}, d_.f, pairs_, plain_, code_memory, planes);
    std::vector<int64_t> offsets;
    for (int64_t pair = 0; pair < pairs_; ++pair)
      for (int64_t y = 0; y < s_.kernel_h; ++y)
        for (int64_t i = 0; i < s_.kernel_w; ++i)
          offsets.push_back(pair * plane + y * s_.dilation_h * line + i * s_.dilation_w * s_.channels);
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t i = 0; i < s_.out_w; ++i) {
        const int8_t *corner = planes + y * s_.stride_h * line + i * s_.stride_w * s_.channels;
        pixel(corner, offsets, out_ + ((image * s_.out_h + top + y) * s_.out_w + i) * s_.outputs);
      }
  }

 private:
  void set_weights(int64_t j, int64_t c, int64_t tap, int64_t taps, uint8_t code) {
    int32_t &constant = constant_[j * s_.channels + c];
    constant = static_cast<int32_t>(static_cast<uint32_t>(constant) + static_cast<uint32_t>(d_.shift[code]));
    for (int64_t g = 0, pair = 0; g < d_.groups; ++g)
      for (int64_t end = pair + d_.sizes[g]; pair < end; ++pair)
        weights_[(j * terms_ + pair * taps + tap) * s_.channels + c] = static_cast<int32_t>(
            static_cast<uint32_t>(int32_t{d_.g[pair * 256 + code]}) * static_cast<uint32_t>(d_.scales[g]));
  }

  void pixel(const int8_t *corner, const std::vector<int64_t> &offsets, int32_t *to) const {
    for (int64_t j = 0; j < each_; ++j)
      for (int64_t c = 0; c < s_.channels; c += kChannels) {
        const int64_t channels = std::min(kChannels, s_.channels - c);
        int32_t sums[kChannels];
        std::copy_n(constant_.data() + j * s_.channels + c, channels, sums);
        sum_(corner + c, offsets.data(), terms_, weights_.data() + j * terms_ * s_.channels + c, s_.channels, channels,
             sums);
        if (each_ == 1) std::copy_n(sums, channels, to + c);
        else
          for (int64_t i = 0; i < channels; ++i) to[(c + i) * each_ + j] = sums[i];
      }
  }

  const axdnn_shape &s_;
  const uint8_t *x_;
  const axdnn_digits &d_;
  int32_t *out_;
  Variant plain_;  // left factors stay signed
  int64_t width_, each_, pairs_ = 0, terms_ = 0, rows_ = 0, bands_ = 0;
  Summer sum_;
  std::vector<int32_t> weights_, constant_;  // (each, terms, channels), (each, channels)
};

}  // namespace

void convolve_depthwise(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
                        int32_t variant, const Variant &v, int32_t threads) {
  const Depthwise work(s, x, w, d, out, variant, v);
  in_parallel(work.units(), threads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work.run(i);
  });
}

}  // namespace axdnn
