// The digit path for AVX2: bytes widened to 16 bits, pairs of products added up in 32 bits; and for AVX2 with byte
// products (AVX-VNNI).
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "digits.h"

#define AXDNN_AVX2 __attribute__((target("avx2")))
#define AXDNN_AVX_VNNI_TARGET __attribute__((target("avx2,avxvnni")))

namespace axdnn {
namespace {

// A row of `kPanel` sums to its target.
AXDNN_AVX2 inline void put(const int32_t *sums, int64_t columns, int64_t i, int64_t n, const Target &t) {
  const int32_t *start = t.start ? t.start + n : nullptr;
  int32_t *to = t.to + i * t.stride + n;
  if (columns < kPanel) return put_row(sums, columns, start, t.scale, to);
  const __m256i factor = _mm256_set1_epi32(t.scale);
  for (int64_t j = 0; j < kPanel; j += 8) {
    const __m256i found = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(sums + j));
    const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i *>((start ? start : to) + j));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + j),
                        _mm256_add_epi32(before, _mm256_mullo_epi32(found, factor)));
  }
}

// Two windows at a time; a register holds two sums for each of four columns.
AXDNN_AVX2 void straight_avx2(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs,
                              int64_t count, const int8_t *b, int64_t panel_bytes, const int32_t *, int64_t columns,
                              const Target &t) {
  constexpr int kRows = 2, kQuads = kPanel / 4;
  for (int64_t n = 0; n < columns; n += kPanel)
    for (int64_t i = 0; i < windows; i += kRows) {
      __m256i sums[kRows][kQuads];
      for (auto &row : sums)
        for (auto &sum : row) sum = _mm256_setzero_si256();
      const int8_t *right = b + n / kPanel * panel_bytes;
      for (int64_t r = 0; r < count; ++r)
        for (int64_t k = 0; k < runs[r].length; k += kFour, right += kFour * kPanel) {
          __m256i left[kRows];
          for (int q = 0; q < kRows; ++q) {
            int32_t four;
            __builtin_memcpy(&four, planes + corners[i + q] + runs[r].from + k, 4);
            left[q] = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
          }
          for (int q = 0; q < kQuads; ++q) {
            const __m256i wide =
                _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(right + 16 * q)));
            for (int j = 0; j < kRows; ++j)
              sums[j][q] = _mm256_add_epi32(sums[j][q], _mm256_madd_epi16(left[j], wide));
          }
        }
      for (int64_t row = 0; row < kRows && i + row < windows; ++row) {
        int32_t found[kPanel];
        for (int q = 0; q < kQuads; ++q) {
          alignas(32) uint32_t pairs[8];
          _mm256_store_si256(reinterpret_cast<__m256i *>(pairs), sums[row][q]);
          for (int j = 0; j < 4; ++j) found[4 * q + j] = static_cast<int32_t>(pairs[2 * j] + pairs[2 * j + 1]);
        }
        put(found, columns - n, i + row, n, t);
      }
    }
}

// Entries of 16 * kCount codes by the low half of a byte; which of the sixteens is meant, bits of its high half say.
template <int kFirst, int kCount>
AXDNN_AVX2 inline __m256i entries(const int8_t *table, __m256i low, __m256i code) {
  if constexpr (kCount == 1) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table) + kFirst);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen), low);
  } else {
    constexpr int kHalf = kCount / 2, kToTop = kHalf == 1 ? 3 : kHalf == 2 ? 2 : kHalf == 4 ? 1 : 0;
    return _mm256_blendv_epi8(entries<kFirst, kHalf>(table, low, code),
                              entries<kFirst + kHalf, kHalf>(table, low, code), _mm256_slli_epi16(code, kToTop));
  }
}

AXDNN_AVX2 void map_avx2(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to) {
  if (count < 32) return map_bytes(table, from, count, to);
  for (int64_t i = 0;; i = std::min(i + 32, count - 32)) {  // the last step takes some bytes once more
    const __m256i code = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + i));
    const __m256i low = _mm256_and_si256(code, _mm256_set1_epi8(15));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + i), entries<0, 16>(table, low, code));
    if (i == count - 32) return;
  }
}

#if AXDNN_COMPILES_AVX_VNNI
// Four windows at a time; a register holds the sums of eight columns.
AXDNN_AVX_VNNI_TARGET void straight_avx_vnni(const int8_t *planes, const int64_t *corners, int64_t windows,
                                             const Run *runs, int64_t count, const int8_t *b, int64_t panel_bytes,
                                             const int32_t *initial, int64_t columns, const Target &t) {
  constexpr int kRows = 4, kHalves = kPanel / 8;
  for (int64_t n = 0; n < columns; n += kPanel)
    for (int64_t i = 0; i < windows; i += kRows) {
      __m256i sums[kRows][kHalves];
      for (auto &row : sums)
        for (int h = 0; h < kHalves; ++h)
          row[h] = initial ? _mm256_loadu_si256(reinterpret_cast<const __m256i *>(initial + n + 8 * h))
                           : _mm256_setzero_si256();
      const int8_t *right = b + n / kPanel * panel_bytes;
      for (int64_t r = 0; r < count; ++r)
        for (int64_t k = 0; k < runs[r].length; k += kFour, right += kFour * kPanel)
          for (int row = 0; row < kRows; ++row) {
            int32_t four;
            __builtin_memcpy(&four, planes + corners[i + row] + runs[r].from + k, 4);
            const __m256i left = _mm256_set1_epi32(four);
            for (int h = 0; h < kHalves; ++h)
              sums[row][h] = _mm256_dpbusd_avx_epi32(
                  sums[row][h], left, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(right + 32 * h)));
          }
      for (int64_t row = 0; row < kRows && i + row < windows; ++row) {
        alignas(32) int32_t found[kPanel];
        for (int h = 0; h < kHalves; ++h)
          _mm256_store_si256(reinterpret_cast<__m256i *>(found + 8 * h), sums[row][h]);
        put(found, columns - n, i + row, n, t);
      }
    }
}
#endif

}  // namespace

const Variant avx2_variant = {straight_avx2, map_avx2, interleave_bytes, nullptr};

#if AXDNN_COMPILES_AVX_VNNI
const Variant avx_vnni_variant = {straight_avx_vnni, map_avx2, interleave_bytes, initial_bytes};
#else
const Variant avx_vnni_variant = avx2_variant;
#endif

}  // namespace axdnn
#endif
