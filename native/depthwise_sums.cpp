// Sums of one pixel of a depthwise convolution: products in 32 bits, or of bytes, four terms at a time.
#include "depthwise.h"

#include <algorithm>

#if defined(__x86_64__)
#include "avx512.h"
#endif

namespace axdnn {

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

// Bytes of four terms are interleaved: a register of them holds four channels of each sixteen.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) void sum_fours(
    const int8_t *planes, const int64_t *offsets, const std::vector<Fours> &scales, const int8_t *weights,
    const int32_t *constant, int64_t channels, int32_t *sums) {
  const __mmask64 kept = ~uint64_t{0} >> (kChannels - channels);
  __m512i total[4];
  for (auto &some : total) some = _mm512_setzero_si512();
  for (const Fours &part : scales) {
    __m512i q[4];
    for (auto &some : q) some = _mm512_setzero_si512();
    for (int64_t f = 0; f < part.count; ++f, offsets += 4, weights += kFourBytes) {
      __m512i term[4];
      for (int t = 0; t < 4; ++t) term[t] = _mm512_maskz_loadu_epi8(kept, planes + offsets[t]);
      const __m512i first[2] = {_mm512_unpacklo_epi8(term[0], term[1]), _mm512_unpackhi_epi8(term[0], term[1])};
      const __m512i second[2] = {_mm512_unpacklo_epi8(term[2], term[3]), _mm512_unpackhi_epi8(term[2], term[3])};
      for (int i = 0; i < 2; ++i) {
        const __m512i low = _mm512_unpacklo_epi16(first[i], second[i]), high = _mm512_unpackhi_epi16(first[i], second[i]);
        q[2 * i] = _mm512_dpbusd_epi32(q[2 * i], low, _mm512_loadu_si512(weights + 128 * i));
        q[2 * i + 1] = _mm512_dpbusd_epi32(q[2 * i + 1], high, _mm512_loadu_si512(weights + 128 * i + 64));
      }
    }
    for (int i = 0; i < 4; ++i)
      total[i] = _mm512_add_epi32(
          total[i], part.scale == 1 ? q[i] : _mm512_mullo_epi32(q[i], _mm512_set1_epi32(part.scale)));
  }
  const __m512i half[4] = {
      _mm512_shuffle_i32x4(total[0], total[1], 0x44), _mm512_shuffle_i32x4(total[2], total[3], 0x44),
      _mm512_shuffle_i32x4(total[0], total[1], 0xee), _mm512_shuffle_i32x4(total[2], total[3], 0xee)};
  const __m512i found[4] = {
      _mm512_shuffle_i32x4(half[0], half[1], 0x88), _mm512_shuffle_i32x4(half[0], half[1], 0xdd),
      _mm512_shuffle_i32x4(half[2], half[3], 0x88), _mm512_shuffle_i32x4(half[2], half[3], 0xdd)};
  for (int64_t v = 0; v < 4 && 16 * v < channels; ++v) {
    const __mmask16 some = static_cast<__mmask16>((1u << std::min<int64_t>(16, channels - 16 * v)) - 1);
    const __m512i start = _mm512_maskz_loadu_epi32(some, constant + 16 * v);
    _mm512_mask_storeu_epi32(sums + 16 * v, some, _mm512_add_epi32(start, found[v]));
  }
}
#else
void sum_avx2(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights, int64_t stride,
              int64_t channels, int32_t *sums) {
  sum_portable(planes, offsets, terms, weights, stride, channels, sums);
}

void sum_fours(const int8_t *, const int64_t *, const std::vector<Fours> &, const int8_t *, const int32_t *, int64_t,
               int32_t *) {}  // no variant of such processors asks for it
#endif

}  // namespace axdnn
