// The look-up path for AVX-512 VBMI: 256 bytes of a column are four registers, two permutes and a blend look 64 codes up.
#include "lookup.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AXDNN_VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")))
#endif

namespace axdnn {

#if defined(__x86_64__)
namespace {

// Adds 16-bit sums of 64 pixels, shifted, to sums of 32 bits. `both` holds even + 256 * odd modulo 2^16.
AXDNN_VBMI inline void spread(__m512i both, __m512i odd, int shift, uint32_t *sums) {
  alignas(64) uint16_t low[32], high[32];
  _mm512_store_si512(low, _mm512_sub_epi16(both, _mm512_slli_epi16(odd, 8)));
  _mm512_store_si512(high, odd);
  for (int i = 0; i < 32; ++i) {
    sums[2 * i] += static_cast<uint32_t>(low[i]) << shift;
    sums[2 * i + 1] += static_cast<uint32_t>(high[i]) << shift;
  }
}

template <int kPlanes, int kVectors>
AXDNN_VBMI inline void look_up(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes,
                               uint32_t *sums) {
  __m512i both[kPlanes][kVectors], odd[kPlanes][kVectors];
  for (int p = 0; p < kPlanes; ++p)
    for (int v = 0; v < kVectors; ++v) both[p][v] = odd[p][v] = _mm512_setzero_si512();
  for (int64_t t = 0; t < terms; ++t, codes += kPixels) {
    const uint8_t *column = planes + w[t] * kPlanes * 256;
    __m512i quarters[kPlanes][4];
#pragma GCC unroll 8
    for (int i = 0; i < 4 * kPlanes; ++i) quarters[i / 4][i % 4] = _mm512_loadu_si512(column + 64 * i);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512i code = _mm512_loadu_si512(codes + 64 * v);
      const __mmask64 upper = _mm512_movepi8_mask(code);
#pragma GCC unroll 2
      for (int p = 0; p < kPlanes; ++p) {
        const __m512i *q = quarters[p];
        const __m512i low = _mm512_permutex2var_epi8(q[0], code, q[1]);
        const __m512i found = _mm512_mask_blend_epi8(upper, low, _mm512_permutex2var_epi8(q[2], code, q[3]));
        both[p][v] = _mm512_add_epi16(both[p][v], found);
        odd[p][v] = _mm512_add_epi16(odd[p][v], _mm512_srli_epi16(found, 8));
      }
    }
  }
  for (int64_t i = 0; i < 64 * kVectors; ++i) sums[i] = 0;
  for (int p = 0; p < kPlanes; ++p)
    for (int v = 0; v < kVectors; ++v) spread(both[p][v], odd[p][v], 8 * p, sums + 64 * v);
}

}  // namespace

AXDNN_VBMI void permutes_one(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes,
                             uint32_t *sums) {
  look_up<1, 4>(codes, terms, w, planes, sums);
}

AXDNN_VBMI void permutes_two(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes,
                             uint32_t *sums) {
  look_up<2, 4>(codes, terms, w, planes, sums);
}
#else
void permutes_one(const uint8_t *, int64_t, const uint8_t *, const uint8_t *, uint32_t *) {}
void permutes_two(const uint8_t *, int64_t, const uint8_t *, const uint8_t *, uint32_t *) {}
#endif

}  // namespace axdnn
